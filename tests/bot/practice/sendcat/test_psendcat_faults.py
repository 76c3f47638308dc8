"""Each fault shows in the next snapshot, clears by the right mitigation, and not by the wrong ones (sandbox, A to H)."""

from __future__ import annotations

import pytest

from bot.practice.sendcat.webhooks import whatsapp_signature
from tests.bot.practice.sendcat.psendcat_kit import Deployment, deployed

PRIMARY = "openrouter_chat_primary"


async def events(on: Deployment, bucket: str, outcome: str = "blocked", minutes: float = 5) -> int:
    summary = await on.call("rateLimit:getEventSummary", minutes=minutes)
    return int(summary["byBucketOutcome"].get(f"{bucket}:{outcome}", 0))


async def test_a_healthy_deployment_shows_nothing() -> None:
    async with deployed() as on:
        snapshot = await on.snapshot()

    assert snapshot.circuits_refusing_now == ()
    assert snapshot.full_bulkheads == ()
    assert snapshot.rate_limit_pressure.alerts_in_window == 0
    assert snapshot.tool_jobs.by_status.queued == 0


async def test_A_abusive_ends_with_its_source_and_a_higher_limit_makes_it_worse() -> None:
    async with deployed() as on:
        on.practice.inject("A", variant="abusive")
        assert await events(on, "whatsapp_webhook") == pytest.approx(480, abs=8)
        assert (await on.snapshot()).rate_limit_pressure.alerts_in_window >= 1
        before = on.practice.deployment.webhook_delay_ms(on.practice.deployment.settle())

        await on.set(RATE_LIMIT_WHATSAPP_MAX="3600")
        on.pass_ms(120_000)
        after = on.practice.deployment.webhook_delay_ms(on.practice.deployment.settle())
        assert after > before + 500

        on.practice.clear_faults()
        on.pass_ms(6 * 60_000)
        assert await events(on, "whatsapp_webhook") == 0
        assert (await on.snapshot()).rate_limit_pressure.alerts_in_window >= 1  # alerts drop only with time


async def test_A_legitimate_clears_with_one_step_of_25_percent_and_never_raises_an_alert() -> None:
    async with deployed() as on:
        on.practice.inject("A", variant="legitimate")
        assert 4 <= await events(on, "gmail_push") < 40
        assert (await on.snapshot()).rate_limit_pressure.alerts_in_window == 0

        on.pass_ms(5 * 60_000)
        assert await events(on, "gmail_push") > 0

        await on.set(RATE_LIMIT_GMAIL_PUSH_MAX="150")
        on.pass_ms(6 * 60_000)
        assert await events(on, "gmail_push") == 0


async def test_A_a_harder_case_needs_three_steps() -> None:
    """At 200 a minute 150 and 187 are not enough, 233 is: one change at a time, a check after each."""
    async with deployed() as on:
        on.practice.inject("A", variant="legitimate", per_minute=200)
        for limit, refused in (("150", True), ("187", True), ("233", False)):
            await on.set(RATE_LIMIT_GMAIL_PUSH_MAX=limit)
            on.pass_ms(6 * 60_000)
            assert (await events(on, "gmail_push") > 0) == refused, limit


async def test_A_a_refused_neighbour_does_not_hurt_other_addresses() -> None:
    async with deployed() as on:
        on.practice.inject("A", variant="abusive")
        body = '{"entry":[]}'
        answer = await on.site.post(
            "/api/whatsapp/webhook",
            content=body,
            headers={
                "content-type": "application/json",
                "x-real-ip": "192.0.2.50",
                "x-hub-signature-256": whatsapp_signature(on.practice.whatsapp_secret, body.encode()),
            },
        )

    assert answer.status_code == 200


