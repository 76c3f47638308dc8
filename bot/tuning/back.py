"""The way back: the recorded previous values are stored again, never over a stranger's (safety.md, R25-R27)."""

from __future__ import annotations

from bot import measure
from bot.errors import SendcatError, Unreachable
from bot.redact import inert
from bot.store.change import Change
from bot.tuning.evidence import evidence
from bot.tuning.forward import UNCLEAR_MS
from bot.tuning.hand import Hand
from bot.tuning.seen import Seen, see
from playbooks.knobs import effective, knob

LOOK_AGAIN_MS = 5 * 60_000
MOST_TRIES = 3
"""Writes of one undo, each after a read that proved the one before it had not happened."""
_ASK = "this undo needs a person: see the card of the change."


async def undoing(hand: Hand, change: Change) -> None:
    """Read; when every value is still ours or back already, record the intent and store what was there before."""
    await hand.began(change, "undo.begin")
    try:
        moved = await hand.elsewhere(change)
        seen = None if moved else _of_undo(change, await hand.stored(change))
    except SendcatError as error:
        await _stuck(hand, change, f"The undo waits: {inert(error.what, 200)}")
        return
    if seen is None:
        await _stuck(hand, change, f"Not undone: {moved}. What was stored there belongs to the other one (R25).")
        return
    await hand.began(change, "undo.read")
    if seen.with_fate("a stranger's"):
        note = f"Not undone, somebody else has changed it since: {inert(seen.words, 400)}. Stopped, to ask (R25)."
        await _stuck(hand, change, note)
        return
    ours = seen.with_fate("ours")
    if not ours:
        await hand.move(change, "undone", note=f"{change.note} It was back already.".strip())
        return
    if change.attempts >= MOST_TRIES:
        await _stuck(hand, change, f"The undo did not succeed in {MOST_TRIES} tries.")
        return
    sent = await hand.move(change, "reverting", attempts=change.attempts + 1)
    await hand.began(change, "undo.recorded")
    try:
        await hand.anchored(change, must=False)
        await hand.convex(change).set_environment({name: sent.reverts[name] for name in ours})
    except Unreachable as error:
        if error.ambiguous:
            await _doubt(hand, sent, inert(error.what, 200))
        else:
            await _stuck(hand, sent, f"The undo was refused: {inert(error.what, 300)}")
        return
    except SendcatError as error:
        await _stuck(hand, sent, f"The undo was refused: {inert(error.what, 300)}")
        return
    await hand.began(change, "undo.sent")
    await _close(hand, sent)


async def reverting(hand: Hand, change: Change) -> None:
    """Found without an answer: whether the undo was stored is not known."""
    await _doubt(hand, change, "the bot ended before it knew.")


async def doubtful(hand: Hand, change: Change) -> None:
    """A minute later: back, still ours (then once more), or somebody else's."""
    await hand.wait(change)
    try:
        seen = _of_undo(change, await hand.stored(change))
    except Unreachable as error:
        await _stuck(hand, change, f"The undo is not known yet: {inert(error.what, 200)}")
        return
    if seen.with_fate("a stranger's"):
        await _stuck(hand, change, f"After the undo: {inert(seen.words, 400)}. Stopped, to ask (R25).")
    elif seen.with_fate("ours"):
        await hand.move(change, "undoing", note="The undo was unclear; read afterwards: not stored, so once more.")
    else:
        await _close(hand, change)


async def unknown(hand: Hand, change: Change) -> None:
    """Look again when it is due: what became clear goes on, what is a person's to decide stays."""
    await hand.wait(change)
    try:
        if await hand.elsewhere(change):
            await hand.defer(change, hand.now_ms + LOOK_AGAIN_MS)
            return
        seen = _of_undo(change, await hand.stored(change))
    except SendcatError:
        await hand.defer(change, hand.now_ms + LOOK_AGAIN_MS)
        return
    undo = change.undo_by is not None
    if seen.classed == "applied" and not (undo and change.attempts >= MOST_TRIES):
        await hand.move(change, "undoing" if undo else "written", note="Read again: applied.")
    elif seen.classed == "not applied":
        note = "Read again: it is as before."
        await hand.move(change, "undone" if undo else "failed", note=note)
    else:
        await hand.defer(change, hand.now_ms + LOOK_AGAIN_MS)


def _of_undo(change: Change, stored: dict[str, str]) -> Seen:
    """The fates of the knobs that the undo puts back; a person may have left out a stranger's."""
    seen = see(change, stored)
    left = change.undo_knobs or ()
    return Seen({name: fate for name, fate in seen.fates.items() if name not in left}, seen.stored)


async def _doubt(hand: Hand, change: Change, why: str) -> None:
    note = f"The undo is unclear: {why} It is looked for in a minute."
    await hand.move(change, "doubtful", due_ms=hand.now_ms + UNCLEAR_MS, note=note)


async def _stuck(hand: Hand, change: Change, note: str) -> None:
    await hand.move(change, "unknown", due_ms=hand.now_ms + UNCLEAR_MS, note=note, tell=_ASK)


async def _close(hand: Hand, change: Change) -> None:
    """Undone; the effective values are read once more for the record, which the undo does not wait for."""
    try:
        said = await _afterwards(hand, change)
    except Unreachable:
        said = "The effective values could not be read afterwards."
    except SendcatError as error:
        said = f"No evidence of the undo was kept: {inert(error.what, 200)}"
    await hand.move(change, "undone", note=f"{change.note} {said}".strip())
    await hand.began(change, "undo.done")


async def _afterwards(hand: Hand, change: Change) -> str:
    run = await hand.run(change)
    looked = await measure.snapshot(run)
    values = {step.knob: effective(looked.snapshot, knob(step.knob)) for step in change.steps}
    off = [f"{s.knob} is {inert(values[s.knob], 60)}" for s in change.steps if values[s.knob] != s.before]
    said = f"Effective afterwards: {', '.join(off)}." if off else "The effective values are as before again."
    kept = await evidence(run, change, change.retest, change.after, undone=looked.artifact)
    return f"{said} Evidence of the undo: `{kept.name}`."
