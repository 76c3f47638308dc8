"""The life of a change on the bench: approved, applied, retested, undone, in doubt."""

from __future__ import annotations

import json

import pytest
from tuning_kit import CHAT, LIMIT, Bench, Everybody

from bot.authority import Standing
from bot.practice.sendcat import Script
from bot.watch import Watch

WRITE = "/api/v1/update_environment_variables"
READ = "/api/v1/list_environment_variables"


async def test_R24_a_change_goes_its_way_in_order_and_is_kept(bench: Bench) -> None:
    """Snapshot before, intent, write, read back, effective value, settle, drill, snapshot after, verdict."""
    said = await bench.say(f"tune {CHAT} +20%")
    assert said.status == 5
    await bench.approve()

    change = await bench.reaches("kept")

    assert await bench.path() == [
        "proposed", "approved", "taken", "intent", "written", "confirmed", "settling", "retested", "kept",
    ]  # fmt: skip
    assert bench.stored() == "28"
    assert change.verdict == "SAME"
    assert change.before is not None
    assert change.after is not None
    assert sum(bench.clock.slept_s) == pytest.approx(30, abs=1)
    files = list(bench.bot.world.config.artifact_dir.glob("tuning-c-1-*.json"))
    evidence = json.loads(files[0].read_text())
    assert evidence["before"]["snapshot"] == change.before.snapshot
    assert evidence["after"]["snapshot"] == change.after.snapshot
    intents = [body for body in await bench.records() if body["phase"] == "intent"]
    assert len(intents) == 1
    assert "relmgr" in intents[0]["authority"]


async def test_a_change_that_gets_worse_is_undone_by_itself(bench: Bench) -> None:
    """The retest fails where before passed: the recorded previous value, none, is there again."""
    await bench.say(f"tune {CHAT} +20%")
    await bench.approve()
    await bench.reaches("settling", "taken", "written", "confirmed")
    bench.drills.failing = True

    change = await bench.reaches("undone")

    assert change.verdict == "WORSE"
    assert bench.stored() is None
    assert bench.writes() == 2
    assert "worse than before: 5xx rate /api/chat" in (change.undo_why or "")
    files = sorted(bench.bot.world.config.artifact_dir.glob("tuning-c-1-*.json"))
    judged, undone = (json.loads(file.read_text()) for file in files)
    assert judged["undone"] is None
    assert undone["undone"]["by"]["door"] == "system"
    assert (bench.bot.world.config.artifact_dir / undone["undone"]["snapshot"]).is_file()
    assert (await bench.path())[-3:] == ["undoing", "reverting", "undone"]


async def test_R24_what_is_stored_but_not_in_force_within_a_minute_is_undone(bench: Bench) -> None:
    """A stored value alone proves nothing: the snapshot goes on showing the old one."""
    look = {"path": "ops:getReliabilitySnapshot", "args": {}, "format": "json"}
    await bench.say(f"tune {CHAT} +20%")
    stale = await bench.bot.world.convex(bench.bot.world.config.target["practice"]).query(look["path"])
    bench.sendcat.script(
        Script("ops:getReliabilitySnapshot", None, body=json.dumps({"status": "success", "value": stale}))
    )
    await bench.approve()
    await bench.reaches("written")
    bench.clock.ahead_ms += 61_000

    change = await bench.reaches("undone")

    assert "not confirmed within 60 s" in (change.undo_why or "")
    assert bench.stored() is None
    assert change.verdict is None


async def test_R25_what_got_worse_is_not_undone_over_a_strangers_value(bench: Bench) -> None:
    bench.drills.slow_s = 0.3
    await bench.say(f"tune {CHAT} +20%")
    await bench.approve()
    await bench.reaches("settling")
    bench.drills.failing = True
    bench.set(CHAT, "26")

    change = await bench.reaches("unknown")

    assert bench.stored() == "26"
    assert "somebody else" in change.note
    assert "R25" in change.note