async def test_A_contention_does_not_care_about_the_limit() -> None:
    async with deployed() as on:
        on.practice.inject("A", variant="contention")
        assert await events(on, "whatsapp_webhook", "contention_fallback") >= 5

        await on.set(RATE_LIMIT_WHATSAPP_MAX="150")
        on.pass_ms(6 * 60_000)
        assert await events(on, "whatsapp_webhook", "contention_fallback") >= 5


async def test_A_chat_shares_one_account() -> None:
    async with deployed() as on:
        on.practice.inject("A", variant="chat")
        assert await events(on, "chat_stream") >= 25
        assert {alert.bucket for alert in (await on.snapshot()).rate_limit_pressure.recent_alerts} == {"chat_stream"}

        on.practice.clear_faults()
        on.pass_ms(6 * 60_000)
        assert await events(on, "chat_stream") == 0


async def test_B_primary_stays_open_until_the_provider_is_back() -> None:
    async with deployed() as on:
        on.practice.inject("B", variant="primary")
        opened = await on.snapshot()
        assert [row.provider for row in opened.circuits_counted_open] == [PRIMARY]
        assert opened.circuits_counted_open[0].last_error == "HTTP 503"

        await on.set(CIRCUIT_OPENROUTER_PRIMARY_THRESHOLD="100")
        on.pass_ms(5 * 60_000)
        assert PRIMARY in [row.provider for row in (await on.snapshot()).open_in_table]

        on.practice.clear_faults()
        on.pass_ms(2 * 60_000)
        assert (await on.snapshot()).open_in_table == ()


async def test_B_primary_keeps_its_cooldown_in_the_future_and_renews_it() -> None:
    async with deployed() as on:
        on.practice.inject("B", variant="primary")
        refusing, renewals = 0, set()
        for _ in range(120):
            on.pass_ms(2_000)
            snapshot = await on.snapshot()
            refusing += bool(snapshot.circuits_refusing_now)
            renewals |= {row.updated_at for row in snapshot.open_in_table}

    assert refusing >= 116
    assert len(renewals) == pytest.approx(4, abs=1)


async def test_B_primary_is_bridged_by_failover_while_the_circuit_stays_open() -> None:
    async with deployed() as on:
        on.practice.inject("B", variant="primary")
        broken = await on.chat()
        await on.set(FF_PROVIDER_FAILOVER_ENABLED="true")
        bridged = await on.chat()
        on.pass_ms(2 * 60_000)
        snapshot = await on.snapshot()

    assert broken[-1]["code"] == "upstream_unavailable"
    assert 0 < broken[-1]["retryAfterMs"] <= 60_000
    assert [event["routeId"] for event in bridged if event["type"] == "provider-route"] == ["secondary"]
    assert bridged[-1] == {"type": "done"}
    assert PRIMARY in [row.provider for row in snapshot.open_in_table]


async def test_B_a_tool_provider_opens_its_own_circuit_only() -> None:
    async with deployed() as on:
        on.practice.inject("B", variant="tool")
        assert [row.provider for row in (await on.snapshot()).open_in_table] == ["serper_search"]
        assert (await on.chat())[-1] == {"type": "done"}

        on.practice.clear_faults()
        on.pass_ms(4 * 60_000)
        assert (await on.snapshot()).open_in_table == ()


async def test_B_flapping_heals_by_a_longer_cooldown_and_not_by_a_threshold() -> None:
    async with deployed() as on:
        on.practice.inject("B", variant="flapping")

        async def ill() -> bool:
            looks = []
            for _ in range(12):
                on.pass_ms(13_000)
                looks.append(bool((await on.snapshot()).circuits_counted_open))
            return any(looks)

        assert await ill()
        await on.set(CIRCUIT_OPENROUTER_PRIMARY_THRESHOLD="6")
        on.pass_ms(5 * 60_000)
        assert await ill()

        await on.set(CIRCUIT_OPENROUTER_PRIMARY_COOLDOWN_MS="90000")
        on.pass_ms(10 * 60_000)
        assert not await ill()


