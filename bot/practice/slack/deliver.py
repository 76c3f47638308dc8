"""Delivery to the app, over the socket or by signed HTTP, with the copies, delays and retries Slack makes."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Literal

from bot.practice.slack.ack import ACK_TIMEOUT_S, Ack, not_sent
from bot.practice.slack.faults import Faults
from bot.practice.slack.refusal import Json
from bot.practice.slack.signed_http import KEPT, HttpDelivery, Kind, encode
from bot.practice.slack.socket_mode import SocketHub


class Delivery:
    """The way from a person's hand to the app. HTTP once it was chosen, the socket otherwise."""

    def __init__(self, hub: SocketHub, faults: Faults) -> None:
        self.hub, self.faults = hub, faults
        self.http: HttpDelivery | None = None
        self._replaced: list[HttpDelivery] = []
        self.timeout_s = ACK_TIMEOUT_S
        self.sent: deque[tuple[Kind, Json]] = deque(maxlen=KEPT)
        self._background: set[asyncio.Task[None]] = set()

    def use(self, http: HttpDelivery | None) -> None:
        """Deliver by HTTP from now on, or (``None``) over the socket; requests under way are still answered."""
        if self.http is not None:
            self._replaced.append(self.http)
        self.http = http

    @property
    def mode(self) -> Literal["socket", "http"]:
        return "http" if self.http is not None else "socket"

    @property
    def connected(self) -> bool:
        """Whether somebody is there to deliver to, as far as Slack can know."""
        return self.http is not None or self.hub.connected > 0

    async def deliver(self, kind: Kind, payload: Json) -> Ack:
        """One interaction: sent once (or as often as a fault says), the first answer counts."""
        copies, concurrent, delay_s = self.faults.for_delivery()
        self.sent.append((kind, payload))
        await asyncio.sleep(delay_s)
        send = self._sender(kind, payload)
        if concurrent:
            acks = list(await asyncio.gather(*(send(0, "") for _ in range(copies))))
        else:
            acks = [await send(0, "") for _ in range(copies)]
        return replace(acks[0], others=tuple(acks[1:]))

    async def deliver_event(self, payload: Json) -> Ack:
        """An event: when it is not acknowledged, tried again up to three times in the background."""
        ack = await self.deliver("events_api", payload)
        if not ack.ok:
            task = asyncio.ensure_future(self._retry(payload, ack))
            self._background.add(task)
            task.add_done_callback(self._background.discard)
        return ack

    async def _retry(self, payload: Json, failed: Ack) -> None:
        for number, wait_s in enumerate(self.faults.event_retry_delays_s, start=1):
            await asyncio.sleep(wait_s)
            reason = "http_timeout" if failed.error == "operation_timeout" else "http_error"
            failed = await self._sender("events_api", payload)(number, reason)
            if failed.ok:
                return

    def _sender(self, kind: Kind, payload: Json) -> Callable[[int, str], Awaitable[Ack]]:
        """How this payload travels: signed once, so that copies and retries carry the same body."""
        http = self.http
        if http is None:

            async def by_socket(retry: int, reason: str) -> Ack:
                return await self.hub.send(kind, payload, retry, reason, self.timeout_s)

            return by_socket
        body, content_type = encode(kind, payload)
        headers = http.signed(body, content_type)

        async def by_http(retry: int, reason: str) -> Ack:
            if retry:
                fresh = http.signed(body, content_type)
                again = {"X-Slack-Retry-Num": str(retry), "X-Slack-Retry-Reason": reason}
                return await http.send(body, fresh | again, self.timeout_s)
            return await http.send(body, headers, self.timeout_s)

        return by_http

    async def verify_url(self) -> Ack:
        """Slack's ``url_verification`` of a request URL: the challenge has to come back."""
        if self.http is None:
            return not_sent("no_request_url")
        challenge = hashlib.sha256(self.http.url.encode()).hexdigest()
        body = json.dumps({"type": "url_verification", "token": "practice", "challenge": challenge}).encode()
        ack = await self.http.send(body, self.http.signed(body, "application/json"), self.timeout_s)
        echoed = ack.body.strip() == challenge or ack.json.get("challenge") == challenge
        return ack if not ack.ok or echoed else ack.refused("challenge_failed")

    async def close(self) -> None:
        """Stop retries and close the HTTP clients."""
        for task in list(self._background):
            task.cancel()
        for http in [*self._replaced, *([self.http] if self.http else [])]:
            await http.close()
