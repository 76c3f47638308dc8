"""The five synthetic probes, at the wire (operator-commands.md section 3)."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Awaitable, Callable

import pytest

from bot.clock import SystemClock
from bot.errors import Refused
from bot.sendcat.brake import Brake, Limits
from bot.sendcat.probe import probe
from bot.sendcat.site import SiteClient
from slo.policy import Ownership, load
from slo.probe import judge
from slo.reports import Probe, ProbeReport
from slo.verdict import Verdict
from tests.bot.sendcat.conftest import GMAIL_TOKEN, make_target
from tests.bot.sendcat.wild import Handler, Seen, Wild, Writer, always, never, response, slams
from tests.conftest import SLOW

Start = Callable[[Handler], Awaitable[Wild]]
NAMES = [
    "chat_options_cors",
    "chat_requires_auth",
    "gmail_push_guard",
    "whatsapp_verify_guard",
    "whatsapp_post_guard",
]


async def guarded(seen: Seen, writer: Writer) -> None:
    """A healthy Sendcat's refusals."""
    if seen.method == "OPTIONS":
        answer = response(204, b"", f"Access-Control-Allow-Origin: {seen.headers['origin']}")
    elif seen.path == "/api/chat":
        answer = response(401)
    elif seen.path.startswith("/api/gmail/push"):
        answer = response(200, b"OK")
    else:
        answer = response(403)
    writer.write(answer)


async def test_five_probes_in_order_each_told_as_it_comes(wild: Start, clock: SystemClock) -> None:
    server = await wild(guarded)
    told: list[Probe] = []
    report = await probe(make_target(server.url), clock, Brake(clock), told.append)
    assert [result.name for result in report.probes] == NAMES
    assert told == list(report.probes)
    assert report.passed
    assert judge(report, load(Ownership)).verdict is Verdict.PASS
    options, chat, gmail, verify, post = server.seen
    assert (options.method, options.headers["access-control-request-method"]) == ("OPTIONS", "POST")
    assert options.headers["origin"] == chat.headers["origin"] == "https://www.sendcat.app"
    assert "authorization" not in chat.headers
    assert "threadId" in chat.json()
    assert gmail.path == f"/api/gmail/push?token={GMAIL_TOKEN}"
    push = json.loads(base64.b64decode(gmail.json()["message"]["data"]))
    assert push["emailAddress"] == "probe@example.com"
    assert push["historyId"].isdigit()
    assert verify.method == "GET"
    assert "hub.mode=subscribe" in verify.path
    assert "x-hub-signature-256" not in post.headers


async def test_the_artifact_has_the_originals_fields(wild: Start, clock: SystemClock) -> None:
    server = await wild(guarded)
    report = await probe(make_target(server.url), clock, Brake(clock))
    written = report.to_artifact()
    assert list(written) == ["startedAt", "finishedAt", "baseUrl", "probeOrigin", "probes", "passed", "honest"]
    assert written["probes"][0]["details"] == {
        "expectedStatus": [200, 204],
        "status": 204,
        "expectedAllowOrigin": "https://www.sendcat.app",
        "actualAllowOrigin": "https://www.sendcat.app",
    }
    assert written["probes"][1]["details"] == {"expectedStatus": [401], "status": 401}
    assert ProbeReport.parse(written) == report
    assert GMAIL_TOKEN not in report.to_json()


@pytest.mark.parametrize("origin", [None, "*", "https://evil.example"])
async def test_the_first_probe_needs_exactly_our_origin(wild: Start, clock: SystemClock, origin: str | None) -> None:
    headers = [f"Access-Control-Allow-Origin: {origin}"] if origin else []
    server = await wild(always(204, b"", *headers))
    report = await probe(make_target(server.url), clock, Brake(clock))
    assert not report.probes[0].passed


@pytest.mark.parametrize("status", [200, 302, 404, 500])
async def test_other_answers_fail_the_guards(wild: Start, clock: SystemClock, status: int) -> None:
    server = await wild(always(status))
    report = await probe(make_target(server.url), clock, Brake(clock))
    passed = {result.name for result in report.probes if result.passed}
    assert passed == ({"gmail_push_guard"} if status == 200 else set())
    assert not report.passed


@pytest.mark.parametrize("status", [400, 403, 429])
async def test_refusals_pass_the_post_guard(wild: Start, clock: SystemClock, status: int) -> None:
    server = await wild(always(status))
    report = await probe(make_target(server.url), clock, Brake(clock))
    assert report.probes[4].passed


async def test_a_probe_without_an_answer_stands_as_an_error(wild: Start, clock: SystemClock) -> None:
    server = await wild(slams)
    report = await probe(make_target(server.url), clock, Brake(clock))
    assert [(result.status, result.passed) for result in report.probes] == [(None, False)] * 5
    assert isinstance(report.probes[0].details, str)
    assert judge(report, load(Ownership)).verdict is Verdict.INCOMPLETE


async def test_R20_a_probe_that_hangs_is_given_up(wild: Start, clock: SystemClock) -> None:
    server = await wild(never)
    began = time.monotonic()
    report = await probe(make_target(server.url), clock, Brake(clock), total_s=0.1)
    assert time.monotonic() - began < 3 * SLOW
    assert all("TimeoutError" in str(result.details) for result in report.probes)


async def test_R20_a_body_of_any_size_is_dropped(wild: Start, clock: SystemClock) -> None:
    async def huge(_: Seen, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 403 X\r\nTransfer-Encoding: chunked\r\n\r\n")
        block = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _unused in range(200):
            writer.write(block)
            await writer.drain()

    server = await wild(huge)
    async with SiteClient(make_target(server.url), clock) as site:
        answer = await site.ask("GET", "/")
    assert answer.status == 403
    assert not answer.whole
    assert answer.body_bytes <= 1 << 20
    assert server.seen[0].headers["accept-encoding"] == "identity"


async def test_R14_R15_a_redirected_probe_is_not_followed_and_its_token_stays(wild: Start, clock: SystemClock) -> None:
    elsewhere = await wild(always(200))
    server = await wild(always(307, b"", f"Location: {elsewhere.url}/x"))
    await probe(make_target(server.url), clock, Brake(clock))
    assert elsewhere.accepted == 0


async def test_R14_a_target_that_resolves_inside_is_refused(clock: SystemClock) -> None:
    async def resolver(_: str, __: int) -> list[str]:
        return ["169.254.169.254"]

    target = make_target("https://x.convex.site", api_url="https://x.convex.cloud")
    site = SiteClient(target, clock, resolver=resolver)
    with pytest.raises(Refused, match="not a public address"):
        await probe(target, clock, Brake(clock), client=site)


async def test_R16_R19_a_closed_gate_ends_the_probes_and_is_no_pass(wild: Start, clock: SystemClock) -> None:
    server = await wild(guarded)
    brake = Brake(clock)
    report = await probe(
        make_target(server.url), clock, brake, lambda result: brake.stop() if result.name == NAMES[1] else None
    )
    assert len(server.seen) == 2
    assert report.honest is not None
    assert report.honest.ended.how == "stopped"
    assert not report.passed
    assert judge(report, load(Ownership)).verdict is Verdict.INCOMPLETE
    report = await probe(make_target(server.url), clock, Brake(clock, limits=Limits(requests=3)))
    assert len(server.seen) == 5
    assert report.honest is not None
    assert "ceiling" in report.honest.ended.reason
