"""A release gate from its verdict to what a person decided on it, in every state of a case (ux.md, sketch 2)."""

from __future__ import annotations

from typing import Any

from bot.card import Card
from bot.cases.decided import decided
from bot.cases.decisions import Denied, may
from bot.commands.gate import GateArgs
from bot.gate import policies
from bot.gate.made import Asked, Gathered, conclude
from bot.refusing import wrong_human
from bot.run import Run
from bot.store import cases
from bot.store.case import REPLACED, Case, Decision
from bot.worker import error_outcome
from tests.golden.runs import drilled, looked, probed
from tests.golden.stage import HOUR, LEAD, MINUTE, ONCALL, RELMGR, T0, Scene, Shown

LINE = "gate --release=2026.11.23-2@4c1e9ab"


async def cards(scene: Scene) -> dict[str, Shown]:
    healthy = await _gate(scene, "idle")
    failed = await _gate(scene, "circuit-open", failing=True)
    unknown = await _gate(scene, "idle", without_chat=True)
    short = await _gate(scene, "idle", line=f"{LINE} --minutes=5")
    nameless = await _gate(scene, "idle", line="gate --profile=quick")
    assert isinstance(healthy, Case)
    assert isinstance(failed, Case)
    assert isinstance(unknown, Case)
    assert isinstance(short, Case)
    yes = decision("approve", "gmail slow because of backfill", until_ms=T0 + 4 * HOUR)
    waiver = decision("waive", "no chat pool in this region yet", scenario="chat_stream_http")
    approved = healthy.model_copy(update={"decisions": (yes,)})
    revoked = approved.model_copy(update={"decisions": (yes, decision("revoke", "wrong commit", by=LEAD, number=119))})
    rejected = healthy.model_copy(update={"decisions": (decision("reject", "playbook C first"),)})
    void = healthy.model_copy(update={"void_ms": T0, "void_reason": "RATE_LIMIT_GMAIL_PUSH_MAX is 75 by now"})
    replaced = healthy.model_copy(update={"void_ms": T0, "void_reason": f"{REPLACED}: g-78"})
    found: dict[str, Shown] = {
        "gate.waits-for-approval": decided(healthy, T0),
        "gate.waits-with-a-warning-to-read": decided(short, T0),
        "gate.decision-on-its-way": decided(healthy, T0, checking=RELMGR),
        "gate.approved": decided(approved, T0 + MINUTE),
        "gate.approval-over": decided(approved, T0 + 5 * HOUR),
        "gate.rejected": decided(rejected, T0 + MINUTE),
        "gate.revoked": decided(revoked, T0 + MINUTE),
        "gate.expired": decided(healthy, T0 + 5 * HOUR),
        "gate.void": decided(void, T0 + MINUTE),
        "gate.replaced": decided(replaced, T0 + MINUTE),
        "gate.failed": decided(failed, T0),
        "gate.waits-for-a-waiver": decided(unknown, T0),
        "gate.waived": decided(unknown.model_copy(update={"decisions": (waiver,)}), T0 + MINUTE),
    }
    if not isinstance(nameless, Case):
        found["gate.without-a-release"] = nameless
    return found | await _denied(scene, healthy, approved)


async def _gate(
    scene: Scene, sample: str, *, line: str = LINE, failing: bool = False, without_chat: bool = False
) -> Case | Shown:
    """The case of a gate, judged by the product; the card alone when it is about no release."""
    run = await scene.run(line)
    args = GateArgs(release="2026.11.23-2@4c1e9ab") if LINE in line else GateArgs(profile="quick")
    args = args.model_copy(update={"minutes": 5}) if "--minutes=5" in line else args
    found = Gathered(
        started_ms=T0,
        before=await looked(run, "idle"),
        probed=await probed(run),
        drilled=await drilled(run, failing=failing, without_chat=without_chat),
        after=await looked(run, sample),
    )
    outcome = await conclude(run, Asked.of(args), policies.Policies(scene.config, {}, anywhere=True), found, (), ())
    if (case_id := outcome.data.get("case")) is None:
        return outcome.card
    case = await scene.world.store.read(lambda conn: cases.look(conn, str(case_id)))
    assert case is not None
    return case.model_copy(update={"op_state": "done"})


def decision(verb: Any, reason: str, *, by: str = RELMGR, number: int = 118, **more: Any) -> Decision:
    """A row of what a release manager said of a case."""
    values: dict[str, Any] = {
        "id": f"d-{number}", "case": "g-77", "verb": verb, "by": by, "person": "relmgr", "reason": reason,
        "scenario": None, "at_ms": T0 + MINUTE, "until_ms": None, "offer": None, "audit": 12,
    }  # fmt: skip
    return Decision(**{**values, **more})


async def _denied(scene: Scene, waiting: Case, approved: Case) -> dict[str, Shown]:
    """Who may not, and who comes too late, as the asker reads it."""
    run = await scene.run("gate approve g-1 --reason=go", by=RELMGR)
    tries = (
        ("not-the-starter", waiting, ONCALL, T0),
        ("stale-click", approved, LEAD, T0 + 2 * MINUTE),
        ("too-late", waiting, RELMGR, T0 + 5 * HOUR),
    )
    return {
        f"gate.{name}": denied(scene, run, case, "approve", account, now_ms) for name, case, account, now_ms in tries
    }


def denied(scene: Scene, run: Run, case: Case, verb: Any, account: str, now_ms: int) -> Card:
    """The no that this person hears who decides so about this case at that moment; the starter is on call."""
    said = may(case, verb, scene.who(account), scene.who(ONCALL), now_ms=now_ms, reason="go")
    assert isinstance(said, Denied)
    return error_outcome(wrong_human(said, case, verb, scene.who(account), scene.config), run.op, None).card
