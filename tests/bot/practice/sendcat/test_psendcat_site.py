"""The site host: recorded requests and answers, the order of checks, limits, streams (HTTP endpoints under watch)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.practice.sendcat import PracticeClock, PracticeSendcat, Script
from bot.practice.sendcat.circuits import PRIMARY, SECONDARY, SERPER
from bot.practice.sendcat.upstreams import OK, Health

RECORDED = json.loads((Path(__file__).parents[3] / "data/samples/http.json").read_text())
CASES = {case["name"]: case for case in RECORDED["cases"]}
ORIGIN = "https://www.sendcat.app"


@pytest.fixture
def practice() -> PracticeSendcat:
    secrets = RECORDED["secrets"]
    return PracticeSendcat(
        clock=PracticeClock.at(),
        seed=2,
        environment={
            "GMAIL_PUBSUB_VERIFY_TOKEN": secrets["gmailToken"],
            "WHATSAPP_APP_SECRET": secrets["whatsappSecret"],
            "WHATSAPP_VERIFY_TOKEN": "verify-me",
        },
    )


@pytest.fixture
async def site(practice: PracticeSendcat) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=practice.site_app)
    async with httpx.AsyncClient(transport=transport, base_url="http://site") as client:
        yield client


def events(answer: httpx.Response) -> list[dict[str, Any]]:
    """The events of a stream; each is one ``data:`` line and an empty line."""
    *blocks, end = answer.text.split("\n\n")
    assert end == ""
    assert all(block.startswith("data: ") for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def types(answer: httpx.Response) -> list[str]:
    return [event["type"] for event in events(answer)]


async def chat(site: httpx.AsyncClient, practice: PracticeSendcat, *, user: int = 0, **body: Any) -> httpx.Response:
    """An authenticated chat of a pool user."""
    entry = practice.pool[user]
    return await site.post(
        "/api/chat",
        json={"threadId": entry["threadId"], "modelId": "moonshotai/kimi-k2.5"} | body,
        headers={"Authorization": f"Bearer {entry['authToken']}"},
    )


def push(history_id: object = "1", email: object = "ann@example.com") -> dict[str, Any]:
    data = base64.b64encode(json.dumps({"emailAddress": email, "historyId": history_id}).encode()).decode()
    return {"message": {"data": data}}


async def gmail(site: httpx.AsyncClient, body: object, *, ip: str = "192.0.2.1", **kwargs: Any) -> httpx.Response:
    headers = {"x-forwarded-for": f"{ip}, 10.0.0.1"} | kwargs.pop("headers", {})
    return await site.post("/api/gmail/push?token=sample-gmail-token", json=body, headers=headers, **kwargs)


async def whatsapp(site: httpx.AsyncClient, body: object, *, secret: str = "sample-wa-secret") -> httpx.Response:
    raw = json.dumps(body).encode()
    signature = "sha256=" + hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()
    headers = {"content-type": "application/json", "x-hub-signature-256": signature, "x-real-ip": "192.0.2.9"}
    return await site.post("/api/whatsapp/webhook", content=raw, headers=headers)


def message(*ids: str) -> dict[str, Any]:
    return {"entry": [{"changes": [{"field": "messages", "value": {"messages": [{"id": name} for name in ids]}}]}]}


# --- recorded cases ---


async def prepare(name: str, practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    """Bring the deployment into the state of a recorded case."""
    deployment = practice.deployment
    upstream, environment = deployment.upstreams[PRIMARY], deployment.environment
    upstream.tokens = 3
    match name:
        case "stream-provider-down":
            upstream.fail(Health("status", 503))
        case "stream-circuit-open":
            for _ in range(5):
                deployment.circuits.failure(PRIMARY, practice.clock.now_ms(), "HTTP 503")
        case "stream-failover":
            upstream.fail(Health("status", 503))
            deployment.upstreams[SECONDARY].tokens = 3
            environment.set("FF_PROVIDER_FAILOVER_ENABLED", "true")
        case "stream-cut":
            upstream.cut_after_tokens = 0
        case "gmail-replayed":
            request = CASES["gmail-accepted"]["request"]
            await site.post(request["path"], content=request["body"], headers=request["headers"])
        case "gmail-throttled":
            deployment.limiter.admit("gmail_push:ip:unknown", 120, 60_000, practice.clock.now_ms(), 120)
        case "health":
            environment.change(
                [
                    ("FF_PROVIDER_FAILOVER_ENABLED", "true"),
                    ("ADMISSION_REDIS_URL", "https://redis.invalid"),
                    ("ADMISSION_REDIS_TOKEN", "x"),
                ]
            )


@pytest.mark.parametrize("name", CASES)
async def test_a_recorded_request_gets_the_recorded_answer(
    practice: PracticeSendcat, site: httpx.AsyncClient, name: str
) -> None:
    """Status, headers and body, but for ids, latencies and moments."""
    request, recorded = CASES[name]["request"], CASES[name]["response"]
    user = practice.deployment.accounts.sign_up("ann", "ann@example.com", practice.clock.now_ms(), token="user:ann")
    await prepare(name, practice, site)
    practice.clock.advance(16_000)
    body = request["body"]
    if body:
        body = body.replace("jx5701921070h3e8w2v9k4m6n1p5q7rt", user.thread_id)

    answer = await site.request(request["method"], request["path"], content=body, headers=request["headers"])

    assert answer.status_code == recorded["status"]
    ignored = {"content-length", "date", "transfer-encoding"}
    assert {k: v for k, v in answer.headers.items() if k not in ignored} == recorded["headers"]
    if "event-stream" in answer.headers["content-type"]:
        assert plain(events(answer)) == plain(stream_of(recorded["body"]))
    elif recorded["body"].startswith("{"):
        own, other = answer.json(), json.loads(recorded["body"])
        assert list(own) == list(other)
        assert {**own, "checkedAt": ""} == {**other, "checkedAt": ""}
    else:
        assert answer.text == recorded["body"]


def stream_of(body: str) -> list[dict[str, Any]]:
    return [json.loads(block.removeprefix("data: ")) for block in body.split("\n\n") if block]


def plain(stream: list[dict[str, Any]]) -> list[Any]:
    """Events without ids and figures of time; the order of keys stays visible."""
    found = []
    for event in stream:
        shown = {key: value for key, value in event.items() if key not in ("messageId", "toolCallId", "metrics")}
        if "retryAfterMs" in shown:
            shown["retryAfterMs"] = shown["retryAfterMs"] > 0
        if shown["type"].startswith("tool-"):
            shown = {"type": shown["type"], "fields": sorted(event)}
        metrics = event.get("metrics", {})
        found.append((shown, list(event), list(metrics), metrics.get("modelId"), metrics.get("finishReason")))
    return found


# --- chat: checks in order ---


async def test_the_checks_of_chat_come_in_the_order_of_the_product(
    practice: PracticeSendcat, site: httpx.AsyncClient
) -> None:
    """Each request is wrong in all the later ways too: the first fault answers."""
    token = practice.pool[0]["authToken"]
    auth, js = {"Authorization": f"Bearer {token}"}, {"content-type": "application/json"}
    big = {"content-length": "70000"}
    steps: list[tuple[dict[str, str], str, int, str]] = [
        ({"origin": "https://evil.example"}, "", 403, "forbidden"),
        ({}, "", 401, "unauthorized"),
        (auth, "{", 415, "unsupported_media_type"),
        (auth | js | big, "{" * 70_000, 413, "payload_too_large"),
        (auth | js, "{", 400, "invalid_json"),
        (auth | js, "[]", 400, "invalid_request"),
        (auth | js, '{"threadId":""}', 400, "invalid_request"),
        (auth | js, '{"threadId":"x","webSearch":"yes"}', 400, "invalid_request"),
        (auth | js, '{"threadId":"x","modelId":null}', 400, "invalid_request"),
    ]
    for headers, body, status, code in steps:
        answer = await site.post("/api/chat", content=body, headers=headers)
        assert (answer.status_code, answer.headers["x-sendcat-error-code"]) == (status, code), (headers, body)
        assert ("x-sendcat-chat-gateway" in answer.headers) == (code != "forbidden")

    practice.deployment.environment.set("OPENROUTER_API_KEY", None)
    answer = await chat(site, practice)
    assert (answer.status_code, answer.headers["x-sendcat-error-code"]) == (500, "misconfigured")
    assert practice.deployment.limiter.events.newest(1) == []


async def test_thirty_chats_in_five_minutes_are_allowed_to_each_user(
    practice: PracticeSendcat, site: httpx.AsyncClient
) -> None:
    statuses = [(await chat(site, practice)).status_code for _ in range(31)]
    refused = await chat(site, practice)
    other = await chat(site, practice, user=1)

    assert statuses == [200] * 30 + [429]
    assert 1 <= int(refused.headers["retry-after"]) <= 300
    assert refused.headers["x-sendcat-error-code"] == "rate_limited"
    assert refused.text == f"Rate limit reached. Please wait about {refused.headers['retry-after']}s and try again."
    assert other.status_code == 200
    (event,) = practice.deployment.limiter.events.newest(10)
    assert (event.source, event.bucket, event.outcome) == ("chat_http", "chat_stream", "blocked")
    assert event.key == "chat_stream:user:usr_1"


async def test_expired_sessions_are_401(practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    practice.deployment.accounts.tokens_expired = True

    assert (await chat(site, practice)).status_code == 401


async def test_options_answers_204_and_names_only_allowed_origins(site: httpx.AsyncClient) -> None:
    ours = await site.options("/api/chat", headers={"Origin": ORIGIN, "Access-Control-Request-Method": "POST"})
    other = await site.options("/api/chat", headers={"Origin": "https://evil.example"})

    assert ours.status_code == other.status_code == 204
    assert ours.headers["access-control-allow-origin"] == ORIGIN
    assert ours.headers["access-control-allow-methods"] == "POST, GET, OPTIONS"
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("flags", "gateway", "admission"),
    [
        ({}, "legacy", "shadow"),
        ({"FF_CHAT_GATEWAY_ENABLED": "true"}, "shadow", "shadow"),
        ({"FF_CHAT_GATEWAY_ENABLED": "1", "FF_CHAT_GATEWAY_SHADOW": "no"}, "authoritative", "shadow"),
        ({"FF_ADMISSION_ENFORCE": "true"}, "legacy", "enforce"),
    ],
)
async def test_mode_headers_follow_the_flags(
    practice: PracticeSendcat, site: httpx.AsyncClient, flags: dict[str, str], gateway: str, admission: str
) -> None:
    practice.deployment.environment.change(flags.items())
    answer = await chat(site, practice)

    assert answer.headers["x-sendcat-chat-gateway"] == answer.headers["x-sendcat-chat-gateway-mode"] == gateway
    assert answer.headers["x-sendcat-admission-mode"] == admission


# --- chat: the stream ---


@pytest.mark.parametrize(
    ("health", "code", "counted"),
    [
        (Health("status", 503), "upstream_unavailable", True),
        (Health("status", 500), "upstream_unavailable", True),
        (Health("timeout"), "upstream_timeout", True),
        (Health("status", 429), "upstream_rate_limited", False),
        (Health("status", 402), "upstream_quota_exceeded", False),
        (Health("status", 401), "upstream_auth", False),
        (Health("status", 404), "upstream_bad_request", False),
        (Health("status", 409), "upstream_error", False),
    ],
)
async def test_a_failing_provider_is_a_200_that_ends_in_an_error(
    practice: PracticeSendcat, site: httpx.AsyncClient, health: Health, code: str, counted: bool
) -> None:
    """Only 408, 425, 5xx and time-outs count against the circuit."""
    circuit = practice.deployment.circuits.row(PRIMARY, 0)
    practice.deployment.settle()
    practice.deployment.upstreams[PRIMARY].fail(health)
    answer = await chat(site, practice)

    assert answer.status_code == 200
    assert types(answer) == ["start", "usage_error", "error"]
    assert events(answer)[-1]["code"] == code
    assert events(answer)[-1].get("retryAfterMs") == (1000 if code == "upstream_timeout" else None)
    assert circuit.failure_count == int(counted)
    assert practice.counters.chats == {code: 1}


async def test_five_failures_open_the_circuit_and_a_success_after_the_cooldown_closes_it(
    practice: PracticeSendcat, site: httpx.AsyncClient
) -> None:
    upstream, row = practice.deployment.upstreams[PRIMARY], practice.deployment.circuits.row(PRIMARY, 0)
    practice.deployment.settle()
    upstream.fail(Health("status", 503))
    for _ in range(5):
        await chat(site, practice)
    opened = row.state, row.failure_count
    calls = upstream.calls
    refused = events(await chat(site, practice))[-1]
    upstream.heal()
    practice.clock.advance(60_000)
    healed = await chat(site, practice)

    assert opened == ("open", 5)
    assert upstream.calls >= calls
    assert refused["code"] == "upstream_unavailable"
    assert 59_000 < refused["retryAfterMs"] <= 60_000
    assert types(healed)[-1] == "done"
    assert (row.state, row.failure_count, row.cooldown_until) == ("closed", 0, None)


@pytest.mark.parametrize(("status", "route"), [(503, "secondary"), (429, "secondary"), (401, None), (400, None)])
async def test_failover_is_for_some_failures_only(
    practice: PracticeSendcat, site: httpx.AsyncClient, status: int, route: str | None
) -> None:
    practice.deployment.environment.set("FF_PROVIDER_FAILOVER_ENABLED", "true")
    practice.deployment.upstreams[PRIMARY].fail(Health("status", status))
    found = {event["type"]: event for event in events(await chat(site, practice))}

    assert found.get("provider-route", {}).get("routeId") == route
    assert ("done" in found) == (route is not None)


async def test_a_full_bulkhead_tells_to_wait_for_minutes(practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    now_ms = practice.clock.now_ms()
    for number in range(24):
        practice.deployment.bulkheads.acquire(PRIMARY, f"busy-{number}", now_ms)
    error = events(await chat(site, practice))[-1]

    assert error["code"] == "upstream_unavailable"
    assert error["retryAfterMs"] > 500_000
    assert practice.deployment.warnings.sent[-1].message == f"Bulkhead saturation: {PRIMARY}"


async def test_a_lease_ends_with_the_headers_not_with_the_stream(
    practice: PracticeSendcat, site: httpx.AsyncClient
) -> None:
    practice.deployment.upstreams[PRIMARY].tokens = 400
    answer = await chat(site, practice)

    assert types(answer).count("content") == 400
    assert practice.deployment.bulkheads.in_flight(practice.clock.now_ms())[PRIMARY] == 0


async def test_a_stream_can_break_without_a_word(practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    practice.deployment.upstreams[PRIMARY].cut_after_tokens = 2
    answer = await chat(site, practice)

    assert types(answer) == ["start", "provider-route", "content", "content"]
    assert practice.counters.chats == {"cut": 1}


async def test_a_healthy_chat_takes_60_to_150_ms(practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    before = practice.clock.now_ms()
    answer = await chat(site, practice)

    assert types(answer)[-1] == "done"
    assert 60 <= practice.clock.now_ms() - before <= 150


async def test_a_web_search_runs_through_the_queue_and_the_cache(
    practice: PracticeSendcat, site: httpx.AsyncClient
) -> None:
    first = events(await chat(site, practice, webSearch=True))
    calls = practice.deployment.upstreams[SERPER].calls
    second = events(await chat(site, practice, webSearch=True))
    outputs = [next(e["output"] for e in run if e["type"].startswith("tool-output")) for run in (first, second)]

    assert outputs[0] == outputs[1]
    assert outputs[0][0]["title"].endswith("result 1 v1")
    assert practice.deployment.upstreams[SERPER].calls == calls


@pytest.mark.parametrize("reason", ["queue_timeout", "queue_saturated", "dead_letter"])
async def test_a_degraded_queue_is_told_and_the_answer_goes_on(
    practice: PracticeSendcat, site: httpx.AsyncClient, reason: str
) -> None:
    deployment = practice.deployment
    if reason == "dead_letter":
        deployment.environment.change([("SERPER_API_KEY", None), ("TOOL_JOB_MAX_ATTEMPTS", "1")])
    else:
        for number in range(6):
            deployment.bulkheads.acquire("tool_job_worker", f"busy-{number}", deployment.settle())
    if reason == "queue_saturated":
        for number in range(80):
            deployment.queue.enqueue("chat_http", "search_web", f'{{"query":"{number}"}}', practice.clock.now_ms())
    before = practice.clock.now_ms()
    answer = await chat(site, practice, webSearch=True)
    pressure = next(event for event in events(answer) if event["type"] == "tool-backpressure")

    assert pressure["reason"] == reason
    assert pressure["toolName"] == "search_web"
    assert pressure["retryable"] is (reason != "dead_letter")
    assert types(answer)[-1] == "done"
    if reason == "queue_timeout":
        assert 8_000 <= practice.clock.now_ms() - before < 8_600


# --- admission ---


async def test_admission_enforced_keeps_one_chat_in_flight_for_each_user(
    practice: PracticeSendcat, site: httpx.AsyncClient
) -> None:
    import asyncio

    redis = [("ADMISSION_REDIS_URL", "https://redis.invalid"), ("ADMISSION_REDIS_TOKEN", "x")]
    flags = [("ADMISSION_REDIS_ENABLED", "true"), ("FF_ADMISSION_ENFORCE", "true")]
    practice.deployment.environment.change(redis + flags)
    both = await asyncio.gather(chat(site, practice), chat(site, practice))
    practice.deployment.upstreams["redis"].fail(Health("timeout"))
    open_ = await chat(site, practice)
    practice.deployment.environment.set("FF_FAIL_CLOSED_ON_REDIS_ERROR", "true")
    closed = await chat(site, practice)
    practice.deployment.upstreams["redis"].health = OK

    assert sorted(answer.status_code for answer in both) == [200, 429]
    assert (open_.status_code, closed.status_code) == (200, 429)
    reasons = {(event.outcome, event.reason) for event in practice.deployment.limiter.events}
    assert {("blocked", "user_inflight"), ("contention_fallback", "redis_unavailable")} <= reasons


# --- health ---


async def test_health_tests_configuration_and_not_the_provider(
    practice: PracticeSendcat, site: httpx.AsyncClient
) -> None:
    practice.deployment.upstreams[PRIMARY].fail(Health("status", 503))
    down = await site.get("/api/chat/health")
    practice.deployment.environment.set("OPENROUTER_API_KEY", None)
    keyless = await site.get("/api/chat/health")
    practice.deployment.environment.set("FF_CHAT_GATEWAY_HEALTH_ENABLED", "false")
    disabled = await site.get("/api/chat/health")
    foreign = await site.get("/api/chat/health", headers={"Origin": "https://evil.example"})

    assert (down.status_code, keyless.status_code) == (200, 503)
    assert keyless.json()["ok"] is False
    assert (disabled.status_code, disabled.text) == (403, "Health endpoint disabled")
    assert foreign.status_code == 403


# --- gmail ---


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({}, "invalid_request", "expected object, received undefined"),
        ({"message": {}}, "invalid_request", "expected string, received undefined"),
        ({"message": {"data": 5}}, "invalid_request", "expected string, received number"),
        ({"message": {"data": "!!!"}}, "invalid_request", ""),
        (push(17), "invalid_request", ""),
        (push(""), "invalid_request", ""),
        (push("1", "nobody"), "invalid_request", ""),
    ],
)
async def test_a_bad_push_is_a_400(site: httpx.AsyncClient, body: object, code: str, words: str) -> None:
    answer = await gmail(site, body)

    assert answer.status_code == 400
    assert answer.headers["x-sendcat-error-code"] == code
    assert words in answer.text


async def test_the_push_checks_come_in_order(practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    wrong_type = await site.post("/api/gmail/push", content="{}", headers={"content-type": "text/plain"})
    too_big = await site.post(
        "/api/gmail/push",
        content="x" * 262_145,
        headers={"content-type": "application/json", "x-real-ip": "192.0.2.2"},
    )
    bad_json = await site.post(
        "/api/gmail/push?token=sample-gmail-token", content="{", headers={"content-type": "application/json"}
    )
    no_token = await site.post("/api/gmail/push", json=push("2"))
    own_bearer = await site.post(
        "/api/gmail/push?token=sample-gmail-token", json=push("3"), headers={"Authorization": "Bearer identity"}
    )
    by_header = await site.post("/api/gmail/push", json=push("4"), headers={"x-pubsub-token": "sample-gmail-token"})
    practice.deployment.environment.set("GMAIL_PUBSUB_VERIFY_TOKEN", None)
    open_door = await site.post("/api/gmail/push", json=push("5"))

    answers = [wrong_type, too_big, bad_json, no_token, own_bearer, by_header, open_door]
    assert [answer.status_code for answer in answers] == [415, 413, 400, 403, 403, 200, 200]
    assert bad_json.headers["x-sendcat-error-code"] == "invalid_json"


async def test_refused_pushes_use_up_the_budget_of_their_address_only(
    practice: PracticeSendcat, site: httpx.AsyncClient
) -> None:
    """The limiter counts before the token is checked; windows are aligned to the clock; each address has its own."""
    for number in range(120):
        answer = await site.post(
            "/api/gmail/push?token=no", json=push(str(number)), headers={"cf-connecting-ip": "192.0.2.7"}
        )
        assert answer.status_code == 403
    headers = {"cf-connecting-ip": "192.0.2.7"}
    limited = await gmail(site, push("x"), headers=headers)
    other = await gmail(site, push("x"), ip="192.0.2.8")
    practice.clock.advance(int(limited.headers["retry-after"]) * 1000)
    later = await gmail(site, push("y"), headers=headers)

    assert (limited.status_code, other.status_code, later.status_code) == (429, 200, 200)
    assert practice.clock.now_ms() % 60_000 < 2_000


async def test_a_push_is_processed_once(practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    before = practice.counters.processed["gmail_push_history"]
    first, again = await gmail(site, push("77")), await gmail(site, push("77"))

    assert "x-idempotent-replay" not in first.headers
    assert (again.status_code, again.text, again.headers["x-idempotent-replay"]) == (200, "OK", "1")
    assert practice.counters.processed["gmail_push_history"] == before + 1
    assert practice.counters.processed_twice == 0


# --- whatsapp ---


async def test_a_batch_is_cut_down_to_its_new_messages(practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    before = practice.counters.processed["whatsapp_message"]
    first = await whatsapp(site, message("a", "b"))
    mixed = await whatsapp(site, message("b", "c"))
    again = await whatsapp(site, message("a", "c"))
    receipt = await whatsapp(site, {"entry": [{"changes": [{"field": "messages", "value": {"statuses": []}}]}]})
    nameless = await whatsapp(site, {"entry": [{"changes": [{"field": "messages", "value": {"messages": [{}]}}]}]})
    empty = await whatsapp(site, {})

    replayed = ["x-idempotent-replay" in a.headers for a in (first, mixed, again, receipt, nameless, empty)]
    assert replayed == [False, False, True, True, False, True]
    assert practice.counters.processed["whatsapp_message"] == before + 3


async def test_whatsapp_checks_signature_then_body(practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    wrong = await whatsapp(site, message("a"), secret="other")
    not_list = await whatsapp(site, {"entry": {}})
    practice.deployment.environment.set("WHATSAPP_APP_SECRET", None)
    unset = await whatsapp(site, message("a"))

    assert (wrong.status_code, wrong.text) == (403, "Invalid signature")
    assert (not_list.status_code, not_list.headers["x-sendcat-error-code"]) == (400, "invalid_request")
    assert (unset.status_code, unset.text) == (403, "Missing signature or secret")


async def test_whatsapp_verification(site: httpx.AsyncClient) -> None:
    path = "/api/whatsapp/webhook"
    params = {"hub.mode": "subscribe", "hub.verify_token": "verify-me"}
    good = await site.get(path, params={**params, "hub.challenge": "42"})
    bare = await site.get(path, params=params)
    wrong = await site.get(path, params={**params, "hub.verify_token": "no"})

    assert (good.status_code, good.text) == (200, "42")
    assert (bare.status_code, wrong.status_code) == (400, 403)


# --- platform ---


@pytest.mark.parametrize(("method", "path"), [("GET", "/api/chat"), ("GET", "/api/gmail/push"), ("POST", "/nowhere")])
async def test_what_has_no_route_is_a_404_without_a_code(site: httpx.AsyncClient, method: str, path: str) -> None:
    answer = await site.request(method, path)

    assert answer.status_code == 404
    assert "x-sendcat-error-code" not in answer.headers


async def test_a_platform_error_has_no_code_of_sendcat(practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    practice.switches.site_fail_status = 503
    answer = await gmail(site, push())
    practice.switches.reset()
    practice.script(Script("/api/gmail/push", status=502, body="<html>", content_type="text/html"))
    scripted, after = await gmail(site, push()), await gmail(site, push())

    assert (answer.status_code, scripted.status_code, after.status_code) == (503, 502, 200)
    assert "x-sendcat-error-code" not in answer.headers


async def test_contention_answers_429_with_one_second(practice: PracticeSendcat, site: httpx.AsyncClient) -> None:
    practice.deployment.limiter.contention["gmail_push"] = 1.0
    answer = await gmail(site, push())

    assert (answer.status_code, answer.headers["retry-after"]) == (429, "1")
    assert answer.text == "Too many requests. Please retry in a moment."
    assert practice.deployment.limiter.events.newest(1)[0].outcome == "contention_fallback"
