"""The record with something in it: a change told from proposal to verdict, a search, exports, backups, and verifying."""

from __future__ import annotations

import sqlite3
from functools import partial
from typing import Any

from bot.card import Card
from bot.notary import Notary
from bot.run import Run
from bot.store import audit, cases, changes, signing
from bot.store.audit import AuditRecord
from bot.store.change import BOT, By, Change, Taken
from bot.store.tx import Tx
from playbooks.change_set import ChangeSet, Step
from slo.retest import Answer, Compared, Retest
from slo.verdict import Verdict
from tests.golden.runs import drilled, looked
from tests.golden.stage import LEAD, MINUTE, ONCALL, RELMGR, SHA, T0, Scene, Shown, Still

KNOB = "TOOL_JOB_RUNMAX_WEB"
ME, OTHER = By(account=ONCALL, door="slack", person="oncall"), By(account=RELMGR, door="slack", person="relmgr")
BETTER = Retest(
    answer=Answer.BETTER,
    lines=(
        Compared(name="queued jobs", scope="snapshot", before=44, after=6, unit="count", answer=Answer.BETTER),
        Compared(name="oldest queued", scope="snapshot", before=212_000, after=9_000, unit="ms", answer=Answer.BETTER),
        Compared(name="p95", scope="/api/chat", before=9_800, after=9_700, unit="ms", answer=Answer.SAME),
    ),
)


async def cards(scene: Scene) -> dict[str, Shown]:
    key = scene.config.state_dir / signing.PRIVATE
    key.write_bytes(bytes(range(32)))  # the same trail on every day
    key.chmod(0o600)
    run = await scene.run(f"tune {KNOB} +1 --why=queue", by=ONCALL)
    change = await _kept(scene, run)
    gate = await _gate(scene, run)
    notary = Notary(scene.world.store, scene.world.clock, scene.config)
    scene.world.notary = notary
    await notary.anchor("after a change")
    shown: dict[str, Shown] = {
        "audit.story-of-a-change": await scene.say(f"audit show {change.id}", by=LEAD),
        "audit.story-of-a-gate": await scene.say(f"audit show {gate}", by=LEAD),
        "audit.one-record": await scene.say("audit show 2", by=LEAD),
        "audit.verify-whole": await scene.say("audit verify", by=LEAD),
    }
    refused = AuditRecord(
        phase="refusal", action="tune", actor=ONCALL, person="oncall", door="slack", outcome="refused",
        object=f"tune {KNOB} 40", target="practice", why="at most 4 (+1) per change", op=run.op.id,
    )  # fmt: skip
    await scene.world.store.write(lambda tx: audit.append(tx, refused))
    return shown | {
        "audit.search-of-a-knob": await scene.say(f"audit --knob={KNOB}", by=LEAD),
        "audit.search-page": await scene.say("audit --limit=3", by=LEAD),
        "audit.not-yet-anchored": await scene.say("audit verify", by=LEAD),
        "audit.exported": await scene.say("audit export", by=LEAD),
        "audit.exported-for-the-verifier": await scene.say("audit export --format=jsonl", by=LEAD),
        "audit.backup": await scene.say("audit backup", by=LEAD),
        "audit.verify-broken": await _broken(scene),
    }


async def _kept(scene: Scene, run: Run) -> Change:
    """A change of one knob that was approved, written, retested and kept, a minute each."""
    clock = scene.world.clock
    assert isinstance(clock, Still)
    before, after = await looked(run, "queue-backlog"), await looked(run, "idle")
    drill = await drilled(run)
    step = Step(KNOB, stored=None, before=3, text="4", after=4, day_ago=3, rule="+1 where 20 % rounds to nothing")
    taken = [
        Taken(snapshot=look.artifact, snapshot_id=name, drill=drill.artifact, at_ms=T0)
        for look, name in ((before, "a91c00000000"), (after, "b07e00000000"))
    ]

    def propose(tx: Tx) -> Change:
        return changes.propose(
            tx, ChangeSet((step,), why="44 web jobs wait, the oldest for 3.5 minutes"), op=run.op.id, by=ME,
            target="practice", deployment="practice-otter-1", policy=SHA, expires_ms=tx.now_ms + 30 * MINUTE,
        )  # fmt: skip

    change = await scene.world.store.write(propose)
    steps: tuple[tuple[str, By, dict[str, Any]], ...] = (
        ("approved", OTHER, {"approver": OTHER, "approved_ms": T0 + MINUTE}),
        ("taken", BOT, {"before": taken[0]}),
        ("intent", BOT, {"sent_ms": T0 + 2 * MINUTE}),
        ("written", BOT, {}),
        ("confirmed", BOT, {}),
        ("settling", BOT, {"due_ms": T0 + 3 * MINUTE}),
        ("retested", BOT, {"after": taken[1], "retest": BETTER, "verdict": Answer.BETTER}),
        ("kept", BOT, {}),
    )
    for step_of in steps:
        clock.at_ms += 20_000
        await scene.world.store.write(partial(_moved, change.id, *step_of))
    return change


def _moved(change: str, state: Any, by: By, more: dict[str, Any], tx: Tx) -> Change:
    return changes.move(tx, change, state, by=by, **more)


async def _gate(scene: Scene, run: Run) -> str:
    """A gate that a release manager approved."""

    def write(tx: Tx) -> str:
        made = cases.new(
            tx, kind="gate", op=run.op.id, target="practice", subject="2026.11.23-2", commit="4c1e9ab",
            verdict=Verdict.PASS, starter=ONCALL, starter_person="oncall", binding={"version": 1},
            expires_ms=tx.now_ms + 240 * MINUTE,
        )  # fmt: skip
        cases.decide(
            tx, made, "approve", by=RELMGR, person="relmgr", reason="gmail slow because of backfill", scenario=None,
            until_ms=tx.now_ms + 240 * MINUTE,
        )  # fmt: skip
        return made.id

    return await scene.world.store.write(write)


async def _broken(scene: Scene) -> Card:
    """After somebody with a shell has changed a reason in the database itself."""
    with sqlite3.connect(scene.config.state_dir / "sendcat.db") as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f'DROP TRIGGER "{name}"')
        db.execute("UPDATE audit SET body = replace(body, 'gmail slow', 'all is well') WHERE body LIKE '%gmail slow%'")
    db.close()
    return await scene.say("audit verify", by=LEAD)