async def test_B_stale_open_is_open_in_the_table_and_refuses_nobody() -> None:
    async with deployed() as on:
        on.practice.inject("B", variant="stale_open")
        snapshot = await on.snapshot()
        assert [row.provider for row in snapshot.circuits_stale_open] == ["ebay_search"]
        assert snapshot.circuits_counted_open == ()

        on.pass_ms(60 * 60_000)
        assert [row.provider for row in (await on.snapshot()).open_in_table] == ["ebay_search"]

        job = {"source": "chat_http", "toolName": "search_products", "argsJson": '{"query":"lamp"}'}
        await on.call("toolJobs:enqueue", "mutation", **job)
        on.pass_ms(5_000)
        assert (await on.snapshot()).open_in_table == ()  # the first successful call closes it


async def test_C_sustained_needs_two_steps_of_20_percent() -> None:
    async with deployed() as on:
        on.practice.inject("C", variant="sustained")
        for limit, full in ((None, True), ("28", True), ("33", False)):
            if limit:
                await on.set(BULKHEAD_OR_PRI_MAX_CONCURRENT=limit)
            on.pass_ms(60_000)
            for _ in range(10):
                on.pass_ms(1_373)
                assert (PRIMARY in (await on.snapshot()).full_bulkheads) == full, limit


async def test_C_sustained_refuses_chats_with_a_wait_of_minutes_and_no_5xx() -> None:
    async with deployed() as on:
        on.practice.inject("C", variant="sustained")
        error = (await on.chat())[-1]

    assert error["code"] == "upstream_unavailable"
    assert error["retryAfterMs"] > 9 * 60_000


async def test_C_a_spike_is_over_at_the_second_look() -> None:
    async with deployed() as on:
        on.practice.inject("C", variant="spike")
        assert PRIMARY in (await on.snapshot()).full_bulkheads
        on.pass_ms(6_000)
        assert (await on.snapshot()).full_bulkheads == ()


@pytest.mark.parametrize(("mend", "minutes"), [("wait", 16), ("shorter lease", 11)])
async def test_C_leaked_slots_end_only_with_their_lease_and_a_shorter_one_helps(mend: str, minutes: int) -> None:
    async with deployed() as on:
        on.practice.inject("C", variant="leaked")
        assert PRIMARY in (await on.snapshot()).full_bulkheads
        leases = await on.call("bulkhead:listInFlightByProvider", provider=PRIMARY)
        assert min(lease["acquiredAt"] for lease in leases) < on.practice.clock.now_ms() - 5 * 60_000

        if mend == "shorter lease":
            await on.set(BULKHEAD_OR_PRI_LEASE_TTL_MS="30000")
        on.pass_ms(minutes * 60_000)
        assert (await on.snapshot()).bulkheads.in_flight_by_provider.get(PRIMARY, 0) <= 2


async def test_C_more_capacity_for_leaked_slots_helps_for_a_while_only() -> None:
    async with deployed() as on:
        on.practice.inject("C", variant="leaked")
        await on.set(BULKHEAD_OR_PRI_MAX_CONCURRENT="28")
        assert PRIMARY not in (await on.snapshot()).full_bulkheads
        on.pass_ms(90_000)
        assert PRIMARY in (await on.snapshot()).full_bulkheads


async def test_D_a_surge_shows_78_duplicate_hits_and_forgetting_keys_processes_twice() -> None:
    async with deployed() as on:
        on.practice.inject("D", variant="surge")
        scope = (await on.snapshot()).replay_protection.by_scope["gmail_push_history"]
        assert scope.duplicate_hits == 78
        assert scope.duplicate_keys == 12

        on.pass_ms(5 * 60_000)
        rising = (await on.snapshot()).replay_protection.by_scope["gmail_push_history"]
        assert rising.duplicate_hits > scope.duplicate_hits
        assert on.practice.counters.processed_twice == 0

        on.practice.deployment.idempotency.forget("gmail_push_history")
        on.pass_ms(5 * 60_000)
        await on.snapshot()
        assert on.practice.counters.processed_twice >= 1


