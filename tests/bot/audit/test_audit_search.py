"""Searching the record: every wish, page by page, at a bounded cost; and one change told as a story."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from audit_kit import MORNING_MS, Trail

from bot.audit.criteria import Wish, moment, wanted
from bot.config import Config, build
from bot.errors import Unknown
from bot.store import audit, audit_search
from bot.store.audit_search import Hit, Source, Wanted
from bot.store.tx import Tx

CONFIG: Config = build({"people": {"oncall": {"slack": ["U0ONCALL"], "os": ["ann"]}}})
NOW = MORNING_MS + 10 * 86_400_000


def put(trail: Trail, at_ms: int, **fields: object) -> int:
    record = {"phase": "result", "action": "tune", "actor": "slack:U0ONCALL", "door": "slack"} | fields
    return audit.append(Tx(trail.tx.db, at_ms, 1), audit.AuditRecord.model_validate(record))


@pytest.fixture(scope="module")
def trail(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trail]:
    """Four hundred records of many kinds, an hour apart, the last ones about a change."""
    made = Trail.make(tmp_path_factory.mktemp("trail") / "state")
    chance = random.Random(7)
    made.tx.db.execute("BEGIN")
    for n in range(400):
        put(
            made,
            MORNING_MS + n * 3_600_000,
            action=chance.choice(["drill", "tune", "tune.approve", "gate.decide", "pause"]),
            actor=chance.choice(["slack:U0ONCALL", "os:ann", "slack:U0LEAD", "system"]),
            person=chance.choice(["oncall", "lead", None]),
            phase=chance.choice(["intent", "result", "decision"]),
            object=chance.choice([f"c-{n} BULKHEAD_X_MAX 24 → 28", f"drill --quick=true r-{n}", "g-7 2026.11"]),
            target=chance.choice(["production", "candidate", None]),
            outcome=chance.choice(["PASS", "FAIL", "kept", None]),
            op=chance.choice([f"r-{n:04d}".replace("0", "x").replace("1", "y"), None]),
            why=chance.choice(["Traffic SPIKE at noon", 'he said "stop": now', None]),
            detail=chance.choice([{}, {"knobs": {"RATE_LIMIT_A": {"after": 3}}}, {"knobs": ["RATE_LIMIT_B"]}]),
        )
    made.tx.db.execute("COMMIT")
    yield made
    made.close()


def plain(hit: Hit, wish: Wish) -> bool:
    """The same search, written down a second time as a look at every record."""
    words = " ".join((hit.object, hit.outcome, hit.why, *hit.detail.get("knobs", ()))).lower()
    for sign in ",=;:()\"'":
        words = words.replace(sign, " ")
    known = set(words.split())
    people = {"oncall": {"slack:U0ONCALL", "os:ann"}}.get(wish.person, {wish.person})
    return all(
        (
            not wish.person or hit.person == wish.person or hit.actor in people,
            not wish.action or hit.action == wish.action or hit.action.startswith(f"{wish.action}."),
            not wish.knob or wish.knob.lower() in known,
            not wish.on or hit.target == wish.on,
            not wish.outcome or hit.outcome == wish.outcome or wish.outcome.lower() in known,
            not wish.object or wish.object.lower() in known or hit.op == wish.object,
            all(word.lower() in known for word in wish.words.split()),
            not wish.since or hit.at_ms >= (moment(wish.since, NOW, "since") or 0),
            not wish.until or hit.at_ms <= (moment(wish.until, NOW, "until", end=True) or 0),
        )
    )


WISHES = [
    Wish(),
    Wish(person="oncall"),
    Wish(person="lead", action="tune"),
    Wish(person="slack:U0LEAD"),
    Wish(action="tune"),
    Wish(action="tune", outcome="FAIL", on="production"),
    Wish(knob="RATE_LIMIT_A"),
    Wish(knob="rate_limit_b", person="oncall"),
    Wish(object="g-7"),
    Wish(words="spike noon"),
    Wish(words="STOP", outcome="kept"),
    Wish(since="3d"),
    Wish(since="2026-09-25", until="2026-09-26"),
    Wish(action="pause", since="200h", until="100h"),
    Wish(outcome="nothing ends so"),
]


@pytest.mark.parametrize("wish", WISHES, ids=str)
def test_a_search_finds_what_a_look_at_every_record_finds(trail: Trail, wish: Wish) -> None:
    """Newest first, each record once, over all pages of any size."""
    every = audit_search.hits(trail.tx.db, range(400, 0, -1))
    expected = [hit.seq for hit in every if plain(hit, wish)]
    look = wanted(wish, CONFIG, NOW)
    for limit in (1, 7, 100):
        found: list[int] = []
        before: int | None = None
        for _ in range(500):
            page = audit_search.search(trail.tx.db, look, before=before, limit=limit)
            assert len(page.hits) <= limit
            found += [hit.seq for hit in page.hits]
            before = page.older
            if before is None:
                break
        assert found == expected


def test_a_page_does_not_shift_when_records_are_added(tmp_path: Path) -> None:
    """Keyset, not offset: Older continues where the page ended, whatever was written meanwhile."""
    trail = Trail.make(tmp_path / "state")
    trail.write(30)
    first = audit_search.search(trail.tx.db, Wanted(), limit=10)
    trail.write(50)
    second = audit_search.search(trail.tx.db, Wanted(), before=first.older, limit=10)

    assert [hit.seq for hit in (*first.hits, *second.hits)] == list(range(30, 10, -1))
    trail.close()


def test_where_little_fits_a_page_says_how_far_it_looked(tmp_path: Path) -> None:
    """Two frequent wishes that never hold together: bounded work, an honest page, and Older comes to the end."""
    trail = Trail.make(tmp_path / "state")
    trail.write(300)
    look = Wanted(((Source("action", "drill"),), (Source("actor", "slack:U1"),), (Source("action", "tune"),)))
    before, pages = None, 0
    while True:
        page = audit_search.search(trail.tx.db, look, before=before, slices=(20, 20))
        pages += 1
        assert page.hits == ()
        if page.older is None:
            break
        assert page.cut
        assert before is None or page.older < before
        before = page.older
    assert 2 <= pages <= 10
    trail.close()


@pytest.mark.parametrize(
    ("wish", "field"),
    [(Wish(since="soon"), "since"), (Wish(until="7 x"), "until"), (Wish(since="1d", until="2d"), "since")],
)
def test_a_time_that_is_none_is_told_at_its_question(wish: Wish, field: str) -> None:
    with pytest.raises(Unknown) as told:
        wanted(wish, CONFIG, NOW)
    assert field in told.value.fields
    assert "audit --" in str(told.value)


def test_a_mention_of_slack_is_the_person_behind_the_account() -> None:
    assert wanted(Wish(person="<@U0ONCALL|ann>"), CONFIG, NOW) == wanted(Wish(person="@oncall"), CONFIG, NOW)
    assert wanted(Wish(person="<@U0OTHER>"), CONFIG, NOW).all_of == ((Source("actor", "slack:U0OTHER"),),)


def timed(trail: Trail, looks: list[Wanted], rounds: int) -> list[float]:
    """Milliseconds of each search, by a reader of its own."""
    took = []
    for _ in range(rounds):
        for look in looks:
            began = time.perf_counter()
            page = audit_search.search(trail.tx.db, look)
            took.append((time.perf_counter() - began) * 1000)
            assert page.hits
    return took


def test_a_search_costs_no_more_in_a_longer_trail(tmp_path: Path) -> None:
    """Ten times as many records, no more than a few times the cost: the median of the same searches."""
    trail = Trail.make(tmp_path / "state")
    looks = [
        Wanted(),
        Wanted(((Source("person", "oncall"),),)),
        Wanted(((Source("action", "drill"),), (Source("target", "production"),))),
    ]
    trail.write(400)
    short = statistics.median(timed(trail, looks, 5))
    trail.write(3_600)
    long = statistics.median(timed(trail, looks, 5))

    assert long < 4 * short + 2.0
    trail.close()


@pytest.mark.prove
def test_a_million_records_are_searched_within_fifty_milliseconds(tmp_path: Path) -> None:
    """The p95 over searches of every kind and the pages after them; the worst one stays bounded."""
    from tests.bench import audit as bench

    path = tmp_path / "large.db"
    bench.fill(path, bench.RECORDS)
    bench.searched(path, bench.RECORDS, 1)
    took = sorted(bench.searched(path, bench.RECORDS, 5))

    assert took[int(len(took) * 0.95)] <= 50
