"""The Convex client at the wire: a closed set, one try for writes, plain words for trouble."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import stamina

from bot.clock import SystemClock
from bot.errors import Broken, Refused, Unknown, Unreachable
from bot.redact import Scrubber
from bot.sendcat.convex import CallFailed, Cause, ConvexClient
from bot.sendcat.line import Line
from tests.bot.sendcat.conftest import KEY, make_target
from tests.bot.sendcat.wild import Handler, Seen, Wild, Writer, always, in_turn, never, slams, slow, value
from tests.conftest import SLOW

Build = Callable[..., Awaitable[tuple[ConvexClient, Wild]]]
SNAPSHOT = "ops:getReliabilitySnapshot"


@pytest.fixture(autouse=True)
def _quick_retries() -> Any:
    """Retries stay, their waits do not."""
    with stamina.set_testing(True, attempts=3):
        yield


def failing(message: str, data: object = None, status: int = 200) -> Handler:
    body: dict[str, object] = {"status": "error", "errorMessage": message}
    if data is not None:
        body["errorData"] = data
    return always(status, json.dumps(body).encode())


def outside(status: int, code: str, message: str = "") -> Handler:
    return always(status, json.dumps({"code": code, "message": message}).encode())


async def test_a_query_is_one_typed_request_and_its_value(convex: Build) -> None:
    client, server = await convex(value({"windowMinutes": 15, "rate": 0.5}))
    assert await client.query(SNAPSHOT, {"minutes": 15}) == {"windowMinutes": 15, "rate": 0.5}
    (seen,) = server.seen
    assert (seen.method, seen.path) == ("POST", "/api/query")
    assert seen.json() == {"path": SNAPSHOT, "args": {"minutes": 15}, "format": "json"}
    assert seen.headers["authorization"] == f"Convex {KEY}"
    assert seen.headers["convex-client"] == seen.headers["user-agent"] == "sendcat-chatops-0.1.0"
    assert seen.headers["content-type"] == "application/json"


async def test_whole_numbers_come_back_whole(convex: Build) -> None:
    client, _ = await convex(always(200, b'{"status":"success","value":{"a":15.0,"b":-0.25,"c":[3.0],"d":1e300}}'))
    answer = await client.query(SNAPSHOT)
    assert answer == {"a": 15, "b": -0.25, "c": [3], "d": 1e300}
    assert [type(answer["a"]), type(answer["c"][0]), type(answer["d"])] == [int, int, float]


async def test_R21_what_is_not_listed_is_never_sent(convex: Build) -> None:
    client, server = await convex(value(None))
    with pytest.raises(Unknown, match="did you mean"):
        await client.query("ops:getReliabilitySnapshots")
    with pytest.raises(Unknown, match="no function"):
        await client.mutate("rateLimit:checkAndIncrement", {"key": "x"})
    with pytest.raises(Unknown, match="has no argument"):
        await client.query(SNAPSHOT, {"minute": 3})
    with pytest.raises(Refused, match="is a mutation, not a query"):
        await client.query("toolCache:clearNamespace", {"namespace": "search_web_v1"})
    with pytest.raises(Refused, match="is a query, not a action"):
        await client.action(SNAPSHOT)
    assert server.seen == []


async def test_the_kind_stands_in_the_address(convex: Build) -> None:
    client, server = await convex(value({"deleted": 0, "hasMore": False}))
    await client.mutate("toolCache:clearNamespace", {"namespace": "search_web_v1", "maxDeletes": 200})
    await client.action("toolJobs:processQueue", {"maxJobs": 3})
    assert [seen.path for seen in server.seen] == ["/api/mutation", "/api/action"]


@pytest.mark.parametrize("status", [200, 560])
async def test_a_function_that_throws_is_told_with_request_id_and_line(convex: Build, status: int) -> None:
    message = "[Request ID: 3f1c0f5d9a7e2b44] Server Error\nUncaught Error: limit must be positive"
    client, server = await convex(failing(message, status=status))
    with pytest.raises(CallFailed) as caught:
        await client.query(SNAPSHOT, {"minutes": 30, "limit": 100})
    failure = caught.value
    assert failure.cause is Cause.THREW
    assert failure.request_id == "3f1c0f5d9a7e2b44"
    assert SNAPSHOT in failure.what
    assert "practice" in failure.what
    assert "limit must be positive" in failure.what
    assert failure.then == f"""npx convex run {SNAPSHOT} '{{"minutes":30,"limit":100}}'"""
    assert len(server.seen) == 1, "a function error is never tried again"


@pytest.mark.parametrize(
    ("handler", "cause", "words"),
    [
        (failing("Could not find public function for 'ops:x'."), Cause.NOT_DEPLOYED, "not deployed"),
        (
            failing("You do not have permission to perform this operation (deployment:functions:runInternalQueries)"),
            Cause.NO_PERMISSION,
            "`deployment:functions:runInternalQueries`",
        ),
        (failing("Cannot run functions while this deployment is paused."), Cause.PAUSED, "paused"),
        (failing("This deployment has been disabled"), Cause.PAUSED, "disabled"),
        (outside(401, "BadAdminKey", "bad"), Cause.WRONG_KEY, "SENDCAT_DEPLOY_KEY"),
        (outside(403, "BadDeployKey", "bad"), Cause.WRONG_KEY, "SENDCAT_DEPLOY_KEY"),
        (
            outside(403, "OperationNotPermitted", "needs deployment:env:view"),
            Cause.NO_PERMISSION,
            "`deployment:env:view`",
        ),
        (outside(400, "BadJsonBody", "no"), Cause.REJECTED, "BadJsonBody"),
        (always(404), Cause.NOT_DEPLOYED, "api_url"),
        (always(302, b"", "Location: https://evil.example"), Cause.GARBLED, "redirects are not followed"),
        (always(200, b"<!doctype html><h1>hi</h1>", kind="text/html"), Cause.GARBLED, "web page"),
        (always(200, b'{"status":"succ'), Cause.GARBLED, "not whole JSON"),
        (always(200, b"[1,2]"), Cause.GARBLED, "members"),
        (always(200, b'{"status":"success"}'), Cause.GARBLED, "members"),
        (always(200, b'{"status":"success","value":NaN}'), Cause.GARBLED, "not whole JSON"),
        (always(200, b"[" * 200_000), Cause.GARBLED, "not whole JSON"),
        (always(200, b"\x1f\x8b", "Content-Encoding: gzip"), Cause.GARBLED, "packed"),
    ],
)
async def test_each_cause_is_told_in_plain_words_after_one_try(
    convex: Build, handler: Handler, cause: Cause, words: str
) -> None:
    client, server = await convex(handler)
    with pytest.raises(Unreachable) as caught:
        await client.query(SNAPSHOT)
    failure = caught.value
    assert isinstance(failure, CallFailed)
    assert (failure.cause, failure.ambiguous) == (cause, False)
    assert words in failure.what
    assert failure.then == f"npx convex run {SNAPSHOT}"
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    "bad",
    [
        slams,
        outside(408, ""),
        outside(421, "MisdirectedRequest"),
        outside(429, "TooManyConcurrentRequests", "slow down"),
        outside(500, "InternalServerError"),
        always(502, b"<html>", kind="text/html"),
        outside(503, "ExpiredInQueue"),
    ],
)
async def test_a_read_is_tried_three_times_and_no_more(convex: Build, bad: Handler) -> None:
    client, server = await convex(in_turn(bad, bad, value(7)))
    assert await client.query(SNAPSHOT) == 7
    assert len(server.seen) == 3
    client, server = await convex(bad)
    with pytest.raises(CallFailed):
        await client.query(SNAPSHOT)
    assert len(server.seen) == 3


async def test_a_429_waits_three_seconds_and_all_is_over_in_time(convex: Build) -> None:
    """Without the testing mode: the wait hint of the contract is longer than the whole time given here."""
    with stamina.set_testing(False):
        client, server = await convex(outside(429, "TooManyConcurrentRequests"), total_s=0.5)
        began = time.monotonic()
        with pytest.raises(CallFailed) as caught:
            await client.query(SNAPSHOT)
    assert caught.value.cause is Cause.BUSY
    assert time.monotonic() - began < 2 * SLOW
    assert len(server.seen) == 1


async def test_a_slow_answer_is_called_slow(convex: Build) -> None:
    client, server = await convex(never, timeout=httpx.Timeout(5, read=0.1))
    with pytest.raises(CallFailed) as caught:
        await client.query(SNAPSHOT)
    assert caught.value.cause is Cause.SLOW
    assert len(server.seen) == 3


async def test_R20_a_trickling_answer_ends_with_the_total_time(convex: Build) -> None:
    async def trickle(_: Seen, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        for _unused in range(200):
            writer.write(b" ")
            await writer.drain()
            await asyncio.sleep(0.02)

    client, _ = await convex(trickle, total_s=0.3)
    with pytest.raises(CallFailed) as caught:
        await client.query(SNAPSHOT)
    assert caught.value.cause is Cause.SLOW


async def test_nobody_at_home_is_told_as_such(clock: SystemClock) -> None:
    async with ConvexClient(Line(make_target("http://127.0.0.1:1"), clock, Scrubber())) as client:
        with pytest.raises(CallFailed) as caught:
            await client.query(SNAPSHOT)
    assert caught.value.cause is Cause.DOWN
    assert not caught.value.ambiguous


@pytest.mark.parametrize(
    ("bad", "ambiguous"),
    [
        (slams, True),
        (never, True),
        (outside(500, "InternalServerError"), True),
        (outside(408, ""), True),
        (always(502, b"<html>"), True),
        (always(200, b"half"), True),
        (outside(503, "OptimisticConcurrencyControlFailure"), False),
        (outside(503, "ExpiredInQueue"), False),
        (outside(503, "SomethingNew"), True),
        (outside(429, "TooManyWrites"), False),
        (outside(401, "BadAdminKey"), False),
        (failing("boom"), False),
    ],
)
async def test_R26_a_mutation_is_sent_once_and_says_whether_it_may_have_happened(
    convex: Build, bad: Handler, ambiguous: bool
) -> None:
    client, server = await convex(bad, timeout=httpx.Timeout(0.3))
    with pytest.raises(CallFailed) as caught:
        await client.mutate("toolJobs:requeueDeadLetter", {"jobId": "j1"})
    assert caught.value.ambiguous is ambiguous
    assert ("read before trying again" in caught.value.what) is ambiguous
    assert len(server.seen) == 1


async def test_R26_an_action_that_threw_may_have_had_effects(convex: Build) -> None:
    for bad in (failing("boom"), outside(429, "TooManyConcurrentRequests"), outside(503, "CommitterFullError")):
        client, server = await convex(bad)
        with pytest.raises(CallFailed) as caught:
            await client.action("toolJobs:processQueue")
        assert caught.value.ambiguous
        assert len(server.seen) == 1


async def test_R36_the_key_stands_in_no_error_and_no_log(convex: Build, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client, _ = await convex(failing(f"it echoed {KEY} and Bearer abcdefghijklmnop"))
    with pytest.raises(CallFailed) as caught:
        await client.query(SNAPSHOT)
    for text in (str(caught.value), repr(caught.value), caplog.text):
        assert "SECRETKEY" not in text
        assert "abcdefghijklmnop" not in text


async def test_R37_people_stand_in_no_error(convex: Build) -> None:
    client, _ = await convex(failing("no thread for ann@example.com at 198.51.100.7"))
    with pytest.raises(CallFailed) as caught:
        await client.query(SNAPSHOT)
    assert "ann@" not in str(caught.value)
    assert "198.51.100.7" not in str(caught.value)


async def test_foreign_text_is_cut_to_300_characters(convex: Build) -> None:
    client, _ = await convex(failing("x" * 5000))
    with pytest.raises(CallFailed) as caught:
        await client.query(SNAPSHOT)
    assert "x" * 299 + "…" in caught.value.what
    assert "x" * 300 not in caught.value.what


async def test_a_missing_key_is_told_before_anything_is_sent(
    wild: Callable[[Handler], Awaitable[Wild]], clock: SystemClock
) -> None:
    server = await wild(value(1))
    async with ConvexClient(Line(make_target(server.url, deploy_key=None), clock, Scrubber())) as client:
        with pytest.raises(Broken, match="SENDCAT_DEPLOY_KEY is not set"):
            await client.query(SNAPSHOT)
    assert server.seen == []


async def test_R15_the_key_of_one_target_never_reaches_another(
    wild: Callable[[Handler], Awaitable[Wild]], clock: SystemClock
) -> None:
    elsewhere = await wild(value(1))
    target = await wild(always(307, b"", f"Location: {elsewhere.url}/api/query"))
    async with ConvexClient(Line(make_target(target.url), clock, Scrubber())) as client:
        with pytest.raises(CallFailed):
            await client.query(SNAPSHOT)
    assert elsewhere.accepted == 0


async def test_R36_the_environment_keeps_listed_knobs_only(convex: Build) -> None:
    stored = {
        "RATE_LIMIT_CHAT_STREAM_MAX": "30",
        "ADMISSION_REDIS_TOKEN": "redis-secret",
        "ADMISSION_REDIS_URL": "https://redis.example",
        "OPENROUTER_API_KEY": "sk-secret",
        "STRIPE_KEY": "sk_live",
    }
    client, server = await convex(always(200, json.dumps({"environmentVariables": stored}).encode()))
    kept = await client.environment()
    assert kept["RATE_LIMIT_CHAT_STREAM_MAX"] == "30"
    assert not {"OPENROUTER_API_KEY", "STRIPE_KEY"} & set(kept)
    assert "redis-secret" not in json.dumps(kept)
    assert "redis.example" not in json.dumps(kept)
    assert server.seen[0].path == "/api/v1/list_environment_variables"


async def test_older_servers_are_asked_at_the_older_address(convex: Build) -> None:
    client, server = await convex(in_turn(always(404), always(200, b'{"environmentVariables":{}}')))
    assert await client.environment() == {}
    assert [seen.path for seen in server.seen] == [
        "/api/v1/list_environment_variables",
        "/api/list_environment_variables",
    ]


async def test_a_missing_permission_for_knobs_is_named(convex: Build) -> None:
    client, _ = await convex(outside(403, "OperationNotPermitted", "missing deployment:env:view"))
    with pytest.raises(CallFailed) as caught:
        await client.environment()
    assert caught.value.permission == "deployment:env:view"
    assert caught.value.then == "npx convex env list"


async def test_R21_only_listed_knobs_are_set_together_and_once(convex: Build) -> None:
    client, server = await convex(always(200))
    await client.set_environment({"TOOL_JOB_RUNMAX_WEB": "3", "TOOL_JOB_RUNMAX_QOS_REALTIME": None})
    assert server.seen[0].json() == {
        "changes": [
            {"name": "TOOL_JOB_RUNMAX_QOS_REALTIME", "value": None},
            {"name": "TOOL_JOB_RUNMAX_WEB", "value": "3"},
        ]
    }
    for changes in (
        {},
        {"OPENROUTER_API_KEY": "x"},
        {"ADMISSION_REDIS_TOKEN": "x"},
        {"TOOL_JOB_RUNMAX_WEB": "9" * 9000},
    ):
        with pytest.raises(Refused):
            await client.set_environment(changes)
    assert len(server.seen) == 1


async def test_R26_an_unclear_setting_is_not_repeated(convex: Build) -> None:
    for bad in (slams, outside(500, "InternalServerError")):
        client, server = await convex(bad)
        with pytest.raises(CallFailed) as caught:
            await client.set_environment({"TOOL_JOB_RUNMAX_WEB": "3"})
        assert caught.value.ambiguous
        assert caught.value.then == "npx convex env set TOOL_JOB_RUNMAX_WEB '3'"
        assert len(server.seen) == 1


async def test_no_more_than_four_calls_at_a_time(convex: Build) -> None:
    running = most = 0
    full = asyncio.Event()

    async def counting(seen: Seen, writer: Writer) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == 4:
            full.set()
        async with asyncio.timeout(20):
            await full.wait()
        await asyncio.sleep(0.02)  # a fifth would come now
        running -= 1
        await value(1)(seen, writer)

    client, _ = await convex(counting)
    await asyncio.gather(*(client.query(SNAPSHOT) for _ in range(20)))
    assert most == 4


async def test_what_the_deployment_says_of_itself(convex: Build) -> None:
    client, server = await convex(always(200, b'{"kind":"cloud","deploymentType":"prod","projectSlug":"sendcat"}'))
    info = await client.deployment_info()
    assert (info.kind, info.deployment_type, info.project) == ("cloud", "prod", "sendcat")
    client, server = await convex(always(200, b"brave-heron-112"))
    assert await client.instance_name() == "brave-heron-112"
    assert "authorization" not in server.seen[0].headers
    client, _ = await convex(always(404))
    assert await client.instance_name() is None
    client, _ = await convex(always(200, b"<html>login</html>"))
    assert await client.instance_name() is None


async def test_R31_the_servers_clock_is_known(convex: Build) -> None:
    client, _ = await convex(always(200, b'{"ts":"AADq1tCp6hg="}'))
    assert await client.server_time() == int.from_bytes(b"\x00\x00\xea\xd6\xd0\xa9\xea\x18", "little") // 1_000_000
    client, _ = await convex(always(200, b'{"status":"success","value":1}', "Date: Mon, 23 Nov 2026 07:47:21 GMT"))
    assert client.skew_ms is None
    await client.query(SNAPSHOT)
    expected = 1_795_420_041_500 - round(time.time() * 1000)
    assert client.skew_ms is not None
    assert abs(client.skew_ms - expected) < 5_000


async def test_an_answer_of_sixteen_mebibytes_is_read(convex: Build) -> None:
    client, _ = await convex(value("x" * (16 << 20)))
    assert len(await client.query("toolCache:get", {"namespace": "search_web_v1", "key": "k"})) == 16 << 20


async def test_R20_a_longer_answer_is_refused(convex: Build) -> None:
    client, _ = await convex(value("x" * (17 << 20)))
    with pytest.raises(CallFailed, match="16 MiB"):
        await client.query(SNAPSHOT)


async def test_a_quote_in_an_argument_is_safe_in_the_line_to_paste(convex: Build) -> None:
    client, _ = await convex(slow(0, failing("no")))
    with pytest.raises(CallFailed) as caught:
        await client.query("toolCache:get", {"namespace": "search_web_v1", "key": "it's; rm -rf"})
    assert caught.value.then == (
        """npx convex run toolCache:get '{"namespace":"search_web_v1","key":"it'\\''s; rm -rf"}'"""
    )