async def test_D_a_surge_ends_when_its_sender_stops() -> None:
    async with deployed() as on:
        on.practice.inject("D", variant="surge")
        on.practice.clear_faults()
        on.pass_ms(16 * 60_000)
        assert (await on.snapshot()).replay_protection.duplicate_hits_in_window == 0


async def test_D_hidden_shows_only_in_a_wider_window() -> None:
    async with deployed() as on:
        on.practice.inject("D", variant="hidden")
        assert (await on.snapshot()).replay_protection.duplicate_hits_in_window == 0
        assert (await on.snapshot(minutes=60)).replay_protection.duplicate_hits_in_window == 510


async def test_E_stale_values_go_by_their_exact_namespace_or_by_a_version() -> None:
    async with deployed() as on:
        on.practice.inject("E", variant="stale")
        assert (await on.snapshot()).tool_cache.by_namespace["search_web_v1"] == 420
        assert await on.searched() == "v1"

        wrong = await on.call("toolCache:clearNamespace", "mutation", namespace="search_web")
        assert wrong == {"deleted": 0.0, "hasMore": False}
        assert await on.searched() == "v1"
        await on.set(TOOL_CACHE_WEB_SEARCH_NAMESPACE_VERSION="v2")
        snapshot = await on.snapshot()
        assert snapshot.config.tool_cache_namespaces.web_search == "search_web_v2"
        assert snapshot.tool_cache.by_namespace["search_web_v1"] == 420
        assert await on.searched() == "v2"

        more = True
        while more:
            answer = await on.call("toolCache:clearNamespace", "mutation", namespace="search_web_v1", maxDeletes=200)
            more = answer["hasMore"]
        assert "search_web_v1" not in (await on.snapshot()).tool_cache.by_namespace


async def test_E_clearing_alone_gives_a_fresh_answer_unless_the_search_is_still_stale() -> None:
    for still_stale in (False, True):
        async with deployed() as on:
            on.practice.inject("E", variant="stale", upstream_stale=still_stale)
            await on.call("toolCache:clearNamespace", "mutation", namespace="search_web_v1")
            assert await on.searched() == ("v1" if still_stale else "v2")


async def queued(on: Deployment) -> int:
    return (await on.snapshot()).tool_jobs.by_status.queued


async def test_F_caps_need_both_caps_and_not_more_workers() -> None:
    """BULKHEAD_TOOL_JOB_MAX alone, or one cap alone, changes nothing; the pair drains the queue."""
    async with deployed() as on:
        on.practice.inject("F", variant="caps")
        first = await on.snapshot()
        assert first.tool_jobs.by_status.running == 2
        assert first.oldest_queued_age_ms > 60_000
        assert first.tool_queue_alerts.alerts_in_window >= 1

        for change in ({"BULKHEAD_TOOL_JOB_MAX": "7"}, {"TOOL_JOB_RUNMAX_WEB": "4"}):
            before = await queued(on)
            await on.set(**change)
            on.pass_ms(2 * 60_000)
            assert await queued(on) > before

        on.pass_ms(30 * 60_000)
        for _ in range(5):
            on.pass_ms(7_300)
            assert (await on.snapshot()).tool_jobs.by_status.running == 2  # at all times, also when the queue is long
        assert (await on.drain())["processed"] == 0

        full, age_ms = await queued(on), (await on.snapshot()).oldest_queued_age_ms
        await on.set(TOOL_JOB_RUNMAX_WEB="3", TOOL_JOB_RUNMAX_QOS_REALTIME="3")
        on.pass_ms(5 * 60_000)
        assert await queued(on) < full - 30
        assert (await on.snapshot()).oldest_queued_age_ms < age_ms * 0.7


