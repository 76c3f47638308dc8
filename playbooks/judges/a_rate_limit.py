"""A. Rate-limit pressure spike: who is refused, and how much (Runbook, playbook A, signal).

Counts are events, not requests: at most one for each key in 5 s. With the event rows the last five minutes are judged;
without them only the window, in which a surge that is over still shows.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil

from playbooks.facts import Event, Facts
from playbooks.reading import Reading, Signal
from playbooks.thresholds import RateLimitSettings
from slo.reports import MeasuredScenario
from slo.snapshot import Snapshot

_SHADOW = "chat_admission_shadow"
"""Observed only: nobody is refused."""
_NO_RULE = ("gmail_oauth_callback",)
"""Recorded like the others, and watched by no alert of Sendcat's own."""
_REDIS = "redis_unavailable"
_ROWS = 200
"""Rows that ``rateLimit:listRecentEvents`` gives at most."""
_EVENTS = 'rateLimit:listRecentEvents {"limit":200}'


@dataclass(frozen=True)
class _Pressure:
    """Events of one bucket and outcome, against ``limit`` (the alert rule) and ``steady`` (too many to ignore)."""

    bucket: str
    outcome: str
    count: int
    limit: int
    steady: int
    minutes: int
    alert_age_ms: int | None
    fresh_alert: bool
    keys: int | None
    redis_failures: int

    @property
    def surge(self) -> bool:
        return self.count >= self.limit or self.fresh_alert

    @property
    def fired(self) -> bool:
        return self.surge or (self.outcome == "blocked" and self.count >= self.steady)


def judge(facts: Facts, settings: RateLimitSettings) -> Signal:
    """Fired by a bucket at its alert rule, by a steady count of refusals, or by our own drill being refused."""
    now = facts.now
    if now is None:
        return Signal("A", "not judged", "no snapshot", missing=("snapshot",))
    cut = facts.truncated("rateLimitPressure")
    rows = _recent(facts.events, now, settings)
    counted = rows if rows is not None and len(rows) < _ROWS else None  # a full list counts too few
    pressures = sorted(
        _pressures(now, settings, counted),
        key=lambda p: (p.fired, p.count / p.limit, p.bucket, p.outcome),
        reverse=True,
    )
    readings = [_reading(p, sampled=cut is not None and counted is None) for p in pressures if p.count or p.fresh_alert]
    refused = _refused_drill(facts, settings)
    readings += refused
    fired = [p for p in pressures if p.fired]
    missing = () if facts.events is not None else (_EVENTS,)
    if fired:
        top = fired[0]
        return Signal(
            "A",
            "fired",
            _why(top),
            _variant(top, rows, settings),
            _severity(top),
            tuple(readings),
            missing,
        )
    if refused:
        return Signal("A", "fired", "our own drill is refused with 429", None, 0.7, tuple(readings), missing)
    if cut is not None and counted is None:
        return Signal(
            "A", "not judged", f"only the newest events were counted: {cut}", None, 0, tuple(readings), missing
        )
    why = "no more refusals than usual"
    if now.rate_limit_pressure.alerts_in_window:
        why = "alerts of earlier only: the pressure is over, alerts leave the window with time"
    return Signal("A", "quiet", why, readings=tuple(readings))


def _recent(events: tuple[Event, ...] | None, now: Snapshot, settings: RateLimitSettings) -> list[Event] | None:
    """The rows of the alert window; None when not read."""
    if events is None:
        return None
    return [event for event in events if now.age_ms(event.created_at) <= settings.alert_window_ms]


