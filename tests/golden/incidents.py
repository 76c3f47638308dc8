"""The live card, the checklist, reminders, and the answers of incidents."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from bot.card import Card
from bot.incidents import board, items, live, remind
from bot.incidents.changes import Change
from bot.incidents.items import Disk
from bot.incidents.picture import Picture
from bot.store.checklist import Found, Item, Mark
from bot.store.chronicle import Deed, Offered
from bot.store.incidents import Entry, Incident
from bot.store.reminders import Reminder
from slo.verdict import Verdict
from tests.golden.stage import CHANNEL, HOUR, MINUTE, ONCALL, RELMGR, T0, Scene, Shown

SNAPSHOT = "reliability-snapshot-2026-11-23T07-30-00-000Z.json"
DRILL = "load-drill-quick-2026-11-23T07-31-00-000Z.json"
_OPEN = Incident(
    id="i-12", title="chat answers slowly", state="open", channel=CHANNEL, target="practice", severity="sev2",
    cause="outbound provider (circuit)", endpoints=("/api/chat",), owner=ONCALL, next_step="", began_ms=T0 - HOUR,
    opened_by=ONCALL, opened_ms=T0 - HOUR + MINUTE, opened_seq=4, before={}, closed_by=None, closed_ms=None,
)  # fmt: skip
_CLOSED = replace(_OPEN, state="closed", closed_by=RELMGR, closed_ms=T0 + HOUR)
_TRIAGE = Deed(
    "r-8f2k", "triage", "triage", ONCALL, "done", Verdict.FAIL, "FAIL: outbound provider",
    "playbook B, step 1: identify the provider", None, T0 - HOUR, T0 - HOUR + MINUTE,
)  # fmt: skip
_GATE = Deed("r-9c3d", "gate", "gate", RELMGR, "running", None, "", "", None, T0 - 2 * MINUTE, None)
_CHANGE = Change(
    "c-41", "CIRCUIT_OR_PRI_COOLDOWN_MS 30000 → 45000 (+50%)", ONCALL, T0 - 20 * MINUTE, "settling",
    ("CIRCUIT_OR_PRI_COOLDOWN_MS",), "undo c-41",
)  # fmt: skip
_KEPT = replace(_CHANGE, state="kept", undo=None)
_UPDATE = Reminder("i-12", "update", ONCALL, T0 + 10 * MINUTE, 30 * MINUTE, 1, None, None)
_DISK = Disk(
    sound=frozenset({SNAPSHOT, DRILL}),
    phase_log="",
    knobs=("CIRCUIT_OR_PRI_COOLDOWN_MS 30000 → 45000",),
    baseline=("/api/chat.p95LatencyMs: 12000 to 14000",),
)


def _entry(text: str, n: int, *, by: str = ONCALL) -> Entry:
    return Entry(n, "note", f"note:{n}", T0 - HOUR + n * MINUTE, T0, by, by, CHANNEL, None, None, text, None)


def picture(**more: Any) -> Picture:
    """An incident as it stands; ``more`` replaces parts of it."""
    values: dict[str, Any] = {
        "incident": _OPEN, "now_ms": T0, "entries": (_entry("opened", 1), _entry("provider confirms an outage", 2)),
        "deeds": (_TRIAGE,), "rulings": (), "offered": (), "changes": (), "items": (), "reminders": (_UPDATE,),
        "saved": (),
    }  # fmt: skip
    return Picture(**{**values, **more})


_SAVED = (
    {"name": SNAPSHOT, "kind": "snapshot", "sha256": "0" * 64, "started_ms": T0, "op": "r-8f2k"},
    {"name": DRILL, "kind": "drill", "sha256": "0" * 64, "started_ms": T0, "op": "r-8f2k"},
)


def looked_at(disk: Disk = _DISK, marks: dict[str, Mark] | None = None, **more: Any) -> Picture:
    """The same with its checklist, each item as the facts and the marks say."""
    seen = picture(changes=(_KEPT,), saved=_SAVED, **more)
    found: dict[str, Found] = items.look(seen, disk)
    marks = marks or {}
    listed = tuple(
        Item("i-12", key, None, T0 + 23 * HOUR, facts, (marks[key],) if key in marks else ())
        for key, facts in found.items()
    )
    return replace(seen, items=listed)


def _mark(key: str, verb: Any, **said: str) -> Mark:
    values: dict[str, Any] = {
        "value": None,
        "reason": None,
        "basis": "c-41" if key in ("phase-log", "baseline") else "",
    }
    return Mark(1, key, verb, RELMGR, "relmgr", T0 - MINUTE, **{**values, **said})


_ANSWERS = {
    "timeline": _mark("timeline", "confirm"),
    "endpoints": _mark("endpoints", "confirm"),
    "snapshots": _mark("snapshots", "confirm"),
    "drill": _mark("drill", "confirm"),
    "sentry": _mark("sentry", "skip", reason="nothing reached Sentry, the provider was down"),
    "phase-log": _mark("phase-log", "add", value="https://example.com/reliability-phase-log"),
    "baseline": _mark("baseline", "skip", reason="the cooldown goes back to its default tomorrow"),
}


SAID = {
    "incident.opened": "incident open chat answers slowly --severity=sev2",
    "incident.a-second-one": "incident open the same again",
    "incident.noted": "incident note provider confirms an outage <!channel>",
    "incident.updated": "incident update --endpoints=/api/chat --cause=provider",
    "incident.nothing-new": "incident update --cause=provider",
    "incident.handed-on": "incident handoff relmgr watch the queue",
    "incident.to-nobody": "incident handoff somebody",
    "incident.status": "incident status",
    "timeline.told": "timeline",
    "checklist.answer": "checklist",
    "checklist.no-fact-bears-it": "checklist confirm drill",
    "checklist.no-such-item": "checklist confirm drills",
    "checklist.skipped": "checklist skip sentry nothing reached it",
    "checklist.taken-back": "checklist reopen sentry",
    "checklist.assigned": "checklist assign sentry --to=relmgr --hours=24",
    "checklist.snoozed": "checklist snooze --minutes=60",
    "checklist.exported": "checklist export",
    "incident.close-refused": "incident close",
}
"""What the asker hears: one incident from its opening on, each line said after the other."""


async def cards(scene: Scene) -> dict[str, Shown]:
    return {**{name: await scene.say(line) for name, line in SAID.items()},
            **dict(_live()), **dict(_board()), **dict(_reminders())}  # fmt: skip


def _live() -> Iterator[tuple[str, Card]]:
    fresh = replace(_OPEN, cause="", endpoints=(), severity=None, title="what is wrong is not named")
    yield "incident.just-opened", live.card(picture(incident=fresh, deeds=(), entries=(_entry("opened", 1),)))
    yield "incident.after-a-triage", live.card(picture())
    busy = picture(
        deeds=(_TRIAGE, _GATE), changes=(_CHANGE,),
        offered=(Offered("gate.approve", "gate approve g-77 --reason=...", "r-9c3d", T0 + 3 * HOUR),),
    )  # fmt: skip
    yield "incident.busy-with-a-pending-undo", live.card(busy)
    decided = replace(_OPEN, owner=RELMGR, next_step="wait for the provider's all-clear, then undo c-41")
    yield "incident.handed-over", live.card(picture(incident=decided, changes=(_CHANGE,)))
    yield "incident.checklist-begun", live.card(looked_at())
    yield "incident.closed", live.card(looked_at(marks=_ANSWERS, incident=_CLOSED))


def _board() -> Iterator[tuple[str, Card]]:
    yield "checklist.nothing-known", board.card(looked_at(Disk(), incident=replace(_OPEN, endpoints=())))
    yield "checklist.found", board.card(looked_at())
    yield (
        "checklist.some-answered",
        board.card(looked_at(marks={key: _ANSWERS[key] for key in ("timeline", "endpoints", "sentry")})),
    )
    outdated = {**_ANSWERS, "baseline": replace(_ANSWERS["baseline"], basis="")}
    yield "checklist.answered-before-a-later-change", board.card(looked_at(marks=outdated))
    yield "checklist.all-answered", board.card(looked_at(marks=_ANSWERS))
    yield "checklist.closed", board.card(looked_at(marks=_ANSWERS, incident=_CLOSED))


def _reminders() -> Iterator[tuple[str, Card]]:
    since_ms = T0 - 31 * MINUTE
    item = replace(_UPDATE, about="sentry")
    yield "reminder.no-update", remind.card(_OPEN, [_UPDATE], since_ms)
    yield "reminder.items-overdue", remind.card(_OPEN, [item, replace(item, about="phase-log")], since_ms)
    yield "reminder.raised", remind.raised(_OPEN, [replace(_UPDATE, sent=3)], since_ms)
