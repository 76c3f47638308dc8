"""Sendcat's policy files as typed, frozen values; `slo/policies/*.json` or texts that replace them.

An unknown, missing or wrong key is an error, all of them at once. A judge that has no policy decides
nothing: `BadPolicy` becomes INCOMPLETE (VERDICTS, first table).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Annotated, Any, Literal, Self, TypeVar

import rfc8785
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from slo.errors import BadPolicy, UnknownMilestone, fault_paths
from slo.scenarios import CHAT, ENDPOINTS
from slo.verdict import Owner
from slo.wire import Count, Millis, Number

Rate = Annotated[Number, Field(ge=0, le=1)]
Positive = Annotated[Number, Field(gt=0)]
AtLeastZero = Annotated[Millis, Field(ge=0)]
Whole = Annotated[Count, Field(ge=0)]
EvidenceRule = Literal["advice", "required"]


class _Strict(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, loc_by_alias=True
    )


class Policy(_Strict):
    """One policy file."""

    @property
    def digest(self) -> str:
        """sha256 (hex) over the canonical JSON (RFC 8785) of what the file says."""
        said = self.model_dump(mode="json", by_alias=True, exclude_unset=True)
        return hashlib.sha256(rfc8785.dumps(said)).hexdigest()

    @classmethod
    def parse(cls, text: str, *, where: str = "") -> Self:
        """Read a file's text. Raises `BadPolicy` naming every fault; `where` is how to call the file."""
        name = where or cls.__name__
        try:
            document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
        except ValueError as error:
            raise BadPolicy([f"not JSON: {error}"], where=name) from None
        try:
            return cls.model_validate(document)
        except ValidationError as error:
            raise BadPolicy(fault_paths(error), where=name) from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    twice = sorted({key for key in keys if keys.count(key) > 1})
    if twice:
        raise ValueError(f"key given twice: {', '.join(twice)}")
    return dict(pairs)


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not a number")


# slo-baseline.json


class EndpointSlo(_Strict):
    """The promises of one endpoint; rates 0..1, `min_two_xx_rate` where the endpoint has one."""

    max_p95_ms: Positive
    max_five_xx_rate: Rate
    max_network_error_rate: Rate
    max_unknown_status_rate: Rate
    min_two_xx_rate: Rate | None = None
    allowed_statuses: Annotated[tuple[Annotated[Count, Field(ge=100, le=599)], ...], Field(min_length=1)]


class AlertLevel(_Strict):
    p95_latency_ms: Positive
    five_xx_rate: Rate


class AlertLevels(_Strict):
    warning: AlertLevel
    critical: AlertLevel


class Alerting(_Strict):
    webhook: AlertLevels
    chat: AlertLevels


class Baseline(Policy):
    """The baseline of SLOs by endpoint path.

    `evidence` may say, for a profile, that a bound over the limit is INCOMPLETE ("required"); by default
    bounds are advice (VERDICTS, Endpoint checks).
    """

    version: str
    endpoints: Annotated[dict[str, EndpointSlo], Field(min_length=1)]
    alerting: Alerting
    evidence: dict[str, EvidenceRule] = Field(default_factory=dict)

    def endpoint(self, path: str) -> EndpointSlo | None:
        """The promises of an endpoint path; None when the file makes none, which decides nothing."""
        return self.endpoints.get(path)

    def warning(self, path: str) -> AlertLevel:
        """From where a passing p95 or 5xx rate of an endpoint is marked for whoever decides."""
        return (self.alerting.chat if path == ENDPOINTS[CHAT] else self.alerting.webhook).warning

    def evidence_required(self, profile: str) -> bool:
        """Whether this profile's rates must be proved, not only measured."""
        return self.evidence.get(profile, "advice") == "required"


# ownership-matrix.json


class Ownership(Policy):
    """Who owns which surface: endpoint paths and `snapshot:<check>`."""

    version: str
    defaults: Owner
    surfaces: dict[str, Owner]

    def owner_of(self, key: str) -> Owner:
        """The owner of a surface, else the defaults."""
        return self.surfaces.get(key, self.defaults)


# release-gate-policy.json


