"""Generated states of the practice Sendcat: every fault and variant in mixed strength, two at once, and decoys.

`states` draws them, the same ones for the same seed; `observe` puts one in and reads it as triage does: looks some seconds
apart, and the rows beside the newest one. What else a playbook needs (a forecast, a pool, drills, a fresh answer) comes from
the same deployment.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import httpx

from bot.practice.sendcat.faults.shelf import ALL
from bot.practice.sendcat.faults.stage import Option
from playbooks.facts import CachedAnswer, Event, Facts, Lease, MilestoneWish, ReplayKey
from playbooks.functions import SCOPES
from slo.reports import (
    DrillHonest,
    DrillReport,
    Ended,
    Generator,
    HonestScenario,
    HonestStage,
    MeasuredScenario,
    Spread,
    SummaryLatency,
)
from slo.scenarios import CHAT
from slo.snapshot import Snapshot
from tests.bot.practice.sendcat.psendcat_kit import Deployment, deployed
from tests.playbooks.decoys import DECOYS

BUSY = 0.8
"""From this share of its cap triage reads a bulkhead's leases."""
NO_FAULTS = ("B:stale_open", "C:spike")
"""Of the catalogue, and no outage: a careful reading suggests nothing."""
RIGHT: Mapping[str, str] = {
    "G:snapshot": "BF",
    "G:circuits": "B",
    "G:queued": "F",
    "G:alerts": "AG",
    "B:tool": "BF",
    "H:circuit": "BH",
    "H:queue": "FH",
}
"""Letters that are right for a trigger whose cause has a playbook of its own; any other fault's is its letter."""
BLIND = ("B:quota", "D:hidden", "E:stale", "E:products", "G:demand", "G:load", "H:pool")
"""What no snapshot of the usual window shows, only what is read beside it."""
_CHATTY = ("A:chat", "A:contention")
_APART_NAMES = (
    *({trigger, chatty} for trigger in ("G:circuits", "H:circuit", "B:quota", "G:load") for chatty in _CHATTY),
    *({"D:hidden", sender} for sender in ("A:abusive", "A:legitimate", "A:contention")),
    *({"B:tool", queue} for queue in ("F:caps", "F:backlog", "F:upstream")),
)
"""Chats test a circuit and ask the drill's user; two hundred newer keys hide an old one; one provider is one fault."""
TWOFOLD = ("G:snapshot",)
"""Two faults at once by itself."""
_APART = ({"B", "C"}, {"B", "H"}, {"B", "G"}, {"C", "H"}, {"C", "G"}, {"F", "H"}, {"F", "G"}, {"E", "F"}, {"G", "H"}, {"E", "H"}, {"E", "G"})  # fmt: skip
"""Letters that hide each other: no call takes a slot of an open circuit, one traffic rests for another fault."""
_SPOILED = {
    "busy_queue": ("H:", "F:no_drain", "G:queued", "B:tool"),
    "many_keys": ("D:hidden",),
    "busy_bulkhead": ("C:spike",),
}
"""Decoys that end a fault: drains take its jobs along, late successes close its circuit, two hundred newer keys hide an old one from every read."""
_PROVIDERS = ("serper_search", "ebay_search", "global_search", "gmail_oauth")


@dataclass(frozen=True)
class State:
    """One generated state: ``faults`` with their options, ``decoys`` by name, and the gaps between looks."""

    seed: int
    faults: tuple[tuple[str, Mapping[str, Option]], ...]
    decoys: tuple[str, ...]
    gap_ms: int

    @property
    def right(self) -> tuple[str, ...]:
        """For each fault the letters of which one is right."""
        return tuple(RIGHT.get(name, name[0]) for name, _ in self.faults if name not in NO_FAULTS)

    @property
    def label(self) -> str:
        """For a person who looks for a wrong suggestion."""
        faults = "+".join(f"{name}{dict(options) or ''}" for name, options in self.faults)
        return f"seed {self.seed}: {faults or 'healthy'} with {', '.join(self.decoys) or 'no decoy'}"


@dataclass(frozen=True)
class Observed:
    """What was read: ``facts`` as triage has them, and the bare snapshots, oldest first."""

    facts: Facts
    snapshots: tuple[dict[str, Any], ...]


