"""The drill as typed: every flag and variable of the original is understood, checked, and never silently replaced."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.commands import catalog
from bot.commands.drill import DrillArgs
from bot.config import Config, build
from bot.drill.flags import VARIABLES
from bot.errors import Refused, SendcatError, Unknown
from bot.main import Bot
from bot.sendcat.load.credentials import drill_secrets
from bot.sendcat.load.planning import plan_drill
from bot.store import artifacts
from bot.store.artifacts import Artifact
from bot.terminal.variables import with_variables
from tests.conftest import carry_out

CATALOG = catalog()


def args_of(line: str, config: Config) -> DrillArgs:
    plan = CATALOG.plan(line, config)
    assert isinstance(plan.args, DrillArgs)
    return plan.args


def test_the_runbooks_lines_work_as_typed(config: Config) -> None:
    line = "npm run reliability:drill -- --profile=soak --scenarios=gmail_push_webhook,whatsapp_webhook"
    soak = args_of(line, config)
    assert (soak.chosen, soak.chosen_scenarios) == ("soak", ("gmail_push_webhook", "whatsapp_webhook"))
    assert args_of("npm run reliability:drill -- --quick=true", config).chosen == "quick"
    assert args_of("npm run reliability:drill -- --profile=burst", config).chosen == "burst"
    assert args_of("npm run reliability:drill", config).chosen == "standard", "the original's default"
    assert CATALOG.plan("drill --quick", config).action == "drill.quick"
    assert CATALOG.plan("drill --profile=quick", config).action == "drill.quick"
    assert CATALOG.plan(line, config).action == "drill"


@pytest.mark.parametrize("command", ["gate", "gate --risk=high", "canary --candidate=candidate"])
@pytest.mark.parametrize("milestone", ["m1_1k", "m2_5k", "m3_20k"])
def test_a_milestone_is_proved_by_its_own_gate_only(config: Config, command: str, milestone: str) -> None:
    """A release gate and a canary run quick, standard, burst or soak; the refusal says where a milestone belongs."""
    with pytest.raises(Unknown, match=f"milestone-gate --milestone={milestone}"):
        CATALOG.plan(f"{command} --profile={milestone}", config)


def test_every_flag_of_the_original_reaches_the_plan(config: Config) -> None:
    args = args_of(
        "drill --profile=m2_5k --quick=false --chat-load-scale=0.5 --chat-concurrency-scale=0.1"
        " --chat-duration-scale=2 --chat-rotation-mode=stride --chat-rotation-stride=3 --chat-rotation-seed='my seed'"
        " --chat-min-unique-coverage=0.6 --chat-min-unique-users=4 --processes=2",
        config,
    )
    plan = plan_drill(config.target["practice"], args.profile, args.chosen_scenarios, **args.options())
    assert (plan.rotation_mode, plan.rotation_stride, plan.rotation_seed) == ("stride", 3, "my seed")
    assert (plan.min_unique_coverage, plan.min_unique_users, plan.processes) == (0.6, 4, 2)
    streams = plan.scenarios[2].streams
    assert streams is not None
    assert (streams.streams, streams.sustain_ms) == (500, 1_200_000)
    closed = args_of("drill --profile=m3_20k --mode=closed", config)
    workers = plan_drill(config.target["practice"], closed.profile, **closed.options()).scenarios[2].stages[2].workers
    assert workers == 160


@pytest.mark.parametrize(
    ("flag", "says"),
    [
        ("--profile=Standard", "standard"),
        ("--profile=", "no profile"),
        ("--quick=maybe", "boolean"),
        ("--scenarios=gmail_push_webhook,chat", "chat_stream_http"),
        ("--scenarios=,", "no scenario"),
        ("--chat-load-scale=0.05", "under 0.1"),
        ("--chat-load-scale=nan", "above 0"),
        ("--chat-concurrency-scale=-1", "above 0"),
        ("--chat-duration-scale=fast", "valid number"),
        ("--chat-rotation-mode=randum", "did you mean random"),
        ("--chat-rotation-stride=0", "at least 1"),
        ("--chat-rotation-stride=7.5", "integer"),
        ("--chat-min-unique-coverage=1.5", "0 to 1"),
        ("--chat-min-unique-coverage=inf", "0 to 1"),
        ("--chat-min-unique-users=-1", "greater than or equal to 0"),
        ("--mode=half", "'open' or 'closed'"),
        ("--approval=yes", "d-12"),
        ("--warmup=10", "no flag"),
    ],
)
def test_R16_a_flag_that_means_nothing_is_an_error_and_never_a_default(config: Config, flag: str, says: str) -> None:
    with pytest.raises(Unknown) as caught:
        CATALOG.plan(f"drill {flag}", config)
    assert says in str(caught.value)
    assert caught.value.then


@pytest.mark.parametrize("flag", ["auth-token", "chat-auth-pool-json", "gmail-token", "whatsapp-secret"])
def test_R36_flags_that_would_hold_a_secret_are_refused_with_what_to_write_instead(config: Config, flag: str) -> None:
    with pytest.raises(Refused) as caught:
        CATALOG.plan(f"drill --{flag}=PLANTED-77", config)
    assert "PLANTED" not in str(caught.value)
    assert "[target.NAME]" in (caught.value.then or "")


@pytest.mark.parametrize("processes", [0, 17])
def test_a_number_of_processes_has_bounds(config: Config, processes: int) -> None:
    with pytest.raises(Unknown, match="1 to 16"):
        plan_drill(config.target["practice"], processes=processes)


# Variables


def variables(**values: str) -> Any:
    return values.get


def test_variables_of_the_terminal_become_flags_of_the_line() -> None:
    env = variables(RELIABILITY_CHAT_ROTATION_MODE="stride", RELIABILITY_CHAT_ROTATION_SEED="a b")
    line = with_variables("drill --quick=true", CATALOG, env, target=None)
    assert line == "drill --quick=true --chat-rotation-mode=stride --chat-rotation-seed='a b'" or line.endswith('"a b"')
    assert with_variables(
        "drill --chat-rotation-mode=random", CATALOG, variables(RELIABILITY_CHAT_ROTATION_MODE="stride"), target=None
    ).endswith("mode=random")
    assert with_variables("status", CATALOG, env, target=None) == "status"
    assert with_variables("nonsense '", CATALOG, env, target=None) == "nonsense '"


def test_the_address_of_a_variable_counts_only_where_no_target_is_named(config: Config) -> None:
    env = variables(CONVEX_SITE_URL="https://other.convex.site", VITE_CONVEX_SITE_URL="https://third.convex.site")
    line = with_variables("drill --quick=true", CATALOG, env, target=None)
    assert line.endswith("--base-url=https://other.convex.site")
    with pytest.raises(Refused) as caught:
        CATALOG.plan(line, config)
    assert 'site_url = "https://other.convex.site"' in (caught.value.then or "")
    assert with_variables("drill --quick=true", CATALOG, env, target="practice") == "drill --quick=true"
    line = with_variables("drill --target=practice", CATALOG, env, target=None)
    assert line == "drill --target=practice"


def test_a_wrong_value_in_a_variable_is_an_error_like_a_typed_one(config: Config) -> None:
    env = variables(RELIABILITY_CHAT_ROTATION_STRIDE="0")
    with pytest.raises(Unknown, match="at least 1"):
        CATALOG.plan(with_variables("drill", CATALOG, env, target="practice"), config)


def test_every_variable_of_the_original_that_holds_no_secret_is_known() -> None:
    text = " ".join(name for names in VARIABLES.values() for name in names)
    for word in ("BASE_URL", "ROTATION_MODE", "ROTATION_STRIDE", "ROTATION_SEED", "UNIQUE_COVERAGE", "UNIQUE_USERS"):
        assert word in text


def settings(*names: str, **more: Any) -> dict[str, Any]:
    return {
        "target": {
            name: {
                "environment": "staging",
                "api_url": f"https://{name}.convex.cloud",
                "site_url": f"https://{name}.convex.site",
                **more,
            }
            for name in names
        }
    }


ORIGINAL = {
    "GMAIL_PUBSUB_VERIFY_TOKEN": "gmail-1",
    "WHATSAPP_APP_SECRET": "wa-1",
    "RELIABILITY_AUTH_TOKEN": "token-1",
    "RELIABILITY_THREAD_ID": "thread-1",
}


def test_the_only_target_reads_the_originals_variables() -> None:
    target = build(settings("staging"), environ=ORIGINAL).target["staging"]
    secrets = drill_secrets(target)
    assert (secrets.gmail_token, secrets.whatsapp_secret) == ("gmail-1", "wa-1")
    assert [(user.token, user.thread_id) for user in secrets.chat_users] == [("token-1", "thread-1")]
    pool = json.dumps([{"token": "a", "threadId": "t"}, {"authToken": "b", "threadId": "u"}])
    target = build(settings("staging"), environ=ORIGINAL | {"RELIABILITY_CHAT_AUTH_POOL_JSON": pool}).target["staging"]
    secrets = drill_secrets(target)
    assert secrets.pooled
    assert [user.token for user in secrets.chat_users] == ["a", "b"]


def test_R15_with_several_targets_no_credential_is_guessed() -> None:
    config = build(settings("staging", "second"), environ=ORIGINAL)
    for target in config.target.values():
        assert drill_secrets(target).values() == ()
    named = build(settings("staging", gmail_token_env="OTHER"), environ=ORIGINAL | {"OTHER": "mine"}).target["staging"]
    assert drill_secrets(named).gmail_token == "mine"


# The pool file


def write_pool(folder: Path, name: str = "chat-auth-pool-x-1-2.json") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / name
    file.write_text(json.dumps([{"authToken": "a", "threadId": "t"}, {"authToken": "b", "threadId": "u"}]))
    return file


def test_a_pool_is_named_inside_the_artifact_directory(config: Config, tmp_path: Path) -> None:
    file = write_pool(config.artifact_dir)
    for name in (file.name, str(file)):
        args = args_of(f"drill --chat-auth-pool-file={name}", config)
        assert args.pool_file(config) == file.resolve()
    outside = write_pool(tmp_path / "elsewhere")
    for name in (str(outside), f"../{outside.name}", "/etc/passwd"):
        with pytest.raises(Refused, match="lies outside"):
            args_of(f"drill --chat-auth-pool-file={name}", config).pool_file(config)
    with pytest.raises(Unknown, match="no file"):
        args_of("drill --chat-auth-pool-file=nothing.json", config).pool_file(config)


def test_a_link_out_of_the_directory_is_outside(config: Config, tmp_path: Path) -> None:
    outside = write_pool(tmp_path / "elsewhere")
    config.artifact_dir.mkdir(parents=True, exist_ok=True)
    (config.artifact_dir / "link.json").symlink_to(outside)
    with pytest.raises(SendcatError):
        args_of("drill --chat-auth-pool-file=link.json", config).pool_file(config)


async def test_R15_a_pool_of_another_target_is_refused(bot: Bot) -> None:
    config = bot.world.config
    file = write_pool(config.artifact_dir)
    row = Artifact(name=file.name, sha256="0" * 64, size=1, kind="pool", started_ms=1, target="production", op=None)
    await bot.world.store.write(lambda tx: artifacts.register(tx, row))
    _, outcome = await carry_out(bot, f"drill --quick=true --chat-auth-pool-file={file.name}")
    assert outcome is not None
    assert outcome["exit_status"] == 4
    assert "of target production" in json.dumps(outcome["card"])


@pytest.mark.parametrize("command", ["probe", "gate --profile=quick", "drill"])
def test_R14_the_address_of_a_variable_counts_for_every_command_that_sends(config: Config, command: str) -> None:
    """Else a terminal that is set up for staging would gate the default target."""
    env = variables(RELIABILITY_BASE_URL="https://staging.convex.site")
    line = with_variables(command, CATALOG, env, target=None)
    assert line.endswith("--base-url=https://staging.convex.site")
    with pytest.raises(Refused, match="No registered target"):
        CATALOG.plan(line, config)
