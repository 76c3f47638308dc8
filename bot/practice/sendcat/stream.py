"""One chat stream: provider rounds, the web search in between, and how it ends."""

from __future__ import annotations

import asyncio
import json
import random
from dataclasses import dataclass

from starlette.types import Send

from bot.practice.sendcat.accounts import ID_FORM, User
from bot.practice.sendcat.calls import UNAVAILABLE, Ended, Refused
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.jobs import WEB, QueueSaturated
from bot.practice.sendcat.routes import Route, chat_routes
from bot.practice.sendcat.tables import ToolJob
from bot.practice.sendcat.values import dumps

_NO_FAILOVER = frozenset({"upstream_auth", "upstream_bad_request"})
_TEXTS = {
    "upstream_timeout": "Model provider took too long to respond.",
    "upstream_rate_limited": "Model provider is rate limiting requests.",
    "upstream_quota_exceeded": "Model provider quota is used up.",
    UNAVAILABLE: "Model provider is temporarily unavailable.",
    "upstream_bad_request": "Model provider rejected the request.",
    "upstream_auth": "Model provider rejected the credentials.",
    "upstream_error": "Model provider returned an error.",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """Why no provider answered, as the stream tells it."""

    code: str
    retry_after_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A chat request that may start: who, on which thread, with which model, with tools or not."""

    user: User
    thread_id: str
    model_id: str
    model_class: str
    web_search: bool
    ticket: str | None


class ClientGone(Exception):
    """The client closed the connection before its stream ended."""


class Stream:
    """One stream under way."""

    def __init__(
        self,
        deployment: Deployment,
        ask: Ask,
        send: Send,
        gone: asyncio.Future[None],
        random_: random.Random,
    ) -> None:
        self._deployment = deployment
        self._ask = ask
        self._send = send
        self._gone = gone
        self._random = random_

    async def run(self) -> str:
        thread_id, accounts = self._ask.thread_id, self._deployment.accounts
        if ID_FORM.fullmatch(thread_id) is None:
            return await self._internal_error(f'Validator error: Expected ID for table "threads", got `{thread_id}`')
        if thread_id not in accounts.threads:
            return await self._internal_error("Thread not found")
        if self._ask.web_search:
            end = await self._round(tool=True)
            if end != "tool":
                return end
        return await self._round(tool=False)

    async def _round(self, *, tool: bool) -> str:
        """One call of the model: ``tool`` when it asked for one, else how the stream ended."""
        deployment, ask = self._deployment, self._ask
        await self._event(type="start", messageId=deployment.ids.new())
        started_ms = deployment.clock.now_ms()
        route = await self._connect()
        if isinstance(route, Failure):
            return await self._provider_error(route, deployment.clock.now_ms() - started_ms)
        await self._event(
            type="provider-route", providerId="openrouter", routeId=route.route_id, modelClass=ask.model_class
        )
        upstream, switches = deployment.upstreams[route.provider], deployment.switches
        if tool:
            await self._tool_call(started_ms)
            return "tool"
        ttft_ms: int | None = None
        tokens, cut_after = upstream.tokens, upstream.cut_after_tokens
        if switches.stream_break_share and self._random.random() < switches.stream_break_share:
            cut_after = 1
        for number in range(tokens):
            if cut_after is not None and number >= cut_after:
                return "cut"
            await deployment.clock.sleep(upstream.token_ms * switches.slower)
            self._leave_if_gone()
            if ttft_ms is None:
                ttft_ms = deployment.clock.now_ms() - started_ms
            await self._send(_CONTENT)
        await self._event(
            type="usage",
            usage={"prompt_tokens": 1, "completion_tokens": tokens, "total_tokens": tokens + 1},
            metrics=self._metrics(started_ms, ttft_ms, "stop"),
        )
        await self._event(type="done")
        return "done"

    async def _connect(self) -> Route | Failure:
        """Try the routes in order: the one that answered, or the last failure."""
        failure = Failure("upstream_error")
        for route in chat_routes(self._deployment.environment):
            for _ in range(route.tries):
                result = await self._try(route)
                if result is None:
                    return route
                failure = result
                if failure.retry_after_ms is not None and failure.code == UNAVAILABLE:
                    break
            if failure.code in _NO_FAILOVER:
                break
        return failure

    async def _try(self, route: Route) -> Failure | None:
        deployment = self._deployment
        call = deployment.calls.begin(route.provider, deployment.settle(), route.timeout_ms)
        if isinstance(call, Refused):
            return Failure(UNAVAILABLE, call.retry_after_ms)
        await deployment.clock.sleep(call.wait_ms * deployment.switches.slower)
        now_ms, aborted = deployment.settle(), self._gone.done()
        ended = deployment.calls.end(call, now_ms, aborted=aborted)
        if aborted:
            raise ClientGone
        return None if ended.ok else _failure_of(ended)

    async def _tool_call(self, started_ms: int) -> None:
        deployment = self._deployment
        query = deployment.accounts.subject(self._ask.thread_id)
        arguments = json.dumps({"query": query}, separators=(",", ":"))
        call_id = f"call_{self._random.getrandbits(40):08x}"[:13]
        await self._event(type="tool-input-start", toolCallId=call_id, toolName=WEB, state="streaming")
        await self._event(type="tool-input-delta", toolCallId=call_id, inputTextDelta=arguments, argsSnapshot=arguments)
        ttft_ms = deployment.clock.now_ms() - started_ms
        await self._event(type="usage", usage=None, metrics=self._metrics(started_ms, ttft_ms, "tool_calls"))
        await self._event(
            type="tool-input-available",
            toolCallId=call_id,
            toolName=WEB,
            input={"query": query},
            state="completed",
        )
        output = await self._search(arguments)
        await self._event(type="tool-output-partially-available", toolCallId=call_id, output=output)

    async def _search(self, arguments: str) -> object:
        """The result of a web search through the queue, or the degraded text after a backpressure event."""
        deployment = self._deployment
        number = deployment.environment.number
        poll_ms, wait_ms = number("TOOL_JOB_POLL_MS"), number("TOOL_JOB_WAIT_MS")
        try:
            job = deployment.workers.enqueue("chat_http", WEB, arguments, deployment.settle())
        except QueueSaturated:
            await self._backpressure("queue_saturated", poll_ms)
            return "Web search is busy right now; the request was not queued."
        until_ms = deployment.clock.now_ms() + wait_ms
        while deployment.settle() < until_ms and job.status in ("queued", "running"):
            await deployment.clock.sleep(min(poll_ms, until_ms - deployment.clock.now_ms()))
            self._leave_if_gone()
        return await self._tool_output(job, poll_ms)

    async def _tool_output(self, job: ToolJob, poll_ms: int) -> object:
        if job.result_json is not None:
            output: object = json.loads(job.result_json)
            return output
        if job.status == "dead_letter":
            await self._backpressure("dead_letter", poll_ms, retryable=False)
            return f"Web search failed: {job.last_error}"
        await self._backpressure("queue_timeout", poll_ms)
        return "Web search is queued and did not finish in time."

    async def _backpressure(self, reason: str, retry_after_ms: int, *, retryable: bool = True) -> None:
        await self._event(
            type="tool-backpressure",
            toolName=WEB,
            reason=reason,
            retryable=retryable,
            retryAfterMs=retry_after_ms,
        )

    async def _provider_error(self, failure: Failure, latency_ms: int) -> str:
        text = _TEXTS[failure.code]
        await self._event(
            type="usage_error",
            error=text,
            code=failure.code,
            metrics={"latencyMs": latency_ms, "modelId": self._ask.model_id},
        )
        error: dict[str, object] = {"type": "error", "error": text, "code": failure.code}
        if failure.retry_after_ms is not None:
            error["retryAfterMs"] = failure.retry_after_ms
        await self._event(**error)
        return failure.code

    async def _internal_error(self, text: str) -> str:
        await self._event(type="error", error=text, code="internal_error")
        return "internal_error"

    def _metrics(self, started_ms: int, ttft_ms: int | None, finish: str) -> dict[str, object]:
        return {
            "latencyMs": self._deployment.clock.now_ms() - started_ms,
            "ttftMs": ttft_ms,
            "modelId": self._ask.model_id,
            "finishReason": finish,
        }

    async def _event(self, **fields: object) -> None:
        body = b"data: " + dumps(fields) + b"\n\n"
        await self._send({"type": "http.response.body", "body": body, "more_body": True})

    def _leave_if_gone(self) -> None:
        if self._gone.done():
            raise ClientGone


_CONTENT = {
    "type": "http.response.body",
    "body": b'data: {"type":"content","content":"hello "}\n\n',
    "more_body": True,
}


def _failure_of(ended: Ended) -> Failure:
    match ended.status:
        case None:
            return Failure("upstream_timeout", 1000)
        case 402:
            return Failure("upstream_quota_exceeded")
        case 429:
            return Failure("upstream_rate_limited")
        case 401 | 403:
            return Failure("upstream_auth")
        case 400 | 404 | 422:
            return Failure("upstream_bad_request")
        case status if status >= 500:
            return Failure(UNAVAILABLE)
    return Failure("upstream_error")
