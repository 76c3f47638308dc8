"""The fault catalogue as a table: how each fault is seen from outside, what clears it, and what must not.

An ``Ill`` looks through the product's own reads only (functions, variables, endpoints). A ``Mend`` is what an operator
does and then waits for. ``right`` clears, ``wrong`` does not.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from bot.practice.sendcat.faults.stage import Option
from bot.practice.sendcat.webhooks import whatsapp_signature
from tests.bot.practice.sendcat.psendcat_kit import Deployment

MINUTE = 60_000
PRIMARY, SECONDARY, SERPER = "openrouter_chat_primary", "openrouter_chat_secondary", "serper_search"
GMAIL_SCOPE, WHATSAPP_SCOPE = "gmail_push_history", "whatsapp_message"

Ill = Callable[[Deployment], Awaitable[bool]]
Mend = Callable[[Deployment], Awaitable[None]]


@dataclass(frozen=True)
class Row:
    """One fault with its options; ``ill`` is true while it can be seen."""

    fault: str
    ill: Ill
    right: dict[str, Mend]
    wrong: dict[str, Mend]
    options: dict[str, Option] = field(default_factory=dict)
    name: str = ""
    seen: bool = True
    """Whether a healthy deployment looks different; a source that is stale itself can only be known, not seen."""

    @property
    def label(self) -> str:
        return f"{self.fault} {self.name}".strip()


# --- what an operator can do ---


def wait(minutes: float) -> Mend:
    async def mend(on: Deployment) -> None:
        on.pass_ms(round(minutes * MINUTE))

    return mend


def change(minutes: float = 6, **knobs: str) -> Mend:
    """Set variables, and wait."""

    async def mend(on: Deployment) -> None:
        await on.set(**knobs)
        on.pass_ms(round(minutes * MINUTE))

    return mend


def cause_ends(minutes: float = 6) -> Mend:
    """The source stops, the provider is back: nothing an operator of Sendcat does."""

    async def mend(on: Deployment) -> None:
        on.practice.clear_faults()
        on.pass_ms(round(minutes * MINUTE))

    return mend


def call(function: str, kind: str = "mutation", minutes: float = 1, **args: Any) -> Mend:
    async def mend(on: Deployment) -> None:
        await on.call(function, kind, **args)
        on.pass_ms(round(minutes * MINUTE))

    return mend


def drain(times: int) -> Mend:
    async def mend(on: Deployment) -> None:
        for _ in range(times):
            await on.drain()

    return mend


def both(*mends: Mend) -> Mend:
    """One after the other."""

    async def mend(on: Deployment) -> None:
        for each in mends:
            await each(on)

    return mend


def requeue_all(minutes: float = 0) -> Mend:
    async def mend(on: Deployment) -> None:
        for job in await on.call("toolJobs:listDeadLetters", limit=500):
            await on.call("toolJobs:requeueDeadLetter", "mutation", jobId=job["_id"])
        on.pass_ms(round(minutes * MINUTE))

    return mend


async def _chat(on: Deployment) -> None:
    await on.chat()


async def _product_search(on: Deployment) -> None:
    await searched(on, "search_products", "desk lamp")


# --- how it is seen ---


def refused(bucket: str, outcome: str, least: int) -> Ill:
    """At least so many events in the last five minutes."""

    async def ill(on: Deployment) -> bool:
        summary = await on.call("rateLimit:getEventSummary", minutes=5)
        return bool(summary["byBucketOutcome"].get(f"{bucket}:{outcome}", 0) >= least)

    return ill


async def abused(on: Deployment) -> bool:
    """The alert rule is reached, or an honest sender's webhook is answered late."""
    body, before_ms = '{"entry":[]}', on.practice.clock.now_ms()
    headers = {
        "content-type": "application/json",
        "x-real-ip": "192.0.2.50",
        "x-hub-signature-256": whatsapp_signature(on.practice.whatsapp_secret, body.encode()),
    }
    answer = await on.site.post("/api/whatsapp/webhook", content=body, headers=headers)
    assert answer.status_code == 200
    late = on.practice.clock.now_ms() - before_ms > 500
    return late or await refused("whatsapp_webhook", "blocked", 40)(on)


