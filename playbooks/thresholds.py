"""The settings of the playbook pages: the thresholds that prose cannot say, typed, by letter.

They stand in the ``toml`` block at the end of each page, and only there. A page with a letter that is not listed here
may hold any settings: nothing judges it yet.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Positive = Annotated[int, Field(gt=0, strict=True)]
Share = Annotated[float, Field(gt=0, le=1)]


class _Settings(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class AlertRule(_Settings):
    """Events in five minutes from which the monitor alerts (observed >= threshold)."""

    blocked: Positive
    contention_fallback: Positive


class RateLimitSettings(_Settings):
    """A. ``alert_events`` by bucket, in ``alert_window_ms``; ``steady_events`` in ``steady_window_ms``.

    A key with ``abusive_events_per_key`` or more in the alert window was refused nearly all the time: one event
    stands for 5 s. ``drill_429_rate`` is the share of our own requests that were refused (0..1).
    """

    alert_events: dict[str, AlertRule]
    alert_window_ms: Positive
    steady_events: Positive
    steady_window_ms: Positive
    abusive_events_per_key: Positive
    drill_429_rate: Share
    drill_min_requests: Positive


class CircuitSettings(_Settings):
    """B. The worth of an open circuit by provider (0..1, for ranking); ``stream_errors`` point to a provider."""

    weight: dict[str, Share]
    stream_errors: tuple[str, ...]


class BulkheadSettings(_Settings):
    """C. ``full`` is in flight over the provider's own cap; sustained means full in looks ``sustained_ms`` apart.

    A lease is leaked when it is older than a call can take: the route's own time-out and ``leaked_grace_ms``, or for
    providers without one ``leaked_ttl_share`` of the lease's life. ``leaked_share`` of the leases makes the variant.
    """

    full: Share
    sustained_ms: Positive
    leaked_grace_ms: Positive
    leaked_ttl_share: Share
    leaked_share: Share


class ReplaySettings(_Settings):
    """D. Duplicate hits of one scope in the window, and for each key seen; ``loud_hits`` of one older key.

    Among many sound keys it is ``loud_hits`` duplicates with ``hits_per_repeated_key``: a retry now and then repeats a
    key once.
    """

    duplicate_hits: Positive
    duplicate_hits_per_key: Share
    hits_per_repeated_key: Positive
    loud_hits: Positive


class CacheSettings(_Settings):
    """E. ``stale_share`` of the compared answers that differ from a fresh one (0..1)."""

    stale_share: Share


class QueueSettings(_Settings):
    """F. Ages and depths come from the deployment's own alert limits; these are what it has no knob for.

    ``queued_utilization`` of one tool's cap; ``rising_queued`` jobs that grow over looks ``rising_ms`` apart;
    ``stuck_jobs`` that nobody works on over as long; ``upstream_dead_letters`` of this window; ``backoff_jobs`` that
    all wait for their back-off.
    """

    queued_utilization: Share
    rising_queued: Positive
    rising_ms: Positive
    stuck_jobs: Positive
    upstream_dead_letters: Positive
    backoff_jobs: Positive


class RegionSettings(_Settings):
    """G. The triggers stand in the region policy; a test leftover's circuit starts with ``ignored_provider_prefix``."""

    ignored_provider_prefix: str


class MilestoneSettings(_Settings):
    """H. The limits stand in the milestone policy; ``pool_max_age_ms`` is the age from which tokens may be dead."""

    pool_max_age_ms: Positive


MODELS: Mapping[str, type[_Settings]] = {
    "A": RateLimitSettings,
    "B": CircuitSettings,
    "C": BulkheadSettings,
    "D": ReplaySettings,
    "E": CacheSettings,
    "F": QueueSettings,
    "G": RegionSettings,
    "H": MilestoneSettings,
}


@dataclass(frozen=True)
class Thresholds:
    """The settings of the eight playbooks."""

    a: RateLimitSettings
    b: CircuitSettings
    c: BulkheadSettings
    d: ReplaySettings
    e: CacheSettings
    f: QueueSettings
    g: RegionSettings
    h: MilestoneSettings


@dataclass(frozen=True)
class BadSettings:
    """One wrong setting: the playbook, the path of the key, and what is wrong."""

    letter: str
    path: tuple[str, ...]
    what: str


def read_settings(pages: Mapping[str, Mapping[str, Any]]) -> tuple[Thresholds | None, tuple[BadSettings, ...]]:
    """The thresholds of all pages by letter, or None with everything that is wrong.

    A page that was not read at all is not reported here: its own mistakes are.
    """
    read: dict[str, Any] = {}
    wrong: list[BadSettings] = []
    for letter, model in MODELS.items():
        if letter not in pages:
            continue
        try:
            read[letter.lower()] = model.model_validate(pages[letter])
        except ValidationError as error:
            for item in error.errors(include_url=False, include_context=False, include_input=False):
                path = tuple(map(str, item["loc"])) or ("settings",)
                what = {"missing": "is missing", "extra_forbidden": "is not a setting of this page"}.get(
                    item["type"], item["msg"].lower()
                )
                wrong.append(BadSettings(letter, path, f"settings: `{'.'.join(path)}` {what}"))
    if len(read) < len(MODELS):
        return None, tuple(wrong)
    return Thresholds(**read), tuple(wrong)
