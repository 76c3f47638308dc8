"""The providers behind Sendcat: status page, key, quota, and a fresh search (Runbook, playbook B, action 2; E)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlencode

from bot.config import Provider
from bot.errors import Unreachable
from bot.outside.ask import ask
from bot.redact import inert

State = Literal["ok", "warn", "bad", "unknown"]
OPENROUTER, SERPER, EBAY = "https://openrouter.ai", "https://google.serper.dev", "https://api.ebay.com"
SEARCHES = ("serper", "ebay")
"""Providers that can be asked afresh: the web search, and the shop."""
OF: dict[str, str] = {
    "openrouter_chat_primary": "openrouter",
    "openrouter_chat_secondary": "openrouter",
    "serper_search": "serper",
    "ebay_search": "ebay",
    "global_search": "global",
    "gmail_oauth": "google",
}
"""Which entry of ``[providers]`` stands behind a circuit or a bulkhead."""
LOW_SHARE = 0.1
LOW_SEARCHES = 100


@dataclass(frozen=True)
class Health:
    """One thing that was looked at: ``what`` (``openrouter credits``), how it is, and in words."""

    what: str
    state: State
    words: str


async def status(name: str, provider: Provider) -> Health:
    """The provider's status page, as status pages answer at ``/api/v2/status.json``."""
    what = f"{name} status page"
    if provider.status_url is None:
        return Health(what, "unknown", f"not configured: set status_url under [providers.{name}]")
    try:
        answer = await ask(what, provider.status_url)
    except Unreachable as error:
        return Health(what, "unknown", error.what)
    said = answer.get("status") if isinstance(answer, dict) else None
    indicator = said.get("indicator") if isinstance(said, dict) else None
    if not isinstance(said, dict) or indicator not in _INDICATORS:
        return Health(what, "unknown", "answers in a form that is not understood")
    return Health(what, _INDICATORS[indicator], inert(said.get("description") or indicator, 120))


_INDICATORS: dict[str, State] = {
    "none": "ok",
    "minor": "warn",
    "maintenance": "warn",
    "major": "bad",
    "critical": "bad",
}


async def quota(name: str, provider: Provider) -> tuple[Health, ...]:
    """Whether the key is valid, and what is left of the quota; nothing for providers that do not tell."""
    read = {"openrouter": _openrouter, "serper": _serper}.get(name)
    if read is None:
        return ()
    if provider.key is None:
        return (Health(f"{name} quota", "unknown", f"not configured: set key_env under [providers.{name}]"),)
    try:
        return await read(provider, provider.key.get_secret_value())
    except Unreachable as error:
        bad = "refuses" in error.what
        return (Health(f"{name} key", "bad" if bad else "unknown", error.what),)


async def _openrouter(provider: Provider, key: str) -> tuple[Health, ...]:
    base, headers = provider.api_url or OPENROUTER, {"Authorization": f"Bearer {key}"}
    told = _data(await ask("OpenRouter", f"{base}/api/v1/key", headers=headers))
    limit, left = _number(told.get("limit")), _number(told.get("limit_remaining"))
    if limit is None or left is None:
        found = [Health("openrouter key", "ok", "valid, without a limit of its own")]
    else:
        found = [Health("openrouter key", _left(left, limit), f"valid, {left:.2f} of {limit:.2f} left")]
    credit = _data(await ask("OpenRouter", f"{base}/api/v1/credits", headers=headers))
    total, used = _number(credit.get("total_credits")), _number(credit.get("total_usage"))
    if total is not None and used is not None:
        state = _left(total - used, total)
        found.append(Health("openrouter credits", state, f"{total - used:.2f} of {total:.2f} left"))
    return tuple(found)


async def _serper(provider: Provider, key: str) -> tuple[Health, ...]:
    told = await ask("Serper", f"{provider.api_url or SERPER}/account", headers={"X-API-KEY": key})
    balance = _number(told.get("balance")) if isinstance(told, dict) else None
    if balance is None:
        return (Health("serper key", "ok", "valid"),)
    state: State = "bad" if balance <= 0 else "warn" if balance < LOW_SEARCHES else "ok"
    return (Health("serper quota", state, f"{balance:.0f} searches left"),)


async def search(name: str, provider: Provider, query: str) -> tuple[str, ...]:
    """Titles of a fresh search (``serper``) or of fresh offers (``ebay``), to hold against cached ones.

    Raises `Unreachable`.
    """
    if provider.key is None or name not in SEARCHES:
        raise Unreachable(f"{name} is not configured.", then=f"set key_env under [providers.{name}]")
    key = provider.key.get_secret_value()
    if name == "serper":
        url, headers = f"{provider.api_url or SERPER}/search", {"X-API-KEY": key}
        answer = await ask("Serper", url, method="POST", headers=headers, body={"q": query})
        rows = answer.get("organic") if isinstance(answer, dict) else None
    else:
        asked = urlencode({"q": query, "limit": 10})
        url = f"{provider.api_url or EBAY}/buy/browse/v1/item_summary/search?{asked}"
        answer = await ask("eBay", url, headers={"Authorization": f"Bearer {key}"})
        rows = answer.get("itemSummaries") if isinstance(answer, dict) else None
    return tuple(str(row.get("title", "")) for row in rows or () if isinstance(row, dict))


def _left(left: float, total: float) -> State:
    if left <= 0:
        return "bad"
    return "warn" if left < total * LOW_SHARE else "ok"


def _data(answer: Any) -> dict[str, Any]:
    data = answer.get("data") if isinstance(answer, dict) else None
    return data if isinstance(data, dict) else {}


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
