"""What waits for one person now, the most pressing first (ux.md, "Home": "my open decisions, my jobs, my checklists").

Decisions that they may make by the same judgement that the button asks (`bot.cases.decisions.may`), tuning changes that
wait for another pair of eyes, runs of their own, incidents they hold, items of checklists that are theirs. Read from
rows at the moment of looking.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.authority import Who
from bot.card import Tone, when
from bot.card import who as mention
from bot.cases.deciding import starter_of
from bot.cases.decisions import MANNERS, may
from bot.command import Place
from bot.config import Config
from bot.incidents import board, live
from bot.incidents.items import LABELS
from bot.redact import inert
from bot.run import card_key
from bot.store import cases, changes, grants, ops, waiting
from bot.store.case import Case, State
from bot.store.change import Change
from bot.store.grants import Grant
from bot.tuning.wishes import same_human

if TYPE_CHECKING:
    from sqlite3 import Connection

LOOKED = 60
"""So many of the newest cases are looked at: older ones have expired long since."""

Allowed = Callable[[str, Place], bool]
"""What the table of authority says for this person: action and place."""


@dataclass(frozen=True)
class Wait:
    """One thing that waits: a sentence, how pressing it is, and the outbox key of the card where it is answered."""

    text: str
    tone: Tone
    key: str


def for_person(
    conn: Connection, config: Config, who: Who, accounts: Collection[str], now_ms: int, allowed: Allowed
) -> tuple[Wait, ...]:
    """Everything that waits for whoever owns these accounts, in the order in which to look at it."""
    theirs = waiting.for_person(conn, accounts)
    found = [
        _case(case, now_ms)
        for case in cases.recent(conn, limit=LOOKED)
        if _decides(conn, config, case, who, now_ms, allowed)
    ]
    found += [
        _change(conn, change)
        for change in changes.open_changes(conn)
        if _approves(conn, config, change, who, now_ms, allowed)
    ]
    found += [
        Wait(
            f"*Break-glass {grant.id}* for {grant.change} waits for a review · by {mention(grant.by.account)} "
            f"{when(grant.at_ms)}: {inert(grant.why, 120)}",
            Tone.BAD,
            _key(conn, change) if (change := changes.get(conn, grant.change)) is not None else grant.id,
        )
        for grant in grants.unreviewed(conn)
        if not same_human(config, who, grant.by) and _reviews(conn, grant, allowed)
    ]
    found += [
        Wait(
            f"*{incident.id}* is yours: {inert(incident.title, 120)}"
            + (f" · next: {inert(incident.next_step, 120)}" if incident.next_step else ""),
            Tone.WARN,
            live.key(incident.id),
        )
        for incident in theirs.mine
    ]
    for incident_id in dict.fromkeys(item.incident for item in theirs.items):
        items = [item for item in theirs.items if item.incident == incident_id]
        names = ", ".join(LABELS.get(item.key, item.key) for item in items[:4])
        more = f" and {len(items) - 4} more" if len(items) > 4 else ""
        due = [item.due_ms for item in items if item.due_ms is not None]
        late = bool(due) and min(due) < now_ms
        text = f"*Checklist of {incident_id}*: {names}{more} open"
        text += f" · due {when(min(due))}" + (" ⚠️ overdue" if late else "") if due else ""
        found.append(Wait(text, Tone.BAD if late else Tone.WARN, board.key(incident_id)))
    for op in ops.open_ops(conn):
        if op.by.account in accounts:
            on = f" on {op.target}" if op.target else ""
            began = "not begun yet" if op.started_ms is None else f"began {when(op.started_ms)}"
            found.append(Wait(f"*{op.command} {op.id}* is yours{on}, {began}", Tone.RUNNING, card_key(op.id)))
    return tuple(found)


def _decides(conn: Connection, config: Config, case: Case, who: Who, now_ms: int, allowed: Allowed) -> bool:
    """Whether a yes or a no by this person would be taken now, where the case was made."""
    if case.standing(now_ms) not in (State.WAITING, State.WAIVED) or case.op_state in ("accepted", "running"):
        return False
    op = ops.get(conn, case.op)
    if op is None or not allowed(MANNERS[case.kind].action, op.place):
        return False
    manner = MANNERS[case.kind]
    return may(case, manner.no, who, starter_of(config, case), now_ms, reason="-") is None


def _case(case: Case, now_ms: int) -> Wait:
    noun = MANNERS[case.kind].noun
    on = f" on {case.target}" if case.target else ""
    waives = f", {len(case.not_waived)} to be waived first" if case.not_waived else ""
    text = (
        f"*{noun.capitalize()} {case.id}* waits for your decision: {inert(case.subject, 80)}{on} · "
        f"{case.said}{waives} · started by {mention(case.starter)} · open until {when(case.expires_ms)}"
    )
    return Wait(text, Tone.WARN, card_key(case.op))


def _approves(conn: Connection, config: Config, change: Change, who: Who, now_ms: int, allowed: Allowed) -> bool:
    """Whether this person is the other pair of eyes that a proposal waits for (four eyes count humans, R10)."""
    if change.state != "proposed" or change.expires_ms <= now_ms:
        return False
    if same_human(config, who, change.proposer):
        return False
    op = ops.get(conn, change.op)
    return op is not None and allowed("tune.approve", op.place)


def _reviews(conn: Connection, grant: Grant, allowed: Allowed) -> bool:
    change = changes.get(conn, grant.change)
    op = ops.get(conn, change.op) if change is not None else None
    return op is not None and allowed("break-glass.review", op.place)


def _key(conn: Connection, change: Change) -> str:
    """Where the card of a change stands."""
    op = ops.get(conn, change.op)
    return card_key(change.op) if op is not None and op.place.channel is not None else f"change:{change.id}"


def _change(conn: Connection, change: Change) -> Wait:
    key = _key(conn, change)
    text = (
        f"*Tuning {inert(change.words, 160)}* on {change.target} waits for another pair of eyes · proposed by "
        f"{mention(change.proposer.account)} · open until {when(change.expires_ms)}"
    )
    return Wait(text, Tone.WARN, key)
