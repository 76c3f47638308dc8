"""The site host: three endpoints under watch, and the platform's 404 for everything else."""

from __future__ import annotations

import random

from starlette.types import Receive, Scope, Send

from bot.practice.sendcat.chat import CHAT_PATH, Chat
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.switches import Script
from bot.practice.sendcat.webhooks import (
    GMAIL_PATH,
    gmail_push,
    whatsapp_verify,
    whatsapp_webhook,
)
from bot.practice.sendcat.wire import Answer, Request, deliver, drop, received


class Site:
    """The ASGI application of the site host: raw, since load drills push thousands of requests at it."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._chat = Chat(deployment)
        self._luck = random.Random(f"site-{deployment.seed}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        deployment = self._deployment
        request = await received(scope, receive, send, deployment.counters.peers, too_large=Answer(413))
        if request is None:
            return
        name = f"{request.method} {request.path}"
        deployment.counters.requests[name] += 1
        switches = deployment.switches
        if (
            switches.scripts
            or switches.site_fail_status is not None
            or switches.site_slow_ms
            or switches.site_fail_share
        ):
            trap = switches.script_for(request.path) or Script("", None)
            if await self._trapped(trap, send):
                return
            if trap.drop_after_commit:
                await self._answer(request)
                drop(send)
                return
            if trap.half_answer and not self._is_chat(request):
                await deliver(await self._answer(request), send, half=True)
                return
        if self._is_chat(request):
            ask = self._chat.check(request, deployment.settle())
            if not isinstance(ask, Answer):
                deployment.counters.statuses[f"{name} 200"] += 1
                await self._chat.stream(ask, request, receive, send)
                return
            answer = ask
        else:
            answer = await self._answer(request)
        deployment.counters.statuses[f"{name} {answer.status}"] += 1
        await deliver(answer, send)

    def _is_chat(self, request: Request) -> bool:
        return request.path == CHAT_PATH and request.method == "POST"

    async def _answer(self, request: Request) -> Answer:
        deployment = self._deployment
        match request.method, request.path:
            case "POST", "/api/gmail/push" | "/api/whatsapp/webhook":
                now_ms = deployment.settle()
                take = gmail_push if request.path == GMAIL_PATH else whatsapp_webhook
                answer = take(deployment, request, now_ms)
                delay_ms = deployment.webhook_delay_ms(now_ms)
                if delay_ms > 0:
                    await deployment.clock.sleep(delay_ms)
                return answer
            case "GET", "/api/whatsapp/webhook":
                return whatsapp_verify(deployment, request)
            case "OPTIONS", "/api/chat":
                return self._chat.options(request)
            case "GET" | "OPTIONS", "/api/chat/health":
                return self._chat.health(request)
        return Answer.text("No matching routes found", 404)

    async def _trapped(self, trap: Script, send: Send) -> bool:
        """Play the traps that end a request before it is looked at; True when it is over."""
        switches = self._deployment.switches
        delay_ms = trap.delay_ms + switches.site_slow_ms
        if delay_ms:
            await self._deployment.clock.sleep(delay_ms)
        if trap.drop:
            drop(send)
            return True
        if trap.status is not None or trap.body is not None:
            await deliver(Answer.canned(trap), send, half=trap.half_answer)
            return True
        fails = switches.site_fail_share and self._luck.random() < switches.site_fail_share
        if switches.site_fail_status is not None or fails:
            await deliver(Answer.text("Service unavailable", switches.site_fail_status or 503), send)
            return True
        return False