async def test_F_backlog_shows_the_runbooks_numbers() -> None:
    async with deployed() as on:
        on.practice.inject("F", variant="backlog")
        snapshot = await on.snapshot()
        on.pass_ms(10 * 60_000)
        later = await on.snapshot()
        degraded = await on.chat(webSearch=True)

    assert snapshot.tool_jobs.by_status.queued == 78
    assert snapshot.tool_jobs.by_status.running == 2
    assert snapshot.tool_jobs.oldest_queued_age_ms == 240_000
    assert snapshot.tool_jobs.pressure_by_tool["search_web"].queued_utilization == 0.975
    assert later.tool_jobs.by_status.queued >= 76
    assert [event["reason"] for event in degraded if event["type"] == "tool-backpressure"] == ["queue_timeout"]
    assert degraded[-1] == {"type": "done"}
    assert snapshot.tool_jobs.by_status.dead_letter == 26
    assert {alert.kind for alert in snapshot.tool_queue_alerts.recent} >= {"oldest_queued_age", "dead_letter_depth"}


async def test_F_no_drain_moves_only_by_processQueue() -> None:
    """9 -> 6 -> 3 -> 0 with three calls of the default size; capacity knobs do nothing."""
    async with deployed() as on:
        on.practice.inject("F", variant="no_drain")
        await on.set(TOOL_JOB_RUNMAX_WEB="4", TOOL_JOB_RUNMAX_QOS_REALTIME="4")
        on.pass_ms(5 * 60_000)
        counts = [await queued(on)]
        for _ in range(3):
            assert (await on.drain())["processed"] == 3
            counts.append(await queued(on))

    assert counts == [9, 6, 3, 0]


@pytest.mark.parametrize("mend", ["wait", "one more"])
async def test_F_leaked_slots_end_after_a_minute_or_with_one_more(mend: str) -> None:
    async with deployed() as on:
        on.practice.inject("F", variant="leaked_slots")
        assert (await on.drain())["skipped"] == "worker_saturated"

        if mend == "wait":
            on.pass_ms(61_000)
        else:
            await on.set(BULKHEAD_TOOL_JOB_MAX="7")
        assert (await on.drain())["processed"] == 3


async def test_F_upstream_needs_the_upstream_first() -> None:
    """Capacity does not help; a dead letter requeued too early dies again; after the upstream is back it completes."""
    async with deployed() as on:
        on.practice.inject("F", variant="upstream")
        await on.set(TOOL_JOB_RUNMAX_WEB="4", TOOL_JOB_RUNMAX_QOS_REALTIME="4")
        on.pass_ms(60_000)
        dead = await on.call("toolJobs:listDeadLetters", limit=500)
        assert len(dead) > 20

        job = dead[0]["_id"]
        assert await on.call("toolJobs:requeueDeadLetter", "mutation", jobId=job) == {"ok": True}
        on.pass_ms(2 * 60_000)
        assert (await on.call("toolJobs:get", jobId=job))["status"] == "dead_letter"

        on.practice.clear_faults()
        on.pass_ms(3 * 60_000)
        await on.call("toolJobs:requeueDeadLetter", "mutation", jobId=job)
        for _ in range(8):
            await on.drain()
        assert (await on.call("toolJobs:get", jobId=job))["status"] == "completed"


async def test_G_and_H_show_their_snapshots() -> None:
    async with deployed() as on:
        on.practice.inject("G", variant="snapshot")
        snapshot = await on.snapshot()
        assert snapshot.tool_jobs.by_status.queued > 100
        assert len(snapshot.open_in_table) == 2
    async with deployed() as on:
        on.practice.inject("H", variant="queue")
        assert (await on.snapshot()).oldest_queued_age_ms >= 60_000


def test_an_unknown_fault_lists_what_there_is() -> None:
    from bot.practice.sendcat import PracticeSendcat

    with pytest.raises(ValueError, match="F:caps"):
        PracticeSendcat().inject("F", variant="cap")
