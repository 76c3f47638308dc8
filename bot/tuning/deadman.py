"""What nobody looked after is raised again in the channel; proposals that nobody approved expire (safety.md, R27)."""

from __future__ import annotations

from bot.card import Button, Card, Tone, when
from bot.config import Config
from bot.redact import inert
from bot.store import changes, offers, ops, outbox
from bot.store.change import AT_WORK, Change
from bot.store.tx import Tx
from bot.tuning.hand import channel_of
from bot.tuning.proposal import by
from bot.tuning.wishes import expire

OVERDUE_MS = 15 * 60_000
"""A change without a finished retest is raised after this time, and again each time it has passed (R27)."""


def look(tx: Tx, config: Config) -> tuple[str, ...]:
    """Raise what is overdue, once for each 15 minutes, and let old proposals expire; the ids of what was raised.

    A step for the timer: it decides from the rows alone, so a tick too many has no effect.
    """
    for change in changes.open_changes(tx.db):
        if change.state == "proposed" and tx.now_ms > change.expires_ms:
            expire(tx, config, change)
    overdue = [change for change in changes.unfinished(tx.db) if _overdue(change, tx.now_ms)]
    for change in overdue:
        _raise(tx, config, change)
    return tuple(change.id for change in overdue)


def _overdue(change: Change, now_ms: int) -> bool:
    """Sent 15 minutes ago and not raised since; a retest that stayed incomplete is raised once."""
    if change.sent_ms is None or now_ms - change.sent_ms < OVERDUE_MS:
        return False
    if change.state not in AT_WORK:
        return change.raised_ms is None
    return change.raised_ms is None or now_ms - change.raised_ms >= OVERDUE_MS


def _raise(tx: Tx, config: Config, change: Change) -> None:
    changes.raised(tx, change.id)
    op = ops.get(tx.db, change.op)
    assert op is not None
    channel = op.place.channel or channel_of(config)
    if channel is None:
        return
    people = ", ".join(dict.fromkeys(by(one) for one in (change.proposer, change.approver) if one is not None))
    retest = Button(label="Retest", line=f"tune retest {change.id}", name="tuning.retest")
    card = Card(
        title=f"OVERDUE: {change.id} has no finished retest",
        tone=Tone.WARN,
        context=f"{change.target} · {people} · sent {when(change.sent_ms or change.created_ms)}",
        lead=f"{inert(change.words, 300)} is {change.state}. {change.note[:300]}",
        next=f"/sendcat tune show {change.id}; undo it if nobody knows",
        buttons=(
            Button(label="Undo", line=f"undo {change.id}", name="tuning.undo"),
            *((retest,) if change.state == "kept" else ()),
        ),
        final=True,
    )
    key = f"overdue:{change.id}:{tx.now_ms}"
    outbox.put(tx, key, channel=channel, kind="card", card=offers.mint(tx, card, op, channel), op=op.id, urgent=True)