def opens(provider: str) -> Ill:
    """Counted open in one of several looks."""

    async def ill(on: Deployment) -> bool:
        for _ in range(12):
            on.pass_ms(13_000)
            if provider in [row.provider for row in (await on.snapshot()).circuits_counted_open]:
                return True
        return False

    return ill


async def chats_fail(on: Deployment) -> bool:
    return (await on.chat())[-1]["type"] != "done"


async def flaps(on: Deployment) -> bool:
    """The circuit opens, or is kept from it while chats go on failing."""
    return await opens(PRIMARY)(on) or any([await chats_fail(on) for _ in range(10)])


async def shop_open_in_table(on: Deployment) -> bool:
    return "ebay_search" in [row.provider for row in (await on.snapshot()).open_in_table]


def full(provider: str, looks: int = 8) -> Ill:
    """At the cap in one of several looks."""

    async def ill(on: Deployment) -> bool:
        for look in range(looks):
            on.pass_ms(1_373 if look else 0)
            if provider in (await on.snapshot()).full_bulkheads:
                return True
        return False

    return ill


def repeats(scope: str, minutes: int) -> Ill:
    """Duplicate hits rise over five minutes, in a window wide enough to see them; nothing was processed twice."""

    async def ill(on: Deployment) -> bool:
        async def hits() -> int:
            on.pass_ms(1)
            seen = (await on.snapshot(minutes=minutes)).replay_protection.by_scope
            return seen[scope].duplicate_hits if scope in seen else 0

        before = await hits()
        on.pass_ms(5 * MINUTE)
        return await hits() > before

    return ill


async def searched(on: Deployment, tool: str, query: str) -> str:
    """The version mark of a tool's answer."""
    job = await on.call(
        "toolJobs:enqueue", "mutation", source="chat_http", toolName=tool, argsJson=f'{{"query":"{query}"}}'
    )
    on.pass_ms(5_000)
    return str((await on.call("toolJobs:get", jobId=job))["resultJson"]).split('"}')[0].split('"')[3].split()[-1]


def stale(tool: str) -> Ill:
    """A cached answer differs from a fresh one."""

    async def ill(on: Deployment) -> bool:
        await searched(on, tool, "desk lamp")
        fresh = await searched(on, tool, f"never asked before {on.practice.clock.now_ms()}")
        return await searched(on, tool, "desk lamp") != fresh

    return ill


async def old_mark(on: Deployment) -> bool:
    return await searched(on, "search_web", "desk lamp") == "v1"


def queue_stays(least: int) -> Ill:
    async def ill(on: Deployment) -> bool:
        return (await on.snapshot()).tool_jobs.by_status.queued >= least

    return ill


async def no_slot(on: Deployment) -> bool:
    return (await on.drain()).get("skipped") == "worker_saturated"


async def dead_letters(on: Deployment) -> bool:
    """Jobs that died are still dead, or wait to die."""
    before = (await on.snapshot()).tool_jobs
    return before.by_status.dead_letter >= 5 or before.by_status.queued >= 5


async def slow_chats(on: Deployment) -> bool:
    before_ms = on.practice.clock.now_ms()
    done = (await on.chat())[-1]["type"] == "done"
    return done and on.practice.clock.now_ms() - before_ms > 5_000


async def opened_lately(on: Deployment) -> bool:
    """The region's rule: more than one circuit open in the table, updated within half an hour."""
    seen = await on.snapshot(minutes=30)
    return sum(seen.in_window(row.updated_at) for row in seen.open_in_table) > 1


async def many_alerts(on: Deployment) -> bool:
    return (await on.snapshot(minutes=30)).rate_limit_pressure.alerts_in_window > 5


async def forecast(on: Deployment) -> bool:
    return on.practice.deployment.forecast_streams >= 20_000


async def untouched_open(on: Deployment) -> bool:
    seen = await on.snapshot()
    return any(seen.age_ms(row.updated_at) >= 120_000 for row in seen.circuits_counted_open)


async def late_job(on: Deployment) -> bool:
    return (await on.snapshot()).oldest_queued_age_ms > MINUTE


