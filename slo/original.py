"""What the original drill would have said: its own thresholds and checks, kept beside ours.

The thresholds stand in the original's program, not in `slo-baseline.json` (operator-commands.md
section 4, "Scenario summary and checks"). They decide nothing here.
"""

from __future__ import annotations

from dataclasses import dataclass

from slo.measure import five_xx, to_fixed, two_xx, unknown
from slo.reports import ScenarioSlo, ScenarioSummary, SloCheck
from slo.scenarios import CHAT, endpoint

_WEBHOOK_STATUSES = (200, 400, 403, 429)
_CHAT_STATUSES = (200, 401, 429, 503)


@dataclass(frozen=True, slots=True)
class OriginalSlo:
    """The original's limits for one scenario; None (and 0 users) means the check is not made."""

    max_p95_ms: float
    max_five_xx_rate: float
    max_network_error_rate: float
    max_unknown_status_rate: float
    allowed_statuses: tuple[int, ...]
    max_first_token_p95_ms: float | None = None
    max_429_rate: float | None = None
    min_two_xx_rate: float | None = None
    min_unique_pool_coverage: float | None = None
    min_unique_pool_users: int = 0


_WEBHOOK = OriginalSlo(1500, 0.01, 0.02, 0.05, _WEBHOOK_STATUSES)
_CHAT = OriginalSlo(12000, 0.05, 0.05, 0.1, _CHAT_STATUSES, min_two_xx_rate=0.9)
_MILESTONES = {
    "m1_1k": OriginalSlo(20000, 0.01, 0.03, 0.05, _CHAT_STATUSES, 3000, 0.04, 0.95, 0.5),
    "m2_5k": OriginalSlo(18000, 0.005, 0.025, 0.05, _CHAT_STATUSES, 2500, 0.04, 0.95, 0.65),
    "m3_20k": OriginalSlo(15000, 0.003, 0.02, 0.05, _CHAT_STATUSES, 2000, 0.05, 0.95, 0.8),
}


def limits(profile: str, scenario: str) -> OriginalSlo:
    """The original's limits for a scenario of a profile. Raises `UnknownScenario`."""
    endpoint(scenario)
    if scenario != CHAT:
        return _WEBHOOK
    return _MILESTONES.get(profile, _CHAT)


def evaluate(summary: ScenarioSummary, slo: OriginalSlo) -> ScenarioSlo:
    """The original's checks, in its order; rates over all requests, 0 when there was none."""
    total = summary.total_requests
    pool = summary.chat_pool

    def share(part: int) -> float:
        return part / total if total > 0 else 0

    checks: list[SloCheck] = []

    def check(name: str, value: float, limit: float, *, least: bool = False, shown: bool = True) -> None:
        passed = value >= limit if least else value <= limit
        actual = to_fixed(value, 4) if shown else value
        checks.append(SloCheck(name=name, passed=passed, actual=actual, threshold=limit))

    check("p95_latency", summary.latency.p95_ms, slo.max_p95_ms, shown=False)
    check("5xx_rate", share(five_xx(summary.statuses)), slo.max_five_xx_rate)
    check("network_error_rate", share(sum(summary.errors.values())), slo.max_network_error_rate)
    check(
        "unknown_status_rate",
        share(unknown(summary.statuses, slo.allowed_statuses)),
        slo.max_unknown_status_rate,
    )
    if slo.min_two_xx_rate is not None:
        check("2xx_success_rate", share(two_xx(summary.statuses)), slo.min_two_xx_rate, least=True)
    if slo.max_429_rate is not None:
        check("429_rate", share(summary.statuses.get("429", 0)), slo.max_429_rate)
    if slo.max_first_token_p95_ms is not None:
        check(
            "p95_first_token_latency",
            summary.latency.first_token_p95_ms,
            slo.max_first_token_p95_ms,
            shown=False,
        )
    if slo.min_unique_pool_coverage is not None and pool is not None and pool.unique_coverage is not None:
        check("chat_pool_unique_coverage", pool.unique_coverage, slo.min_unique_pool_coverage, least=True)
    if slo.min_unique_pool_users > 0 and pool is not None:
        check("chat_pool_unique_users", pool.unique_used, slo.min_unique_pool_users, least=True)
    return ScenarioSlo(passed=all(item.passed for item in checks), checks=tuple(checks))