def states(count: int, *, seed: int, healthy: bool = False) -> list[State]:
    """``count`` states: the catalogue in turn, a third of them with a second fault, most with decoys."""
    catalogue = [
        f"{fault.letter}:{fault.variant}" for fault in ALL if f"{fault.letter}:{fault.variant}" not in NO_FAULTS
    ]
    found = []
    for number in range(count):
        rng = random.Random(f"state-{seed}-{number}")
        names: list[str] = []
        if healthy:
            names += rng.sample(NO_FAULTS, rng.choice((0, 0, 1)))
        else:
            names.append(catalogue[number % len(catalogue)])
            if rng.random() < 1 / 3 and names[0] not in TWOFOLD:
                others = [name for name in catalogue if name not in TWOFOLD and not _hide(names[0], name)]
                names += rng.sample(others, 1) if others else []
        decoys = rng.sample(sorted(DECOYS), rng.choice((0, 1, 2, 3, 4)))
        decoys = [decoy for decoy in decoys if not any(name.startswith(_SPOILED.get(decoy, ("-",))) for name in names)]
        gap_ms = rng.choice((6_000, 8_000, 12_000, 20_000))
        faults = tuple((name, _options(name, rng)) for name in names)
        found.append(State(seed * 10_000 + number, faults, tuple(decoys), gap_ms))
    return found


def _hide(one: str, other: str) -> bool:
    letters = {one[0], other[0]}
    return len(letters) == 1 or letters in _APART or {one, other} in _APART_NAMES


def _options(name: str, rng: random.Random) -> dict[str, Option]:
    """How strong a fault is, and where."""
    webhook = rng.choice(("whatsapp_webhook", "gmail_push"))
    scope = rng.choice(SCOPES)
    match name:
        case "A:abusive":
            return {"per_second": rng.randint(3, 80), "sources": rng.randint(1, 14), "bucket": webhook}
        case "A:legitimate":
            return {"per_minute": rng.randint(135, 240), "bucket": webhook}
        case "A:chat":
            return {"period_ms": rng.randint(1_000, 6_000)}
        case "A:contention":
            return {"share": rng.uniform(0.25, 0.6), "bucket": rng.choice((webhook, "chat_stream"))}
        case "B:primary":
            return {
                "status": rng.choice((500, 502, 503)),
                "secondary": rng.random() < 0.3,
                "timeout": rng.random() < 0.2,
            }
        case "B:tool":
            return {"provider": rng.choice(_PROVIDERS), "status": rng.choice((500, 502, 503))}
        case "B:quota":
            return {"status": rng.choice((402, 429))}
        case "C:sustained":
            return {"connect_ms": rng.randint(3_000, 8_000), "period_ms": rng.randint(60, 110)}
        case "C:leaked" | "C:spike":
            return {"provider": rng.choice(("openrouter_chat_primary", "openrouter_chat_secondary", *_PROVIDERS))}
        case "D:surge":
            return {"scope": scope, "keys": rng.randint(20, 120), "times": rng.randint(1, 6)}
        case "D:hidden":
            return {"scope": scope, "minutes": rng.randint(20, 600), "hits": rng.randint(40, 900)}
        case "E:stale" | "E:products":
            return {"entries": rng.randint(30, 500)}
        case "F:backlog":
            return {"queued": rng.randint(66, 80), "dead": rng.randint(0, 40)}
        case "F:no_drain" | "F:leaked_slots":
            return {"jobs": rng.randint(3, 60)}
        case "F:upstream":
            return {"tool": rng.choice(("search_web", "search_products")), "period_ms": rng.randint(2_500, 9_000)}
        case "G:demand":
            return {"streams": rng.randint(20_000, 90_000)}
        case "G:load":
            return {"head_ms": rng.randint(5_200, 9_000)}
        case "G:queued":
            return {"jobs": rng.randint(101, 190)}
        case "G:alerts":
            return {"rules": rng.randint(6, 8)}
        case "H:queue":
            return {"age_ms": rng.randint(62_000, 400_000)}
        case "H:pool":
            return {"users": rng.randint(0, 19)}
    return {}


async def observe(state: State, looks: int = 2) -> Observed:
    """Put a state in, and read it as triage does."""
    async with deployed() as on:
        rng, practice = random.Random(state.seed), on.practice
        for decoy in state.decoys:
            DECOYS[decoy](practice.deployment, rng, practice.deployment.settle())
        for name, options in state.faults:
            letter, variant = name.split(":")
            practice.inject(letter, variant=variant, **options)
        snapshots = [await on.call("ops:getReliabilitySnapshot")]
        for _ in range(looks - 1):
            on.pass_ms(state.gap_ms)
            snapshots.append(await on.call("ops:getReliabilitySnapshot"))
        return Observed(await _facts(on, state, [Snapshot.parse(raw) for raw in snapshots]), tuple(snapshots))


