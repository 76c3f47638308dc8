"""Reminders: into the incident's thread, to the person who owns them, and only while there is something to remind of.

``update`` speaks up when nobody has written for a while; the items of the checklist when their due time has passed.
A tick looks what is due; `bot.store.reminders` sees to it that no slot has two effects (safety.md, R30). After three
messages the escalation channel hears of it once (ux.md, 5).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from itertools import groupby

from bot.card import Button, Card, Tone, when, who
from bot.incidents import board, live
from bot.incidents.items import LABELS
from bot.store import checklist, incidents, offers, outbox, reminders
from bot.store.incidents import Incident
from bot.store.reminders import AT_MOST, Reminder
from bot.store.tx import Tx

UPDATE = "update"
UPDATE_MS = 30 * 60_000
"""No update for this long is worth a word (ux.md, rule 11)."""
ITEM_MS = 24 * 3_600_000
"""An item that is past its due time is mentioned once a day."""
DUE_MS = 24 * 3_600_000
"""An item is due a day after the checklist was begun."""


def begin_updates(tx: Tx, incident: Incident) -> None:
    """Begin, or begin anew after somebody wrote: quiet for half an hour."""
    reminders.begin(tx, incident.id, UPDATE, owner=incident.owner, base_ms=tx.now_ms + UPDATE_MS, every_ms=UPDATE_MS)


def begin_items(tx: Tx, incident: Incident) -> None:
    """A reminder for each open item, to its owner, from its due time; none for the others."""
    standing = {reminder.about: reminder for reminder in reminders.of(tx.db, incident.id)}
    for item in checklist.items(tx.db, incident.id):
        known = standing.get(item.key)
        if not item.open:
            reminders.end(tx, incident.id, item.key)
            continue
        owner = item.owner or incident.owner
        if known is not None and known.ended_ms is None and known.owner == owner:
            continue
        base_ms = max(item.due_ms or 0, tx.now_ms)
        reminders.begin(tx, incident.id, item.key, owner=owner, base_ms=base_ms, every_ms=ITEM_MS)


def tick(tx: Tx, escalation: str | None) -> int:
    """Say what is due, one message for each person and incident; returns how many messages were written."""
    said = 0
    due = reminders.due(tx.db, tx.now_ms)
    for (incident_id, _), group in groupby(sorted(due, key=_whose), key=_whose):
        incident = incidents.get(tx.db, incident_id)
        if incident is None or not incident.open:
            reminders.end(tx, incident_id)
            continue
        taken = [reminder for reminder in group if _stands(tx, reminder) and reminders.take(tx, reminder, tx.now_ms)]
        if not taken or incident.channel is None:
            continue
        unheard = [reminder for reminder in taken if reminder.sent >= AT_MOST]
        usual = [reminder for reminder in taken if reminder.sent < AT_MOST]
        if usual:
            said += _say(tx, incident, usual)
        if unheard and escalation is not None:
            said += _raise(tx, incident, unheard, escalation)
    return said


def _whose(reminder: Reminder) -> tuple[str, str]:
    return reminder.incident, reminder.owner


def _stands(tx: Tx, reminder: Reminder) -> bool:
    """Whether there still is something to remind of; a reminder whose reason is gone ends by itself."""
    if reminder.about == UPDATE:
        return True
    items = {item.key: item for item in checklist.items(tx.db, reminder.incident)}
    item = items.get(reminder.about)
    if item is not None and item.open:
        return True
    reminders.end(tx, reminder.incident, reminder.about)
    return False


def words(incident: Incident, about: Collection[str], since_ms: int) -> str:
    """What is reminded of, in one sentence."""
    items = [LABELS.get(name, name) for name in about if name != UPDATE]
    parts = [f"no update since {when(since_ms)}"] if UPDATE in about else []
    if items:
        parts.append(f"open on the checklist: {', '.join(items)}")
    return f"{incident.id}: {'; '.join(parts)}"


def card(incident: Incident, due: Sequence[Reminder], since_ms: int) -> Card:
    """What one person is reminded of; ``since_ms`` is when somebody wrote last."""
    about = [reminder.about for reminder in due]
    owner = due[0].owner
    return Card(
        title=f"Reminder: {incident.id} waits for you",
        tone=Tone.RUNNING,
        lead=f"{who(owner)}: {words(incident, about, since_ms)}.",
        next="add a note, answer the item, or snooze" if UPDATE in about else "answer it, or say why it is not needed",
        buttons=(
            Button(label="Snooze 1 h", line=f"checklist snooze {incident.id} --minutes=60", name="checklist.snooze"),
            Button(label="Open", line=f"checklist {incident.id}", name="checklist.open")
            if UPDATE not in about
            else live.note_button(incident.id),
        ),
        footer=f"reminder {due[0].sent + 1} of {AT_MOST}",
        final=True,
    )


def raised(incident: Incident, due: Sequence[Reminder], since_ms: int) -> Card:
    """What the escalation channel hears once, after which this reminder is quiet until something changes."""
    about = [reminder.about for reminder in due]
    return Card(
        title=f"No answer on {incident.id} after {AT_MOST} reminders",
        tone=Tone.WARN,
        lead=f"{words(incident, about, since_ms)}. Owner: {who(due[0].owner)}.",
        next=f"somebody takes it over: /sendcat incident handoff --incident={incident.id}",
        final=True,
    )


def _say(tx: Tx, incident: Incident, due: list[Reminder]) -> int:
    said = card(incident, due, _since(tx, incident))
    _post(tx, incident, _key(due[0], tx.now_ms), said, _thread(tx, incident, [reminder.about for reminder in due]))
    return 1


def _raise(tx: Tx, incident: Incident, due: list[Reminder], channel: str) -> int:
    minted = offers.mint(tx, raised(incident, due, _since(tx, incident)), None, channel)
    outbox.put(tx, f"{_key(due[0], tx.now_ms)}:raised", channel=channel, kind="card", card=minted)
    return 1


def _since(tx: Tx, incident: Incident) -> int:
    return incidents.last_word_ms(tx.db, incident.id) or incident.opened_ms


def _key(reminder: Reminder, now_ms: int) -> str:
    return f"{reminder.schedule}:{reminder.slot(now_ms)}"


def _thread(tx: Tx, incident: Incident, about: Collection[str]) -> str:
    """The thread of the checklist's card for its items, of the live card for the rest."""
    wanted = live.key(incident.id) if UPDATE in about else board.key(incident.id)
    return wanted if outbox.by_key(tx.db, wanted) is not None else live.key(incident.id)


def _post(tx: Tx, incident: Incident, key: str, card: Card, thread_of: str) -> None:
    assert incident.channel is not None
    minted = offers.mint(tx, card, None, incident.channel)
    outbox.put(tx, key, channel=incident.channel, kind="reply", card=minted, thread_of=thread_of)
