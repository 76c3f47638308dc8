"""``audit restore`` at a terminal, with no bot running: who may, what is there, and putting it back (R41).

It cannot go through a bot: the database that a bot would write its record into is the one that is replaced. So the
terminal takes the leader's lock itself, and the restore is the first thing that the restored trail tells.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.audit import verifier
from bot.authority import LOCAL, decide, resolve
from bot.card import Card, Cell, Table, Tone, when
from bot.command import Actor, Door, Outcome, Place
from bot.errors import Broken, Refused
from bot.notary import anchor_card
from bot.redact import inert
from bot.run import done
from bot.store import backups, outbox
from bot.store.audit import AuditRecord
from bot.store.leader import Leadership
from bot.store.restore import restore

if TYPE_CHECKING:
    from pathlib import Path

    from bot.command import Offline
    from bot.store.checkpoints import Checkpoint
    from bot.store.signing import Signer
    from bot.store.tx import Tx

ACTION = "restore"


def carry_out(place: Offline, name: str, why: str) -> Outcome:
    """List the backups, or put one back. Raises `Refused`, `Broken`, or `Busy` while a bot leads."""
    if place.state_dir is None:
        raise Broken("There is no configuration here.", then="--config=FILE, or --target=practice")
    person = _allowed(place)
    if not name:
        return listing(place.state_dir)
    backup = backups.named(place.state_dir, name)
    leadership = Leadership.acquire(place.state_dir)
    try:
        checked = verifier.run(backup, None, backup)
        if checked.status == 1:
            raise Refused(
                f"{backup.name} does not hold together: {inert(checked.sentence)}",
                rule="what was altered is not put back (R39)",
                then="sendcat audit restore, with another backup",
            )
        channel = place.config.slack.anchor_channel if place.config is not None else None

        def told(tx: Tx, made: Checkpoint, signer: Signer) -> None:
            if channel is not None:
                card = anchor_card(made, signer)
                outbox.put(tx, f"anchor:{made.n}", channel=channel, kind="card", card=card, final=True)

        def record(detail: dict[str, str | int]) -> AuditRecord:
            return AuditRecord(
                phase="result",
                action=ACTION,
                actor=place.account,
                person=person,
                door="terminal",
                object=backup.name,
                outcome="restored",
                why=inert(why) or None,
                authority="admin, at the terminal, with no bot running (R41)",
                detail=detail,
            )

        found = restore(leadership, backup, now_ms=place.now_ms, by=record, told=told)
    finally:
        leadership.release()
    lost = max(0, (found.former if found.former is not None else found.anchored) - found.records)
    card = Card(
        title=f"RESTORED {found.backup}: {found.records} records are in force",
        tone=Tone.WARN,
        lead=f"Record {found.seq} tells of it, and a signed anchor of the kind restore vouches for that. "
        f"{lost} newer record{'' if lost == 1 else 's'} of the former trail "
        f"{'is' if lost == 1 else 'are'} not in force any more.",
        sections=(
            f"Nothing was thrown away: the former files are in `{found.set_aside.name}`."
            if found.set_aside
            else "There was no database to set aside.",
            "Buttons, waiting cases and unsent messages of the backup are closed: they may have been answered since.",
        ),
        next="sendcat serve; then sendcat audit verify, and sendcat audit reconcile for what Sendcat's knobs are now",
        final=True,
    )
    return done(
        card,
        backup=found.backup,
        records=found.records,
        seq=found.seq,
        former=found.former,
        setAside=str(found.set_aside) if found.set_aside else None,
    )


def listing(state_dir: Path) -> Outcome:
    """The backups, newest first, with what each holds."""
    found = []
    for path in backups.listing(state_dir)[:20]:
        try:
            found.append(backups.look(path))
        except Broken:
            found.append(backups.Backup(path.name, path, 0, path.stat().st_size, -1, ""))
    rows = tuple(
        (
            Cell(text=one.name),
            Cell(
                text=str(one.records) if one.records >= 0 else "unreadable", tone=Tone.PLAIN if one.head else Tone.BAD
            ),
            Cell(text=f"{one.size / 1e6:.1f} MB"),
        )
        for one in found
    )
    card = Card(
        title=f"{len(rows)} backup{'' if len(rows) == 1 else 's'}",
        lead=f"The newest was made {when(found[0].at_ms)}." if found else "None was made yet: sendcat audit backup.",
        table=Table(columns=("Backup", "Records", "Size"), rows=rows) if rows else None,
        next=f"end the bot, then: sendcat audit restore {rows[0][0].text}" if rows else "",
        final=True,
    )
    return done(card, backups=[{"name": one.name, "records": one.records, "atMs": one.at_ms} for one in found])


def _allowed(place: Offline) -> str | None:
    """The person who may; raises `Refused` with the row of the table. A practice folder is its owner's."""
    if place.config is None:
        return None
    who = resolve(place.config, Actor(door=Door.TERMINAL, account=place.account), LOCAL)
    decision = decide(ACTION, who, Place(kind="terminal"), listed=frozenset(), incident=frozenset())
    if not decision.allowed:
        raise Refused(decision.reason, rule="admins restore (INTERFACES.md, section 3)", then=decision.then)
    return who.person