def _pressures(now: Snapshot, settings: RateLimitSettings, rows: list[Event] | None) -> list[_Pressure]:
    found: list[_Pressure] = []
    counted = Counter((event.bucket, event.outcome) for event in rows or ())
    callers = Counter((bucket, outcome) for bucket, outcome, _ in {(e.bucket, e.outcome, e.key) for e in rows or ()})
    reasons = now.rate_limit_pressure.by_bucket_outcome_reason
    span_ms = settings.alert_window_ms if rows is not None else now.window_ms
    for bucket, rule in settings.alert_events.items():
        for outcome, limit in (("blocked", rule.blocked), ("contention_fallback", rule.contention_fallback)):
            ages = [
                now.age_ms(alert.created_at)
                for alert in now.rate_limit_pressure.recent_alerts
                if (alert.bucket, alert.outcome) == (bucket, outcome)
            ]
            in_window = now.rate_limit_pressure.by_bucket_outcome.get(f"{bucket}:{outcome}", 0)
            found.append(
                _Pressure(
                    bucket,
                    outcome,
                    count=counted[bucket, outcome] if rows is not None else in_window,
                    limit=limit,
                    steady=max(4, ceil(settings.steady_events * span_ms / settings.steady_window_ms)),
                    minutes=span_ms // 60_000,
                    alert_age_ms=min(ages, default=None),
                    fresh_alert=rows is None and any(age <= settings.alert_window_ms for age in ages),
                    keys=callers[bucket, outcome] if rows is not None else None,
                    redis_failures=reasons.get(f"{bucket}:{outcome}:{_REDIS}", 0),
                )
            )
    return found


def _reading(pressure: _Pressure, *, sampled: bool) -> Reading:
    return Reading(
        f"{pressure.bucket} {pressure.outcome}",
        pressure.count,
        pressure.limit,
        "events",
        pressure.fired,
        pressure.alert_age_ms,
        sampled,
        _note(pressure),
    )


def _note(pressure: _Pressure) -> str:
    """Counts are events: they say something only beside the number of distinct keys."""
    notes = [f"in {pressure.minutes} min; the rule looks at 5 min" if pressure.minutes != 5 else "in 5 min"]
    if pressure.keys is not None and pressure.count:
        notes.append(f"of {pressure.keys} distinct {'key' if pressure.keys == 1 else 'keys'}")
    if pressure.redis_failures:
        notes.append("Redis did not answer: failures, not refusals")
    if pressure.alert_age_ms is not None:
        notes.append("alert raised")
    return "; ".join(notes)


def _why(top: _Pressure) -> str:
    told = f"{top.count} `{top.outcome}` events in {top.minutes} min in `{top.bucket}`"
    if top.keys is not None:
        told += f" of {top.keys} distinct {'key' if top.keys == 1 else 'keys'}"
    if top.bucket in _NO_RULE:
        return f"{told}; Sendcat itself has no alert rule for it"
    return f"{told}; the alert rule is {top.limit} in 5 min"


def _refused_drill(facts: Facts, settings: RateLimitSettings) -> list[Reading]:
    """Scenarios of our own drill that were mostly refused."""
    found = []
    for scenario in facts.drill.scenarios if facts.drill else ():
        if not isinstance(scenario, MeasuredScenario):
            continue
        total, refused = scenario.summary.total_requests, scenario.summary.statuses.get("429", 0)
        if total >= settings.drill_min_requests and refused / total > settings.drill_429_rate:
            name = f"{scenario.name} 429 rate"
            found.append(Reading(name, refused / total, settings.drill_429_rate, "rate", fired=True))
    return found


def _variant(top: _Pressure, rows: list[Event] | None, settings: RateLimitSettings) -> str | None:
    """Redis, contention, chat, abusive or legitimate; None where only the rows could tell."""
    if top.outcome == "contention_fallback":
        return "redis" if top.redis_failures * 2 > top.count else "contention"
    if top.bucket in ("chat_stream", "chat_admission"):
        return "chat"
    if rows is None:
        return None if top.surge else "legitimate"
    keys = Counter(event.key for event in rows if (event.bucket, event.outcome) == (top.bucket, top.outcome))
    listed_all = len(rows) < _ROWS
    if not listed_all and rows:
        span_ms = max(1, max(e.created_at for e in rows) - min(e.created_at for e in rows))
        scale = max(1.0, settings.alert_window_ms / span_ms)
    else:
        scale = 1.0
    loud = [key for key, count in keys.items() if count * scale >= settings.abusive_events_per_key]
    return "abusive" if loud else "legitimate"


def _severity(top: _Pressure) -> float:
    if not top.surge:
        return 0.5
    return 0.75 + 0.1 * min(1.0, top.count / top.limit / 10)