async def _facts(on: Deployment, state: State, looks: list[Snapshot]) -> Facts:
    """The reads beside the newest look, as `bot.measure.facts` makes them, and what a person knows besides."""
    now = looks[-1]
    busy = [name for name in now.config.bulkheads if (now.bulkhead_utilization(name) or 0) >= BUSY]
    leases = [
        row
        for provider in busy
        for row in await on.call("bulkhead:listInFlightByProvider", provider=provider, limit=500)
    ]
    keys = [row for scope in SCOPES for row in await on.call("idempotency:listRecentByScope", scope=scope, limit=200)]
    events = await on.call("rateLimit:listRecentEvents", limit=200)
    letters = {name[0] for name, _ in state.faults}
    chats = await _drill(on) if any(name in ("B:quota", "G:load") for name, _ in state.faults) else None
    streams = on.practice.deployment.forecast_streams
    return Facts(
        tuple(looks),
        drill=chats,
        events=tuple(map(Event.model_validate, events)),
        leases=tuple(map(Lease.model_validate, leases)),
        replay_keys=tuple(map(ReplayKey.model_validate, keys)),
        cached=await _compared(on, now) if "E" in letters else None,
        drills=(chats,) * 3 if chats is not None and "G" in letters else None,
        expected_peak_streams=streams or None,
        milestone=MilestoneWish("m1_1k", pool_size=await _valid(on)) if "H" in letters else None,
    )


async def _compared(on: Deployment, now: Snapshot) -> tuple[CachedAnswer, ...]:
    """Cached answers beside what the search gives now."""
    spaces, found = now.config.tool_cache_namespaces, []
    for namespace, provider in ((spaces.web_search, "serper_search"), (spaces.product_search, "ebay_search")):
        for query in ("desk lamp", "bike light", "trail shoes"):
            cached = await on.call("toolCache:get", namespace=namespace, key=query)
            if cached is not None:
                mark = on.practice.deployment.upstreams[provider].mark
                found.append(CachedAnswer(namespace, differs=json.loads(cached)[0]["title"].split()[-1] != mark))
    return tuple(found)


async def _valid(on: Deployment) -> int:
    """Users of the pool whose session still holds."""
    accounts = on.practice.deployment.accounts
    return sum(accounts.authenticate(user["authToken"]) is not None for user in on.practice.pool)


async def _drill(on: Deployment) -> DrillReport:
    """Five real chats, timed by the practice clock, told as the chat scenario of a quick drill."""
    heads: list[int] = []
    ends: Counter[str] = Counter()
    clock, site = on.practice.clock, on.practice.site_app

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        async def note(message: Any) -> None:
            if message["type"] == "http.response.start":
                heads.append(clock.now_ms() - before_ms)
            await send(message)

        await site(scope, receive, note)

    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=noting), base_url="http://site") as client:
        timed = Deployment(on.practice, on.api, client)
        for _ in range(5):
            before_ms = clock.now_ms()
            end = (await timed.chat())[-1]
            ends[end.get("code", "done")] += 1
    sample = _sample()
    chats = [
        item.model_copy(update={"summary": item.summary.model_copy(update={"latency": _latency(max(heads))})})
        if isinstance(item, MeasuredScenario) and item.name == CHAT
        else item
        for item in sample.scenarios
    ]
    return sample.model_copy(update={"scenarios": tuple(chats), "honest": _honest(heads, ends)})


def _latency(p95_ms: int) -> SummaryLatency:
    return SummaryLatency(p95_ms=p95_ms, first_token_p95_ms=p95_ms)


def _honest(heads: list[int], ends: Counter[str]) -> DrillHonest:
    asked, most = len(heads), max(heads)
    none = Spread(n=0, p50_ms=None, p95_ms=None, p99_ms=None, max_ms=None)
    stage = HonestStage(
        name="quick",
        warmup=False,
        planned=asked,
        sent=asked,
        unsent=0,
        answered=asked,
        succeeded=ends["done"],
        wall_ms=1.0,
        statuses={"200": asked},
        errors={},
        streams={"done": ends["done"], "error": asked - ends["done"], "cut": 0},
        error_codes={code: count for code, count in ends.items() if code != "done"},
        sendcat_errors=0,
        users_used=1,
        headers=Spread(n=asked, p50_ms=most, p95_ms=most, p99_ms=most, max_ms=most),
        **dict.fromkeys(("latency", "refused", "failed", "first_token", "send_lag"), none),
    )
    return DrillHonest(
        required_scenarios=(),
        ended=Ended(how="finished"),
        generator=Generator(planned=asked, sent=asked, unsent=0, send_lag_p99_ms=0, send_lag_max_ms=0),
        scenarios=(HonestScenario(name=CHAT, state="measured", pooled=stage),),
    )


@cache
def _sample() -> DrillReport:
    folder = Path(__file__).parent.parent / "data" / "samples" / "artifacts" / "drill-quick-pass"
    return DrillReport.parse(json.loads(next(folder.glob("load-drill-quick-*.json")).read_text("utf-8")))
