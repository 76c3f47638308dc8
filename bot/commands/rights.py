"""``rights``: who am I, and what may I do; ``ask``: one public mention of those who may do what the asker may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Card, Tone, when
from bot.card import who as mention
from bot.command import Args, Command, Outcome
from bot.errors import Refused, Unknown

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.tx import Tx

AGAIN_MS = 15 * 60_000
"""The same is asked in a channel at most once in this time, whoever presses."""
EACH = 6
"""So often an hour one person may ask for anything."""
HOUR_MS = 3_600_000


class RightsArgs(Args):
    pass


class AskArgs(Args):
    action: str
    """The row of the table that is missing, such as gate.decide."""
    about: tuple[str, ...] = ()
    """The line that is wanted: its command, and the ids in it."""


async def _rights(run: Run, args: RightsArgs) -> Outcome:
    from bot.commands import catalog
    from bot.home.parts import nobody, rights
    from bot.refusing import STOP

    config = run.world.config
    if run.who.standing.kind != "member":
        part = nobody(run.who)
    else:
        (part,) = rights(catalog(), config, run.who)
    held = sorted(role.value for role in run.who.roles)
    card = Card(
        title=part.title,
        sections=tuple(line.text for line in part.lines),
        footer=f"{STOP} · INTERFACES.md, section 3",
        final=True,
    )
    return Outcome(card=card, exit_status=0, data={"person": run.who.person, "roles": held})


async def _ask(run: Run, args: AskArgs) -> Outcome:
    from bot.authority import TABLE
    from bot.commands import ALL
    from bot.redact import inert
    from bot.refusing import holders, subject
    from bot.store import ops, outbox
    from playbooks.lines import Line

    config = run.world.config
    words = subject(Line(args.about[0], args.about[1:])) if args.about else ()
    known = {command.name for command in ALL if args.action in command.actions}
    wanted = next((name for name in (" ".join(words[:2]), " ".join(words[:1])) if name in known), None)
    if args.action not in TABLE or wanted is None:
        raise Unknown(
            f"`{inert(args.action, 40)}` is not what that line needs; nobody was asked.", then="/sendcat rights"
        )
    them = holders(config, args.action, but=run.who)
    channel = run.op.place.channel or _channel(run, args.action)
    if not them or channel is None:
        raise Refused(
            f"There is no {'group or other person' if not them else 'channel'} to ask for `{args.action}`.",
            rule="a mention goes to a configured group or person, in a listed channel",
            then="/sendcat owners",
        )
    line = " ".join((wanted, *words[len(wanted.split()) :]))
    now_ms, by = run.world.clock.now_ms(), run.op.by.account
    key = f"ask:{channel}:{args.action}:{line}"
    card = Card(
        title=f"Asked for: {line}",
        tone=Tone.RUNNING,
        lead=f"{them}: {mention(by)} asks you for this (`{args.action}`).",
        next="press the button on its card" if len(words) > len(wanted.split()) else f"/sendcat {line}",
        footer=f"asked at most once in {AGAIN_MS // 60_000} min",
        final=True,
    )

    def write(tx: Tx) -> int | None:
        """Post the mention, or say when this was asked already."""
        mine = [op for op in ops.recent(tx.db, 100, "ask") if op.by.account == by and op.id != run.op.id]
        if sum(now_ms - op.created_ms < HOUR_MS for op in mine) >= EACH:
            raise Refused(
                f"You asked {EACH} times within an hour; nobody was asked again.",
                rule="a mention is rate-bound (ux.md, section 5)",
                then="write to them yourself",
            )
        slot = now_ms // AGAIN_MS
        for each in (slot, slot - 1):
            letter = outbox.by_key(tx.db, f"{key}:{each}")
            if letter is not None and now_ms - letter.created_ms < AGAIN_MS:
                return letter.created_ms
        thread = run.op.place.thread_ts if run.op.place.channel else None
        outbox.put(
            tx, f"{key}:{slot}", channel=channel, kind="card", card=card, thread_ts=thread, op=run.op.id, final=True
        )
        return None

    before = await run.world.store.write(write)
    said = f"Asked already {when(before)}: {line}" if before else f"Asked: {line}"
    lead = f"{them} {'was' if before else 'is'} mentioned in the channel, once."
    answer = Card(title=said, tone=Tone.PLAIN if before else Tone.OK, lead=lead, final=True)
    return Outcome(card=answer, exit_status=0, data={"asked": before is None, "action": args.action, "line": line})


def _channel(run: Run, action: str) -> str | None:
    """Where a terminal's question is heard: decisions in the release channel, the rest in the incident channel."""
    slack = run.world.config.slack
    first = next(iter(slack.incident_channels), None)
    return (slack.release_channel or first) if action.endswith((".decide", ".approve")) else first


COMMANDS = (
    Command(
        name="rights",
        summary="Who you are here, and what you may do.",
        action="help",
        args=RightsArgs,
        run=_rights,
        examples=("rights",),
        group="First",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="ask",
        summary="Mention those who may do what you may not: once, in the channel.",
        action="ask",
        args=AskArgs,
        run=_ask,
        positional=("action",),
        rest="about",
        examples=("ask gate.decide gate approve g-77", "ask tune.approve tune approve c-41"),
        group="First",
        quiet=True,
        targeted=False,
    ),
)
