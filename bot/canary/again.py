"""The verdict of a canary reached again from the reports that its artifact names, which lie beside it."""

from __future__ import annotations

from typing import Any

from bot import history
from bot.again import Files, data
from slo.artifacts import CanaryReport
from slo.canary_report import judge_again


def again(files: Files) -> dict[str, Any]:
    """The verdict; of the original's artifact too, whose files carry no digest. Raises as `bot.again.Again`."""
    path, raw = files[-1]
    report = CanaryReport.parse(raw)

    def held(name: str, sha256: str | None) -> dict[str, Any]:
        return history.read(path.parent, name, sha256) if sha256 else history.unproved(path.parent / name)

    answer = data(judge_again(report, held))
    return answer if report.honest is None else answer | {"recorded": report.honest.verdict.value}
