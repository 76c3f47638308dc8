"""The bytes of the drilled requests, exactly as the original sends them (operator-commands.md section 4)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from urllib.parse import quote

from bot.sendcat import CLIENT
from bot.sendcat.dial import Origin
from bot.sendcat.load.plan import DrillPlan, DrillSecrets
from slo.scenarios import CHAT, GMAIL, endpoint

MODEL = "moonshotai/kimi-k2.5"

Build = Callable[[int, int], tuple[bytes, int | None]]
"""From request index (restarts in each stage) and time in ms to the request's bytes and the pool user's index."""


def builder(scenario: str, plan: DrillPlan, secrets: DrillSecrets) -> Build:
    """How to build the requests of one scenario."""
    origin = Origin.parse(plan.site_url)
    path = endpoint(scenario)
    if scenario == GMAIL:
        token = secrets.gmail_token
        return _gmail(_head(origin, path + (f"?token={quote(token, safe='')}" if token else "")))
    if scenario == CHAT:
        return _chat(_head(origin, path), plan, secrets)
    return _whatsapp(_head(origin, path), secrets.whatsapp_secret)


def _head(origin: Origin, target: str) -> bytes:
    return (
        f"POST {target} HTTP/1.1\r\nHost: {origin.authority}\r\nUser-Agent: {CLIENT}\r\nAccept: */*\r\n"
        "Accept-Encoding: identity\r\nContent-Type: application/json\r\nConnection: keep-alive\r\n"
    ).encode("ascii")


def _whole(head: bytes, body: bytes) -> bytes:
    return b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)


def _gmail(head: bytes) -> Build:
    def build(i: int, ms: int) -> tuple[bytes, None]:
        push = b'{"emailAddress":"loadtest+%d@example.com","historyId":"%d-%d"}' % (i, ms, i)
        return _whole(head, b'{"message":{"data":"%b"}}' % base64.b64encode(push)), None

    return build


def _whatsapp(head: bytes, secret: str | None) -> Build:
    key = secret.encode() if secret else None

    def build(i: int, ms: int) -> tuple[bytes, None]:
        body = (
            b'{"entry":[{"changes":[{"field":"messages","value":{"messages":[{"id":"wamid.load.%d.%d",'
            b'"from":"15555550100","timestamp":"%d","type":"text","text":{"body":"load drill"}}]}}]}]}'
        ) % (ms, i, ms // 1000)
        if key is None:
            return _whole(head, body), None
        signature = hmac.new(key, body, hashlib.sha256).hexdigest().encode("ascii")
        return _whole(b"%bX-Hub-Signature-256: sha256=%b\r\n" % (head, signature), body), None

    return build


def _chat(head: bytes, plan: DrillPlan, secrets: DrillSecrets) -> Build:
    users = secrets.chat_users
    select = plan.selector(len(users))
    assert select is not None
    ready = []
    for user in users:
        if not user.token.isascii() or not user.token.isprintable():
            raise ValueError("a chat token is printable ASCII")
        body = json.dumps(
            {"threadId": user.thread_id, "modelId": MODEL, "webSearch": False}, separators=(",", ":")
        ).encode()
        ready.append(_whole(b"%bAuthorization: Bearer %b\r\n" % (head, user.token.encode("ascii")), body))

    def build(i: int, ms: int) -> tuple[bytes, int]:
        user = select.index(i)
        return ready[user], user

    return build
