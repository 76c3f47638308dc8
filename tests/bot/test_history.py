"""Reports read back from their files: the evidence beside a report counts only as it was written."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from bot import history
from bot.errors import Broken, Unknown
from slo.artifacts import FileRef


def _same(raw: dict[str, Any]) -> dict[str, Any]:
    return raw


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "release-gate-x.json"


def _written(report: Path, name: str, value: object) -> FileRef:
    content = json.dumps(value).encode()
    (report.parent / name).write_bytes(content)
    return FileRef(name=name, sha256=hashlib.sha256(content).hexdigest())


def test_the_evidence_that_a_report_names_lies_beside_it(report: Path) -> None:
    ref = _written(report, "drill.json", {"profile": "quick"})

    assert history.beside(report, ref, _same) == {"profile": "quick"}
    assert history.beside(report, None, _same) is None, "a report may name none"


def test_evidence_that_was_changed_or_is_gone_is_none(report: Path) -> None:
    ref = _written(report, "drill.json", {"profile": "quick"})
    _written(report, "drill.json", {"profile": "soak"})

    with pytest.raises(Broken, match="not as it was written"):
        history.beside(report, ref, _same)
    (report.parent / "drill.json").unlink()
    with pytest.raises(Broken, match="cannot be read"):
        history.beside(report, ref, _same)


@pytest.mark.parametrize(
    ("content", "why"), [(b"{", "is not JSON"), (b"[1]", "holds no report"), (None, "cannot be read")]
)
def test_a_file_of_which_nothing_is_known_says_why_it_is_no_report(
    report: Path, content: bytes | None, why: str
) -> None:
    if content is not None:
        report.write_bytes(content)

    with pytest.raises(Unknown, match=why):
        history.unproved(report)
