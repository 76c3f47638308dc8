"""The Home tab as people open it: what waits for them, how things stand, who they are; drawn again when that changes."""

from __future__ import annotations

import asyncio
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.authority import Role, Standing, Who
from bot.card import Button, Tone
from bot.catalog import Catalog
from bot.command import Actor, Args, Ask, Command, Door, Outcome, Place
from bot.commands import ALL
from bot.forms import filled
from bot.home.parts import Line, Part
from bot.home.tab import Home, Homes
from bot.main import Bot
from bot.redact import inert
from bot.slack import home as tab
from bot.slack.lint import lint_view
from bot.store import cases, changes, ops
from bot.store.change import By
from bot.store.tx import Tx
from playbooks.change_set import ChangeSet, Step
from slo.verdict import Verdict
from tests.conftest import GUEST, INCIDENTS, LEAD, ONCALL, RELMGR, STRANGER, VISITOR, Stage, text_of, until

HOUR_MS = 3_600_000


async def opened(stage: Stage, user: str) -> str:
    """Somebody opens the tab; its text once it stands there."""
    await stage.slack.open_home(user)
    await until(lambda: stage.slack.home(user) is not None)
    return shown(stage, user)


def shown(stage: Stage, user: str) -> str:
    view = stage.slack.home(user)
    assert view is not None
    assert lint_view({"type": view["type"], "blocks": view["blocks"]}) == []
    return text_of(view)


def published(stage: Stage, user: str) -> int:
    return sum(call.method == "views.publish" and call.args.get("user_id") == user for call in stage.slack.calls)


async def test_a_newcomer_reads_who_they_are_and_what_to_type(stage: Stage) -> None:
    text = await opened(stage, ONCALL)

    assert text.startswith("Nothing waits for you")
    assert "not looked at yet: `/sendcat triage --target=practice`" in text
    assert "None is open." in text
    assert "responder" in text
    assert "Not you, but" in text
    assert "Last decisions" not in text


async def test_what_happens_is_drawn_without_opening_it_again(stage: Stage) -> None:
    """A snapshot's verdict with its age, and the incident with its owner and a link to its card; nothing is redrawn
    while nothing changes."""
    await opened(stage, ONCALL)
    await stage.type("incident open chat is <!channel> slow")
    await until(lambda: "i-1" in shown(stage, ONCALL) and "archives/" in shown(stage, ONCALL))
    await stage.type("snapshot")
    await until(lambda: "snapshot r-" in shown(stage, ONCALL))
    text = shown(stage, ONCALL)

    assert text.startswith("1 thing waits for you")
    assert "*i-1* is yours: chat is" in text
    assert "Open incidents: 1" in text
    assert "<!channel>" not in text
    assert "just now" in text

    await asyncio.sleep(2.0)
    count = published(stage, ONCALL)
    await stage.type("help")
    await asyncio.sleep(2.0)
    assert published(stage, ONCALL) == count


async def test_R8_outsiders_are_told_politely_and_shown_nothing(stage: Stage) -> None:
    await stage.type("incident open secret trouble")
    for user, words in ((GUEST, "You are a guest here"), (STRANGER, "You belong to another organisation")):
        text = await opened(stage, user)
        assert text.startswith(words)
        assert "`help` and `stop` only (R8)" in text
        assert "secret trouble" not in text
        assert "practice" not in text


async def test_R8_without_a_role_no_incident_of_other_channels_is_shown(stage: Stage) -> None:
    await stage.type("incident open secret trouble")
    text = await opened(stage, VISITOR)

    assert "secret trouble" not in text
    assert "no role" in text


def _case(tx: Tx, starter: str = f"slack:{ONCALL}") -> None:
    place = Place(kind="channel", channel=INCIDENTS)
    ask = Ask(line="gate", by=Actor(door=Door.SLACK, account=starter), place=place, key="k-gate")
    op = ops.new(tx, ask, "gate", "gate --release=<!channel>", "practice")
    ops.start(tx, op.id)
    cases.new(
        tx, kind="gate", op=op.id, target="practice", subject="2026.11.23-2 <https://x.example|y>", commit=None,
        verdict=Verdict.PASS, starter=starter, starter_person="oncall", binding={}, expires_ms=tx.now_ms + HOUR_MS,
    )  # fmt: skip
    ops.finish(tx, op.id, "done", verdict=Verdict.PASS)


def _change(tx: Tx) -> None:
    place = Place(kind="channel", channel=INCIDENTS)
    by = Actor(door=Door.SLACK, account=f"slack:{ONCALL}")
    op = ops.new(tx, Ask(line="tune", by=by, place=place, key="k-tune"), "tune", "tune", "practice")
    step = Step("TOOL_QUEUE_MAX_JOBS", stored="24", before=24, text="28", after=28, day_ago=24, rule="20 % a step")
    changes.propose(
        tx, ChangeSet((step,), why="full"), op=op.id,
        by=By.of(by.account, "slack", "oncall"), target="practice", deployment="practice", policy="a" * 64,
        expires_ms=tx.now_ms + HOUR_MS,
    )  # fmt: skip


