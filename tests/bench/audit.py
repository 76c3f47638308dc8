"""The audit trail at a million records: what a search costs, and what the verifier costs at a hundred thousand."""

from __future__ import annotations

import hashlib
import json
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import bot.verify
from bot.audit.criteria import Wish, wanted
from bot.config import build
from bot.store import audit_search, audit_tables, connection, migrations
from tests.bench.figure import Figure, quantile

RECORDS = 1_000_000
VERIFIED = 100_000
MORNING_MS = 1_790_000_000_000
KNOBS = [f"BULKHEAD_{n}_MAX_CONCURRENT" for n in range(40)]
PEOPLE = ("oncall", "relmgr", "lead", "ann", "ben", "cem", "dee")
ACTIONS = (
    ("drill", 30),
    ("triage", 25),
    ("read", 20),
    ("tune", 12),
    ("tune.approve", 5),
    ("gate.decide", 5),
    ("pause", 3),
)
WISHES = (
    Wish(),
    Wish(person="oncall"),
    Wish(person="dee", since="30d"),
    Wish(knob=KNOBS[7]),
    Wish(knob=KNOBS[3], person="ben"),
    Wish(action="tune.approve"),
    Wish(action="tune", outcome="FAIL", on="production"),
    Wish(action="pause", person="cem"),
    Wish(object="c-4711"),
    Wish(object="r-77777"),
    Wish(words="spike"),
    Wish(words="spike noon", person="lead"),
    Wish(since="90d", until="60d"),
    Wish(outcome="FAIL"),
    Wish(words="rare-word"),
)


def records(count: int, seed: int = 1) -> Iterator[tuple[int, str, str, str]]:
    """A chain as the product writes it, without asking the product for each of its records."""
    chance = random.Random(seed)
    before = "0" * 64
    actions = [action for action, weight in ACTIONS for _ in range(weight)]
    for seq in range(1, count + 1):
        action, person = chance.choice(actions), chance.choice(PEOPLE)
        body: dict[str, object] = {
            "action": action,
            "actor": f"slack:U0{person.upper()}",
            "at_ms": MORNING_MS + seq * 15_000,
            "detail": {},
            "door": "slack",
            "epoch": 1,
            "object": f"{action} --quick=true r-{seq}",
            "op": f"r-{seq}",
            "outcome": chance.choice(("PASS", "PASS", "PASS", "done", "FAIL")),
            "person": person,
            "phase": ("intent", "result")[seq % 2],
            "seq": seq,
            "target": ("production", "candidate")[seq % 3 == 0],
            "v": 1,
        }
        if action.startswith("tune"):
            knob = chance.choice(KNOBS)
            body |= {"detail": {"knobs": {knob: {"after": 28}}}, "object": f"c-{seq // 100} {knob} 24 → 28"}
        if seq % 50 == 0:
            body["why"] = "traffic spike at noon" if seq % 100 else "rare-word" if seq % 250_000 == 0 else "spike"
        text = json.dumps(body, ensure_ascii=False, separators=(",", ":"), sort_keys=True)
        digest = hashlib.sha256(b"sendcat audit record v1\x00" + bytes.fromhex(before) + text.encode()).hexdigest()
        yield seq, before, digest, text
        before = digest


def fill(path: Path, count: int) -> None:
    """A whole database of so many records. What the triggers would write row by row is written at once, in order."""
    db = connection.writer(path)
    db.execute("PRAGMA synchronous = OFF")
    db.execute("PRAGMA cache_size = -400000")
    migrations.apply(db)
    later = dict(
        db.execute(
            "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'audit' AND sql IS NOT NULL "
            "AND (type = 'index' OR name = 'audit_indexed')"
        )
    )
    db.execute("BEGIN")
    for name in later:
        db.execute(f"DROP {'TRIGGER' if name == 'audit_indexed' else 'INDEX'} {name}")
    db.executemany("INSERT INTO audit (seq, prev_hash, hash, body) VALUES (?, ?, ?, ?)", records(count))
    into, _, words = audit_tables.WORDS[2].partition("(word, seq)")
    db.execute(f"{into} (word, seq) SELECT * FROM ({words}) ORDER BY 1, 2")
    db.execute("INSERT INTO audit_hours SELECT at_ms / 3600000, min(seq), max(seq) FROM audit GROUP BY 1")
    for sql in later.values():
        db.execute(sql)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    db.close()


def searched(path: Path, count: int, rounds: int) -> list[float]:
    """Milliseconds of every search and of the pages after it, on a reader's connection as the product's."""
    config = build({"people": {name: {"slack": [f"U0{name.upper()}"]} for name in PEOPLE}})
    now_ms = MORNING_MS + count * 15_000
    db = connection.reader(path)
    took = []
    for _ in range(rounds):
        for wish in WISHES:
            look, before = wanted(wish, config, now_ms), None
            for _ in range(3):
                began = time.perf_counter()
                page = audit_search.search(db, look, before=before)
                took.append((time.perf_counter() - began) * 1000)
                before = page.older
                if before is None:
                    break
    db.close()
    return took


def offset_paged(path: Path) -> list[float]:
    """The peer: a late page the usual way."""
    db = connection.reader(path)
    took = []
    for _ in range(5):
        began = time.perf_counter()
        db.execute(
            "SELECT seq, body FROM audit WHERE person = 'oncall' ORDER BY seq DESC LIMIT 10 OFFSET 50000"
        ).fetchall()
        took.append((time.perf_counter() - began) * 1000)
    db.close()
    return took


def verified(path: Path) -> float:
    """Seconds of the verifier's own process, start-up included."""
    began = time.perf_counter()
    done = subprocess.run([sys.executable, bot.verify.__file__, str(path)], stdout=subprocess.PIPE, check=False)
    assert done.returncode == 3, done.stdout  # whole, and anchored by nothing
    return time.perf_counter() - began


def hashed(path: Path) -> float:
    """The peer: read and hash the same texts, and check nothing."""
    began = time.perf_counter()
    with sqlite3.connect(path) as db:
        for (text,) in db.execute("SELECT body FROM audit ORDER BY seq"):
            hashlib.sha256(text.encode()).digest()
    db.close()
    return time.perf_counter() - began


def measure(count: int = RECORDS, verify_count: int = VERIFIED) -> list[Figure]:
    with tempfile.TemporaryDirectory() as name:
        large, small = Path(name) / "large.db", Path(name) / "small.db"
        fill(large, count)
        took = searched(large, count, rounds=5)
        peer = offset_paged(large)
        fill(small, verify_count)
        checks, plain = [], []
        for _ in range(5):
            checks.append(verified(small))
            plain.append(hashed(small))
    return [
        Figure(
            f"audit search, p95, {count:,} records",
            "ms",
            [quantile(took, 0.95)],
            50,
            peer="a page by OFFSET 50,000",
            peer_values=peer,
        ),
        Figure(f"audit search, worst, {count:,} records", "ms", [max(took)], 300),
        Figure(f"verify {verify_count:,} records", "s", checks, 2.0, peer="read and hash", peer_values=plain),
    ]


if __name__ == "__main__":
    for figure in measure(*(int(word) for word in sys.argv[1:])):
        sys.stdout.write(json.dumps(figure.to_json(), indent=2) + "\n")
