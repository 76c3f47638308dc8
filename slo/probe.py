"""Judge the five synthetic probes (operator-commands.md section 3).

A probe that got an answer passes or fails by that answer; one that could not be sent decides nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from slo.policy import Ownership
from slo.reports import Probe, ProbeReport
from slo.verdict import Check, Judgement, Owner, Verdict, sum_up

PROBES: Mapping[str, str] = MappingProxyType(
    {
        "chat_options_cors": "/api/chat",
        "chat_requires_auth": "/api/chat",
        "gmail_push_guard": "/api/gmail/push",
        "whatsapp_verify_guard": "/api/whatsapp/webhook",
        "whatsapp_post_guard": "/api/whatsapp/webhook",
    }
)
"""The probes in their order, and the endpoint each asks."""


def judge(report: ProbeReport, ownership: Ownership) -> Judgement:
    """PASS when all five passed; a probe that is missing or got no answer is INCOMPLETE."""
    seen = {probe.name: probe for probe in report.probes}
    checks = [_check(name, path, ownership.owner_of(path), seen.get(name)) for name, path in PROBES.items()]
    also: tuple[Verdict, ...] = ()
    reason = ""
    if report.honest is not None and report.honest.ended.how != "finished":
        ended = report.honest.ended
        also, reason = (Verdict.INCOMPLETE,), ended.reason or ended.how.replace("_", " ")
    return sum_up(checks, original_rule=report.passed, reason=reason, also=also)


def _check(name: str, path: str, owner: Owner, probe: Probe | None) -> Check:
    verdict, value, reason = Verdict.INCOMPLETE, None, "not run"
    if probe is not None and probe.status is None:
        reason = f"no answer: {probe.details if isinstance(probe.details, str) else 'unreachable'}"
    elif probe is not None:
        verdict = Verdict.PASS if probe.passed else Verdict.FAIL
        value, reason = float(probe.passed), _reason(probe)
    return Check(
        name=name,
        verdict=verdict,
        value=value,
        limit=1,
        unit="count",
        comparison=">=",
        scope=path,
        owner=owner,
        reason=reason,
        original=None if probe is None else probe.passed,
    )


def _reason(probe: Probe) -> str:
    details = probe.details
    if isinstance(details, str):
        return details
    if probe.passed:
        return "rate limited: the guard behind the limiter was not reached" if probe.status == 429 else ""
    expected = " or ".join(str(status) for status in details.expected_status)
    if probe.status not in details.expected_status:
        return f"answered {probe.status}, expected {expected}"
    if details.expected_allow_origin != details.actual_allow_origin:
        return f"allows origin {details.actual_allow_origin or 'none'}, expected {details.expected_allow_origin}"
    return f"answered {probe.status}"
