"""What a drill will do, written down before it does it: a plan without a secret in it, and the secrets apart."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from pydantic import BaseModel, ConfigDict

from bot.target import Ceilings
from slo.policy import Baseline
from slo.pool import PoolSelector, Rotation
from slo.profiles import Scale, StagePlan, StreamPlan
from slo.scenarios import CHAT

Mode = Literal["open", "closed"]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ScenarioPlan(_Frozen):
    """One scenario: its stages as they will run, or why it will not. ``streams`` replaces them at true scale."""

    name: str
    stages: tuple[StagePlan, ...] = ()
    streams: StreamPlan | None = None
    skipped: str | None = None

    @property
    def requests(self) -> int:
        """Requests that are planned; a milestone's follow its streams and are counted as one for each stream."""
        if self.skipped is not None:
            return 0
        if self.streams is not None:
            return self.streams.streams
        return sum(stage.planned_requests or 0 for stage in self.stages)

    @property
    def duration_ms(self) -> float:
        """Planned length with pauses."""
        if self.skipped is not None:
            return 0
        if self.streams is not None:
            return self.streams.ramp_ms + self.streams.sustain_ms
        return sum((stage.planned_ms or 0) + stage.pause_ms for stage in self.stages)


class DrillPlan(_Frozen):
    """The whole drill, as JSON for the record and for the child process. It holds no secret.

    ``ceilings`` hold at the send loop (R16). ``baseline`` gives the error budget and the bounds in the report.
    ``only`` is the scenario filter as asked; ``pool_size`` 0 means one chat user, or none.
    """

    target: str
    site_url: str
    profile: str
    quick: bool = False
    mode: Mode = "open"
    only: tuple[str, ...] | None = None
    required: tuple[str, ...]
    scenarios: tuple[ScenarioPlan, ...]
    scale: Scale = Scale()
    pool_size: int = 0
    rotation_mode: Rotation = "round_robin"
    rotation_stride: int | None = None
    rotation_seed: str = ""
    min_unique_coverage: float | None = None
    min_unique_users: int = 0
    consume_body: bool = False
    processes: int = 1
    approval: str | None = None
    """The decision that raised the ceilings, if one did."""
    ceilings: Ceilings = Ceilings()
    baseline: Baseline

    @property
    def requests(self) -> int:
        """Planned requests of all scenarios."""
        return sum(scenario.requests for scenario in self.scenarios)

    @property
    def duration_ms(self) -> float:
        """Planned length, before any slowness of the target."""
        return sum(scenario.duration_ms for scenario in self.scenarios)

    @property
    def skipped(self) -> dict[str, str]:
        """Scenarios that were asked for and will not run, with the reason."""
        return {item.name: item.skipped for item in self.scenarios if item.skipped is not None}

    @property
    def beyond_quick(self) -> bool:
        """More than a quick drill: longer rest afterwards, and a stricter right."""
        return self.profile != "quick"

    def cap(self, scenario: str, stage: StagePlan) -> int:
        """How many requests this stage may have open at once: workers x 4, under the target's ceiling."""
        ceiling = self.ceilings.streams if scenario == CHAT else self.ceilings.in_flight
        most = stage.max_in_flight if self.mode == "open" and stage.per_second is not None else stage.workers
        return max(1, most if ceiling is None else min(most, ceiling))

    def selector(self, users: int) -> PoolSelector | None:
        """Which chat user sends request i; None without users."""
        if users < 1:
            return None
        stride = self.rotation_stride
        if stride is None:
            return PoolSelector(users, self.rotation_mode, seed=self.rotation_seed)
        return PoolSelector(users, self.rotation_mode, stride, self.rotation_seed)


@dataclass(frozen=True, slots=True)
class ChatUser:
    """One end user's live credentials."""

    token: str = field(repr=False)
    thread_id: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DrillSecrets:
    """What the requests carry; goes to the child over its stdin and nowhere else (R36)."""

    gmail_token: str | None = field(default=None, repr=False)
    whatsapp_secret: str | None = field(default=None, repr=False)
    chat_users: tuple[ChatUser, ...] = field(default=(), repr=False)
    pooled: bool = False
    """The users are a pool and not a single token."""

    def values(self) -> tuple[str, ...]:
        """Every secret, for the scrubber."""
        held = (self.gmail_token, self.whatsapp_secret, *(user.token for user in self.chat_users))
        return tuple(value for value in held if value)

    def to_wire(self) -> dict[str, object]:
        return {
            "gmail": self.gmail_token,
            "whatsapp": self.whatsapp_secret,
            "chat": [[user.token, user.thread_id] for user in self.chat_users],
            "pooled": self.pooled,
        }

    @classmethod
    def from_wire(cls, raw: dict[str, object]) -> DrillSecrets:
        chat, gmail, whatsapp = raw["chat"], raw["gmail"], raw["whatsapp"]
        assert isinstance(chat, list)
        return cls(
            gmail_token=gmail if isinstance(gmail, str) else None,
            whatsapp_secret=whatsapp if isinstance(whatsapp, str) else None,
            chat_users=tuple(ChatUser(token, thread) for token, thread in chat),
            pooled=bool(raw["pooled"]),
        )


@dataclass(frozen=True, slots=True)
class DrillProgress:
    """How far a drill is; counts are over the whole drill, ``p95_ms`` over the present scenario so far.

    ``errors`` are network errors, 5xx and failed streams. ``remaining_s`` is by plan; ``rate`` is sent a second.
    """

    scenario: str
    stage: str
    planned: int
    sent: int
    done: int
    errors: int
    in_flight: int
    elapsed_s: float
    remaining_s: float
    rate: float
    p95_ms: float | None = None
    open_streams: bool = False
    """Whether what is in flight are the streams of a milestone, which are held open."""