async def test_R10_the_proposer_never_approves_and_an_approval_is_given_once(bench: Bench) -> None:
    await bench.say(f"tune {CHAT} +20%", by="oncall")

    own = await bench.approve(by="oncall")
    visitor = await bench.approve(by="visitor")
    terminal = await bench.say("tune approve c-1", by="relmgr")
    other = await bench.approve(by="relmgr")
    again = await bench.approve(by="lead")

    assert "R10" in own.text
    assert "break-glass" in own.text
    assert visitor.status == terminal.status == 4
    assert other.status == 0
    assert "R11" in again.text
    assert len([b for b in await bench.records() if b["outcome"] == "approved"]) == 1
    await bench.reaches("kept")


@pytest.mark.parametrize("what", ["stored", "policy", "deployment", "role"])
async def test_R10_an_approval_is_void_when_what_it_is_bound_to_has_changed(bench: Bench, what: str) -> None:
    """Nothing is written when a value, the deployment or the rules are not those of the proposal."""
    bench.set(CHAT, "24")
    await bench.say(f"tune {CHAT} +20%")
    if what == "stored":
        bench.set(CHAT, "25")
    elif what == "role":
        bench.bot.world.directory = Leaving()
    elif what == "deployment":
        bench.sendcat.deployment.name = "another-heron-7"
    else:
        await bench.bot.world.store.write(lambda tx: tx.db.execute("DROP TRIGGER changes_are_bound"))
        await bench.bot.world.store.write(lambda tx: tx.db.execute("UPDATE changes SET policy = ?", ("0" * 64,)))

    await bench.approve()
    change = await bench.reaches("void", "kept", "failed")

    assert change.state == "void", change.note
    assert bench.writes() == 0


class Leaving(Everybody):
    """A workspace that everybody leaves right after their next wish was taken."""

    def __init__(self) -> None:
        self.asked = 0

    async def standing(self, account: str) -> Standing:
        self.asked += 1
        return Standing(known=True, kind="member" if self.asked <= 2 else "deactivated")


async def test_one_change_set_at_a_time(bench: Bench) -> None:
    """The lock names its owner and reason; a withdrawal frees it; another target is not concerned."""
    await bench.say(f"tune {CHAT} +20%")

    second = await bench.say(f"tune {LIMIT} +25%", by="relmgr")
    withdrawn = await bench.say("tune reject c-1")
    third = await bench.say(f"tune {LIMIT} +25%", by="relmgr")

    assert second.status == 4
    assert "c-1" in second.text
    assert "oncall" in second.text
    assert withdrawn.status == 0
    assert third.data["change"] == "c-2"


async def test_a_refusal_offers_the_nearest_legal_line_to_press(bench: Bench) -> None:
    """One press proposes it; what lacks only a reason asks for that."""
    far = await bench.say(f"tune {CHAT} +30% --why='full since ten'")
    alone = await bench.say("tune TOOL_JOB_RUNMAX_WEB 3")
    silent = await bench.say("tune RATE_LIMIT_WA_LINK_CODE_MAX 6")
    never = await bench.say("tune ADMISSION_ENFORCE_USER_INFLIGHT false")

    assert far.press == (f"tune {CHAT} 28 --why='full since ten'",)
    assert alone.press == ("tune TOOL_JOB_RUNMAX_WEB=3 TOOL_JOB_RUNMAX_QOS_REALTIME=3",)
    assert silent.press == ("tune RATE_LIMIT_WA_LINK_CODE_MAX 6",)
    assert never.press == ()
    assert {said.status for said in (far, alone, silent, never)} == {4}


async def test_R26_an_unclear_write_that_was_applied_is_found_and_goes_on(bench: Bench) -> None:
    """The connection is cut after the commit: nothing is repeated, a minute passes, the value is read."""
    bench.sendcat.script(Script(WRITE, drop_after_commit=True))
    await bench.say(f"tune {CHAT} +20%")
    await bench.approve()

    change = await bench.reaches("kept")

    assert change.state == "kept"
    assert "ambiguous" in await bench.path()
    assert bench.writes() == 1
    assert any(seconds >= 59 for seconds in bench.clock.slept_s)


