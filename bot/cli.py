"""The terminal door: ``sendcat <line>``, and the few commands that only a terminal has (serve, demo, manifest).

Every line of the wall works here as in Slack, through the leader's socket when a bot runs. Progress goes to stderr, the
result to stdout, the exit status says how it ended (INTERFACES.md, section 4).
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bot.commands import ALL
from bot.config import load, variable
from bot.errors import Broken, SendcatError, Unknown

if TYPE_CHECKING:
    from bot.config import Config

app = typer.Typer(
    name="sendcat",
    help="Sendcat's reliability runbook, from a terminal. Without configuration it works on the practice Sendcat.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@dataclass(frozen=True)
class Wish:
    """What was typed: the line, and the options that belong to the terminal and not to the line."""

    line: str
    as_json: bool = False
    as_name: str | None = None
    config: str | None = None
    target: str | None = None


def wish_of(words: Sequence[str]) -> Wish:
    """Split ``--json``, ``--as=NAME``, ``--config=FILE`` and ``--target=NAME`` from the words of a line."""
    kept: list[str] = []
    options: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        if name in ("--json", "--as", "--config", "--target"):
            options[name] = value
        else:
            kept.append(_quoted(word))
    return Wish(
        line=" ".join(kept),
        as_json="--json" in options and options["--json"] != "false",
        as_name=options.get("--as") or None,
        config=options.get("--config") or None,
        target=options.get("--target") or variable("SENDCAT_TARGET"),
    )


def _quoted(word: str) -> str:
    """A shell word as a word of our grammar: quoted again where the shell took the quotes away."""
    flag, equals, value = word.partition("=")
    if word.startswith("--") and equals:
        return f"{flag}={_bare(value)}"
    return _bare(word)


def _bare(value: str) -> str:
    if value and not any(c.isspace() for c in value) and value[:1] not in "\"'":
        return value
    if value[:1] in ("{", "["):
        return value
    return f"'{value}'" if "'" not in value else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def run_line(words: Sequence[str]) -> int:
    """Carry one line out and draw it; returns the exit status."""
    wish = wish_of(words)
    try:
        return asyncio.run(_carry_out(wish))
    except SendcatError as error:
        return _say_no(error, wish.as_json)
    except KeyboardInterrupt:
        return 130


async def _carry_out(wish: Wish) -> int:
    from bot.commands import catalog
    from bot.config import Config
    from bot.practice.house import STATE_DIR
    from bot.terminal import offline
    from bot.terminal.client import draw_course, draw_outcome
    from bot.terminal.variables import with_variables

    config = load(wish.config)
    line = with_variables(wish.line, catalog(), variable, target=wish.target)
    practice = wish.target == "practice" and (config is None or "practice" not in config.target)
    here = practice or (config is None and (sys.stdin.isatty() or sys.stdout.isatty()))
    outcome = offline.carry_out(line, catalog(), config, practice=STATE_DIR if here else None)
    if outcome is not None:
        return draw_outcome(config or Config(), outcome, wish.as_json)
    if config is None and not practice and wish.line.startswith("gate status"):
        raise Unknown(
            "There is no configuration here.",
            rule="`gate status` never falls back to practice (INTERFACES.md, section 1)",
            then="--config=FILE, or --target=practice for practising",
        )
    if config is None and not practice:
        if not sys.stdin.isatty() and not sys.stdout.isatty():
            raise Unknown(
                "There is no configuration here.",
                rule="without a terminal nothing falls back to practice, so that no pipeline goes green by accident",
                then="--target=practice, SENDCAT_TARGET=practice, or a sendcat.toml",
            )
        practice = True
    if practice:
        from bot.practice.house import at_home

        if wish.target not in (None, "practice", "candidate"):
            raise Unknown(
                f"No target is called {wish.target!r}: there is no sendcat.toml here.",
                then="--target=practice, or write a sendcat.toml",
            )
        async with at_home() as home:
            if not wish.as_json:
                print(f"practice Sendcat ({home.note})", file=sys.stderr)  # noqa: T201
            return await draw_course(home.config, line, wish.as_json, wish.target, wish.as_name)
    assert config is not None
    if wish.as_name is not None:
        raise Unknown("--as works on the practice target only.", then="--target=practice --as=" + wish.as_name)
    return await draw_course(config, line, wish.as_json, wish.target, None)


def _say_no(error: SendcatError, as_json: bool) -> int:
    if as_json:
        out: dict[str, Any] = {"error": error.what, "rule": error.rule, "next": error.then}
        sys.stdout.write(json.dumps({**out, "exit_status": error.exit_status}, ensure_ascii=False) + "\n")
    else:
        lines = [f"🚫 {error.word}: {error.what}"]
        lines += [f"Rule: {error.rule}."] if error.rule else []
        lines += [f"Next: {error.then}"] if error.then else []
        sys.stderr.write("\n".join(lines) + "\n")
    return error.exit_status


def _configuration(path: str | None, target: str | None) -> Config:
    """The configuration for a long-running command; practice only when asked for by name."""
    if target == "practice":
        from bot.practice.house import running_config

        return running_config()
    config = load(path)
    if config is None:
        raise Broken("There is no sendcat.toml here.", then="write one (docs/configuration.md), or: make demo")
    return config


ConfigOption = Annotated[str | None, typer.Option("--config", help="Path of sendcat.toml.")]
TargetOption = Annotated[str | None, typer.Option("--target", help="A target by name; practice needs no account.")]


@app.command()
def serve(
    http: Annotated[bool, typer.Option("--http", help="HTTP mode on $PORT instead of Socket Mode.")] = False,
    port: Annotated[int | None, typer.Option(help="Port of HTTP mode; $PORT, else 3000.")] = None,
    standby: Annotated[bool, typer.Option("--standby", help="Wait for the lock instead of exiting with 75.")] = False,
    config: ConfigOption = None,
    target: TargetOption = None,
) -> None:
    """Run the bot: Socket Mode by default, HTTP with --http."""
    from bot.main import serve as run

    chosen = port or int(variable("PORT") or 3000)
    raise typer.Exit(
        _guarded(lambda: asyncio.run(run(_configuration(config, target), http=http, port=chosen, standby=standby)))
    )


@app.command()
def demo(
    fault: Annotated[
        str, typer.Option(help="A fault letter with an optional variant, such as F or B:flapping; none.")
    ] = "F",
    once: Annotated[bool, typer.Option("--once", help="End by itself once the triage card is final.")] = False,
) -> None:
    """The whole product on loopback: practice Sendcat, practice Slack, the bot, a fault, and a triage."""
    from bot.practice.demo import run

    raise typer.Exit(_guarded(lambda: asyncio.run(run(fault, once=once))))


@app.command()
def practice(
    deployment: Annotated[str | None, typer.Argument(help="One of the house that runs: practice or candidate.")] = None,
    wish: Annotated[
        str | None,
        typer.Argument(help="healthy, slower, flaky, broken; or a fault such as F:caps; how it is without."),
    ] = None,
) -> None:
    """Practice Sendcats and practice Slack until Ctrl-C, without a bot; or how one of them behaves."""
    from bot.practice.house import keep_house
    from bot.practice.wishing import carry_out

    if deployment is not None:
        raise typer.Exit(_guarded(lambda: asyncio.run(carry_out(deployment, wish))))
    raise typer.Exit(_guarded(lambda: asyncio.run(keep_house(with_slack=True))))


@app.command()
def manifest(
    url: Annotated[str | None, typer.Option(help="Public address of the bot, for HTTP mode.")] = None,
) -> None:
    """Print the Slack app manifest; manifest.yml is this for Socket Mode."""
    from bot.slack.manifest import manifest as build
    from bot.slack.manifest import to_yaml

    sys.stdout.write(to_yaml(build(ALL, url=url)))


def _guarded(work: Any) -> int:
    try:
        status: int = work()
    except SendcatError as error:
        return _say_no(error, as_json=False)
    except KeyboardInterrupt:
        return 130
    return status


def _listed(name: str, summary: str, examples: tuple[str, ...], group: str) -> None:
    """Put a line of the wall into ``sendcat --help``; carrying it out does not go through here."""

    @app.command(name, help=summary, rich_help_panel=f"Runbook: {group}", add_help_option=False)
    def line(words: Annotated[list[str] | None, typer.Argument(help="The rest of the line.")] = None) -> None:
        raise typer.Exit(run_line([name, *(words or ())]))

    line.__doc__ = "\n".join(examples)


for _command in ALL:
    _listed(_command.name, _command.summary, _command.examples, _command.group)

OWN = frozenset({"serve", "demo", "practice", "manifest"})


def main(argv: Sequence[str] | None = None) -> None:
    """Entry point of the console script."""
    words = list(sys.argv[1:] if argv is None else argv)
    if not words or words[0] in OWN or words[0] in ("--help", "-h"):
        app(args=words or ["--help"], standalone_mode=True)
        return
    if words[0] == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"sendcat {version('sendcat-chatops')}\n")
        return
    if len(words) > 1 and words[-1] in ("--help", "-h"):
        kept = (w for w in words[1:-1] if not w.startswith("--") or w.startswith(("--config", "--target", "--as")))
        words = ["help", words[0], *kept]
    sys.exit(run_line(words))
