"""Circuit breakers of the outbound providers: closed, open, half open."""

from __future__ import annotations

from dataclasses import dataclass

from bot.practice.sendcat.environment import Environment
from bot.practice.sendcat.tables import Circuit, Ids

PRIMARY = "openrouter_chat_primary"
SECONDARY = "openrouter_chat_secondary"
SERPER = "serper_search"
GMAIL = "gmail_oauth"
EBAY = "ebay_search"
GLOBAL = "global_search"
WORKER = "tool_job_worker"

_KNOBS = {
    PRIMARY: "CIRCUIT_OPENROUTER_PRIMARY",
    SECONDARY: "CIRCUIT_OPENROUTER_SECONDARY",
    "openrouter_chat": "CIRCUIT_OPENROUTER",
    SERPER: "CIRCUIT_SERPER",
    GMAIL: "CIRCUIT_GMAIL_OAUTH",
    EBAY: "CIRCUIT_EBAY",
    GLOBAL: "CIRCUIT_GLOBAL_SEARCH",
}
MAX_ERROR = 500


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a call may be tried now; ``retry_after_ms`` is the rest of the cool-down when it may not."""

    allowed: bool
    state: str
    retry_after_ms: int = 0


class Circuits:
    """One row for each provider that was ever asked for; nothing ever deletes rows."""

    def __init__(self, ids: Ids, environment: Environment) -> None:
        self._ids = ids
        self._environment = environment
        self.rows: dict[str, Circuit] = {}

    def threshold(self, provider: str) -> int:
        return self._environment.number(f"{_KNOBS[provider]}_THRESHOLD")

    def cooldown_ms(self, provider: str) -> int:
        return self._environment.number(f"{_KNOBS[provider]}_COOLDOWN_MS")

    def gate(self, provider: str, now_ms: int) -> Gate:
        """``circuitBreaker:checkGate``. Half open lets every caller pass, not one trial."""
        row = self.row(provider, now_ms)
        if row.state != "open":
            return Gate(True, row.state)
        if row.cooldown_until is not None and row.cooldown_until > now_ms:
            return Gate(False, "open", row.cooldown_until - now_ms)
        row.state = "half_open"
        row.updated_at = now_ms
        return Gate(True, "half_open")

    def success(self, provider: str, now_ms: int) -> Circuit:
        """Any success closes the circuit, also one of an old call while it is open."""
        row = self.row(provider, now_ms)
        row.state = "closed"
        row.failure_count = 0
        row.success_count += 1
        row.last_success_at = row.updated_at = now_ms
        row.cooldown_until = row.last_error = None
        return row

    def failure(
        self,
        provider: str,
        now_ms: int,
        error: str | None,
        *,
        threshold: float | None = None,
        cooldown_ms: float | None = None,
    ) -> Circuit:
        """Count a failure; opens at the threshold, in half open at once, and renews an open cool-down."""
        row = self.row(provider, now_ms)
        limit = self.threshold(provider) if threshold is None else threshold
        pause_ms = self.cooldown_ms(provider) if cooldown_ms is None else cooldown_ms
        row.failure_count += 1
        row.last_failure_at = row.updated_at = now_ms
        if error:
            row.last_error = error[:MAX_ERROR]
        if row.state in ("half_open", "open") or row.failure_count >= limit:
            row.state = "open"
            row.cooldown_until = now_ms + round(pause_ms)
        return row

    def newest(self, count: int) -> list[Circuit]:
        """At most ``count`` rows, last updated first."""
        ordered = sorted(self.rows.values(), key=lambda row: row.updated_at, reverse=True)
        return ordered[:count]

    def row(self, provider: str, now_ms: int) -> Circuit:
        row = self.rows.get(provider)
        if row is None:
            row = Circuit(
                id=self._ids.new(),
                creation_time=self._ids.creation_time(now_ms),
                provider=provider,
                updated_at=now_ms,
            )
            self.rows[provider] = row
        return row