async def test_R26_an_unclear_write_that_was_not_applied_changes_nothing(bench: Bench) -> None:
    bench.sendcat.script(Script(WRITE, drop=True))
    await bench.say(f"tune {CHAT} +20%")
    await bench.approve()

    change = await bench.reaches("failed")

    assert "not applied" in change.note
    assert bench.stored() is None
    assert bench.writes() == 0


async def test_a_refused_write_changes_nothing_and_shows_how_by_hand(bench: Bench) -> None:
    bench.sendcat.script(Script(WRITE, status=403, body='{"code":"OperationNotPermitted","message":"no"}'))
    await bench.say(f"tune {CHAT} +20%")
    await bench.approve()

    change = await bench.reaches("failed")

    assert "npx convex env set" in change.note


async def test_undo_needs_nobody_and_works_from_the_terminal(bench: Bench) -> None:
    """The very text that was there before is stored again, also for a change of long ago, once."""
    bench.set(CHAT, " 24 ")
    await bench.say(f"tune {CHAT} +20%")
    await bench.approve()
    await bench.reaches("kept")
    bench.clock.jump(200)

    undone = await bench.say("undo c-1")
    again = await bench.say("undo c-1")

    assert undone.status == 0
    assert bench.stored() == " 24 "
    assert again.status == 4
    assert (await bench.change()).state == "undone"


async def test_R25_undo_stops_at_a_strangers_value_and_leaves_it_when_told(bench: Bench) -> None:
    """Two caps: one was changed by hand since. Undo stops to ask; ``--ours=true`` puts back the other."""
    web, realtime = "TOOL_JOB_RUNMAX_WEB", "TOOL_JOB_RUNMAX_QOS_REALTIME"
    await bench.say(f"tune {web}=3 {realtime}=3")
    await bench.approve()
    await bench.reaches("kept")
    bench.set(realtime, "9")

    stopped = await bench.say("undo c-1")
    ours = await bench.say("undo c-1 --ours=true")

    assert "R25" in stopped.text
    assert stopped.status == 3
    assert ours.status == 0
    assert (bench.stored(web), bench.stored(realtime)) == (None, "9")


async def test_R25_undo_does_not_write_into_another_deployment(bench: Bench) -> None:
    """The name of the target leads elsewhere now; what is stored there is not ours, even when it looks the same."""
    await bench.say(f"tune {CHAT} +20%")
    await bench.approve()
    await bench.reaches("kept")
    name = bench.sendcat.deployment.name
    bench.sendcat.deployment.name = "another-heron-7"

    stopped = await bench.say("undo c-1")
    writes = bench.writes()
    bench.sendcat.deployment.name = name
    again = await bench.say("undo c-1")

    assert "another deployment now" in stopped.text
    assert (writes, bench.writes()) == (1, 2)
    assert again.status == 0


async def test_undo_before_the_write_is_a_withdrawal(bench: Bench) -> None:
    await bench.say(f"tune {CHAT} +20%")

    await bench.say("undo c-1")

    assert (await bench.change()).state == "rejected"
    assert bench.writes() == 0


async def test_changes_are_undone_in_reverse(bench: Bench) -> None:
    for number, wish in ((1, "+2"), (2, "+2")):
        await bench.say(f"tune {CHAT} {wish}")
        await bench.approve(f"c-{number}")
        await bench.reaches("kept", change_id=f"c-{number}")

    retest = await bench.say("tune retest c-1")
    first = await bench.say("undo c-1")
    listed = (await bench.say("knobs bulkhead")).data["knobs"][0]
    second = await bench.say("undo c-2")
    then = await bench.say("undo c-1")

    assert "tune retest c-2" in retest.text
    assert "undo c-2" in first.text
    assert (listed["knob"], listed["value"], listed["legal"]) == (CHAT, "28", "23–33")
    assert second.status == then.status == 0
    assert bench.stored() is None


