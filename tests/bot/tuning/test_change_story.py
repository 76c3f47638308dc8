"""One change told from the record: who proposed, approved, wrote; both columns of figures; how far it is anchored."""

from __future__ import annotations

from functools import partial

from tuning_kit import CHAT, Bench

from bot.card import Card
from bot.command import Actor, Ask, Door, Place
from bot.store import cases, ops
from bot.store.tx import Tx
from slo.verdict import Verdict
from tests.conftest import carry_out


async def show(bench: Bench, name: str) -> tuple[dict[str, object], Card]:
    _, outcome = await carry_out(bench.bot, f"audit show {name}", by="lead")
    assert outcome is not None
    assert outcome["exit_status"] == 0, outcome["card"]
    return outcome["data"], Card.model_validate(outcome["card"])


async def test_a_change_is_told_with_its_people_its_figures_and_its_anchors(bench: Bench) -> None:
    await bench.say(f'tune {CHAT} +20% --why="saturated <!channel>"')
    await bench.approve()
    await bench.reaches("kept")
    assert bench.bot.world.notary is not None
    await bench.bot.world.notary.anchor("test")
    data, card = await show(bench, "c-1")

    steps = [record["outcome"] for record in data["records"]]  # type: ignore[attr-defined, index]
    assert steps == ["proposed", "approved", "taken", "intent", "written", "confirmed", "settling", "retested", "kept"]
    assert data["notYetAnchored"] == 0
    assert "all 9 records are anchored" in card.footer
    assert card.title.startswith("c-1 on practice: KEPT")
    assert "saturated" in card.lead
    assert "<!channel>" not in card.model_dump_json()
    change = await bench.change()
    assert change.before is not None
    assert change.after is not None
    assert change.before.snapshot in card.footer
    assert change.after.snapshot in card.footer
    assert card.table is not None
    assert card.table.columns == ("Figure", "Before", "After", "Says")
    assert len(card.table.rows) <= 10
    names = [row[0].text for row in card.table.rows]
    assert "Circuits" in names
    assert any("p95" in name for name in names)
    assert len(data["figures"]) == 6  # type: ignore[arg-type]

    await bench.say("undo c-1 --why='not needed'")
    await bench.reaches("undone")
    data, card = await show(bench, "c-1")
    assert card.title.startswith("c-1 on practice: UNDONE")
    assert {fact.label for fact in card.facts} == {"Proposed", "Approved", "Undone"}
    assert [record["outcome"] for record in data["records"]][-3:] == ["undoing", "reverting", "undone"]  # type: ignore[attr-defined, index]

    (bench.bot.world.config.artifact_dir / change.after.snapshot).unlink()
    data, card = await show(bench, "c-1")
    assert data["figures"] == []
    assert card.table is not None, "what the retest compared stands in the record's own rows"


async def test_gates_decisions_runs_incidents_and_single_records_are_told(bench: Bench) -> None:
    def write(tx: Tx) -> str:
        by = Actor(door=Door.SLACK, account="slack:U0ONCALL")
        place = Place(kind="channel", channel="C0INC")
        op = ops.new(tx, Ask(line="gate", by=by, place=place, key="k"), "gate", "gate", "practice")
        ops.start(tx, op.id)
        case = cases.new(
            tx, kind="gate", op=op.id, target="practice", subject="2026.11", commit=None, verdict=Verdict.PASS,
            starter=by.account, starter_person="oncall", binding={"x": 1}, expires_ms=tx.now_ms + 10**7,
        )  # fmt: skip
        ops.finish(tx, op.id, "done", verdict=Verdict.PASS)
        case = cases.look(tx.db, case.id) or case
        decided = cases.decide(
            tx, case, "approve", by="slack:U0RELMGR", person="relmgr", reason="fine", until_ms=tx.now_ms + 10**7
        )
        return decided.decisions[0].id

    decision = await bench.bot.world.store.write(write)
    for name in ("g-1", decision):
        data, card = await show(bench, name)
        assert card.title == "g-1 2026.11: APPROVED, judged PASS"
        assert f"{decision} approve by" in card.lead
        assert "fine" in card.lead
        assert [record["action"] for record in data["records"]] == ["gate.case", "gate.decide"]  # type: ignore[attr-defined, index]
    await bench.say("incident open chat is slow", slack=True)
    data, card = await show(bench, "i-1")
    assert "OPEN" in card.title
    await bench.say("probe")
    run = (await bench.bot.world.store.read(partial(ops.recent, limit=1, command="probe")))[0]
    data, card = await show(bench, run.id)
    assert [record["phase"] for record in data["records"]] == ["intent", "result"]  # type: ignore[attr-defined, index]
    assert "not yet anchored" in card.footer
    data, card = await show(bench, "1")
    assert '"seq":1' in str(data["body"])
    assert len(str(data["hash"])) == 64
    for missing in ("c-99", "g-99", "d-99", "b-99", "i-99", "r-zzzz", "999999"):
        _, outcome = await carry_out(bench.bot, f"audit show {missing}", by="lead")
        assert outcome is not None
        assert outcome["exit_status"] == 2
