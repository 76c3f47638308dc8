"""The way of a change from its approval to its retest, one step for each state (safety.md, R24-R26; VERDICTS).

Each function takes a change in its state, does what comes next, and moves it. Effects lie only between two committed
records; whatever state a crash leaves, the function of that state goes on from there.
"""

from __future__ import annotations

from bot import measure
from bot.errors import SendcatError, Unreachable
from bot.measure import Drilled, Looked
from bot.redact import inert
from bot.run import Run
from bot.sendcat.snapshot import read_snapshot
from bot.store.change import BOT, Change, Taken
from bot.tuning.draft import check_clock
from bot.tuning.evidence import evidence
from bot.tuning.hand import Hand, drifted
from bot.tuning.seen import see
from playbooks.knobs import effective, knob
from playbooks.relief import pressures, settle_s, window_minutes
from slo.reports import DrillReport
from slo.retest import Answer, Retest, compare
from slo.snapshot import Snapshot

UNCLEAR_MS = 60_000
"""How long an unclear write is left alone before it is looked for (R26)."""
CONFIRM_MS = 60_000
"""How long the effective value may take to show (VERDICTS, Tuning retest)."""
LOOK_S = 5.0
STALE_MS = 120_000
"""A snapshot older than this says nothing about the moment of the write (R42)."""


async def approved(hand: Hand, change: Change) -> None:
    """Take the before: a quick drill unless a fresh one is there, then the snapshot."""
    await hand.began(change, "before.begin")
    if await _hindered(hand, change):
        return
    run = await hand.run(change)
    drilled = await measure.fresh_drill(run) or await hand.drill(run)
    looked = await _look(hand, run, change)
    check_clock(looked.read.skew_ms)
    await hand.began(change, "before.measured")
    if await _hindered(hand, change) or await _differs(hand, change, looked.snapshot):
        return
    taken = _taken(run, looked, drilled, hand.now_ms)
    await hand.move(change, "taken", before=taken)
    await hand.began(change, "before.recorded")


async def taken(hand: Hand, change: Change) -> None:
    """Look once more, record the intent, write once, record what came of it."""
    await hand.began(change, "intent.begin")
    if await _hindered(hand, change):
        return
    run = await hand.run(change)
    assert change.before is not None
    if hand.now_ms - change.before.at_ms > STALE_MS:
        now = (await read_snapshot(hand.convex(change), hand.world.masker, hand.world.clock)).snapshot
    else:
        now = Snapshot.parse(await measure.saved(run, change.before.snapshot))
    if await _differs(hand, change, now):
        return
    sent = await hand.move(change, "intent", sent_ms=hand.now_ms, authority=_authority(change))
    await hand.began(change, "intent.recorded")
    try:
        await hand.anchored(change)
        await hand.convex(change).set_environment(sent.writes)
    except Unreachable as error:
        if error.ambiguous:
            await unclear(hand, sent, inert(error.what, 200))
        else:
            await hand.move(sent, "failed", note=f"{inert(error.what, 300)} By hand: {inert(error.then or '', 200)}")
        return
    except SendcatError as error:
        await hand.move(sent, "failed", note=inert(error.what, 300))
        return
    await hand.began(change, "write.sent")
    await hand.move(sent, "written")
    await hand.began(change, "write.recorded")


async def unclear(hand: Hand, change: Change, why: str) -> None:
    """An intent without an answer: leave it alone for a minute, then look (R26)."""
    due = hand.now_ms + UNCLEAR_MS
    await hand.move(change, "ambiguous", due_ms=due, note=f"The write is unclear: {why} It is not repeated.")


async def intent(hand: Hand, change: Change) -> None:
    """Found without an answer: whether the write went out is not known."""
    await unclear(hand, change, "the bot ended before it knew.")


async def ambiguous(hand: Hand, change: Change) -> None:
    """A minute later: applied, not applied, or changed by someone else."""
    await hand.wait(change)
    try:
        seen = see(change, await hand.stored(change))
    except Unreachable as error:
        due = hand.now_ms + UNCLEAR_MS
        await hand.move(change, "unknown", due_ms=due, note=f"Not known yet: {inert(error.what, 200)}", tell=_ASK)
        return
    await hand.began(change, "ambiguous.read")
    if seen.classed == "applied":
        await hand.move(change, "written", note="The write was unclear; read afterwards: applied.")
    elif seen.classed == "not applied":
        await hand.move(change, "failed", note="The write was unclear; read afterwards: not applied.")
    else:
        note = f"The write was unclear; read afterwards: {seen.classed}. {inert(seen.words, 400)}"
        await hand.move(change, "unknown", due_ms=hand.now_ms + UNCLEAR_MS, note=note, tell=_ASK)


