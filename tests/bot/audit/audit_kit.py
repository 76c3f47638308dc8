"""A trail with anchors, and hands that alter it, for the tests of the verifier."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bot import verify
from bot.store import audit, checkpoints, connection, epochs, migrations
from bot.store.signing import Signer
from bot.store.tx import Tx

MORNING_MS = 1_790_000_000_000
DOMAIN = b"sendcat audit record v1\x00"

Row = tuple[Any, Any, Any, Any]
Alteration = Callable[[list[Row], random.Random], list[Row]]


@dataclass
class Trail:
    """A database written by the product's own hands, with its signer and its anchor file."""

    folder: Path
    tx: Tx
    signer: Signer

    @classmethod
    def make(cls, folder: Path) -> Trail:
        folder.mkdir(parents=True, exist_ok=True)
        db = connection.writer(folder / "sendcat.db")
        db.execute("PRAGMA synchronous = OFF")
        migrations.apply(db)
        tx = Tx(db, MORNING_MS, 1)
        epochs.begin(tx)
        return cls(folder, tx, Signer.load(folder, fresh=True))

    def write(self, records: int, *, anchor: bool = False) -> None:
        """Append records of different kinds, and anchor them when asked."""
        first = audit.head(self.tx.db)[0]
        self.tx.db.execute("BEGIN")
        for n in range(first + 1, first + records + 1):
            tx = Tx(self.tx.db, MORNING_MS + n * 1000, 1)
            audit.append(tx, record(n))
        self.tx.db.execute("COMMIT")
        if anchor:
            self.anchor()

    def anchor(self, kind: checkpoints.Kind = "checkpoint") -> None:
        made = checkpoints.make(self.tx, self.signer, "test", kind=kind)
        if made is not None:
            checkpoints.append(self.folder, (made.line,))

    @property
    def rows(self) -> list[Row]:
        return [(r.seq, r.prev_hash, r.hash, r.body) for r in audit.rows(self.tx.db, limit=10**9)]

    @property
    def anchors(self) -> list[verify.Anchor]:
        found, problems = verify.read_anchors((self.folder / checkpoints.FILE).read_text(), self.signer.public)
        assert problems == []
        return found

    def close(self) -> None:
        self.tx.db.close()


def record(n: int) -> audit.AuditRecord:
    return audit.AuditRecord.model_validate(
        {
            "phase": ("intent", "result", "decision", "refusal", "system")[n % 5],
            "action": ("drill", "tune", "gate.decide", "audit", "start")[n % 5],
            "actor": f"slack:U{n % 7}",
            "person": ("oncall", "relmgr", "lead", None)[n % 4],
            "door": "slack",
            "object": f"drill --quick=true r-{n}",
            "target": ("production", "candidate")[n % 2],
            "outcome": "PASS",
            "detail": {"n": n, "text": "x" * (n % 40)},
        }
    )


def linked(rows: list[Row], first: int = 0) -> list[Row]:
    """Make numbers, links and hashes fit again from a place on: what somebody who knows the formula would do."""
    before = rows[first - 1][2] if first else "0" * 64
    whole = rows[:first]
    for seq, (_, _, _, body) in enumerate(rows[first:], first + 1):
        told = json.loads(body) | {"seq": seq}
        text = json.dumps(told, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        digest = hashlib.sha256(DOMAIN + bytes.fromhex(before) + text.encode()).hexdigest()
        whole.append((seq, before, digest, text))
        before = digest
    return whole


def edit(rows: list[Row], random: random.Random) -> list[Row]:
    """One sign of a text becomes another."""
    at = random.randrange(len(rows))
    seq, prev, digest, body = rows[at]
    place = random.randrange(len(body))
    sign = random.choice([c for c in 'abc123 {}"\\' if c != body[place]])
    return [*rows[:at], (seq, prev, digest, body[:place] + sign + body[place + 1 :]), *rows[at + 1 :]]


def edit_hash(rows: list[Row], random: random.Random) -> list[Row]:
    at, which = random.randrange(len(rows)), random.choice([1, 2])
    row = list(rows[at])
    place = random.randrange(64)
    row[which] = (
        row[which][:place]
        + random.choice([c for c in "0123456789abcdef" if c != row[which][place]])
        + row[which][place + 1 :]
    )
    return [*rows[:at], (row[0], row[1], row[2], row[3]), *rows[at + 1 :]]


def edit_and_rehash(rows: list[Row], random: random.Random) -> list[Row]:
    """A record says something else, and its own hash fits."""
    at = random.randrange(len(rows))
    seq, prev, _, body = rows[at]
    text = json.dumps(json.loads(body) | {"person": "nobody"}, sort_keys=True, separators=(",", ":"))
    digest = hashlib.sha256(DOMAIN + bytes.fromhex(prev) + text.encode()).hexdigest()
    return [*rows[:at], (seq, prev, digest, text), *rows[at + 1 :]]


def edit_and_relink(rows: list[Row], random: random.Random) -> list[Row]:
    """A record says something else, and the whole rest of the chain is written anew."""
    at = random.randrange(len(rows))
    seq, prev, digest, body = rows[at]
    return linked([*rows[:at], (seq, prev, digest, body.replace('"PASS"', '"FAIL"')), *rows[at + 1 :]], at)


def insert(rows: list[Row], random: random.Random) -> list[Row]:
    at = random.randrange(len(rows))
    return [*rows[: at + 1], rows[at], *rows[at + 1 :]]


def insert_and_relink(rows: list[Row], random: random.Random) -> list[Row]:
    at = random.randrange(len(rows))
    return linked([*rows[:at], rows[random.randrange(len(rows))], *rows[at:]], at)


def delete(rows: list[Row], random: random.Random) -> list[Row]:
    at = random.randrange(len(rows))
    return [*rows[:at], *rows[at + 1 :]]


def delete_and_relink(rows: list[Row], random: random.Random) -> list[Row]:
    at = random.randrange(len(rows) - 1)
    return linked([*rows[:at], *rows[at + 1 :]], at)


def reorder(rows: list[Row], random: random.Random) -> list[Row]:
    one, two = sorted(random.sample(range(len(rows)), 2))
    return [*rows[:one], rows[two], *rows[one + 1 : two], rows[one], *rows[two + 1 :]]


def reorder_and_relink(rows: list[Row], random: random.Random) -> list[Row]:
    return linked(reorder(rows, random))


def truncate(rows: list[Row], random: random.Random) -> list[Row]:
    """Also an older file put back: that is the trail as it was then."""
    return rows[: random.randrange(len(rows))]


ALTERATIONS: tuple[Alteration, ...] = (
    edit,
    edit_hash,
    edit_and_rehash,
    edit_and_relink,
    insert,
    insert_and_relink,
    delete,
    delete_and_relink,
    reorder,
    reorder_and_relink,
    truncate,
)


def first_difference(before: list[Row], after: list[Row]) -> int:
    """The number of the first record that is not what it was."""
    for at, (one, two) in enumerate(zip(before, after, strict=False), 1):
        if one != two:
            return at
    return min(len(before), len(after)) + 1
