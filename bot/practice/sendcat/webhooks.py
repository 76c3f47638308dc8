"""The two webhooks: Gmail push and WhatsApp, with their checks in the order of the product."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import re

from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.idempotency import GMAIL_LIFE_MS, GMAIL_SCOPE, WHATSAPP_LIFE_MS, WHATSAPP_SCOPE
from bot.practice.sendcat.wire import TEXT_TYPE, Answer, Request

GMAIL_PATH, WHATSAPP_PATH = "/api/gmail/push", "/api/whatsapp/webhook"
LARGEST_WEBHOOK = 262_144
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_REPLAY = (b"x-idempotent-replay", b"1")


def refusal(status: int, code: str, text: str, *extra: tuple[bytes, bytes]) -> Answer:
    """An error of Sendcat itself: plain text and ``x-sendcat-error-code``."""
    headers = [(b"content-type", TEXT_TYPE), (b"x-sendcat-error-code", code.encode()), *extra]
    return Answer(status, text.encode(), headers)


def too_many(retry_after_ms: int) -> Answer:
    seconds = max(1, math.ceil(retry_after_ms / 1000))
    return refusal(
        429,
        "rate_limited",
        f"Rate limit reached. Please wait about {seconds}s and try again.",
        (b"retry-after", str(seconds).encode()),
    )


def contended() -> Answer:
    return refusal(429, "rate_limited", "Too many requests. Please retry in a moment.", (b"retry-after", b"1"))


def client_ip(request: Request) -> str:
    """The address that the limiter goes by; ``unknown`` is one shared bucket."""
    for name in (b"cf-connecting-ip", b"x-forwarded-for", b"x-real-ip"):
        value = request.header(name)
        if value:
            return value.split(",")[0].strip() or "unknown"
    return "unknown"


def limited(
    deployment: Deployment, bucket: str, knob: str, ip: str, path: str, now_ms: int, requests: int = 1
) -> tuple[int, Answer | None]:
    """Count webhook requests of one address: how many may pass, and the answer to the others."""
    limiter, number = deployment.limiter, deployment.environment.number
    key = f"{bucket}:ip:{ip}"
    if limiter.loses_write(bucket):
        limiter.record("http", bucket, key, "contention_fallback", now_ms, path=path, method="POST")
        return 0, contended()
    answer = limiter.admit(
        key,
        number(f"RATE_LIMIT_{knob}_MAX"),
        number(f"RATE_LIMIT_{knob}_WINDOW_MS"),
        now_ms,
        requests,
    )
    if not answer.refused:
        return answer.allowed, None
    limiter.record(
        "http",
        bucket,
        key,
        "blocked",
        now_ms,
        retry_after_ms=answer.retry_after_ms,
        path=path,
        method="POST",
    )
    return answer.allowed, too_many(answer.retry_after_ms)


def gmail_push(deployment: Deployment, request: Request, now_ms: int) -> Answer:
    if not request.is_json:
        return refusal(415, "unsupported_media_type", "Content-Type must be application/json")
    if request.declared_length > LARGEST_WEBHOOK:
        return refusal(413, "payload_too_large", "Payload too large")
    ip = client_ip(request)
    _, refused = limited(deployment, "gmail_push", "GMAIL_PUSH", ip, GMAIL_PATH, now_ms)
    if refused is not None:
        return refused
    wanted = deployment.environment.get("GMAIL_PUBSUB_VERIFY_TOKEN")
    if wanted and not _equal(_push_token(request), wanted):
        return refusal(403, "forbidden", "Forbidden")
    try:
        body = request.json()
    except ValueError:
        return refusal(400, "invalid_json", "Invalid JSON")
    message = body.get("message") if isinstance(body, dict) else None
    if not isinstance(message, dict):
        return _invalid_push(f"expected object, received {_kind(message)}")
    data = message.get("data")
    if not isinstance(data, str):
        return _invalid_push(f"expected string, received {_kind(data)}")
    try:
        notice = json.loads(base64.b64decode(data + "=" * (-len(data) % 4)))
    except ValueError:
        return refusal(400, "invalid_request", "Invalid push notification data")
    email = notice.get("emailAddress") if isinstance(notice, dict) else None
    history_id = notice.get("historyId") if isinstance(notice, dict) else None
    if not (isinstance(email, str) and _EMAIL.fullmatch(email) and isinstance(history_id, str) and history_id):
        return refusal(400, "invalid_request", "Invalid push notification data")
    if accept_gmail(deployment, email, history_id, now_ms):
        return Answer(200, b"OK", [(b"content-type", TEXT_TYPE)])
    return Answer(200, b"OK", [(b"content-type", TEXT_TYPE), _REPLAY])


def accept_gmail(deployment: Deployment, email: str, history_id: str, now_ms: int) -> bool:
    """Claim a notice and schedule its sync; False when it was seen before."""
    key = f"{email}:{history_id}"
    return _claim(deployment, GMAIL_SCOPE, key, GMAIL_LIFE_MS, now_ms)


def whatsapp_verify(deployment: Deployment, request: Request) -> Answer:
    wanted = deployment.environment.get("WHATSAPP_VERIFY_TOKEN")
    given = request.parameter("hub.verify_token")
    if request.parameter("hub.mode") != "subscribe" or not wanted or not _equal(given, wanted):
        return refusal(403, "forbidden", "Forbidden")
    challenge = request.parameter("hub.challenge")
    if not challenge:
        return refusal(400, "invalid_request", "Missing challenge")
    return Answer.text(challenge)


def whatsapp_webhook(deployment: Deployment, request: Request, now_ms: int) -> Answer:
    if not request.is_json:
        return refusal(415, "unsupported_media_type", "Content-Type must be application/json")
    if request.declared_length > LARGEST_WEBHOOK:
        return refusal(413, "payload_too_large", "Payload too large")
    ip = client_ip(request)
    _, refused = limited(deployment, "whatsapp_webhook", "WHATSAPP", ip, WHATSAPP_PATH, now_ms)
    if refused is not None:
        return refused
    secret = deployment.environment.get("WHATSAPP_APP_SECRET")
    signature = request.header(b"x-hub-signature-256")
    if not secret or not signature:
        return refusal(403, "forbidden", "Missing signature or secret")
    if not _equal(signature, whatsapp_signature(secret, request.body)):
        return refusal(403, "forbidden", "Invalid signature")
    try:
        body = request.json()
    except ValueError:
        return refusal(400, "invalid_json", "Invalid JSON")
    entries = body.get("entry", []) if isinstance(body, dict) else None
    if not isinstance(entries, list):
        return refusal(400, "invalid_request", "Invalid webhook payload")
    fresh = [
        message
        for message in _messages(entries)
        if not isinstance(message.get("id"), str) or accept_whatsapp(deployment, str(message["id"]), now_ms)
    ]
    if fresh:
        return Answer(200, b"OK", [(b"content-type", TEXT_TYPE)])
    return Answer(200, b"OK", [(b"content-type", TEXT_TYPE), _REPLAY])


def accept_whatsapp(deployment: Deployment, message_id: str, now_ms: int) -> bool:
    """Claim a message and schedule its work; False when it was seen before."""
    return _claim(deployment, WHATSAPP_SCOPE, message_id, WHATSAPP_LIFE_MS, now_ms)


def whatsapp_signature(secret: str, body: bytes) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def _claim(deployment: Deployment, scope: str, key: str, life_ms: int, now_ms: int) -> bool:
    if deployment.idempotency.claim(scope, key, life_ms, now_ms).duplicate:
        return False
    deployment.process(scope, key)
    return True


def _messages(entries: list[object]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    for entry in entries:
        changes = entry.get("changes") if isinstance(entry, dict) else None
        for change in changes if isinstance(changes, list) else []:
            value = change.get("value") if isinstance(change, dict) else None
            if isinstance(change, dict) and change.get("field") == "messages" and isinstance(value, dict):
                messages = value.get("messages")
                found += [item for item in messages if isinstance(item, dict)] if messages else []
    return found


def _push_token(request: Request) -> str | None:
    for name in (b"x-pubsub-token", b"x-gmail-pubsub-token"):
        if value := request.header(name):
            return value
    authorization = request.header(b"authorization")
    if authorization is not None and authorization.lower().startswith("bearer "):
        return authorization[7:].strip()
    return request.parameter("token")


def _equal(given: str | None, wanted: str) -> bool:
    return given is not None and hmac.compare_digest(given.encode(), wanted.encode())


def _invalid_push(problem: str) -> Answer:
    return refusal(400, "invalid_request", f"Invalid push notification: Invalid input: {problem}")


def _kind(value: object) -> str:
    match value:
        case None:
            return "undefined"
        case bool():
            return "boolean"
        case int() | float():
            return "number"
        case list():
            return "array"
        case str():
            return "string"
    return "object"