class GateSnapshotLimits(_Strict):
    max_open_circuits: Whole
    max_rate_limit_alerts_in_window: Whole
    max_bulkhead_active_leases: Whole
    max_queued_tool_jobs: Whole
    max_failed_tool_jobs: Whole
    max_oldest_queued_age_ms: AtLeastZero
    max_oldest_running_age_ms: AtLeastZero


class BurnRateLimits(_Strict):
    enabled: bool
    short_window_max_burn_rate: Positive
    long_window_max_burn_rate: Positive
    lookback_reports: Annotated[Count, Field(ge=1)]
    min_reports_for_long_window: Annotated[Count, Field(ge=1)]


class GatePolicy(Policy):
    snapshot: GateSnapshotLimits
    burn_rate: BurnRateLimits


# canary-policy.json


class CanaryComparison(_Strict):
    max_p95_regression_ratio: Positive
    max_p95_absolute_regression_ms: AtLeastZero
    max_five_xx_rate_regression: Rate
    max_network_error_rate_regression: Rate
    max_unknown_status_rate_regression: Rate


class CanaryPolicy(Policy):
    comparison: CanaryComparison


# milestone-gate-policy.json


class MilestoneDefaults(_Strict):
    snapshot_window_minutes: Annotated[Count, Field(ge=1)]
    snapshot_limit: Annotated[Count, Field(ge=1)]


class MilestoneSlo(_Strict):
    min_two_xx_rate: Rate
    max_five_xx_rate: Rate
    max_429_rate: Rate
    max_p95_completion_ms: Positive
    max_p95_first_token_ms: Positive
    max_network_error_rate: Rate
    max_unknown_status_rate: Rate


class MilestoneSnapshot(_Strict):
    max_sustained_open_circuit_ms: AtLeastZero
    max_oldest_queued_age_ms: AtLeastZero
    max_oldest_running_age_ms: AtLeastZero


class MilestonePool(_Strict):
    min_auth_pool_size: Whole
    min_unique_coverage: Rate


class Milestone(_Strict):
    profile: str
    required_scenarios: Annotated[tuple[str, ...], Field(min_length=1)]
    slo: MilestoneSlo
    snapshot: MilestoneSnapshot
    pool: MilestonePool


class MilestonePolicy(Policy):
    version: str
    defaults: MilestoneDefaults
    milestones: Annotated[dict[str, Milestone], Field(min_length=1)]

    def milestone(self, name: str) -> Milestone:
        """The milestone of that name. Raises `UnknownMilestone` with the nearest one."""
        try:
            return self.milestones[name]
        except KeyError:
            raise UnknownMilestone(name, self.milestones) from None


# region-rollout-policy.json


class PeakStreams(_Strict):
    active_standby_threshold: Whole
    active_active_threshold: Whole


class LoadPressure(_Strict):
    lookback_reports: Annotated[Count, Field(ge=1)]
    min_breaches_to_trigger: Annotated[Count, Field(ge=1)]
    max_p95_ms: Positive
    max_429_rate: Rate
    max_5xx_rate: Rate = Field(alias="max5xxRate")
    recommended_topology: str | None = None


class RegionSnapshot(_Strict):
    window_minutes: Annotated[Count, Field(ge=1)]
    max_open_circuits: Whole
    max_rate_limit_alerts_in_window: Whole
    max_queued_tool_jobs: Whole
    recommended_topology: str | None = None


class RegionPolicy(Policy):
    version: str
    launch_mode: str
    expected_peak_concurrent_streams: PeakStreams
    load_pressure: LoadPressure
    ops_snapshot: RegionSnapshot


FILES: Mapping[type[Policy], str] = {
    Baseline: "slo-baseline.json",
    Ownership: "ownership-matrix.json",
    GatePolicy: "release-gate-policy.json",
    CanaryPolicy: "canary-policy.json",
    MilestonePolicy: "milestone-gate-policy.json",
    RegionPolicy: "region-rollout-policy.json",
}
P = TypeVar("P", bound=Policy)


def load(kind: type[P], text: str | None = None) -> P:
    """A policy of that kind: from `text`, or Sendcat's own file. Raises `BadPolicy`."""
    name = FILES[kind]
    if text is None:
        try:
            text = resources.files("slo").joinpath("policies", name).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise BadPolicy([f"cannot be read: {type(error).__name__}"], where=name) from None
    return kind.parse(text, where=name)