async def test_R23_the_next_step_of_a_knob_waits_for_a_passed_retest(bench: Bench) -> None:
    """An incomplete retest keeps the change, raises it, and asks for another one first."""
    await bench.say(f"tune {CHAT} +2")
    await bench.approve()
    await bench.reaches("taken", "intent", "written", "confirmed", "settling")
    bench.drills.broken = True
    change = await bench.reaches("kept")
    bench.drills.broken = False
    assert change.verdict == "INCOMPLETE"

    refused = await bench.say(f"tune {CHAT} +2")
    again = await bench.say("tune retest c-1")
    allowed = await bench.say(f"tune {CHAT} +2")

    assert "retest c-1" in refused.text
    assert again.data["verdict"] in ("SAME", "BETTER")
    assert allowed.status == 5


async def test_pause_refuses_what_changes_and_nothing_else(bench: Bench) -> None:
    await bench.say(f"tune {CHAT} +20%")
    paused = await bench.say('pause --why="a deploy is running"', by="lead")

    approve = await bench.approve()
    tune = await bench.say(f"tune {LIMIT} +25%")
    status = await bench.say("status")
    resume_by_oncall = await bench.say("resume")
    resumed = await bench.say("resume", by="lead")

    assert paused.status == status.status == resumed.status == 0
    assert "Paused" in approve.text
    assert "Paused" in tune.text
    assert resume_by_oncall.status == 4
    assert (await bench.approve()).status == 0
    await bench.reaches("kept")


async def test_R12_break_glass_is_reasoned_announced_limited_and_reviewed_by_somebody_else(bench: Bench) -> None:
    await bench.say(f"tune {CHAT} +20%")

    silent = await bench.say("break-glass c-1")
    done = await bench.say('break-glass c-1 --why="chat is down and nobody answers"')
    change = await bench.reaches("kept")
    listed = await bench.say("break-glass review", by="lead")
    waits = {by: await bench.waits(by) for by in ("lead", "oncall")}
    own = await bench.say('break-glass review b-1 --finding="fine, was needed"')
    reviewed = await bench.say('break-glass review b-1 --finding="fine, was needed"', by="lead")
    twice = await bench.say('break-glass review b-1 --finding="fine, was needed"', by="lead")

    assert silent.status == 4
    assert waits["lead"]
    assert not waits["oncall"]
    assert "reason" in silent.text
    assert done.status == 0
    assert change.break_glass == "b-1"
    assert "b-1" in listed.text
    assert own.status == 4
    assert reviewed.status == 0
    assert twice.status == 4


async def test_R9_break_glass_is_void_when_its_holder_has_left(bench: Bench) -> None:
    """Authority is asked again at the write, of the lone on-call too."""
    await bench.say(f"tune {CHAT} +20%", slack=True)
    bench.bot.world.directory = Leaving()

    await bench.say('break-glass c-1 --why="chat is down and nobody answers"', slack=True)
    change = await bench.reaches("void", "kept", "failed")

    assert change.state == "void", change.note
    assert bench.writes() == 0


async def test_R12_break_glass_does_not_stretch_what_needs_two(bench: Bench) -> None:
    """One whole step of a running cap is for two people, whatever burns."""
    await bench.say("tune TOOL_JOB_RUNMAX_WEB=3 TOOL_JOB_RUNMAX_QOS_REALTIME=3")

    refused = await bench.say('break-glass c-1 --why="chat is down and nobody answers"')

    assert refused.status == 4
    assert "another person in any case" in refused.text
    assert (await bench.change()).state == "proposed"


