"""How much the difference between two deployments proves: intervals and a rank test, as evidence beside the verdict.

The difference of two rates needs nothing but arithmetic. Latencies need numpy and scipy (the extra `reports`), and are
compared in a child process (`bot.canary.figures`). Nothing here decides (DESIGN section 4, "Canary").
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from slo.measure import five_xx, two_xx
from slo.reports import DrillReport, HonestStage
from slo.rounds import values_ms
from slo.scenarios import CHAT, SCENARIOS
from slo.wire import Count, Number, Wire

if TYPE_CHECKING:
    from collections.abc import Callable

CONFIDENCE = 0.95
Z = 1.959963984540054
"""The normal quantile of a two-sided 95% interval."""
RESAMPLES = 10_000
SEED = 7
"""The bootstrap is the same for the same files."""


class Interval(Wire):
    """A figure and its two-sided 95% interval."""

    value: Number
    low: Number
    high: Number


class RateDifference(Wire):
    """Candidate minus control of one bad rate (0..1), with the counts behind it."""

    metric: str
    control_bad: Count
    control_n: Count
    candidate_bad: Count
    candidate_n: Count
    difference: Interval

    @property
    def sure(self) -> bool:
        """Whether the interval leaves zero out."""
        return self.difference.low > 0 or self.difference.high < 0


class LatencyShift(Wire):
    """Mann-Whitney: how probable such a difference is among equals, and the Hodges-Lehmann shift in ms."""

    p_value: Number
    shift_ms: Interval


class ScenarioStatistics(Wire):
    """One scenario; the latencies' parts are None where nothing succeeded or the extra is missing."""

    scenario: str
    rates: tuple[RateDifference, ...]
    latency: LatencyShift | None = None
    p95_ratio: Interval | None = None


class CanaryStatistics(Wire):
    """All scenarios that ran on both sides; `left_out` says what was not computed, and why."""

    confidence: Number = CONFIDENCE
    scenarios: tuple[ScenarioStatistics, ...] = ()
    left_out: str = ""


def difference(bad_here: int, n_here: int, bad_there: int, n_there: int) -> Interval:
    """There minus here, with Newcombe's hybrid score interval, which is right for small counts and for zeros.

    Raises ValueError without requests on either side.
    """
    if n_here < 1 or n_there < 1:
        raise ValueError("no requests")
    here, there = bad_here / n_here, bad_there / n_there
    low_here, high_here = _wilson(bad_here, n_here)
    low_there, high_there = _wilson(bad_there, n_there)
    value = there - here
    return Interval(
        value=value,
        low=max(-1.0, value - math.hypot(there - low_there, high_here - here)),
        high=min(1.0, value + math.hypot(high_there - there, here - low_here)),
    )