async def last_user_refused(on: Deployment) -> bool:
    user = on.practice.pool[-1]
    headers = {"Authorization": f"Bearer {user['authToken']}"}
    return (await on.site.post("/api/chat", json={"threadId": user["threadId"]}, headers=headers)).status_code == 401


CAPACITY = {
    "more workers": change(5, BULKHEAD_TOOL_JOB_MAX="7"),
    "one cap alone": change(5, TOOL_JOB_RUNMAX_WEB="3"),
    "the class cap alone": change(5, TOOL_JOB_RUNMAX_QOS_REALTIME="3"),
    "a longer queue": change(5, TOOL_JOB_QMAX_WEB="96"),
    "more jobs per run": change(5, TOOL_JOB_MAX_PER_RUN="4"),
    "another tool's pair": change(5, TOOL_JOB_RUNMAX_PROD="3", TOOL_JOB_RUNMAX_QOS_INTERACTIVE="3"),
    "wait": wait(5),
}
"""What does not help a queue whose running caps are reached."""
PAIR = {"TOOL_JOB_RUNMAX_WEB": "3", "TOOL_JOB_RUNMAX_QOS_REALTIME": "3"}
BIG_PAIR = {"TOOL_JOB_RUNMAX_WEB": "4", "TOOL_JOB_RUNMAX_QOS_REALTIME": "4"}

