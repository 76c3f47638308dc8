"""The ranking of saved snapshots: JSON-ready, whatever order and dress they come in."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from playbooks.book import Book
from playbooks.ranking import rank
from slo.errors import BadSnapshot

SAMPLES = Path(__file__).parent.parent / "data" / "samples" / "snapshots"
SUGGESTED = {
    "idle": [],
    "circuit-open": ["B"],
    "queue-backlog": ["F"],
    "rate-limit-pressure": ["A"],
    "webhook-replay-and-cache": ["D"],
}


def _sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / f"{name}.json").read_text("utf-8"))
    return found


@pytest.mark.parametrize(("name", "letters"), SUGGESTED.items())
def test_a_recorded_snapshot_is_ranked_bare_and_wrapped(book: Book, name: str, letters: list[str]) -> None:
    wrapped = _sample(name)

    found = rank([wrapped], book)

    assert found == rank([wrapped["snapshot"]], book)
    assert found["suggestions"] == letters
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_every_recorded_snapshot_can_be_ranked(book: Book) -> None:
    for path in SAMPLES.glob("*.json"):
        found = rank([_sample(path.stem)], book)
        assert sorted(signal["letter"] for signal in found["signals"]) == list("ABCDEFGH"), path.stem
        assert found["suggestions"] == [s["letter"] for s in found["signals"] if s["state"] == "fired"]
        assert found["undecided"] == [s["letter"] for s in found["signals"] if s["state"] == "not judged"]


def test_looks_may_come_in_any_order_and_are_seen_as_a_course(book: Book) -> None:
    earlier, later = _sample("queue-backlog")["snapshot"], _sample("queue-backlog")["snapshot"]
    later["generatedAt"] += 12_000

    found = rank([later, earlier], book)

    assert found == rank([earlier, later], book)
    assert found["spanMs"] == 12_000
    assert found["looks"] == [earlier["generatedAt"], later["generatedAt"]]


def test_a_reading_stands_beside_its_limit(book: Book) -> None:
    (signal,) = [s for s in rank([_sample("queue-backlog")], book)["signals"] if s["letter"] == "F"]
    (reading,) = [r for r in signal["readings"] if r["name"] == "oldest queued job"]

    assert signal["title"].startswith("Tool queue backlog")
    assert (reading["value"], reading["limit"], reading["unit"], reading["fired"]) == (95010, 60000, "ms", True)


@pytest.mark.parametrize("raw", [[], [{}], [{"snapshot": {}}], [{"generatedAt": 1}]])
def test_half_a_snapshot_is_no_verdict(book: Book, raw: list[dict[str, Any]]) -> None:
    with pytest.raises(BadSnapshot):
        rank(raw, book)
