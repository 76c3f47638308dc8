"""Reports on disk: whole or not at all, under plain names, never over one another."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bot.errors import Broken, Refused
from bot.store import artifacts
from bot.store.artifacts import Artifact
from bot.store.tx import Tx


def write(directory: Path, name: str, payload: Any = "text", **more: Any) -> Artifact:
    return artifacts.write_file(directory, name, payload, **{"kind": "load-drill", "started_ms": 1, **more})


def test_objects_are_written_as_the_original_scripts_do(tmp_path: Path) -> None:
    name = "load-drill-quick-2026-02-19T11-39-18-610Z.json"
    made = write(tmp_path / "deep" / "er", name, {"passed": True, "rate": 0.5, "who": "Zoë"}, target="staging")
    content = (tmp_path / "deep" / "er" / name).read_bytes()

    assert content.decode() == '{\n  "passed": true,\n  "rate": 0.5,\n  "who": "Zoë"\n}'
    assert made == Artifact(name, hashlib.sha256(content).hexdigest(), len(content), "load-drill", 1, "staging", None)
    assert [path.name for path in (tmp_path / "deep" / "er").iterdir()] == [name]


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", "../x.json", "a/b.json", "/etc/x", "a\\b", ".hidden", "a..b", "a\nb", "ä.json", "a" * 201, "a\0"],
)
def test_a_name_is_a_name_and_not_a_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(Refused):
        write(tmp_path, name)
    assert list(tmp_path.iterdir()) == []


def test_a_report_is_never_overwritten_except_the_dashboard(tmp_path: Path) -> None:
    write(tmp_path, "a.json", "first")
    with pytest.raises(Refused, match="exists already"):
        write(tmp_path, "a.json", "second")
    assert (tmp_path / "a.json").read_text() == "first"

    write(tmp_path, "slo-dashboard.md", "first")
    write(tmp_path, "slo-dashboard.md", "second")
    assert (tmp_path / "slo-dashboard.md").read_text() == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "slo-dashboard.md"]


def test_what_json_cannot_hold_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError):
        write(tmp_path, "a.json", {"p95_ms": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Broken, match=r"a\.json cannot be written"):
        write(tmp_path / "file", "a.json")


def test_the_latest_report_is_the_last_started_whatever_its_name(tx: Tx, tmp_path: Path) -> None:
    """Sorting by file name takes last month's `standard` for newer than today's `burst`."""
    old = write(tmp_path, "load-drill-standard-1.json", json.loads("{}"), started_ms=100, target="production")
    new = write(tmp_path, "load-drill-burst-2.json", {}, started_ms=200, target="production")
    probe = write(tmp_path, "synthetic-probes-3.json", {}, started_ms=300, kind="synthetic-probes", target="staging")
    for one in (new, old, probe):
        artifacts.register(tx, one)

    assert artifacts.latest(tx.db, "load-drill", "production") == new
    assert artifacts.latest(tx.db, "load-drill", "staging") is None
    assert artifacts.latest(tx.db, "synthetic-probes") == probe
    assert artifacts.listing(tx.db) == (probe, new, old)
    assert artifacts.listing(tx.db, target="production", limit=1) == (new,)
    assert artifacts.named(tx.db, old.name) == old
    assert artifacts.named(tx.db, "none.json") is None


def test_of_a_file_that_is_written_again_only_the_newest_counts(tx: Tx, tmp_path: Path) -> None:
    for n in (1, 2):
        artifacts.register(tx, write(tmp_path, "slo-dashboard.json", {"n": n}, kind="slo-dashboard", started_ms=n))
    found = artifacts.listing(tx.db, "slo-dashboard")
    assert [one.started_ms for one in found] == [2]
