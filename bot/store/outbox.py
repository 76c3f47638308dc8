"""The outbox: one row per message, not per send (safety.md, R33; Slack facts 3.2, 3.3).

    due -> sending -> sent -> due (a newer body: an edit)
             |-> unclear -> (looked for) -> sent | due
             |-> due (later) | failed

A row is written in the transaction of the state change that it tells of. A newer body replaces the older one, so only
the newest rendering is ever sent. ``sending`` is committed before the call: after a crash, or when the answer was lost,
a first post is ``unclear`` and is looked for by its `Letter.mark` before it is sent again. An edit can be repeated
without harm and simply becomes due.
"""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any, Literal

from bot.card import Card
from bot.store.tx import Tx

Kind = Literal["card", "reply", "ephemeral", "file"]
State = Literal["due", "sending", "sent", "unclear", "failed"]


@dataclass(frozen=True)
class Letter:
    """One message: what it shows now (``revision``), what Slack has of it (``sent_revision``, ``ts``).

    ``ts`` is None until it was posted. ``thread_ts`` is the thread that it belongs to, when there is one and it is
    known; ``replaced_ts`` the message that this one was posted anew for. ``attempts`` counts tries since the last
    success or newer body.
    """

    id: int
    key: str
    channel: str
    kind: Kind
    card: Card | None
    text: str
    file: str | None
    thread_of: str | None
    thread_ts: str | None
    user: str | None
    op: str | None
    urgent: bool
    final: bool
    revision: int
    sent_revision: int
    generation: int
    state: State
    ts: str | None
    replaced_ts: str | None
    due_ms: int
    attempts: int
    reason: str | None
    created_ms: int

    @property
    def mark(self) -> str:
        """What goes into the message's metadata, so that it can be found again after an unclear answer."""
        return self.key if not self.generation else f"{self.key}~{self.generation}"


_LETTER = """
SELECT o.id, o.key, o.channel, o.kind, o.card, o.text, o.file, o.thread_of,
       coalesce(o.thread_ts, parent.thread_ts, parent.ts), o.user, o.op, o.urgent, o.final, o.revision,
       o.sent_revision, o.generation, o.state, o.ts, o.replaced_ts, o.due_ms, o.attempts, o.reason, o.created_ms
FROM outbox o LEFT JOIN outbox parent ON parent.key = o.thread_of
"""


def put(
    tx: Tx,
    key: str,
    *,
    channel: str,
    kind: Kind,
    card: Card | None = None,
    text: str = "",
    file: str | None = None,
    thread_of: str | None = None,
    thread_ts: str | None = None,
    user: str | None = None,
    op: str | None = None,
    urgent: bool = False,
    final: bool = False,
) -> None:
    """Write a message, or a newer body for the message of this key.

    ``thread_of`` is the key of the message whose thread it goes to; ``thread_ts`` a thread that is not ours. ``urgent``
    and ``final`` (also a final card) go before the rest. The same body again changes nothing; a newer body for an
    ephemeral message or a file that was sent is dropped, since neither can be edited. Channel, kind and thread of a
    key never change.
    """
    drawn = None if card is None else card.model_dump_json(exclude_defaults=True)
    final = final or (card is not None and card.final)
    changed = tx.db.execute(
        """
        INSERT INTO outbox (key, channel, kind, card, text, file, thread_of, thread_ts, user, op, urgent, final,
                            state, due_ms, created_ms)
        VALUES (:key, :channel, :kind, :card, :text, :file, :thread_of, :thread_ts, :user, :op, :urgent, :final,
                'due', :now, :now)
        ON CONFLICT (key) DO UPDATE SET
            card = excluded.card, text = excluded.text, file = excluded.file,
            urgent = excluded.urgent, final = excluded.final,
            revision = revision + 1,
            attempts = 0,
            due_ms = CASE WHEN state IN ('sent', 'failed') THEN excluded.due_ms ELSE due_ms END,
            state = CASE WHEN state IN ('sent', 'failed') THEN 'due' ELSE state END
        WHERE (card IS NOT excluded.card OR text <> excluded.text OR file IS NOT excluded.file)
          AND NOT (kind IN ('ephemeral', 'file') AND state NOT IN ('due', 'failed'))
        """,
        {
            "key": key,
            "channel": channel,
            "kind": kind,
            "card": drawn,
            "text": text,
            "file": file,
            "thread_of": thread_of,
            "thread_ts": thread_ts,
            "user": user,
            "op": op,
            "urgent": urgent,
            "final": final,
            "now": tx.now_ms,
        },
    ).rowcount
    if changed:
        tx.touch("outbox")


def due(conn: Connection, now_ms: int, limit: int = 50) -> tuple[Letter, ...]:
    """What may be sent (``due``) or must be looked for (``unclear``) now: at most one per lane.

    First posts of a channel are one lane, the replies of a thread another, each in the order of writing: a letter that
    waits holds back those behind it, a failed one does not. A reply waits until its parent stands. Each edit and each
    ephemeral message is a lane of its own. Urgent and final letters come first.
    """
    lanes: dict[tuple[str | None, ...], tuple[Any, ...]] = {}
    waiting = conn.execute(
        """
        SELECT o.id, o.key, o.channel, o.kind, o.thread_of, o.thread_ts, o.state, o.ts, o.due_ms, o.urgent, o.final,
               parent.ts
        FROM outbox o LEFT JOIN outbox parent ON parent.key = o.thread_of
        WHERE o.state IN ('due', 'sending', 'unclear') ORDER BY o.id
        """
    )
    for row in waiting:
        _, key, channel, kind, thread_of, thread_ts, _, ts, *_ = row
        if ts is not None or kind == "ephemeral":
            lane: tuple[str | None, ...] = ("message", key)
        elif thread_of is not None or thread_ts is not None:
            lane = ("thread", channel, thread_of, thread_ts)
        else:
            lane = ("channel", channel)
        lanes.setdefault(lane, row)
    ready = []
    for row in lanes.values():
        letter_id, _, _, _, thread_of, thread_ts, state, ts, due_ms, urgent, final, parent_ts = row
        orphan = ts is None and thread_of is not None and thread_ts is None and parent_ts is None
        if state != "sending" and due_ms <= now_ms and not orphan:
            ready.append((not urgent, not final, due_ms, letter_id))
    ready.sort()
    return tuple(letter for *_, letter_id in ready[:limit] if (letter := by_id(conn, letter_id)) is not None)