async def test_R27_what_nobody_looked_after_is_raised_each_quarter_of_an_hour(bench: Bench) -> None:
    """A stranger's value leaves the change unknown; it is raised after 15 minutes, and again after 15 more."""
    watch = Watch(bench.bot.world.store, bench.clock, bench.bot.world.config)
    bench.drills.slow_s = 0.3
    await bench.say(f"tune {CHAT} +20%", slack=True)
    await bench.approve()
    await bench.reaches("settling")
    bench.drills.failing = True
    bench.set(CHAT, "26")
    await bench.reaches("unknown")

    first = await watch.deadman()
    bench.clock.ahead_ms += 15 * 60_000
    second, third = await watch.deadman(), await watch.deadman()
    bench.clock.ahead_ms += 15 * 60_000
    fourth = await watch.deadman()

    assert [first, second, third, fourth] == [(), ("c-1",), (), ("c-1",)]
    letters = await bench.bot.world.store.read(
        lambda conn: conn.execute("SELECT count(*) FROM outbox WHERE key LIKE 'overdue:c-1:%'").fetchone()[0]
    )
    assert letters == 2


async def test_a_proposal_that_nobody_approves_expires_and_frees_the_lock(bench: Bench) -> None:
    watch = Watch(bench.bot.world.store, bench.clock, bench.bot.world.config)
    await bench.say(f"tune {CHAT} +20%")
    bench.clock.jump(31 * 60)

    late = await bench.approve()
    await watch.deadman()

    assert late.status == 4
    assert (await bench.change()).state == "expired"
    assert (await bench.say(f"tune {CHAT} +20%")).status == 5


async def test_the_overview_shows_what_is_off_and_what_is_rejected(bench: Bench) -> None:
    bench.set(LIMIT, "9000")
    bench.set("TOOL_JOB_WAIT_MS", "9000")

    said = await bench.say("tune")
    bench.set("TOOL_JOB_POLL_MS", "250")
    knobs, every = await bench.say("knobs bulkhead"), await bench.say("knobs")
    again = await bench.say("tune")

    assert again.data["redundant"] == ["TOOL_JOB_POLL_MS"]
    assert len(every.data["knobs"]) == 109
    assert all(row["range"] and row["value"] for row in every.data["knobs"])
    assert said.data["rejected"] == [LIMIT]
    assert f"tune {LIMIT} 120" in said.text
    assert "rejected by Sendcat" in said.text
    assert [row["knob"] for row in said.data["offDefault"]] == ["TOOL_JOB_WAIT_MS"]
    assert len(knobs.data["knobs"]) == 17
    assert (await bench.say("knobs bulkheads")).status == 2


async def test_a_playbooks_letter_lists_the_knobs_that_it_names(bench: Bench) -> None:
    found, refused = await bench.say("knobs d"), await bench.say("knobs G")

    assert sorted(row["playbooks"] for row in found.data["knobs"]) == ["A D", "A D", "C D"]
    assert len(found.data["knobs"]) == 3
    assert "3 knobs of playbook D" in found.text
    assert "the playbooks with knobs A, B, C, D, E, F" in refused.text


async def test_R36_no_secret_of_the_deployment_is_kept(bench: Bench) -> None:
    """The list of variables holds secrets; none of them is in the database or in an artifact."""
    await bench.say(f"tune {CHAT} +20%")
    await bench.approve()
    await bench.reaches("kept")
    folder = bench.bot.world.config.state_dir
    kept = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())

    for name, secret in bench.sendcat.deployment.environment.texts().items():
        if len(secret) >= 16 and name != "ALLOWED_ORIGINS":
            assert secret.encode() not in kept, name


async def test_R17_two_names_of_one_deployment_share_the_lock(bench: Bench) -> None:
    """The other name is refused with who holds it; once that change has ended, it may."""
    targets = bench.bot.world.config.target
    targets["twin"] = targets["practice"].model_copy(update={"name": "twin"})
    assert (await bench.say(f"tune {CHAT} +20%")).status == 5

    refused = await bench.say(f"tune {LIMIT} +10% --target=twin")
    assert refused.status == 4
    assert "c-1" in refused.text

    assert (await bench.say("tune reject c-1")).status == 0
    assert (await bench.say(f"tune {LIMIT} +10% --target=twin")).status == 5