def _wilson(bad: int, n: int) -> tuple[float, float]:
    share, squared = bad / n, Z * Z
    middle = (share + squared / (2 * n)) / (1 + squared / n)
    half = Z * math.sqrt(share * (1 - share) / n + squared / (4 * n * n)) / (1 + squared / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def rates(control: DrillReport, candidate: DrillReport) -> CanaryStatistics:
    """The differences of rates of every scenario that ran on both; needs nothing beyond this package."""
    found = []
    for name in SCENARIOS:
        here, there = _pool(control, name), _pool(candidate, name)
        if here is None or there is None or not here.sent or not there.sent:
            continue
        bad: dict[str, Callable[[HonestStage], int]] = {
            "5xx": lambda pool: five_xx(pool.statuses),
            "network": lambda pool: sum(pool.errors.values()),
            "429": lambda pool: pool.statuses.get("429", 0),
            "not 2xx": lambda pool: pool.sent - two_xx(pool.statuses),
        }
        if name == CHAT:
            bad["broken streams"] = lambda pool: pool.sent - pool.succeeded
        found.append(
            ScenarioStatistics(
                scenario=name,
                rates=tuple(
                    RateDifference(
                        metric=metric,
                        control_bad=count(here),
                        control_n=here.sent,
                        candidate_bad=count(there),
                        candidate_n=there.sent,
                        difference=difference(count(here), here.sent, count(there), there.sent),
                    )
                    for metric, count in bad.items()
                ),
            )
        )
    return CanaryStatistics(scenarios=tuple(found))


def latencies(control: DrillReport, candidate: DrillReport) -> dict[str, tuple[list[float], list[float]]]:
    """By scenario, what both sides measured of requests that succeeded, in ms and ascending order."""
    found = {}
    for name in SCENARIOS:
        here, there = _pool(control, name), _pool(candidate, name)
        if here is not None and there is not None:
            pair = values_ms(here.latency), values_ms(there.latency)
            if all(pair):
                found[name] = pair
    return found


def _pool(report: DrillReport, name: str) -> HonestStage | None:
    ours = report.honest.scenario(name) if report.honest is not None else None
    return ours.pooled if ours is not None else None


# What needs the extra `reports`


def shift(here: Sequence[float], there: Sequence[float]) -> LatencyShift:
    """The rank test and the median of all pairwise differences, there minus here.

    The interval is the distribution-free one by ranks of the pairwise differences (normal approximation), which are
    never all written down: 6,000 values a side are 36 million pairs. Raises ImportError without the extra.
    """
    import numpy
    from scipy.stats import mannwhitneyu  # type: ignore[import-untyped]

    first, second = numpy.sort(numpy.asarray(here, float)), numpy.sort(numpy.asarray(there, float))
    n, m = len(first), len(second)
    pairs = n * m
    away = Z * math.sqrt(pairs * (n + m + 1) / 12)
    lowest = max(1, math.floor(pairs / 2 - away))
    middle = (pairs + 1) // 2
    values = [_ordered_difference(first, second, rank) for rank in (lowest, middle, pairs + 1 - lowest)]
    p_value = float(mannwhitneyu(second, first, alternative="two-sided", method="asymptotic").pvalue)
    low, value, high = values
    return LatencyShift(
        p_value=p_value if math.isfinite(p_value) else 1.0, shift_ms=Interval(value=value, low=low, high=high)
    )


def _ordered_difference(here: Any, there: Any, rank: int) -> float:
    """The ``rank``-th smallest of all differences there minus here (1 is the smallest), to a thousandth of a ms."""
    import numpy

    low, high = float(there[0] - here[-1]), float(there[-1] - here[0])
    while high - low > 0.001:
        guess = (low + high) / 2
        if int(numpy.searchsorted(there, here + guess, side="right").sum()) >= rank:
            high = guess
        else:
            low = guess
    return high


def p95_ratio(here: Sequence[float], there: Sequence[float]) -> Interval:
    """Candidate's p95 over the control's, with the percentile interval of the bootstrap.

    The p95 of a resample is an order statistic of it, so it is drawn directly from its Beta distribution: exact, and
    as fast for 100 values as for 10,000. Raises ImportError without the extra, ValueError for a control of zeros.
    """
    import numpy

    dice = numpy.random.default_rng(SEED)

    def drawn(values: Sequence[float]) -> tuple[float, Any]:
        ordered = numpy.sort(numpy.asarray(values, float))
        n = len(ordered)
        rank = max(1, math.ceil(0.95 * n))
        spots = (dice.beta(rank, n - rank + 1, RESAMPLES) * n).astype(int).clip(0, n - 1)
        return float(ordered[rank - 1]), ordered[spots]

    (p95_here, resampled_here), (p95_there, resampled_there) = drawn(here), drawn(there)
    if p95_here <= 0 or float(resampled_here.min()) <= 0:
        raise ValueError("a latency of zero has no ratio")
    low, high = numpy.quantile(resampled_there / resampled_here, [0.025, 0.975])
    return Interval(value=p95_there / p95_here, low=float(low), high=float(high))
