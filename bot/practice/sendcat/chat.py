"""``/api/chat`` and its health: the checks before a stream, in the order of the product."""

from __future__ import annotations

import asyncio
import random
from datetime import UTC, datetime

from starlette.types import Receive, Send

from bot.practice.sendcat.accounts import User
from bot.practice.sendcat.admission import ChatAdmission
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.routes import model
from bot.practice.sendcat.stream import Ask, ClientGone, Stream
from bot.practice.sendcat.values import dumps
from bot.practice.sendcat.webhooks import contended, refusal, too_many
from bot.practice.sendcat.wire import Answer, Headers, Request

CHAT_PATH = "/api/chat"
LARGEST_CHAT = 65_536
DEFAULT_ORIGINS = "http://localhost:3000,http://localhost:5173,http://localhost:4173"


class Chat:
    """The chat endpoint of one deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._admission = ChatAdmission(
            deployment.environment, deployment.limiter, deployment.upstreams, deployment.seed
        )
        self._random = random.Random(f"chat-{deployment.seed}")

    # --- before the stream ---

    def options(self, request: Request) -> Answer:
        answer = Answer(204)
        if self._origin_allowed(request):
            answer.headers = [
                (b"access-control-allow-origin", request.headers[b"origin"]),
                (b"access-control-allow-methods", b"POST, GET, OPTIONS"),
                (b"access-control-allow-headers", b"Content-Type, Authorization"),
                (b"access-control-allow-credentials", b"true"),
            ]
        return answer

    def health(self, request: Request) -> Answer:
        """``GET /api/chat/health``: is the configuration complete; says nothing about providers."""
        environment = self._deployment.environment
        if b"origin" in request.headers and not self._origin_allowed(request):
            return refusal(403, "forbidden", "Forbidden")
        if request.method == "OPTIONS":
            return Answer(200, headers=self._cors(request))
        if not environment.flag("FF_CHAT_GATEWAY_HEALTH_ENABLED"):
            return refusal(403, "forbidden", "Health endpoint disabled")
        config = environment.config()
        admission, gateway = config["admission"], config["chatGateway"]
        assert isinstance(admission, dict)
        assert isinstance(gateway, dict)
        key_set = bool(environment.get("OPENROUTER_API_KEY"))
        redis_set = bool(admission["redisUrl"]) and bool(admission["redisToken"])
        fail_closed = bool(gateway["failClosedOnRedisError"])
        ok = key_set and (not fail_closed or redis_set or not admission["enabled"])
        seconds, ms = divmod(self._deployment.settle() + self._deployment.switches.skew_ms, 1000)
        body = {
            "ok": ok,
            "mode": self._mode(),
            "checkedAt": f"{_utc(seconds)}.{ms:03d}Z",
            "flags": {
                name: gateway[name]
                for name in (
                    "enabled",
                    "shadowMode",
                    "admissionEnforce",
                    "toolQueueEnforce",
                    "providerFailoverEnabled",
                    "failClosedOnRedisError",
                )
            },
            "admission": {
                "enabled": admission["enabled"],
                "configuredShadowMode": admission["shadowMode"],
                "effectiveMode": self._admission_mode(),
                "redisConfigured": redis_set,
                "keyPrefix": admission["keyPrefix"],
                "enforcePolicy": {
                    "userInFlight": admission["enforceUserInFlight"],
                    "globalInFlight": admission["enforceGlobalInFlight"],
                    "globalMessageRate": admission["enforceGlobalMessageRate"],
                    "globalToolRate": admission["enforceGlobalToolRate"],
                },
                "retryAfter": {
                    "baseMs": admission["retryAfterMs"],
                    "jitterPct": admission["retryAfterJitterPct"],
                },
            },
            "checks": {"openRouterApiKeyConfigured": key_set},
            "providerRoutes": config["chatProviderRoutes"],
            "regionTopology": config["regionTopology"],
        }
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        return Answer(200 if ok else 503, dumps(body), headers + self._cors(request))

    def check(self, request: Request, now_ms: int) -> Ask | Answer:
        """The checks of the product in its order: what to stream, or the answer that ends it here."""
        if b"origin" in request.headers and not self._origin_allowed(request):
            return refusal(403, "forbidden", "Forbidden")
        result = self._check(request, now_ms)
        if isinstance(result, Answer):
            result.headers += self.gateway_headers(request)
        return result

    def _check(self, request: Request, now_ms: int) -> Ask | Answer:
        deployment, environment = self._deployment, self._deployment.environment
        scheme, _, token = (request.header(b"authorization") or "").partition(" ")
        user = deployment.accounts.authenticate(token.strip()) if scheme.lower() == "bearer" else None
        if user is None:
            return refusal(401, "unauthorized", "Unauthorized")
        if not request.is_json:
            return refusal(415, "unsupported_media_type", "Content-Type must be application/json")
        if request.declared_length > LARGEST_CHAT:
            return refusal(413, "payload_too_large", "Payload too large")
        try:
            body = request.json()
        except ValueError:
            return refusal(400, "invalid_json", "Invalid JSON")
        if not isinstance(body, dict) or not _fields_right(body):
            return refusal(400, "invalid_request", "Invalid request body")
        if not environment.get("OPENROUTER_API_KEY"):
            return refusal(500, "misconfigured", "Server is not configured")
        entry = self._admission.enter(user.user_id, now_ms)
        if not entry.allowed:
            return too_many(entry.retry_after_ms)
        if entry.limiter and (refused := self._user_limit(user, now_ms)) is not None:
            self._admission.leave(entry.ticket)
            return refused
        asked = body.get("modelId")
        model_id, model_class = model(environment, asked if isinstance(asked, str) else None)
        return Ask(user, body["threadId"], model_id, model_class, bool(body.get("webSearch")), entry.ticket)

    def _user_limit(self, user: User, now_ms: int) -> Answer | None:
        limiter, number = self._deployment.limiter, self._deployment.environment.number
        key = f"chat_stream:user:{user.user_id}"
        outcome, retry_after_ms = "contention_fallback", None
        if not limiter.loses_write("chat_stream"):
            answer = limiter.admit(
                key, number("RATE_LIMIT_CHAT_STREAM_MAX"), number("RATE_LIMIT_CHAT_STREAM_WINDOW_MS"), now_ms
            )
            if answer.allowed:
                return None
            outcome, retry_after_ms = "blocked", answer.retry_after_ms
        limiter.record(
            "chat_http",
            "chat_stream",
            key,
            outcome,
            now_ms,
            retry_after_ms=retry_after_ms,
            path=CHAT_PATH,
            method="POST",
        )
        return contended() if retry_after_ms is None else too_many(retry_after_ms)

    def gateway_headers(self, request: Request) -> Headers:
        return [
            (b"x-sendcat-chat-gateway", self._mode().encode()),
            (b"x-sendcat-admission-mode", self._admission_mode().encode()),
            *self._cors(request),
        ]

    def _cors(self, request: Request) -> Headers:
        if not self._origin_allowed(request):
            return []
        return [
            (b"access-control-allow-origin", request.headers[b"origin"]),
            (b"access-control-allow-credentials", b"true"),
        ]

    def _origin_allowed(self, request: Request) -> bool:
        origin = request.header(b"origin")
        listed = self._deployment.environment.get("ALLOWED_ORIGINS") or DEFAULT_ORIGINS
        return origin is not None and origin in {entry.strip() for entry in listed.split(",")}

    def _mode(self) -> str:
        flag = self._deployment.environment.flag
        if not flag("FF_CHAT_GATEWAY_ENABLED"):
            return "legacy"
        return "shadow" if flag("FF_CHAT_GATEWAY_SHADOW") else "authoritative"

    def _admission_mode(self) -> str:
        return "enforce" if self._admission.enforced() else "shadow"

    # --- the stream ---

    async def stream(self, ask: Ask, request: Request, receive: Receive, send: Send) -> None:
        """Send the whole stream; its end is counted as ``done``, an error code, ``cut`` or ``aborted``."""
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-cache"),
            *self.gateway_headers(request),
            (b"x-sendcat-chat-gateway-mode", self._mode().encode()),
        ]
        if self._deployment.chat_head_ms > 0:
            await self._deployment.clock.sleep(self._deployment.chat_head_ms)
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            end = await Stream(self._deployment, ask, send, gone, self._random).run()
        except ClientGone:
            end = "aborted"
        finally:
            gone.cancel()
            self._admission.leave(ask.ticket)
        self._deployment.counters.chats[end] += 1
        await send({"type": "http.response.body", "body": b""})


def _fields_right(body: dict[str, object]) -> bool:
    thread_id = body.get("threadId")
    return (
        isinstance(thread_id, str)
        and bool(thread_id)
        and isinstance(body.get("modelId", ""), str)
        and isinstance(body.get("webSearch", False), bool)
        and isinstance(body.get("sessionId", ""), str)
    )


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
