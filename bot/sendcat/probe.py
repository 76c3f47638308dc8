"""The five synthetic probes (runbook, Core Commands; operator-commands.md section 3): refusals, one after the other."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

from bot.clock import Clock
from bot.sendcat.brake import Brake, Halt, ended
from bot.sendcat.site import TOTAL_S, SiteAnswer, SiteClient, SiteFailed
from bot.target import Target
from slo.reports import Probe, ProbeDetails, ProbeHonest, ProbeReport, iso

CHAT, GMAIL, WHATSAPP = "/api/chat", "/api/gmail/push", "/api/whatsapp/webhook"


@dataclass(frozen=True)
class _Ask:
    name: str
    method: str
    path: str
    expected: tuple[int, ...]
    headers: dict[str, str] = field(default_factory=dict)
    body: object = None
    allow_origin: str | None = None


def _asks(target: Target, now_ms: int) -> tuple[_Ask, ...]:
    """The original's five requests, in its order."""
    origin = target.app_url
    token = target.gmail_token.get_secret_value() if target.gmail_token else None
    push = json.dumps({"emailAddress": "probe@example.com", "historyId": str(now_ms)})
    return (
        _Ask(
            "chat_options_cors",
            "OPTIONS",
            CHAT,
            (200, 204),
            headers={"Origin": origin, "Access-Control-Request-Method": "POST"},
            allow_origin=origin,
        ),
        _Ask(
            "chat_requires_auth",
            "POST",
            CHAT,
            (401,),
            headers={"Origin": origin},
            body={"threadId": "reliability-probe-thread", "modelId": "moonshotai/kimi-k2.5", "webSearch": False},
        ),
        _Ask(
            "gmail_push_guard",
            "POST",
            GMAIL + (f"?token={quote(token, safe='')}" if token else ""),
            (200, 403, 429),
            body={"message": {"data": base64.b64encode(push.encode()).decode("ascii")}},
        ),
        _Ask(
            "whatsapp_verify_guard",
            "GET",
            f"{WHATSAPP}?hub.mode=subscribe&hub.verify_token=reliability-probe-invalid&hub.challenge=probe",
            (403,),
        ),
        _Ask("whatsapp_post_guard", "POST", WHATSAPP, (400, 403, 429), body={"entry": []}),
    )


async def probe(
    target: Target,
    clock: Clock,
    gate: Brake,
    on_result: Callable[[Probe], None] = lambda _: None,
    *,
    total_s: float = TOTAL_S,
    client: SiteClient | None = None,
) -> ProbeReport:
    """Ask the five, tell each result as it comes, and report.

    A probe that got no answer stands there with ``status`` None and the error's text. When the gate closes, the rest
    is not asked and the report says how it ended. Raises `Refused` when the target's address may not be dialled (R14).
    """
    started_ms = clock.now_ms()
    seen: list[Probe] = []
    halt: Halt | None = None
    async with client or SiteClient(target, clock, total_s=total_s) as site:
        for ask in _asks(target, started_ms):
            halt = gate.check()
            if halt is not None:
                break
            gate.count()
            result = await _one(site, ask)
            seen.append(result)
            on_result(result)
    return ProbeReport(
        started_at=iso(started_ms),
        finished_at=iso(clock.now_ms()),
        base_url=target.site_url,
        probe_origin=target.app_url,
        probes=tuple(seen),
        passed=halt is None and all(result.passed for result in seen),
        honest=ProbeHonest(target=target.name, ended=ended(halt, clock.now_ms())),
    )


async def _one(site: SiteClient, ask: _Ask) -> Probe:
    headers = dict(ask.headers)
    content: bytes | None = None
    if ask.body is not None:
        headers["Content-Type"] = "application/json"
        content = json.dumps(ask.body, separators=(",", ":")).encode()
    try:
        answer = await site.ask(ask.method, ask.path, headers=headers, content=content)
    except SiteFailed as error:
        return Probe(
            name=ask.name, passed=False, latency_ms=round(error.latency_ms), status=None, details=str(error)[:300]
        )
    return _judged(ask, answer)


def _judged(ask: _Ask, answer: SiteAnswer) -> Probe:
    passed = answer.status in ask.expected
    details: dict[str, object] = {"expected_status": ask.expected, "status": answer.status}
    if ask.allow_origin is not None:
        allowed = answer.headers.get("access-control-allow-origin")
        passed = passed and allowed == ask.allow_origin
        details["expected_allow_origin"] = ask.allow_origin
        details["actual_allow_origin"] = allowed[:300] if allowed is not None else None
    return Probe(
        name=ask.name,
        passed=passed,
        latency_ms=round(answer.latency_ms),
        status=answer.status,
        details=ProbeDetails.model_validate(details),
    )
