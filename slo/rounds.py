"""Several rounds of one drill on one target as one report, so that two deployments can be drilled in turns.

VERDICTS, "Canary": rounds are interleaved (control, candidate, candidate, control, ...), so that what changes
with time meets both sides alike. Stages are listed round after round; distributions are added up by their
histograms, whose p95 is exact to 0.1%.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from slo import original
from slo.measure import HISTOGRAM_MAX_US, decode, recorded
from slo.policy import Baseline
from slo.reports import (
    DrillHonest,
    DrillReport,
    Ended,
    Generator,
    HonestScenario,
    HonestStage,
    MeasuredScenario,
    ScenarioSummary,
    SkippedScenario,
    Spread,
)
from slo.summary import bounds_of, original_summary

CONTROL: Literal["control"] = "control"
CANDIDATE: Literal["candidate"] = "candidate"
Side = Literal["control", "candidate"]


def order(blocks: int) -> tuple[Side, ...]:
    """Who is drilled when: control, candidate, candidate, control, once for each block."""
    return (CONTROL, CANDIDATE, CANDIDATE, CONTROL) * blocks


def merge(rounds: Sequence[DrillReport], baseline: Baseline) -> DrillReport:
    """One report of all rounds of one side. Raises ValueError for none, or for drills that were not alike."""
    if not rounds:
        raise ValueError("no rounds")
    first, last = rounds[0], rounds[-1]
    if len({(report.base_url, report.profile, report.scenario_filter) for report in rounds}) > 1:
        raise ValueError("rounds of different drills cannot be added up")
    if len(rounds) == 1:
        return first
    scenarios = tuple(_original(name, rounds) for name in (item.name for item in first.scenarios))
    ran = [item for item in scenarios if isinstance(item, MeasuredScenario)]
    return first.model_copy(
        update={
            "finished_at": last.finished_at,
            "scenarios": scenarios,
            "passed": all(item.slo.passed for item in ran),
            "honest": _honest(rounds, baseline),
        }
    )


def _original(name: str, rounds: Sequence[DrillReport]) -> MeasuredScenario | SkippedScenario:
    parts = [part for report in rounds if isinstance(part := report.scenario(name), MeasuredScenario)]
    if len(parts) < len(rounds):
        missing = (part for report in rounds if isinstance(part := report.scenario(name), SkippedScenario))
        # A round without this scenario makes the rounds unlike; what was measured stands under `honest`.
        return next(missing, None) or SkippedScenario(name=name, skipped=True, reason="not in every round")
    stages = tuple(stage for part in parts for stage in part.stages)
    pools = [part.summary.chat_pool for part in parts if part.summary.chat_pool is not None]
    # The rotation begins anew in each stage: every round uses the same users.
    pool = max(pools, key=lambda item: item.unique_used) if pools else None
    summary: ScenarioSummary = original_summary(stages, pool)
    return MeasuredScenario(
        name=name,
        skipped=False,
        stages=stages,
        summary=summary,
        slo=original.evaluate(summary, original.limits(rounds[0].profile, name)),
    )


def _honest(rounds: Sequence[DrillReport], baseline: Baseline) -> DrillHonest | None:
    parts = [report.honest for report in rounds if report.honest is not None]
    if len(parts) < len(rounds):
        return None
    return parts[0].model_copy(
        update={
            "ended": _ended([part.ended for part in parts]),
            "generator": _generator([part.generator for part in parts]),
            "circuits_opened": _opened([part.circuits_opened for part in parts]),
            "scenarios": tuple(_scenario(item.name, parts, baseline) for item in parts[0].scenarios),
        }
    )


def _ended(ends: Sequence[Ended]) -> Ended:
    """The first round that did not come to its end speaks for all; a bad target before a stop."""
    cut = [end for end in ends if end.how != "finished"]
    return next((end for end in cut if end.how == "aborted"), cut[0] if cut else ends[0])


def _generator(parts: Sequence[Generator]) -> Generator:
    def top(values: Iterable[float | None]) -> float | None:
        return max((value for value in values if value is not None), default=None)

    late = next((part for part in parts if part.bottleneck), None)
    return Generator(
        planned=sum(part.planned for part in parts),
        sent=sum(part.sent for part in parts),
        unsent=sum(part.unsent for part in parts),
        send_lag_p99_ms=top(part.send_lag_p99_ms for part in parts),
        send_lag_max_ms=top(part.send_lag_max_ms for part in parts),
        receive_lag_p99_ms=top(part.receive_lag_p99_ms for part in parts),
        bottleneck=late is not None,
        reason=late.reason if late else "",
        processes=max(part.processes for part in parts),
    )


def _opened(parts: Sequence[tuple[str, ...] | None]) -> tuple[str, ...] | None:
    """Circuits that opened in any round; None when nobody could look in one of them."""
    if any(part is None for part in parts):
        return None
    return tuple(dict.fromkeys(name for part in parts for name in part or ()))


def _scenario(name: str, rounds: Sequence[DrillHonest], baseline: Baseline) -> HonestScenario:
    parts = [part for report in rounds if (part := report.scenario(name)) is not None]
    left_out = next((part for part in parts if part.state != "measured" or part.pooled is None), None)
    if left_out is not None:
        return left_out
    whole = merge_stages([part.pooled for part in parts if part.pooled is not None])
    return HonestScenario(
        name=name,
        state="measured",
        loop=parts[0].loop,
        pooled=whole,
        stages=tuple(stage for part in parts for stage in part.stages),
        bounds=bounds_of(name, whole, baseline),
    )


_COUNTS = ("planned", "sent", "unsent", "answered", "succeeded", "sendcat_errors")
_NAMED = ("statuses", "errors", "streams", "error_codes")
_SPREADS = ("latency", "refused", "failed", "headers", "first_token", "send_lag")


def merge_stages(parts: Sequence[HonestStage]) -> HonestStage:
    """Counts and distributions of several stages as one; `wall_ms` adds up. Raises ValueError for none."""
    if not parts:
        raise ValueError("no stages")
    if len(parts) == 1:
        return parts[0]
    named: dict[str, dict[str, int]] = {}
    for field in _NAMED:
        total: Counter[str] = Counter()
        for part in parts:
            total.update(getattr(part, field))
        named[field] = dict(total)
    return parts[0].model_copy(
        update={
            **{field: sum(getattr(part, field) for part in parts) for field in _COUNTS},
            **named,
            "wall_ms": sum(part.wall_ms for part in parts),
            "users_used": max(part.users_used for part in parts),
            **{field: merge_spreads([getattr(part, field) for part in parts]) for field in _SPREADS},
        }
    )


def merge_spreads(parts: Iterable[Spread]) -> Spread:
    """One distribution of several; figures are the upper edges of their buckets, so they never flatter.

    Without a histogram the parts cannot be added: the figures are None, and decide nothing.
    """
    full = [part for part in parts if part.n]
    if len(full) == 1:
        return full[0]
    n = sum(part.n for part in full)
    if not full or any(part.histogram is None for part in full):
        return Spread(n=n, p50_ms=None, p95_ms=None, p99_ms=None, max_ms=None)
    whole = decode(full[0].histogram or "")
    for part in full[1:]:
        whole.add(decode(part.histogram or ""))
    ordered = recorded(whole)

    def rank(p: float) -> float:
        wanted, seen = math.ceil(p / 100 * n), 0
        for value, count in ordered:
            seen += count
            if seen >= wanted:
                top = float(whole.get_highest_equivalent_value(value)) / 1000
                return min(top, largest)
        return largest

    largest = max(part.max_ms for part in full if part.max_ms is not None)
    encoded: bytes = whole.encode()
    return Spread(
        n=n,
        p50_ms=rank(50),
        p95_ms=rank(95),
        p99_ms=rank(99),
        max_ms=largest,
        histogram=encoded.decode("ascii"),
    )


def values_ms(spread: Spread) -> list[float]:
    """The measured values again, each at the middle of its bucket (0.1%), in ascending order; empty without any.

    Raises ValueError for a damaged histogram.
    """
    if not spread.n or spread.histogram is None:
        return []
    folded = decode(spread.histogram)
    found: list[float] = []
    for low, n in recorded(folded):
        high = min(folded.get_highest_equivalent_value(low), HISTOGRAM_MAX_US)
        found += [(low + high) / 2000] * n
    return found