async def written(hand: Hand, change: Change) -> None:
    """The effective values must show within a minute; a stored value alone proves nothing (R24)."""
    deadline, last, reason = change.updated_ms + CONFIRM_MS, "", ""
    while True:
        unreachable = False
        try:
            read = await read_snapshot(hand.convex(change), hand.world.masker, hand.world.clock)
            seen = see(change, await hand.stored(change))
        except Unreachable as error:
            unreachable, reason = True, inert(error.what, 200)
        else:
            await hand.began(change, "confirm.read")
            if seen.classed != "applied":
                note = f"After the write: {seen.classed}. {inert(seen.words, 400)}"
                await hand.move(change, "unknown", due_ms=hand.now_ms + UNCLEAR_MS, note=note, tell=_ASK)
                return
            last = _unconfirmed(change, read.snapshot)
            if not last:
                await hand.move(change, "confirmed")
                await hand.began(change, "confirm.recorded")
                return
        if hand.now_ms >= deadline:
            break
        await hand.world.clock.sleep(LOOK_S)
    if unreachable:
        note = f"Written, but not confirmed: {reason}"
        await hand.move(change, "unknown", due_ms=hand.now_ms + UNCLEAR_MS, note=note, tell=_ASK)
        return
    why = f"not confirmed within {CONFIRM_MS // 1000} s: {last}"
    await hand.move(change, "undoing", undo_by=BOT, undo_why=why, tell=f"{change.id} is undone: {why}")


async def confirmed(hand: Hand, change: Change) -> None:
    """Let it settle: a window, a cool-down, or half a minute."""
    run = await hand.run(change)
    assert change.before is not None
    before = Snapshot.parse(await measure.saved(run, change.before.snapshot))
    await hand.move(change, "settling", due_ms=hand.now_ms + settle_s(change.steps, before) * 1000)
    await hand.began(change, "settle.recorded")


async def settling(hand: Hand, change: Change) -> None:
    """Quick drill, snapshot, comparison with before, evidence as one artifact."""
    await hand.wait(change)
    await hand.began(change, "retest.begin")
    run = await hand.run(change)
    retest, after = await _retest(hand, run, change)
    await hand.began(change, "retest.measured")
    kept = await evidence(run, change, retest, after)
    await hand.began(change, "retest.kept")
    note = f"{change.note} Evidence: `{kept.name}`.".strip()
    await hand.move(change, "retested", retest=retest, verdict=retest.answer.value, after=after, note=note)
    await hand.began(change, "retest.recorded")


async def retested(hand: Hand, change: Change) -> None:
    """Kept, or undone by itself when it got worse."""
    assert change.retest is not None
    if change.verdict is Answer.WORSE:
        why = f"worse than before: {inert(change.retest.reason, 300)}"
        await hand.move(change, "undoing", undo_by=BOT, undo_why=why, tell=f"REGRESSION of {change.id}: {why}")
    elif change.verdict is Answer.INCOMPLETE:
        tell = f"The retest of {change.id} is INCOMPLETE ({inert(change.retest.reason, 200)}): it is kept, look at it."
        await hand.move(change, "kept", tell=tell)
    else:
        await hand.move(change, "kept")


_ASK = "this change needs a person: see its card."


async def _hindered(hand: Hand, change: Change) -> bool:
    found = await hand.hindered(change)
    if found is not None:
        state, why = found
        await hand.move(change, state, note=f"{why[:1].upper()}{why[1:]}.")
    return found is not None


async def _differs(hand: Hand, change: Change, now: Snapshot) -> bool:
    """Void the approval when the knobs are not as they were (R10, R25)."""
    why = drifted(change, await hand.stored(change), now)
    if why:
        await hand.move(change, "void", note=f"{why}. It is left as it is.")
    return bool(why)


def _authority(change: Change) -> str:
    if change.break_glass is not None:
        return f"break-glass {change.break_glass} (R12)"
    person = change.approver.person if change.approver else None
    return f"approved by {person or 'another person'} (R10)"


def _unconfirmed(change: Change, now: Snapshot) -> str:
    wrong = [
        f"{step.knob} is {inert(effective(now, knob(step.knob)), 60)}, not {inert(step.after, 60)}"
        for step in change.steps
        if effective(now, knob(step.knob)) != step.after
    ]
    return "; ".join(wrong)


async def _look(hand: Hand, run: Run, change: Change) -> Looked:
    """A snapshot in the window that these knobs are judged by, kept."""
    if window_needed(change):
        first = await read_snapshot(hand.convex(change), hand.world.masker, hand.world.clock)
        return await measure.snapshot(run, minutes=window_minutes(change.steps, first.snapshot))
    return await measure.snapshot(run)


def window_needed(change: Change) -> bool:
    """Whether a rate limit is among the knobs: refusals are counted over a window."""
    return any(step.knob.startswith("RATE_LIMIT_") for step in change.steps)


def _taken(run: Run, looked: Looked, drilled: Drilled, now_ms: int) -> Taken:
    snapshot_id = run.ref(looked.artifact).sha256[:12]
    return Taken(snapshot=looked.artifact, snapshot_id=snapshot_id, drill=drilled.artifact, at_ms=now_ms)


async def _retest(hand: Hand, run: Run, change: Change) -> tuple[Retest, Taken | None]:
    """Measure again and compare; what cannot be measured makes it INCOMPLETE, never green."""
    assert change.before is not None
    try:
        before = Snapshot.parse(await measure.saved(run, change.before.snapshot))
        drill_before = DrillReport.parse(await measure.saved(run, change.before.drill or ""))
        drilled = await hand.drill(run)
        looked = await _look(hand, run, change)
    except SendcatError as error:
        return Retest(answer=Answer.INCOMPLETE, reason=inert(error.what, 300)), None
    pressed = pressures(change.steps, before, looked.snapshot)
    retest = compare(measure.judge_drill(drill_before), drilled.judgement, pressed)
    return retest, _taken(run, looked, drilled, hand.now_ms)
