"""Sentry: the warnings of a logger (Runbook, playbook A, signal), read only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote, urlencode

from bot.config import Sentry
from bot.outside.ask import ask
from bot.redact import inert

RATE_LIMIT_MONITOR = "convex.rateLimit.monitor"


@dataclass(frozen=True)
class Issue:
    """One group of warnings: title (made inert), how often, when last (as Sentry words it), where to read it.

    ``last_ms`` is the same moment in ms UTC, None when Sentry's words are no moment.
    """

    title: str
    count: int
    last_seen: str
    link: str
    last_ms: int | None = None


async def warnings(sentry: Sentry, logger: str, hours: int = 24) -> tuple[Issue, ...]:
    """Issues of one logger in the last hours, the newest first; raises `Unreachable`.

    Only called when a token is there (`Sentry.ready`).
    """
    assert sentry.token is not None
    query = urlencode({"query": f"logger:{logger}", "statsPeriod": f"{hours}h", "limit": 10})
    url = f"{sentry.api_url}/api/0/projects/{quote(sentry.organization)}/{quote(sentry.project)}/issues/?{query}"
    headers = {"Authorization": f"Bearer {sentry.token.get_secret_value()}"}
    rows = await ask("Sentry", url, headers=headers)
    return tuple(
        Issue(
            title=inert(row.get("title", ""), 120),
            count=int(str(row.get("count", "0"))) if str(row.get("count", "0")).isdigit() else 0,
            last_seen=inert(row.get("lastSeen", ""), 40),
            last_ms=_moment(row.get("lastSeen")),
            link=str(row.get("permalink", ""))[:300],
        )
        for row in rows
        if isinstance(row, dict)
    )


def _moment(said: object) -> int | None:
    """An ISO moment with its zone in ms UTC."""
    try:
        at = datetime.fromisoformat(str(said).replace("Z", "+00:00"))
    except ValueError:
        return None
    return int(at.timestamp() * 1000) if at.tzinfo is not None else None
