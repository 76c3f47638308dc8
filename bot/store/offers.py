"""Offers: what the buttons of our cards mean. A button carries only a random id (safety.md, R11; decision 5)."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection
from typing import Any

from bot.card import Button, Card, Form, when, who
from bot.clock import token
from bot.command import Actor
from bot.store.ops import Op
from bot.store.tx import Tx

DECISION_MS = 30 * 60 * 1000
"""A decision without an expiry of its own is open this long (INTERFACES.md, section 4: tuning 30 min)."""


@dataclass(frozen=True)
class Offer:
    """The meaning of a button. ``expires_ms`` is a moment, ms UTC; ``used_by`` an account."""

    id: str
    line: str
    name: str
    op: str | None
    channel: str | None
    decision: bool
    expires_ms: int | None
    used_by: str | None
    used_ms: int | None
    superseded_ms: int | None
    reason: str | None
    form: Form | None = None

    def dead(self, now_ms: int) -> str | None:
        """Why pressing it does nothing any more (may hold marks of `bot.card`), or None while it is alive."""
        over = self.expires_ms is not None and self.expires_ms <= now_ms
        return _why(self) if over or self.used_ms is not None or self.superseded_ms is not None else None


@dataclass(frozen=True)
class Dead:
    """A button that does nothing any more, with the sentence that explains it (may hold marks of `bot.card`)."""

    reason: str
    offer: Offer | None


_COLUMNS = "id, line, name, op, channel, decision, expires_ms, used_by, used_ms, superseded_ms, reason, form"


def mint(tx: Tx, card: Card, op: Op | None, channel: str | None) -> Card:
    """The card with an offer behind every button.

    A button keeps its id across edits while the same (operation, channel, name, line) is on offer and alive; a decision
    that was used or has expired gets a new one. ``Button.expires_ms`` is a moment, ms UTC; a decision without one
    expires after `DECISION_MS`.
    """
    op_id = None if op is None else op.id
    buttons = tuple(_mint(tx, button, op_id, channel) for button in card.buttons)
    return card if not buttons else card.model_copy(update={"buttons": buttons})


def mint_form(tx: Tx, line: str, name: str, form: Form, channel: str | None) -> str:
    """An offer for a form that a command opens when it is typed alone; returns its id."""
    button = Button(label=form.submit, line=line, name=name, form=form)
    return _mint(tx, button, None, channel).offer or ""


def _mint(tx: Tx, button: Button, op: str | None, channel: str | None) -> Button:
    form = None if button.form is None else button.form.model_dump_json(exclude_defaults=True)
    row = tx.db.execute(
        f"""
        SELECT {_COLUMNS} FROM offers
        WHERE op IS :op AND name = :name AND line = :line AND channel IS :channel AND decision = :decision
          AND used_ms IS NULL AND superseded_ms IS NULL AND (expires_ms IS NULL OR expires_ms > :now)
          AND (:expires IS NULL OR expires_ms IS :expires) AND form IS :form
        ORDER BY minted_ms DESC LIMIT 1
        """,
        {
            "op": op,
            "name": button.name,
            "line": button.line,
            "channel": channel,
            "decision": button.decision,
            "now": tx.now_ms,
            "expires": button.expires_ms,
            "form": form,
        },
    ).fetchone()
    if row is not None:
        offer = _offer(row)
        return button.model_copy(update={"offer": offer.id, "expires_ms": offer.expires_ms})
    expires_ms = button.expires_ms
    if button.decision and expires_ms is None:
        expires_ms = tx.now_ms + DECISION_MS
    offer_id = token()
    tx.db.execute(
        "INSERT INTO offers (id, name, line, op, channel, decision, expires_ms, minted_ms, form) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (offer_id, button.name, button.line, op, channel, button.decision, expires_ms, tx.now_ms, form),
    )
    return button.model_copy(update={"offer": offer_id, "expires_ms": expires_ms})


def look(conn: Connection, offer_id: str) -> Offer | None:
    """The meaning of a button, dead or alive."""
    row = conn.execute(f"SELECT {_COLUMNS} FROM offers WHERE id = ?", (offer_id,)).fetchone()
    return None if row is None else _offer(row)


def consume(tx: Tx, offer_id: str, by: Actor, now_ms: int) -> Offer | Dead:
    """Press a button, in the transaction of what it decides.

    A decision works once, before it expires and while nothing newer has taken its place; of several presses exactly one
    gets the offer. Navigation works again and again.
    """
    pressed = tx.db.execute(
        f"""
        UPDATE offers SET used_by = iif(decision, :by, NULL), used_ms = iif(decision, :now, NULL)
        WHERE id = :id AND used_ms IS NULL AND superseded_ms IS NULL AND (expires_ms IS NULL OR expires_ms > :now)
        RETURNING {_COLUMNS}
        """,
        {"id": offer_id, "by": by.account, "now": now_ms},
    ).fetchone()
    if pressed is not None:
        return _offer(pressed)
    offer = look(tx.db, offer_id)
    return Dead(_why(offer), offer)


def supersede(tx: Tx, op_id: str, reason: str) -> int:
    """Kill the open decisions of an operation (newer run, changed knob, new policy, cancelled); returns how many.

    ``reason`` is a sentence for whoever presses later. Navigation is judged anew at each click and lives on.
    """
    return tx.db.execute(
        "UPDATE offers SET superseded_ms = ?, reason = ? "
        "WHERE op = ? AND decision AND used_ms IS NULL AND superseded_ms IS NULL",
        (tx.now_ms, reason, op_id),
    ).rowcount


def _why(offer: Offer | None) -> str:
    if offer is None:
        return "This button is not known here."
    if offer.used_by is not None and offer.used_ms is not None:
        return f"Already pressed by {who(offer.used_by)} {when(offer.used_ms)}."
    if offer.superseded_ms is not None:
        return f"Out of date since {when(offer.superseded_ms)}: {offer.reason}"
    return f"Expired {when(offer.expires_ms or 0)}."


def _offer(row: tuple[Any, ...]) -> Offer:
    values = list(row)
    values[5] = bool(row[5])
    values[11] = None if row[11] is None else Form.model_validate_json(row[11])
    return Offer(*values)
