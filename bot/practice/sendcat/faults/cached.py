"""E. Stale cached tool results: stale, products."""

from __future__ import annotations

from bot.practice.sendcat.accounts import SUBJECTS
from bot.practice.sendcat.circuits import EBAY, SERPER
from bot.practice.sendcat.faults.stage import Fault, Option, Stage
from bot.practice.sendcat.workers import search_results

STALE_LIFE_MS = 6 * 3_600_000
"""Written while the time to live was set far too high, so that the entries stay."""


def _stale(stage: Stage, options: dict[str, Option]) -> None:
    """420 cached web answers carry an old mark, while the search already gives a new one.

    With ``upstream_stale`` the search itself is still stale until the fault is cleared: emptying the namespace
    fills it again with the old mark. ``entries`` says how many there are.
    """
    _fill(stage, SERPER, stage.on.environment.web_namespace(), 420, options)


def _products(stage: Stage, options: dict[str, Option]) -> None:
    """The same for the products' namespace."""
    _fill(stage, EBAY, stage.on.environment.products_namespace(), 180, options)


def _fill(stage: Stage, provider: str, namespace: str, usual: int, options: dict[str, Option]) -> None:
    upstream, cache = stage.on.upstreams[provider], stage.on.cache
    old = upstream.mark
    stage.rest("jobs")
    cache.clear(namespace, 1_000_000)
    count = int(options.get("entries", usual))
    queries = [*SUBJECTS, *(f"popular question {number}" for number in range(count - len(SUBJECTS)))]
    for query in queries:
        cache.set(namespace, query, search_results(query, old), STALE_LIFE_MS, stage.now_ms - 60_000)
    if options.get("upstream_stale", False):
        stage.undo.append(lambda: setattr(upstream, "mark", "v2"))
    else:
        upstream.mark = "v2"


FAULTS = (
    Fault("E", "stale", "420 cached search results are older than what the search gives now", _stale),
    Fault("E", "products", "180 cached product results are older than what the shop gives now", _products),
)
