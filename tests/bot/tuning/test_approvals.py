"""A model of who may approve what, against the real rows: no step of any order gets around it (R10, R11, R12)."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule, run_state_machine_as_test

from bot.authority import LOCAL, Who, resolve
from bot.command import Actor, Ask, Door, Place
from bot.config import Config
from bot.errors import SendcatError
from bot.measure import Looked
from bot.practice.house import Deployment, RunFile, practice_config
from bot.store import audit, changes, connection, epochs, migrations, ops, pauses
from bot.store.change import BOT
from bot.store.pauses import Pause
from bot.store.tx import Tx
from bot.tuning import wishes
from bot.tuning.draft import Draft
from playbooks.change_set import Standing
from playbooks.tuning import propose
from playbooks.wishes import parse_wishes
from slo.verdict import Judgement, Verdict

START_MS = 1_790_000_000_000
ACCOUNTS = ("slack:U0ONCALL", "os:oncall", "slack:U0RELMGR", "os:relmgr", "slack:U0LEAD", "slack:U0X", "slack:U0Y")
"""Two of the on-call, two of the release manager, and two accounts that belong to nobody in the configuration."""
HUMANS = dict(zip(ACCOUNTS, ("oncall", "oncall", "relmgr", "relmgr", "lead", "slack:U0X", "slack:U0Y"), strict=True))
LOOKED = Looked(judgement=Judgement(verdict=Verdict.PASS), artifact="reliability-snapshot.json", read=None)  # type: ignore[arg-type]
LINES = ("BULKHEAD_OR_PRI_MAX_CONCURRENT=28", "TOOL_JOB_RUNMAX_WEB=3 TOOL_JOB_RUNMAX_QOS_REALTIME=3")


def settings_of(folder: Path) -> Config:
    place = Deployment(
        api_url="http://127.0.0.1:1",
        site_url="http://127.0.0.1:2",
        deploy_key="k" * 20,
        control_key="c",
        gmail_token="g",
        whatsapp_secret="w",
        pool_file=folder / "pool.json",
    )
    return practice_config(RunFile(pid=1, deployments={"practice": place}), folder)


class Approvals(RuleBasedStateMachine):
    """One target, several people, time, and a pause. The model keeps who proposed what, and when."""

    proposals = Bundle("proposals")

    taken = 0
    """Steps of all machines of a run."""

    def __init__(self) -> None:
        super().__init__()
        Approvals.taken -= 1  # the invariants are asked once before the first step
        self.folder = tempfile.TemporaryDirectory()
        path = Path(self.folder.name)
        self.config = settings_of(path)
        self.db = connection.writer(path / "model.db")
        self.db.execute("PRAGMA synchronous = OFF")
        migrations.apply(self.db)
        self.now_ms = START_MS
        epochs.begin(self.tx)
        self.asked = 0
        self.model: dict[str, dict[str, Any]] = {}
        self.paused = False

    def teardown(self) -> None:
        self.db.close()
        self.folder.cleanup()

    @property
    def tx(self) -> Tx:
        return Tx(self.db, self.now_ms, 1)

    def who(self, account: str) -> Who:
        door = Door.SLACK if account.startswith("slack:") else Door.TERMINAL
        return resolve(self.config, Actor(door=door, account=account), LOCAL)

    def op(self, account: str) -> str:
        self.asked += 1
        ask = Ask(
            line="tune", by=self.who(account).actor, place=Place(kind="channel", channel="C0INC"), key=str(self.asked)
        )
        op = ops.new(self.tx, ask, "tune", "tune", "practice")
        ops.start(self.tx, op.id)
        ops.finish(self.tx, op.id, "done")
        return op.id

    @rule(target=proposals, account=st.sampled_from(ACCOUNTS), line=st.sampled_from(LINES))
    def somebody_proposes(self, account: str, line: str) -> Any:
        parsed = parse_wishes(line.split())
        known = {wish.knob.name: Standing(None, wish.knob.default) for wish in parsed}
        draft = Draft(propose(parsed, known), (), "heron", "0" * 64, LOOKED)
        held = changes.open_on(self.db, "practice")
        try:
            change = wishes.propose(
                self.tx,
                self.config,
                draft,
                op=self.op(account),
                who=self.who(account),
                target="practice",
                replaces=None,
            )
        except SendcatError:
            assert held is not None
            return multiple()
        if held is not None:
            assert held.state == "proposed"
            assert self.now_ms > held.expires_ms
            self.model[held.id]["open"] = False
        self.model[change.id] = {
            "by": HUMANS[account],
            "until": self.now_ms + 30 * 60_000,
            "open": True,
            "second": len(change.steps) > 1,
            "approved": None,
            "binding": change.binding,
        }
        return change.id

    def may(self, change: str) -> bool:
        known = self.model[change]
        return known["open"] and known["approved"] is None and not self.paused and self.now_ms <= known["until"]

    @rule(change=proposals, account=st.sampled_from(ACCOUNTS))
    def somebody_approves(self, change: str, account: str) -> None:
        lawful = self.may(change) and HUMANS[account] != self.model[change]["by"]
        try:
            wishes.approve(self.tx, self.config, change, who=self.who(account))
        except SendcatError:
            assert not lawful, (change, account)
        else:
            assert lawful, (change, account, self.model[change])
            self.model[change]["approved"] = HUMANS[account]

    @rule(
        change=proposals, account=st.sampled_from(ACCOUNTS), why=st.sampled_from(["", "short", "nobody else answers"])
    )
    def somebody_breaks_the_glass(self, change: str, account: str, why: str) -> None:
        lawful = self.may(change) and not self.model[change]["second"] and len(why) > 10
        try:
            wishes.break_glass(self.tx, self.config, change, who=self.who(account), why=why, op=self.op(account))
        except SendcatError:
            assert not lawful
        else:
            assert lawful
            self.model[change]["approved"] = HUMANS[account]

    @rule(change=proposals, account=st.sampled_from(ACCOUNTS))
    def somebody_withdraws_or_undoes(self, change: str, account: str) -> None:
        row, held = changes.get(self.db, change), changes.open_on(self.db, "practice")
        try:
            wishes.undo(self.tx, self.config, change, who=self.who(account))
        except SendcatError:
            return
        self.model[change]["open"] = False
        if row is not None and row.state == "kept" and held is not None:
            # It goes before a mere proposal, which was computed from values that will be gone; never before more.
            assert held.state == "proposed"
            self.model[held.id]["open"] = False

    @rule(change=proposals)
    def it_is_written_and_kept(self, change: str) -> None:
        """What the applier does; the rows themselves refuse it without an approval."""
        try:
            for state in ("taken", "intent", "written", "confirmed"):
                changes.move(self.tx, change, state, by=BOT, sent_ms=self.now_ms)  # type: ignore[arg-type]
            changes.move(self.tx, change, "settling", by=BOT, due_ms=self.now_ms)
            changes.move(self.tx, change, "retested", by=BOT, verdict="SAME")
            changes.move(self.tx, change, "kept", by=BOT)
        except changes.Moved:
            return
        assert self.model[change]["approved"] is not None
        self.model[change]["open"] = False

    @rule(change=proposals, text=st.sampled_from(["29", "500"]))
    def somebody_alters_an_approved_change(self, change: str, text: str) -> None:
        steps = json.loads(self.db.execute("SELECT steps FROM changes WHERE id = ?", (change,)).fetchone()[0])
        steps[0]["text"] = text
        with pytest.raises(Exception, match="bound to what was"):
            self.db.execute("UPDATE changes SET steps = ? WHERE id = ?", (json.dumps(steps), change))

    @rule(minutes=st.sampled_from([1, 14, 31]))
    def time_passes(self, minutes: int) -> None:
        self.now_ms += minutes * 60_000

    @rule(on=st.booleans())
    def somebody_pauses_or_resumes(self, on: bool) -> None:
        pauses.put(self.tx, Pause("slack:U0LEAD", "lead", self.now_ms, "") if on else None)
        self.paused = on

    @invariant()
    def one_is_open_and_every_approval_is_another_humans_or_on_the_record(self) -> None:
        Approvals.taken += 1
        assert sum(known["open"] for known in self.model.values()) <= 1
        for change_id, known in self.model.items():
            row = changes.get(self.db, change_id)
            assert row is not None
            assert row.binding == known["binding"]
            assert (row.approver is not None) == (known["approved"] is not None)
            if row.approver is not None and row.break_glass is None:
                assert HUMANS[row.approver.account] != known["by"]
        assert audit.tail_ok(self.db, 20)


def test_R10_R11_R12_no_order_of_steps_gets_around_the_approval() -> None:
    quick = settings(max_examples=8, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck))
    run_state_machine_as_test(Approvals, settings=quick)


@pytest.mark.prove
@pytest.mark.timeout(1800)
def test_R10_R11_R12_twenty_thousand_steps() -> None:
    whole = settings(max_examples=200, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck))
    Approvals.taken, rounds = 0, 0
    while Approvals.taken < 20_000:
        run_state_machine_as_test(Approvals, settings=whole)
        rounds += 1
        assert rounds < 30
