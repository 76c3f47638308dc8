"""One call to a provider: circuit first, then a bulkhead slot, then the wait for the response headers."""

from __future__ import annotations

from dataclasses import dataclass

from bot.practice.sendcat.bulkheads import Bulkheads
from bot.practice.sendcat.circuits import Circuits
from bot.practice.sendcat.upstreams import Reply, Upstreams

UNAVAILABLE = "upstream_unavailable"


@dataclass(frozen=True, slots=True)
class Refused:
    """The call was not made: open circuit or full bulkhead."""

    why: str
    retry_after_ms: int


@dataclass(frozen=True, slots=True)
class Pending:
    """A call under way; it is over after ``wait_ms`` (headers, or the time limit)."""

    provider: str
    lease_id: str
    reply: Reply
    wait_ms: int
    timed_out: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended: ``status`` 200, an error status, or None for a time-out."""

    status: int | None

    @property
    def ok(self) -> bool:
        return self.status is not None and self.status < 400


class Calls:
    """Begins and ends provider calls; every caller, real or simulated, comes through here."""

    def __init__(self, circuits: Circuits, bulkheads: Bulkheads, upstreams: Upstreams) -> None:
        self._circuits = circuits
        self._bulkheads = bulkheads
        self._upstreams = upstreams
        self._number = 0

    def begin(self, provider: str, now_ms: int, timeout_ms: int) -> Refused | Pending:
        gate = self._circuits.gate(provider, now_ms)
        if not gate.allowed:
            return Refused(f"Circuit open for {provider}", gate.retry_after_ms)
        self._number += 1
        lease_id = f"{provider}-{self._number}"
        slot = self._bulkheads.acquire(provider, lease_id, now_ms)
        if not slot.acquired:
            return Refused(f"Bulkhead saturated for {provider}", slot.retry_after_ms)
        reply = self._upstreams[provider].call(now_ms)
        timed_out = reply.status is None or reply.latency_ms > timeout_ms
        wait_ms = timeout_ms if timed_out else reply.latency_ms
        return Pending(provider, lease_id, reply, wait_ms, timed_out)

    def end(self, call: Pending, now_ms: int, *, aborted: bool = False) -> Ended:
        """Give the slot back and tell the circuit.

        2xx and 3xx are successes; 408, 425, 5xx, time-outs and aborts are failures; 429 and the other 4xx are
        neutral, so throttling by a provider never opens a circuit.
        """
        self._bulkheads.release(call.provider, call.lease_id)
        if aborted:
            self._circuits.failure(call.provider, now_ms, "AbortError: The operation was aborted")
            return Ended(None)
        if call.timed_out:
            self._circuits.failure(call.provider, now_ms, "Upstream request timed out")
            return Ended(None)
        status = call.reply.status
        if status is None or status >= 500 or status in (408, 425):
            self._circuits.failure(call.provider, now_ms, f"HTTP {status}")
        elif status < 400:
            self._circuits.success(call.provider, now_ms)
        return Ended(status)
