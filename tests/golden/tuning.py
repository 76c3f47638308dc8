"""A tuning change in every state of its life."""

from __future__ import annotations

from typing import Any, get_args

from bot.store.change import By, Change, State, Taken
from bot.tuning.cards import change_card
from playbooks.change_set import Step
from slo.retest import Answer, Compared, Retest
from tests.golden.stage import HOUR, MINUTE, ONCALL, RELMGR, SHA, T0, Scene, Shown

_KNOB = "BULKHEAD_OR_PRI_MAX_CONCURRENT"
_STEP = Step(_KNOB, stored="40", before=40, text="48", after=48, day_ago=40, rule="20 % a change")
_ME = By(account=ONCALL, door="slack", person="oncall")
_OTHER = By(account=RELMGR, door="slack", person="relmgr")
_BOT = By(account="system", door="system")
_BEFORE = Taken(snapshot="reliability-snapshot-before.json", snapshot_id="a91c00000000", drill="q-1.json", at_ms=T0)
_AFTER = Taken(snapshot="reliability-snapshot-after.json", snapshot_id="b07e00000000", drill="q-2.json", at_ms=T0)
_BETTER = Retest(
    answer=Answer.BETTER,
    lines=(
        Compared(name="active leases", scope="snapshot", before=0.97, after=0.71, unit="rate", answer=Answer.BETTER),
        Compared(name="5xx_rate", scope="/api/chat", before=0.06, after=0.011, unit="rate", answer=Answer.BETTER),
        Compared(name="p95", scope="/api/chat", before=9800, after=9700, unit="ms", answer=Answer.SAME),
    ),
)
_WORSE = Retest(
    answer=Answer.WORSE,
    lines=(Compared(name="5xx_rate", scope="/api/chat", before=0.06, after=0.094, unit="rate", answer=Answer.WORSE),),
    reason="5xx of /api/chat rose from 6 % to 9.4 %",
)
_OPEN_AFTER = frozenset({"approved", "taken", "intent", "ambiguous", "written", "confirmed", "settling", "retested"})


def change(state: State, **more: Any) -> Change:
    """A change in a state, with what such a change has by then."""
    decided = state not in ("proposed", "expired", "rejected")
    values: dict[str, Any] = {
        "id": "c-41", "target": "practice", "deployment": "practice-otter-1", "state": state,
        "line": f"tune --set={_KNOB}=+20% --why=full", "steps": (_STEP,), "notes": (), "second": (), "policy": SHA,
        "why": "3 snapshots in 12 min above 95 % active leases; 503 with Retry-After on 6 % of chat calls",
        "binding": SHA, "op": "r-8f2k", "proposer": _ME, "approver": _OTHER if decided else None,
        "approved_ms": T0 + MINUTE if decided else None, "break_glass": None, "before": _BEFORE if decided else None,
        "after": None, "retest": None, "verdict": None, "undo_by": None, "undo_why": None, "undo_knobs": None,
        "note": "", "attempts": 0, "created_ms": T0, "expires_ms": T0 + HOUR // 2, "sent_ms": None,
        "due_ms": T0 + 2 * MINUTE if state in _OPEN_AFTER else None, "raised_ms": None, "updated_ms": T0, "epoch": 1,
    }  # fmt: skip
    return Change(**{**values, **more})


async def cards(scene: Scene) -> dict[str, Shown]:
    verdicts: dict[str, dict[str, Any]] = {
        "retested": {"retest": _BETTER, "verdict": Answer.BETTER, "after": _AFTER},
        "kept": {"retest": _BETTER, "verdict": Answer.BETTER, "after": _AFTER},
        "undoing": {"retest": _WORSE, "verdict": Answer.WORSE, "undo_by": _BOT, "undo_why": _WORSE.reason},
        "undone": {
            "retest": _WORSE, "verdict": Answer.WORSE, "after": _AFTER, "undo_by": _BOT, "undo_why": _WORSE.reason,
        },
        "unknown": {"note": "The write was sent, no answer came, and the deployment does not answer since 07:41."},
        "doubtful": {"undo_by": _ME, "undo_why": "asked for", "due_ms": T0 + MINUTE},
        "void": {"note": "The knob is 44 by now, the approval was for 40."},
        "failed": {"note": "Convex refused the write: 403."},
    }  # fmt: skip
    found: dict[str, Shown] = {
        f"tuning.{state}": change_card(change(state, **verdicts.get(state, {}))) for state in get_args(State)
    }
    found["tuning.kept-same"] = change_card(change("kept", verdict=Answer.SAME, retest=Retest(answer=Answer.SAME)))
    found["tuning.kept-retest-incomplete"] = change_card(
        change("kept", verdict=Answer.INCOMPLETE, retest=Retest(answer=Answer.INCOMPLETE, reason="chat: no pool"))
    )
    found["tuning.kept-although-worse"] = change_card(change("kept", verdict=Answer.WORSE, retest=_WORSE))
    found["tuning.undone-by-hand"] = change_card(change("undone", undo_by=_ME, undo_why="asked for"))
    found["tuning.break-glass"] = change_card(change("settling", break_glass="b-3", approver=_ME))
    found["tuning.needs-another-person"] = change_card(
        change(
            "proposed", second=("+1 where 20 % rounds to nothing (R22)",), notes=("paired with TOOL_JOB_RUNMAX_WEB",)
        )
    )
    return found
