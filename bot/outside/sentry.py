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
    """One group of warnings: title (inert), how often, when last (in Sentry's words, and in ms), where to read it."""

    title: str
    count: int
    last_seen: str
    last_ms: int | None
    link: str


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
            last_ms=_ms(row.get("lastSeen")),
            link=str(row.get("permalink", ""))[:300],
        )
        for row in rows
        if isinstance(row, dict)
    )


def _ms(text: object) -> int | None:
    """A moment as Sentry writes it, in ms; None for what is no moment."""
    try:
        return int(datetime.fromisoformat(str(text).replace("Z", "+00:00")).timestamp() * 1000)
    except ValueError:
        return None
