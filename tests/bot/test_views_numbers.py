"""Numbers for people: never rounded into a lie beside their limit."""

from __future__ import annotations

from typing import Any

import pytest

from bot.views import beside, number, red_text
from slo.verdict import judge as check
from slo.verdict import sum_up


@pytest.mark.parametrize(
    ("value", "unit", "shown"),
    [
        (840, "ms", "840 ms"),
        (14_300, "ms", "14.3 s"),
        (0.031, "rate", "3.1 %"),
        (1, "rate", "100 %"),
        (0.998, "rate", "99.8 %"),
        (0.0004, "rate", "<0.1 %"),
        (0.62, "rate", "62 %"),
        (12, "count", "12"),
        (0.0133333, "count", "0.01"),
        (None, "ms", "not measured"),
    ],
)
def test_a_number_has_its_unit_and_is_never_rounded_up_to_all(value: Any, unit: Any, shown: str) -> None:
    assert number(value, unit) == shown


@pytest.mark.parametrize(
    ("value", "limit", "unit", "shown"),
    [
        (0.946, 0.95, "rate", "94.600 %"),
        (1500.4, 1500, "ms", "1500.4 ms"),
        (12_040, 12_000, "ms", "12.040 s"),
        (1500, 1500, "ms", "1500 ms"),
        (9_800, 12_000, "ms", "9800 ms"),
    ],
)
def test_what_is_not_its_limit_does_not_read_like_it(value: float, limit: float, unit: Any, shown: str) -> None:
    assert beside(value, limit, unit) == shown


def test_what_is_red_is_told_with_its_limit() -> None:
    slow = check("p95_latency", 14_300, 12_000, scope="/api/chat", unit="ms")
    few = check("2xx_success_rate", 0.92, 0.95, scope="/api/chat", unit="rate", comparison=">=")
    fine = check("5xx_rate", 0, 0.05, scope="/api/chat", unit="rate")

    said = red_text(sum_up([slow, few, fine]))

    assert said == "p95 latency of /api/chat 14.3 s, limit 12.0 s; 2xx success rate of /api/chat 92 %, at least 95 %"
    assert red_text(sum_up([fine])) == ""
    assert red_text(sum_up([slow] * 5)).endswith("; 2 more")
