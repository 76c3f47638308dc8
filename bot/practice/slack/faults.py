"""What can go wrong on Slack's side, switched on by tests and by the page."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

Down = Literal["no", "503", "drop"]


@dataclass(frozen=True)
class ApiFault:
    """One thing that happens to one Web API call.

    ``apply`` tells whether the call still has its effect; ``drop`` ends the connection without an answer, so
    ``ApiFault(apply=True, drop=True)`` is a lost answer. Otherwise ``status`` and ``error`` are answered
    (``retry_after_s`` with 429), or, with neither, the call is only slow.
    """

    apply: bool = True
    drop: bool = False
    status: int = 0
    error: str = ""
    retry_after_s: int = 1
    delay_s: float = 0.0


LOST_ANSWER = ApiFault(apply=True, drop=True)
LOST_REQUEST = ApiFault(apply=False, drop=True)
SERVER_ERROR = ApiFault(apply=False, status=500, error="internal_error")
SERVER_ERROR_AFTER = ApiFault(apply=True, status=500, error="internal_error")
RATE_LIMITED = ApiFault(apply=False, status=429, error="ratelimited", retry_after_s=1)
UNSHAKEN = frozenset({"auth.test", "apps.connections.open"})
"""Calls that the random share leaves alone: a bot that never starts would prove nothing."""
RANDOM_KINDS = (LOST_ANSWER, LOST_REQUEST, SERVER_ERROR, SERVER_ERROR_AFTER, RATE_LIMITED)


@dataclass
class Faults:
    """Every switch, all off at first. Times are wall seconds.

    ``down`` refuses the Web API and closes the sockets; ``storm_429`` rate-limits every call; ``revoked`` makes the
    bot token worthless; ``failing_share`` of the calls fails in a way drawn from ``kinds`` by the seed.
    ``silent_socket`` keeps the socket open and lets nothing through it. ``socket_close`` closes the socket once,
    right after the next envelope was sent (``before_ack``) or acknowledged (``after_ack``).
    ``event_retry_delays_s`` are the waits before the three further tries of an event.
    """

    down: Down = "no"
    storm_429: bool = False
    storm_retry_after_s: int = 1
    revoked: bool = False
    slow_s: float = 0.0
    failing_share: float = 0.0
    kinds: tuple[ApiFault, ...] = RANDOM_KINDS
    seed: int = 0
    silent_socket: bool = False
    socket_close: Literal["no", "before_ack", "after_ack"] = "no"
    event_retry_delays_s: tuple[float, ...] = (0.0, 60.0, 300.0)
    _next: dict[str, deque[ApiFault]] = field(default_factory=dict)
    _copies: deque[tuple[int, bool]] = field(default_factory=deque)
    _always_copies: tuple[int, bool] = (1, False)
    _delays: deque[float] = field(default_factory=deque)
    _dice: random.Random | None = None

    def fail(self, method: str, fault: ApiFault, times: int = 1) -> None:
        """The next ``times`` calls of ``method`` (``*`` is any) meet this fault."""
        self._next.setdefault(method, deque()).extend([fault] * times)

    def lose_answer(self, method: str = "chat.postMessage", times: int = 1) -> None:
        """The next calls are applied, then the connection is dropped."""
        self.fail(method, LOST_ANSWER, times)

    def rate_limit(self, method: str = "*", times: int = 1, retry_after_s: int = 1) -> None:
        """The next calls get 429 with ``Retry-After``."""
        self.fail(method, ApiFault(False, False, 429, "ratelimited", retry_after_s), times)

    def error_500(self, method: str = "*", times: int = 1) -> None:
        """The next calls get a 500 and are not applied."""
        self.fail(method, SERVER_ERROR, times)

    def slow(self, method: str, delay_s: float, times: int = 1) -> None:
        """The next calls are answered late."""
        self.fail(method, ApiFault(delay_s=delay_s), times)

    def fail_share(self, share: float, seed: int = 0, kinds: tuple[ApiFault, ...] = RANDOM_KINDS) -> None:
        """From now on this share (0..1) of all calls fails; the same seed draws the same failures."""
        self.failing_share, self.seed, self.kinds = share, seed, kinds
        self._dice = random.Random(seed)

    def duplicate(self, copies: int, *, concurrent: bool = False, always: bool = False) -> None:
        """The next delivery (or, with ``always``, each one) arrives ``copies`` times, signed the same."""
        if always:
            self._always_copies = (copies, concurrent)
        else:
            self._copies.append((copies, concurrent))

    def delay_delivery(self, seconds: float) -> None:
        """The next delivery leaves late, so that a later one overtakes it."""
        self._delays.append(seconds)

    def clear(self) -> None:
        """Everything works again."""
        fresh = Faults(event_retry_delays_s=self.event_retry_delays_s)
        self.__dict__.update(fresh.__dict__)

    def for_call(self, method: str) -> ApiFault | None:
        """What happens to this call (asked once per call)."""
        if self.storm_429:
            return ApiFault(False, False, 429, "ratelimited", self.storm_retry_after_s)
        for key in (method, "*"):
            if self._next.get(key):
                return self._next[key].popleft()
        if self.failing_share and method not in UNSHAKEN:
            dice = self._dice = self._dice or random.Random(self.seed)
            if dice.random() < self.failing_share:
                return dice.choice(self.kinds)
        return ApiFault(delay_s=self.slow_s) if self.slow_s else None

    def for_delivery(self) -> tuple[int, bool, float]:
        """Copies, whether they arrive at the same time, and the wait before they leave."""
        copies, concurrent = self._copies.popleft() if self._copies else self._always_copies
        return copies, concurrent, self._delays.popleft() if self._delays else 0.0