async def test_R10_a_decision_waits_for_those_who_may_make_it_and_never_for_the_starter(stage: Stage) -> None:
    assert stage.bot is not None
    await stage.bot.world.store.write(_case)
    manager, starter = await opened(stage, RELMGR), await opened(stage, ONCALL)

    assert "1 thing waits for you" in manager
    assert "Release gate g-1* waits for your decision" in manager
    assert "<https" not in manager.partition("·")[0]
    assert starter.startswith("Nothing waits for you")

    case = await stage.bot.world.store.read(lambda conn: cases.look(conn, "g-1"))
    assert case is not None
    await stage.bot.world.store.write(
        lambda tx: cases.decide(tx, case, "reject", by=f"slack:{RELMGR}", person="relmgr", reason="too slow")
    )
    await until(lambda: shown(stage, RELMGR).startswith("Nothing waits for you"))
    auditor = await opened(stage, LEAD)
    assert "Last decisions" in auditor
    assert "too slow" in auditor


async def test_R10_a_proposal_waits_for_another_human(stage: Stage) -> None:
    assert stage.bot is not None
    await stage.bot.world.store.write(_change)

    assert "waits for another pair of eyes" in await opened(stage, RELMGR)
    assert "another pair of eyes" not in await opened(stage, ONCALL)
    assert "another pair of eyes" not in await opened(stage, VISITOR)


async def test_items_of_a_checklist_wait_for_their_owner(stage: Stage) -> None:
    await stage.type("incident open chat is slow")
    await until(lambda: any("INCIDENT i-1" in text_of(m) for m in stage.cards()))
    await stage.type("checklist")
    await opened(stage, ONCALL)
    await until(lambda: "Checklist of i-1*:" in shown(stage, ONCALL))

    await stage.type("incident handoff @relmgr over to you")
    await until(lambda: shown(stage, ONCALL).startswith("Nothing waits for you"))
    assert "*i-1* is yours" in await opened(stage, RELMGR)


async def test_a_button_answers_directly(stage: Stage) -> None:
    await opened(stage, ONCALL)
    ack = await stage.slack.click(ONCALL, stage.slack.home(ONCALL) or {}, "Status")

    assert ack.ok
    await until(lambda: bool(_direct(stage)))
    assert any("Nothing is running" in text for text in _direct(stage))


def _direct(stage: Stage) -> list[str]:
    dm = stage.slack.workspace.dm(ONCALL).id
    return [text_of(m) for m in stage.slack.messages(dm)]


async def test_R33_slack_down_the_tab_comes_later_and_after_a_restart_too(stage: Stage) -> None:
    await opened(stage, ONCALL)
    await stage.slack.set_down(True)
    await stage.type("incident open while slack is away")
    assert stage.bot is not None
    await stage.bot.world.store.write(_case)
    await asyncio.sleep(0.3)
    await stage.slack.set_down(False)
    await stage.restart()
    text = await opened(stage, RELMGR)

    assert "Release gate g-1* waits for your decision" in text


class _Search(Args):
    """The flags that the search of the audit trail has (ux.md, "Home": person, action, object, time), and one more."""

    person: str = ""
    action: str = ""
    object: str = ""
    since: str = ""
    limit: int = 10


async def _nothing(_: Any, __: Any) -> Outcome:
    raise NotImplementedError


async def test_the_audit_search_is_offered_to_those_who_audit(bot: Bot) -> None:
    """A form that asks for what the command can search by; its answer is the same line as typed."""
    search = Command(name="audit", summary="x", action="audit", args=_Search, run=_nothing, targeted=False)
    catalog = Catalog([*(command for command in ALL if command.name != "audit"), search])
    homes = Homes(bot.world, catalog)
    standing = Standing(known=True, kind="member")
    lead, oncall = (
        Who(Actor(door=Door.SLACK, account=f"slack:{user}"), name, frozenset({Role.MEMBER, role}), standing)
        for user, name, role in ((LEAD, "lead", Role.MANAGER), (ONCALL, "oncall", Role.RESPONDER))
    )
    offered = {button.name: button for button in (await homes.look(lead)).buttons}

    assert offered["home.audit"].form is not None
    assert [field.flag for field in offered["home.audit"].form.fields] == ["person", "action", "object", "since"]
    answers = {"person": "oncall", "action": "tune", "object": "c-41", "since": "7d"}
    line = filled(offered["home.audit"].line, offered["home.audit"].form, answers)
    assert line == "audit --person=oncall --action=tune --object=c-41 --since=7d"
    assert filled(offered["home.audit"].line, offered["home.audit"].form, {"person": ""}) == "audit"
    assert catalog.plan(line, bot.world.config).command is search
    assert offered["home.audit"].offer
    assert "home.audit" not in {button.name for button in (await homes.look(oncall)).buttons}


_TEXT = st.text(max_size=400).map(lambda text: inert(text, 1_500))
_LINES = st.builds(Line, _TEXT, st.sampled_from(Tone), st.none() | st.just(("C0INC", "1763899320.000100")))
_PARTS = st.builds(Part, _TEXT, st.lists(_LINES, max_size=70).map(tuple), _TEXT)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(_PARTS, max_size=9).map(tuple), st.lists(_TEXT, max_size=3).map(tuple))
def test_R34_any_home_is_within_slacks_limits(parts: tuple[Part, ...], banners: tuple[str, ...]) -> None:
    buttons = tuple(
        Button(label=f"b{n}", line="status", name=f"home.b{n}", offer="0123456789abcdef0123456789abcdef")
        for n in range(4)
    )
    view = tab.draw(Home(parts, banners, buttons, parts[:1], "as of now"), "https://practice.slack.test/")

    assert lint_view(view) == []
    assert len(view["blocks"]) <= 100