def next_due_ms(conn: Connection, after_ms: int) -> int | None:
    """The next moment at which a waiting letter becomes due, so that the poster need not look before."""
    found: int | None = conn.execute(
        "SELECT min(due_ms) FROM outbox WHERE state IN ('due', 'unclear') AND due_ms > ?", (after_ms,)
    ).fetchone()[0]
    return found


def by_id(conn: Connection, letter_id: int) -> Letter | None:
    """One letter by its number."""
    return _letter(conn.execute(f"{_LETTER} WHERE o.id = ?", (letter_id,)).fetchone())


def by_key(conn: Connection, key: str) -> Letter | None:
    """One letter by its key."""
    return _letter(conn.execute(f"{_LETTER} WHERE o.key = ?", (key,)).fetchone())


def claim(tx: Tx, letter_id: int) -> Letter | None:
    """due -> sending, committed before the call; returns the newest body, or None when it is not due any more."""
    moved = tx.db.execute(
        "UPDATE outbox SET state = 'sending', attempts = attempts + 1, reason = NULL WHERE id = ? AND state = 'due'",
        (letter_id,),
    ).rowcount
    return by_id(tx.db, letter_id) if moved else None


def sent(tx: Tx, letter_id: int, revision: int, ts: str | None) -> None:
    """Slack has this revision under ``ts``; when a newer body was written meanwhile, the letter is due again.

    A message that was found again without knowing what it shows is ``revision=0``: it stands, and is edited.
    Ephemeral messages have no usable ``ts``: None.
    """
    tx.db.execute(
        """
        UPDATE outbox SET
            sent_revision = max(sent_revision, :revision), ts = coalesce(:ts, ts), sent_ms = :now, reason = NULL,
            state = CASE WHEN revision > max(sent_revision, :revision) AND kind NOT IN ('ephemeral', 'file')
                         THEN 'due' ELSE 'sent' END,
            attempts = 0, due_ms = :now
        WHERE id = :id
        """,
        {"id": letter_id, "revision": revision, "ts": ts, "now": tx.now_ms},
    )
    tx.touch("outbox")


def later(tx: Tx, letter_id: int, due_ms: int, reason: str) -> None:
    """Send it (again) at ``due_ms``: rate-limited, unreachable, or looked for and certainly not there."""
    _state(tx, letter_id, "due", due_ms, reason)


def unclear(tx: Tx, letter_id: int, due_ms: int | None = None, reason: str = "the answer was lost") -> None:
    """The answer was lost: look for it (not before ``due_ms``) before sending again. An edit is just due again."""
    _state(tx, letter_id, "unclear", tx.now_ms if due_ms is None else due_ms, reason)
    tx.db.execute("UPDATE outbox SET state = 'due' WHERE id = ? AND ts IS NOT NULL", (letter_id,))


def failed(tx: Tx, letter_id: int, reason: str) -> None:
    """It cannot be sent as it is; a newer body is tried again, and what waits behind it in its lane goes on."""
    _state(tx, letter_id, "failed", tx.now_ms, reason)


def replace(tx: Tx, letter_id: int) -> None:
    """The message is gone or closed to edits: post it anew, with another mark."""
    tx.db.execute(
        """
        UPDATE outbox SET replaced_ts = ts, ts = NULL, pinned = 0, sent_revision = 0, generation = generation + 1,
                          state = 'due', attempts = 0, due_ms = ?
        WHERE id = ? AND ts IS NOT NULL
        """,
        (tx.now_ms, letter_id),
    )
    tx.touch("outbox")


def recover(tx: Tx) -> int:
    """At start: what was being sent when the bot died is unclear (edits are due); returns how many."""
    return tx.db.execute(
        "UPDATE outbox SET state = iif(ts IS NULL, 'unclear', 'due'), due_ms = ?, reason = 'the bot was restarted' "
        "WHERE state = 'sending'",
        (tx.now_ms,),
    ).rowcount


def counts(conn: Connection) -> dict[str, int]:
    """How many letters are in each state; those in none are left out."""
    return dict(conn.execute("SELECT state, count(*) FROM outbox GROUP BY state"))


def _state(tx: Tx, letter_id: int, state: State, due_ms: int, reason: str) -> None:
    tx.db.execute(
        "UPDATE outbox SET state = ?, due_ms = ?, reason = ? WHERE id = ? AND state IN ('due', 'sending', 'unclear')",
        (state, due_ms, reason, letter_id),
    )
    tx.touch("outbox")


def _letter(row: tuple[Any, ...] | None) -> Letter | None:
    if row is None:
        return None
    values = list(row)
    values[4] = None if row[4] is None else Card.model_validate_json(row[4])
    values[11], values[12] = bool(row[11]), bool(row[12])
    return Letter(*values)
