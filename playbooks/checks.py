"""Checks a page may name as ``check:<name>``: evidence that no single read gives; a closed set, done by `bot.walk`."""

from __future__ import annotations

from collections.abc import Mapping

CHECKS: Mapping[str, str] = {
    "callers": "who is refused: events against distinct keys, abuse or legitimate use",
    "cached-answers": "fresh answers of the web search and the shop beside the cached ones",
    "failover": "whether a second route exists and is healthy",
    "queue-cause": "capacity, upstream, or neither: why tool jobs wait",
    "pool": "the chat auth pool file: there, readable, large enough, fresh",
    "provider-status": "status, token and quota of the providers, where they are configured",
    "regressions": "what got worse since the walk began, by endpoint",
    "sender-retries": "why a sender would repeat: slow, failing or refused acknowledgements",
    "sentry-warnings": "warnings of convex.rateLimit.monitor in Sentry, where it is configured",
    "slots": "each provider against its own cap, and leaked leases told from load",
    "upstream-healthy": "whether the upstream of the dead letters works again",
}
"""Name and what it tells."""
