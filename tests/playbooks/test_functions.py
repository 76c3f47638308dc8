"""The closed set of Convex functions, and the arguments they take."""

from __future__ import annotations

import pytest

from playbooks.functions import FunctionError, function


def test_arguments_are_checked_and_sent_in_the_functions_order() -> None:
    listed = function("bulkhead:listInFlightByProvider")

    sent = listed.check({"limit": 100.0, "provider": "serper_search"})

    assert list(sent.items()) == [("provider", "serper_search"), ("limit", 100)]
    assert isinstance(sent["limit"], int)


@pytest.mark.parametrize(
    ("name", "args", "says"),
    [
        ("circuitBreaker:listStatuses", {"limit": 0}, r"`limit` is 1\.\.100"),
        ("circuitBreaker:listStatuses", {"limit": 101}, r"1\.\.100"),
        ("circuitBreaker:listStatuses", {"limit": 1.5}, "whole number"),
        ("circuitBreaker:listStatuses", {"limit": True}, "is a number"),
        ("circuitBreaker:listStatuses", {"limit": float("nan")}, "is a number"),
        ("circuitBreaker:listStatuses", {"limt": 5}, "did you mean `limit`"),
        ("bulkhead:listInFlightByProvider", {}, "needs `provider`"),
        ("bulkhead:listInFlightByProvider", {"provider": "openrouter"}, "is one of"),
        ("idempotency:listRecentByScope", {"scope": None}, "is a text"),
        ("toolCache:clearNamespace", {"namespace": "search web"}, "does not look like one"),
        ("toolCache:clearNamespace", {"namespace": "search_web_v1", "maxDeletes": 0}, r"1\.\.10000"),
    ],
)
def test_wrong_arguments_say_which_are_right(name: str, args: dict[str, object], says: str) -> None:
    with pytest.raises(FunctionError, match=says):
        function(name).check(args)


def test_a_fraction_of_minutes_is_kept_where_the_server_keeps_it() -> None:
    assert function("rateLimit:getEventSummary").check({"minutes": 2.5}) == {"minutes": 2.5}


def test_the_gates_own_limit_is_let_through() -> None:
    """`--limit=150` is the runbook's; the server cuts it to 50."""
    assert function("ops:getReliabilitySnapshot").check({"minutes": 20, "limit": 150}) == {"minutes": 20, "limit": 150}


@pytest.mark.parametrize("name", ["circuitBreaker:recordSuccess", "bulkhead:releaseSlot", "idempotency:cleanupExpired"])
def test_functions_that_undo_protection_are_not_on_the_list(name: str) -> None:
    with pytest.raises(FunctionError):
        function(name)


def test_an_unknown_function_names_the_nearest() -> None:
    with pytest.raises(FunctionError, match="did you mean `circuitBreaker:listStatuses`"):
        function("circuitBreaker:listStatus")