ROWS: tuple[Row, ...] = (
    Row(
        "A:abusive",
        abused,
        right={"the source stops": cause_ends()},
        wrong={
            "wait": wait(10),
            "a step up": change(RATE_LIMIT_WHATSAPP_MAX="150"),
            "a limit over all that comes": change(RATE_LIMIT_WHATSAPP_MAX="4000"),
            "a limit out of range": change(RATE_LIMIT_WHATSAPP_MAX="6000"),
            "another bucket's limit": change(RATE_LIMIT_GMAIL_PUSH_MAX="150"),
        },
    ),
    Row(
        "A:legitimate",
        refused("gmail_push", "blocked", 1),
        right={"+25%": change(RATE_LIMIT_GMAIL_PUSH_MAX="150"), "the source stops": cause_ends()},
        wrong={
            "wait": wait(10),
            "another bucket's limit": change(RATE_LIMIT_WHATSAPP_MAX="150"),
            "a limit out of range": change(RATE_LIMIT_GMAIL_PUSH_MAX="5001"),
            "a lower limit": change(RATE_LIMIT_GMAIL_PUSH_MAX="100"),
        },
    ),
    Row(
        "A:legitimate",
        refused("gmail_push", "blocked", 1),
        right={
            "three steps": both(*(change(RATE_LIMIT_GMAIL_PUSH_MAX=step) for step in ("150", "187", "233"))),
        },
        wrong={
            "one step": change(RATE_LIMIT_GMAIL_PUSH_MAX="150"),
            "two steps": both(*(change(RATE_LIMIT_GMAIL_PUSH_MAX=step) for step in ("150", "187"))),
        },
        options={"per_minute": 200},
        name="200 a minute",
    ),
    Row(
        "A:chat",
        refused("chat_stream", "blocked", 25),
        right={"each gets an account": cause_ends()},
        wrong={
            "wait": wait(10),
            "+25%": change(RATE_LIMIT_CHAT_STREAM_MAX="37"),
            "a webhook's limit": change(RATE_LIMIT_GMAIL_PUSH_MAX="150"),
        },
    ),
    Row(
        "A:contention",
        refused("whatsapp_webhook", "contention_fallback", 5),
        right={"the writers stop": cause_ends()},
        wrong={"wait": wait(10), "more limit": change(RATE_LIMIT_WHATSAPP_MAX="150")},
    ),
    Row(
        "A:contention",
        refused("chat_stream", "contention_fallback", 3),
        right={"the writers stop": cause_ends()},
        wrong={"more limit": change(RATE_LIMIT_CHAT_STREAM_MAX="37")},
        options={"bucket": "chat_stream"},
        name="in chats",
    ),
    Row(
        "B:primary",
        opens(PRIMARY),
        right={"the provider is back": cause_ends(2)},
        wrong={
            "wait": wait(10),
            "a threshold of 100": change(CIRCUIT_OPENROUTER_PRIMARY_THRESHOLD="100"),
            "a longer cool-down": change(CIRCUIT_OPENROUTER_PRIMARY_COOLDOWN_MS="90000"),
            "failover": change(FF_PROVIDER_FAILOVER_ENABLED="true"),
            "more slots": change(BULKHEAD_OR_PRI_MAX_CONCURRENT="28"),
        },
    ),
    Row(
        "B:primary",
        chats_fail,
        right={
            "failover": change(0, FF_PROVIDER_FAILOVER_ENABLED="true"),
            "the provider is back": cause_ends(2),
        },
        wrong={"wait": wait(2), "a threshold of 100": change(2, CIRCUIT_OPENROUTER_PRIMARY_THRESHOLD="100")},
        name="as chats see it",
    ),
    Row(
        "B:primary",
        chats_fail,
        right={"both are back": cause_ends(2)},
        wrong={"failover to a sick route": change(2, FF_PROVIDER_FAILOVER_ENABLED="true")},
        options={"secondary": True},
        name="and the secondary",
    ),
    Row(
        "B:primary",
        opens(PRIMARY),
        right={"the provider is back": cause_ends(2)},
        wrong={"wait": wait(3)},
        options={"timeout": True},
        name="by time-outs",
    ),
    Row(
        "B:flapping",
        flaps,
        right={
            "a longer cool-down": change(10, CIRCUIT_OPENROUTER_PRIMARY_COOLDOWN_MS="90000"),
            "the provider is back": cause_ends(3),
        },
        wrong={
            "wait": wait(10),
            "a higher threshold": change(CIRCUIT_OPENROUTER_PRIMARY_THRESHOLD="6"),
            "a threshold of 100": change(CIRCUIT_OPENROUTER_PRIMARY_THRESHOLD="100"),
            "a shorter cool-down": change(CIRCUIT_OPENROUTER_PRIMARY_COOLDOWN_MS="30000"),
            "another provider's cool-down": change(CIRCUIT_OPENROUTER_SECONDARY_COOLDOWN_MS="67500"),
        },
    ),
    Row(
        "B:stale_open",
        shop_open_in_table,
        right={"a call that succeeds": _product_search},
        wrong={
            "wait": wait(60),
            "a higher threshold": change(CIRCUIT_EBAY_THRESHOLD="5"),
            "a shorter cool-down": change(CIRCUIT_EBAY_COOLDOWN_MS="1000"),
            "calls of others": _chat,
        },
    ),
    Row(
        "B:tool",
        opens(SERPER),
        right={"the provider is back": cause_ends(4)},
        wrong={
            "wait": wait(10),
            "a threshold of 100": change(CIRCUIT_SERPER_THRESHOLD="100"),
            "a longer cool-down": change(CIRCUIT_SERPER_COOLDOWN_MS="180000"),
            "chat failover": change(FF_PROVIDER_FAILOVER_ENABLED="true"),
        },
    ),
    Row(
        "B:tool",
        opens("gmail_oauth"),
        right={"the provider is back, and time": cause_ends(20)},
        wrong={"wait": wait(5)},
        options={"provider": "gmail_oauth"},
        name="Gmail's sign-in",
    ),
    Row(
        "B:quota",
        chats_fail,
        right={
            "quota is back": cause_ends(0),
            "failover": change(0, FF_PROVIDER_FAILOVER_ENABLED="true"),
        },
        wrong={
            "wait": wait(10),
            "a longer cool-down": change(CIRCUIT_OPENROUTER_PRIMARY_COOLDOWN_MS="90000"),
            "more slots": change(BULKHEAD_OR_PRI_MAX_CONCURRENT="28"),
        },
    ),
    Row(
        "C:sustained",
        full(PRIMARY),
        right={
            "two steps": both(
                change(1, BULKHEAD_OR_PRI_MAX_CONCURRENT="28"), change(1, BULKHEAD_OR_PRI_MAX_CONCURRENT="33")
            ),
            "the provider is fast again": cause_ends(1),
        },
        wrong={
            "wait": wait(3),
            "one step": change(1, BULKHEAD_OR_PRI_MAX_CONCURRENT="28"),
            "a shorter lease": change(1, BULKHEAD_OR_PRI_LEASE_TTL_MS="60000"),
            "another provider's slots": change(1, BULKHEAD_OR_SEC_MAX_CONCURRENT="19"),
            "a higher threshold": change(1, CIRCUIT_OPENROUTER_PRIMARY_THRESHOLD="6"),
        },
    ),
    Row(
        "C:spike",
        full(PRIMARY, looks=1),
        right={"a second look": wait(0.1)},
        wrong={"one look": wait(0)},
    ),
    Row(
        "C:leaked",
        full(PRIMARY, looks=1),
        right={
            "wait for their end": wait(16),
            "a shorter lease": change(11, BULKHEAD_OR_PRI_LEASE_TTL_MS="30000"),
        },
        wrong={
            "more capacity": change(1.5, BULKHEAD_OR_PRI_MAX_CONCURRENT="28"),
            "wait a minute": wait(1),
            "clean up": call("bulkhead:cleanupExpiredLeases"),
            "another provider's slots": change(1, BULKHEAD_OR_SEC_MAX_CONCURRENT="19"),
        },
    ),
    Row(
        "C:leaked",
        full("ebay_search", looks=1),
        right={"wait for their end": wait(7)},
        wrong={"wait a second": wait(0.02), "clean up": call("bulkhead:cleanupExpiredLeases", minutes=0)},
        options={"provider": "ebay_search"},
        name="of the shop",
    ),
    Row(
        "D:surge",
        repeats(GMAIL_SCOPE, 15),
        right={"the sender stops": cause_ends(16)},
        wrong={
            "wait": wait(6),
            "more limit": change(RATE_LIMIT_GMAIL_PUSH_MAX="150"),
            "less limit": change(RATE_LIMIT_GMAIL_PUSH_MAX="100"),
            "clean up": call("idempotency:cleanupExpired"),
        },
    ),
    Row(
        "D:surge",
        repeats(WHATSAPP_SCOPE, 15),
        right={"the sender stops": cause_ends(16)},
        wrong={"more limit": change(RATE_LIMIT_WHATSAPP_MAX="150")},
        options={"scope": WHATSAPP_SCOPE},
        name="of WhatsApp",
    ),
    Row(
        "D:hidden",
        repeats(GMAIL_SCOPE, 120),
        right={"the sender stops": cause_ends(1)},
        wrong={"wait": wait(20), "clean up": call("idempotency:cleanupExpired")},
    ),
    Row(
        "E:stale",
        stale("search_web"),
        right={
            "exactly that namespace": call("toolCache:clearNamespace", namespace="search_web_v1"),
            "a new version": change(1, TOOL_CACHE_WEB_SEARCH_NAMESPACE_VERSION="v2"),
        },
        wrong={
            "wait": wait(20),
            "a misspelt namespace": call("toolCache:clearNamespace", namespace="search_web"),
            "the other namespace": call("toolCache:clearNamespace", namespace="search_products_v1"),
            "the other version": change(1, TOOL_CACHE_PRODUCTS_NS_VER="v2"),
            "a shorter life": change(1, TOOL_CACHE_WEB_SEARCH_TTL_MS="5000"),
            "clean up": call("toolCache:cleanupExpired"),
        },
    ),
    Row(
        "E:stale",
        old_mark,
        right={
            "the search first": both(
                cause_ends(1), call("toolCache:clearNamespace", namespace="search_web_v1", maxDeletes=500)
            )
        },
        wrong={
            "clear too early": call("toolCache:clearNamespace", namespace="search_web_v1"),
            "a version too early": change(1, TOOL_CACHE_WEB_SEARCH_NAMESPACE_VERSION="v2"),
            "the search alone": cause_ends(1),
        },
        options={"upstream_stale": True},
        name="at the source too",
        seen=False,
    ),
    Row(
        "E:products",
        stale("search_products"),
        right={
            "exactly that namespace": call("toolCache:clearNamespace", namespace="search_products_v1"),
            "a new version": change(1, TOOL_CACHE_PRODUCTS_NS_VER="v2"),
        },
        wrong={
            "the other namespace": call("toolCache:clearNamespace", namespace="search_web_v1"),
            "the other version": change(1, TOOL_CACHE_WEB_SEARCH_NAMESPACE_VERSION="v2"),
        },
    ),
    Row(
        "F:caps",
        queue_stays(40),
        right={"both caps together": change(20, **PAIR)},
        wrong=CAPACITY | {"drains alone": drain(5)},
    ),
    Row(
        "F:backlog",
        queue_stays(70),
        right={"both caps together": change(10, **PAIR)},
        wrong=CAPACITY | {"drains alone": drain(3), "look at alerts": call("toolJobs:monitorQueueHealth", "action")},
    ),
    Row(
        "F:no_drain",
        queue_stays(1),
        right={"three drains": drain(3)},
        wrong={
            "two drains": drain(2),
            "wait": wait(20),
            "more workers": change(BULKHEAD_TOOL_JOB_MAX="7"),
            "both caps": change(**BIG_PAIR),
            "look at alerts": call("toolJobs:monitorQueueHealth", "action"),
        },
    ),
    Row(
        "F:leaked_slots",
        no_slot,
        right={
            "wait for their end": wait(1.02),
            "one more slot": change(0, BULKHEAD_TOOL_JOB_MAX="7"),
        },
        wrong={
            "half a minute": wait(0.5),
            "both caps": change(0, **BIG_PAIR),
            "more jobs per run": change(0, TOOL_JOB_MAX_PER_RUN="4"),
            "clean up": call("bulkhead:cleanupExpiredLeases", minutes=0),
        },
    ),
    Row(
        "F:upstream",
        dead_letters,
        right={"the upstream, then requeue, then drain": both(cause_ends(4), requeue_all(), drain(60))},
        wrong={
            "both caps": change(**BIG_PAIR),
            "more workers": change(BULKHEAD_TOOL_JOB_MAX="7"),
            "requeue too early": both(requeue_all(1), drain(3), wait(3)),
            "drain": drain(3),
            "the upstream alone": cause_ends(6),
            "requeue at once, the circuit still open": both(cause_ends(0), requeue_all(), drain(60)),
            "requeue without a drain": both(cause_ends(4), requeue_all()),
        },
    ),
    Row(
        "G:demand",
        forecast,
        right={"another forecast": cause_ends(0)},
        wrong={"wait": wait(60), "more slots": change(BULKHEAD_OR_PRI_MAX_CONCURRENT="28")},
    ),
    Row(
        "G:load",
        slow_chats,
        right={"the provider is fast again": cause_ends(0)},
        wrong={"wait": wait(10), "more slots": change(BULKHEAD_OR_PRI_MAX_CONCURRENT="28")},
    ),
    Row(
        "G:snapshot",
        opened_lately,
        right={"traffic that succeeds": cause_ends(4), "half an hour": wait(31)},
        wrong={"wait": wait(10), "thresholds": change(CIRCUIT_SERPER_THRESHOLD="5")},
    ),
    Row(
        "G:circuits",
        opened_lately,
        right={"traffic that succeeds": cause_ends(4), "half an hour": wait(31)},
        wrong={"wait": wait(10)},
    ),
    Row(
        "G:queued",
        queue_stays(101),
        right={"drain": drain(1)},
        wrong={"wait": wait(10), "both caps": change(**BIG_PAIR)},
    ),
    Row(
        "G:alerts",
        many_alerts,
        right={"time": wait(30)},
        wrong={"wait a little": wait(10), "more limit": change(RATE_LIMIT_GMAIL_PUSH_MAX="150")},
    ),
    Row(
        "H:circuit",
        untouched_open,
        right={"a call that succeeds": _chat},
        wrong={"wait": wait(5), "a threshold": change(1, CIRCUIT_OPENROUTER_PRIMARY_THRESHOLD="6")},
    ),
    Row(
        "H:queue",
        late_job,
        right={"drain": drain(1)},
        wrong={"wait": wait(2), "both caps": change(2, **BIG_PAIR)},
    ),
    Row(
        "H:pool",
        last_user_refused,
        right={"new sessions": cause_ends(0)},
        wrong={"wait": wait(60), "more chats": change(1, RATE_LIMIT_CHAT_STREAM_MAX="37")},
    ),
)
