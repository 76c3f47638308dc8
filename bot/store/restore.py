"""Putting a backup back: what was there is set aside, nothing is thrown away, and the record says so (R39, R41).

The new database is made whole beside the old one: a record ``restore`` follows the backup's last record, and a signed
checkpoint of the kind ``restore`` states that. Only then do the files change places. A crash in between leaves a folder
that the next start refuses, and in which a restore can be done again.

What the backup still held open is closed: buttons, cases that wait, letters that may have been sent since. Nobody's old
approval takes effect a second time.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from sqlite3 import Connection

from bot.errors import Broken, Refused
from bot.store import audit, backups, cases, checkpoints, connection, epochs, health, migrations
from bot.store.audit import AuditRecord
from bot.store.case import State
from bot.store.checkpoints import Checkpoint
from bot.store.leader import Leadership
from bot.store.signing import Signer
from bot.store.tx import Tx

GAP = 1_000
"""Ids that are skipped when it cannot be read how far they had come: none is given twice."""
_OURS = ("sendcat.db", "sendcat.db-wal", "sendcat.db-shm")


@dataclass(frozen=True)
class Restored:
    """What came of it. ``records`` of the backup are in force; ``seq`` is the record that tells of the restore."""

    backup: str
    records: int
    seq: int
    set_aside: Path | None
    former: int | None
    """Records of the database that was set aside; None where it could not be read."""
    anchored: int
    """Records that anchors had vouched for before."""


def restore(
    leadership: Leadership,
    backup: Path,
    *,
    now_ms: int,
    by: Callable[[dict[str, str | int]], AuditRecord],
    told: Callable[[Tx, Checkpoint, Signer], None],
) -> Restored:
    """Put a backup in the place of the database. The caller leads the folder, so no bot runs on it.

    ``by`` makes the record from its detail; ``told`` may post the checkpoint in the same transaction. Raises `Refused`
    when the backup is damaged, altered, or of another trail, `Broken` when the disk or the key refuses; nothing has
    changed then.
    """
    state_dir = leadership.state_dir
    if wrong := backups.whole(backup):
        raise Refused(
            f"This backup cannot be put back: {wrong}", rule="nothing is recreated (R41)", then="another backup"
        )
    held = backups.look(backup)
    lines = checkpoints.in_force(state_dir)
    _belongs(backup, held.records, lines)
    former, counters = _present(state_dir / connection.FILE)
    signer = Signer.load(state_dir, fresh=not lines and not checkpoints.filed(state_dir))
    stamp = backup.stem.removeprefix("sendcat-")
    draft = state_dir / f".restore-{now_ms}.db"
    detail: dict[str, str | int] = {
        "backup": backup.name,
        "sha256": backups.digest(backup),
        "records": held.records,
        "former_records": -1 if former is None else former,
        "anchored_records": max((line.size for line in lines), default=0),
    }
    try:
        draft.write_bytes(b"")
        draft.chmod(0o600)
        with closing(backups.open_(backup)) as from_, closing(sqlite3.connect(draft)) as to:
            from_.backup(to)
        made, epoch = _rewrite(draft, leadership.epoch, now_ms, by(detail), told, signer, lines, counters)
        checkpoints.append(state_dir, (made.line,))
        aside = _set_aside(state_dir, f"{stamp}-{now_ms}")
        os.rename(draft, state_dir / connection.FILE)
        backups.sync(state_dir)
    except (sqlite3.Error, OSError) as error:
        raise Broken(f"The backup cannot be put back: {error}.", then="sendcat audit restore") from error
    finally:
        for name in (draft, *(draft.with_name(draft.name + end) for end in ("-wal", "-shm", "-journal"))):
            name.unlink(missing_ok=True)
    leadership.remember(epoch)
    if wrong := health.damage(state_dir / connection.FILE, epoch):
        raise Broken(f"Put back, but: {wrong}", then="sendcat audit restore, with another backup")
    return Restored(backup.name, held.records, made.size, aside, former, max((line.size for line in lines), default=0))


def _belongs(backup: Path, records: int, lines: tuple[checkpoints.Filed, ...]) -> None:
    """Everything that was anchored within the backup must be in it just so."""
    with closing(backups.open_(backup)) as conn:
        for line in lines:
            if line.size > records:
                continue
            row = conn.execute("SELECT hash FROM audit WHERE seq = ?", (line.size,)).fetchone()
            if row is None or row[0] != line.head:
                raise Refused(
                    f"Record {line.size} of this backup is not the one that was anchored: it was altered, or it is of "
                    "another trail.",
                    rule="a record that was anchored is never replaced (R39)",
                    then="sendcat audit restore, with another backup",
                )


def _present(path: Path) -> tuple[int | None, dict[str, int]]:
    """Records and counters of the database that is there now, as far as it can be read."""
    try:
        with closing(connection.reader(path)) as conn:
            return audit.head(conn)[0], dict(conn.execute("SELECT name, last FROM counters"))
    except (sqlite3.Error, Broken):
        return None, {}


def _rewrite(
    draft: Path,
    known_epoch: int,
    now_ms: int,
    record: AuditRecord,
    told: Callable[[Tx, Checkpoint, Signer], None],
    signer: Signer,
    lines: tuple[checkpoints.Filed, ...],
    counters: dict[str, int],
) -> tuple[Checkpoint, int]:
    db = connection.writer(draft)
    try:
        migrations.apply(db)
        epoch = max(epochs.newest(db), known_epoch) + 1
        tx = Tx(db, now_ms, epoch)
        db.execute("BEGIN IMMEDIATE")
        epochs.begin(tx)
        audit.append(tx, record)
        made = checkpoints.make(
            tx,
            signer,
            "a backup was put back",
            kind="restore",
            after_ms=max((line.at_ms for line in lines), default=-1),
        )
        assert made is not None
        told(tx, made, signer)
        _close_what_was_open(tx)
        _skip_ids(db, counters)
        epochs.end(tx, clean=True)
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        db.execute("PRAGMA journal_mode = DELETE").fetchall()
    finally:
        db.close()
    backups.sync(draft)
    return made, epoch


def _close_what_was_open(tx: Tx) -> None:
    """What stood open when the backup was made may have been answered, sent or done since."""
    why = "a backup was put back"
    tx.db.execute(
        "UPDATE offers SET superseded_ms = ?, reason = ? WHERE decision AND used_ms IS NULL AND superseded_ms IS NULL",
        (tx.now_ms, f"{why}; ask for it again"),
    )
    tx.db.execute(
        "UPDATE outbox SET state = 'failed', reason = ? "
        "WHERE state IN ('due', 'sending', 'unclear') AND key NOT LIKE 'anchor:%'",
        (why,),
    )
    # What had not begun is interrupted at the next start like what was running: it may have run since.
    tx.db.execute("UPDATE ops SET state = 'running', started_ms = ? WHERE state = 'accepted'", (tx.now_ms,))
    for (name,) in tx.db.execute("SELECT id FROM cases WHERE void_ms IS NULL").fetchall():
        case = cases.look(tx.db, name)
        if case and case.standing(tx.now_ms) in (State.WAITING, State.WAIVED, State.BLOCKED, State.APPROVED):
            cases.void(tx, name, f"{why}; run it again")


def _skip_ids(db: Connection, counters: dict[str, int]) -> None:
    """No id that people have seen is given again."""
    for name, last in db.execute("SELECT name, last FROM counters").fetchall():
        db.execute("UPDATE counters SET last = ? WHERE name = ?", (max(last, counters.get(name, last + GAP)), name))
    for name, last in counters.items():
        db.execute("INSERT INTO counters (name, last) VALUES (?, ?) ON CONFLICT DO NOTHING", (name, last))


def _set_aside(state_dir: Path, stamp: str) -> Path | None:
    present = [state_dir / name for name in _OURS if (state_dir / name).exists()]
    if not present:
        return None
    aside = state_dir / f"set-aside-{stamp}"
    aside.mkdir(mode=0o700)
    for path in present:
        os.rename(path, aside / path.name)
    backups.sync(state_dir)
    return aside
