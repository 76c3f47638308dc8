"""Numbers from measurements: nearest-rank percentiles, rates, and how much a rate proves.

Everything is in milliseconds and rates 0..1; only the encoded histograms count microseconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal

from hdrh.histogram import HdrHistogram

from slo.verdict import Evidence

CONFIDENCE = 0.95
HISTOGRAM_MAX_US = 120_000_000
"""Histograms reach from 1 us to 120 s with three significant digits; what lies outside is put at the edge."""
_MORE_NEEDED_CAP = 10_000_000


def percentile(values: Sequence[float], p: float) -> float:
    """Nearest rank, as the original: sort, take element number ceil(p/100 * n) from 1; 0 when empty."""
    if not values:
        return 0
    return _nearest(sorted(values), p)


def _nearest(ordered: Sequence[float], p: float) -> float:
    rank = math.ceil(p / 100 * len(ordered))
    return ordered[min(len(ordered), max(1, rank)) - 1]


def percentiles(values: Sequence[float], *ps: float) -> tuple[float, ...]:
    """Several percentiles of one list, sorted once; zeros when it is empty."""
    if not values:
        return tuple(0.0 for _ in ps)
    ordered = sorted(values)
    return tuple(_nearest(ordered, p) for p in ps)


def p95_ms(values_ms: Sequence[float]) -> float | None:
    """The measured p95; None (not 0) when nothing was measured, so that it decides nothing."""
    return percentile(values_ms, 95) if values_ms else None


def to_fixed(value: float, digits: int) -> int | float:
    """Round the way `Number(value.toFixed(digits))` does; a whole result is an int."""
    rounded = float(Decimal(value).quantize(Decimal(1).scaleb(-digits), rounding=ROUND_HALF_UP))
    return int(rounded) if rounded.is_integer() else rounded


def rate(part: int, total: int) -> float | None:
    """`part / total`; None when there was nothing to divide by."""
    return part / total if total > 0 else None


def five_xx(statuses: Mapping[str, int]) -> int:
    """Responses with status 500 or more."""
    return sum(n for status, n in statuses.items() if int(status) >= 500)


def two_xx(statuses: Mapping[str, int]) -> int:
    """Responses with status 200..299."""
    return sum(n for status, n in statuses.items() if 200 <= int(status) <= 299)


def unknown(statuses: Mapping[str, int], allowed: Iterable[int]) -> int:
    """Responses with a status that the baseline does not allow for the endpoint."""
    known = frozenset(allowed)
    return sum(n for status, n in statuses.items() if int(status) not in known)


def upper_bound(bad: int, n: int, confidence: float = CONFIDENCE) -> float:
    """The exact (Clopper-Pearson) one-sided upper bound of the bad rate; 1 when nothing was seen.

    The largest rate under which seeing at most `bad` of `n` is still as likely as 1 - confidence.
    """
    if bad < 0 or bad > n:
        raise ValueError("bad must lie between 0 and n")
    if n == 0 or bad == n:
        return 1.0
    alpha = 1 - confidence
    if bad == 0:
        return float(-math.expm1(math.log(alpha) / n))
    low, high = bad / n, 1.0
    for _ in range(100):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if _log_cdf(bad, n, middle) > math.log(alpha):
            low = middle
        else:
            high = middle
    return high


def _log_cdf(k: int, n: int, p: float) -> float:
    """log P(X <= k) for X ~ Binomial(n, p), 0 < p < 1, k < n; summed downwards from its largest term.

    The bound looks only at p >= k/n, where the terms fall from k downwards, so the sum ends early.
    """
    if p >= 1:
        return -math.inf
    log_top = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
    )
    odds = (1 - p) / p
    total = term = 1.0
    for i in range(k, 0, -1):
        term *= i / (n - i + 1) * odds
        total += term
        if term < total * 1e-17:
            break
    return log_top + math.log(total)


def more_needed(bad: int, n: int, limit: float, confidence: float = CONFIDENCE) -> int | None:
    """How many further requests, none of them bad, bring the upper bound to `limit`; 0 when it is there.

    None when no reachable number does (a limit of 0 cannot be proved by counting).
    """
    if limit >= 1 or upper_bound(bad, n, confidence) <= limit:
        return 0
    if limit <= 0:
        return None
    low, step = n, max(16, n)
    high = n + step
    while upper_bound(bad, high, confidence) > limit:
        low, high = high, high * 2
        if high > _MORE_NEEDED_CAP:
            return None
    while high - low > 1:
        middle = (low + high) // 2
        if upper_bound(bad, middle, confidence) <= limit:
            high = middle
        else:
            low = middle
    return high - n


def evidence(bad: int, n: int, bad_limit: float) -> Evidence:
    """What `bad` of `n` proves against a limit of the *bad* rate (for a minimum rate: 1 - minimum)."""
    return Evidence(n=n, bad=bad, upper_bound=upper_bound(bad, n), more_needed=more_needed(bad, n, bad_limit))


def histogram(values_ms: Iterable[float]) -> HdrHistogram:
    """Fold latencies into a histogram of microseconds (1 us to 120 s, three digits)."""
    folded = HdrHistogram(1, HISTOGRAM_MAX_US, 3)
    for value in values_ms:
        folded.record_value(min(HISTOGRAM_MAX_US, max(1, round(value * 1000))))
    return folded


def encode(values_ms: Iterable[float]) -> str:
    """The histogram of `values_ms` as base64 text; decoded histograms can be added to one another."""
    encoded: bytes = histogram(values_ms).encode()
    return encoded.decode("ascii")


def decode(text: str) -> HdrHistogram:
    """A histogram from its base64 text. Raises ValueError when it is not one."""
    try:
        decoded = HdrHistogram.decode(text)
    except Exception as error:  # the library raises its own, zlib's, and struct's errors
        raise ValueError(f"not an encoded histogram: {type(error).__name__}") from None
    return decoded


def recorded(histogram: HdrHistogram) -> list[tuple[int, int]]:
    """The values that were recorded, as the lowest of their bucket in µs with their count, in ascending order.

    The library's own iterator steps through every bucket from zero in Python: a tenth of a second for each question.
    """
    return [(int(histogram.get_value_from_index(at)), int(n)) for at, n in enumerate(histogram.counts) if n]
