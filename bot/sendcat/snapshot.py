"""One reading of the reliability snapshot, masked, with how far the two clocks are apart (runbook, First 5 Minutes)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from bot.clock import Clock
from bot.errors import Unreachable
from bot.redact import Masker
from bot.sendcat.convex import ConvexClient
from bot.sendcat.mask import Mask
from bot.sendcat.trouble import by_hand
from slo.errors import BadSnapshot
from slo.snapshot import SERVER_MAX_LIMIT, Snapshot

FUNCTION = "ops:getReliabilitySnapshot"
SKEW_WARN_MS = 30_000
SKEW_REFUSE_MS = 120_000
"""R31: warn at 30 s against the other side's clock, refuse changes at 120 s."""


@dataclass(frozen=True)
class SnapshotRead:
    """What was read: ``raw`` is masked plain JSON for the artifact, ``snapshot`` the same as a model.

    ``skew_ms`` is the server's clock minus ours at the middle of the call, known to within half of ``took_ms``.
    ``note`` says what the server silently did with the wish, empty when nothing.
    """

    raw: dict[str, Any]
    snapshot: Snapshot
    fetched_at_ms: int
    skew_ms: int
    took_ms: int
    requested_minutes: int | None
    requested_limit: int | None
    effective_limit: int | None
    note: str = ""

    @property
    def skew_warning(self) -> str | None:
        """A sentence when the clocks are 30 s or more apart (R31)."""
        if abs(self.skew_ms) < SKEW_WARN_MS:
            return None
        way = "ahead of" if self.skew_ms > 0 else "behind"
        tail = "; changes are refused" if abs(self.skew_ms) >= SKEW_REFUSE_MS else ""
        return f"Sendcat's clock is {abs(self.skew_ms) // 1000} s {way} ours{tail}."


async def read_snapshot(
    client: ConvexClient, masker: Masker, clock: Clock, minutes: int | None = None, limit: int | None = None
) -> SnapshotRead:
    """Ask for the snapshot. Raises `Unreachable`, also for half an answer, naming what is missing."""
    args: dict[str, object] = {}
    if minutes is not None:
        args["minutes"] = minutes
    if limit is not None:
        args["limit"] = limit
    began, before = clock.monotonic(), clock.now_ms()
    answer = await client.query(FUNCTION, args)
    took_ms = max(0, round((clock.monotonic() - began) * 1000))
    fetched_at_ms = clock.now_ms()
    if not isinstance(answer, dict):
        raise _half(client, args, ("(whole document)",))
    masked = Mask(masker).snapshot(answer)
    try:
        snapshot = Snapshot.parse(masked)
    except BadSnapshot as error:
        raise _half(client, args, error.paths) from None
    cut = limit is not None and limit > SERVER_MAX_LIMIT
    return SnapshotRead(
        raw=masked,
        snapshot=snapshot,
        fetched_at_ms=fetched_at_ms,
        skew_ms=snapshot.generated_at - (before + fetched_at_ms) // 2,
        took_ms=took_ms,
        requested_minutes=minutes,
        requested_limit=limit,
        effective_limit=min(limit, SERVER_MAX_LIMIT) if limit is not None else None,
        note=(
            f"the server cuts limit {limit} to OPS_MAX_ROWS_PER_SECTION ({SERVER_MAX_LIMIT} unless raised)"
            if cut
            else ""
        ),
    )


def _half(client: ConvexClient, args: dict[str, object], paths: tuple[str, ...]) -> Unreachable:
    shown = "; ".join(paths[:6]) + (f"; and {len(paths) - 6} more" if len(paths) > 6 else "")
    return Unreachable(
        f"{FUNCTION} on {client.target.name} gave half an answer. Missing or wrong: {shown}.",
        rule="half an answer is never green (R42)",
        then=by_hand(FUNCTION, args),
    )
