"""The engine: load comes by plan, is stopped at once, and is measured from the planned moment (R16, R18-R20)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from array import array
from collections import Counter
from pathlib import Path

import pytest

from bot.clock import SystemClock
from bot.sendcat.brake import Brake, Limits
from bot.sendcat.load.measured import Measured, Window
from bot.sendcat.load.plan import DrillProgress
from bot.sendcat.load.share import Share
from bot.target import Ceilings
from slo.profiles import StreamPlan
from slo.scenarios import CHAT
from slo.verdict import Verdict
from tests.bot.sendcat.drill_kit import Start, after, judged, now, plan_of, pooled, run_apart, run_here, stage
from tests.bot.sendcat.far import far
from tests.bot.sendcat.hanging import seen
from tests.bot.sendcat.stalling import truth
from tests.bot.sendcat.wild import (
    GOOD_CHAT,
    Seen,
    Writer,
    always,
    events,
    healthy,
    in_turn,
    never,
    over_and_over,
    response,
    slams,
    slow,
)
from tests.conftest import SLOW


async def test_requests_come_by_plan_whatever_the_answers_take(wild: Start) -> None:
    server = await wild(healthy(webhook=slow(0.15, always(200, b"OK"))))
    report = await run_here(plan_of(server.url, stage(60, 200, workers=30)))
    came = [seen.at for seen in server.seen]
    assert len(came) == 60
    assert 59 / 200 - 0.1 < came[-1] - came[0] < 59 / 200 + 0.3 * SLOW
    assert 140 < (pooled(report).latency.p50_ms or 0) < 150 + 300 * SLOW
    assert report.honest is not None
    assert report.honest.scenario("whatsapp_webhook").loop == "open"  # type: ignore[union-attr]


async def test_what_finds_no_place_waits_and_counts_as_late(wild: Start) -> None:
    """Two workers are eight places; the ninth request waits, and its wait is latency."""
    server = await wild(healthy(webhook=slow(0.2, always(200, b"OK"))))
    report = await run_here(plan_of(server.url, stage(24, 400, workers=2)))
    assert server.accepted <= 8
    assert (pooled(report).latency.max_ms or 0) > 450
    assert (pooled(report).send_lag.max_ms or 0) > 250


async def test_the_closed_loop_is_the_originals_and_says_so(wild: Start) -> None:
    server = await wild(healthy(webhook=slow(0.05, always(200, b"OK"))))
    report = await run_here(plan_of(server.url, stage(12, 400, workers=3), mode="closed"))
    assert server.accepted <= 3
    assert len(server.seen) == 12
    assert report.honest is not None
    assert (report.honest.loop, report.honest.scenario("whatsapp_webhook").loop) == ("closed", "closed")  # type: ignore[union-attr]


async def test_a_duration_stage_ends_by_itself(wild: Start) -> None:
    from slo.profiles import StagePlan

    server = await wild(healthy())
    plan = plan_of(server.url, StagePlan("soak", workers=2, duration_ms=300), mode="closed")
    report = await asyncio.wait_for(run_here(plan), 3 * SLOW)
    assert report.scenarios[1].stages[0].requested_duration_ms == 300  # type: ignore[union-attr]
    assert len(server.seen) > 4


@pytest.mark.parametrize(
    ("chat", "end"),
    [
        (GOOD_CHAT, "done"),
        (events({"type": "error", "code": "x"}), "error"),
        (events({"type": "start"}), "cut"),
        (events({"type": "start"}, cut=True), "cut"),
    ],
)
async def test_a_stream_counts_by_its_end(wild: Start, chat: object, end: str) -> None:
    server = await wild(healthy(chat=chat))  # type: ignore[arg-type]
    report = await run_here(plan_of(server.url, stage(4, 100), scenario=CHAT))
    whole = pooled(report)
    assert whole.streams == {"done": 0, "error": 0, "cut": 0} | {end: 4}
    assert whole.succeeded == (4 if end == "done" else 0)
    verdict = next(item for item in judged(report).checks if item.name == "stream_success_rate").verdict
    assert verdict is (Verdict.PASS if end == "done" else Verdict.FAIL)


# Milestones: streams that are held


def talking(seconds: float, began: list[float], ended: list[float]) -> object:
    async def handler(_: Seen, writer: Writer) -> None:
        began.append(now())
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n")
        writer.write(b'data: {"type":"content","content":"a"}\n\n')
        await asyncio.sleep(seconds)
        writer.write(b'data: {"type":"done"}\n\n')
        ended.append(now())
        await writer.drain()
        writer.close()

    return handler


async def test_a_milestone_holds_its_streams_and_replaces_each_at_once(wild: Start) -> None:
    began: list[float] = []
    ended: list[float] = []
    server = await wild(healthy(chat=talking(0.3, began, ended)))  # type: ignore[arg-type]
    streams = StreamPlan(20, ramp_ms=400, sustain_ms=1500, soak_ms=1_800_000)
    report = await run_here(plan_of(server.url, scenario=CHAT, streams=streams, profile="m1_1k"))
    chat = report.honest.scenario(CHAT) if report.honest else None
    assert chat is not None
    assert chat.held is not None
    assert (chat.loop, chat.held.planned, chat.held.open_max) == ("streams", 20, 20)
    assert chat.held.open_p5 is not None
    assert chat.held.open_p5 >= 19
    assert chat.held.documented_soak_ms == 1_800_000
    assert [(item.name, item.warmup) for item in chat.stages] == [("ramp", True), ("sustain", False)]
    # 20 streams of 0.3 s, over 1.9 s without the ramp's half.
    assert 60 <= len(began) <= 130
    assert next(item for item in judged(report).checks if item.name == "streams_held").verdict is Verdict.PASS


async def test_weakness_22_streams_that_were_not_held_decide_nothing(wild: Start) -> None:
    """And a target that refuses is not answered with a flood: a refused stream is tried again after a second."""
    server = await wild(healthy(chat=always(429, b"no", "Retry-After: 1")))
    streams = StreamPlan(10, ramp_ms=100, sustain_ms=2200, soak_ms=0)
    report = await run_here(plan_of(server.url, scenario=CHAT, streams=streams, profile="m1_1k"))
    assert 20 <= len(server.seen) <= 40
    held = next(item for item in judged(report).checks if item.name == "streams_held")
    assert (held.verdict, held.reason) == (Verdict.INCOMPLETE, "0 of 10 streams were held open")


# Ceilings, time-outs


async def test_R16_ceilings_hold_at_the_send_loop_whatever_the_plan_says(wild: Start) -> None:
    server = await wild(healthy(chat=events({"type": "start"}, {"type": "done"}, pause=0.3)))
    streams = StreamPlan(30, ramp_ms=100, sustain_ms=500, soak_ms=0)
    plan = plan_of(server.url, scenario=CHAT, streams=streams, ceilings=Ceilings(streams=7))
    report = await run_here(plan)
    assert len(server.seen) == 7
    assert report.honest is not None
    assert report.honest.ended.reason.startswith("ceiling reached: 7 open streams")
    assert judged(report).verdict is not Verdict.PASS


async def test_R16_requests_and_time_end_at_their_ceiling(wild: Start) -> None:
    server = await wild(healthy())
    clock = SystemClock()
    report = await run_here(plan_of(server.url, stage(30)), Brake(clock, limits=Limits(requests=11)))
    assert len(server.seen) == 11
    assert report.honest is not None
    assert report.honest.ended.how == "stopped"
    await run_here(plan_of(server.url, stage(1000, 100)), Brake(clock, limits=Limits(seconds=0.2)))
    assert len(server.seen) < 60


async def test_R20_connections_that_slam_are_network_errors_apart_from_latency(wild: Start) -> None:
    server = await wild(healthy(webhook=in_turn(slams, always(200, b"OK"))))
    whole = pooled(await run_here(plan_of(server.url, stage(10, 50))))
    assert sum(whole.errors.values()) == 1
    assert (whole.latency.n, whole.failed.n, whole.answered) == (9, 1, 9)


async def test_R20_a_huge_answer_is_cut_at_a_mebibyte(wild: Start) -> None:
    async def flood(_: Seen, writer: Writer) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
        for _ in range(64):
            writer.write(b"x" * (1 << 16))
            await writer.drain()

    server = await wild(healthy(webhook=flood))
    await asyncio.wait_for(run_here(plan_of(server.url, stage(2, 50))), 5 * SLOW)
    assert len(server.seen) == 2


# Abort (R18)


def turning_bad(bad: object, after_requests: int) -> tuple[object, list[float]]:
    """Healthy for so many requests, bad from then on; the list gets the moment of the turn."""
    turned: list[float] = []
    count = Counter[str]()

    async def handler(seen: Seen, writer: Writer) -> None:
        count["n"] += 1
        if count["n"] <= after_requests:
            writer.write(response(200, b"OK"))
            return
        if not turned:
            turned.append(now())
        await bad(seen, writer)  # type: ignore[operator]

    return handler, turned


@pytest.mark.parametrize("bad", [always(500, b"no"), slams], ids=["5xx", "network"])
async def test_R18_a_target_that_turns_bad_is_left_alone_in_time(wild: Start, bad: object) -> None:
    handler, turned = turning_bad(bad, 60)
    server = await wild(handler)  # type: ignore[arg-type]
    began = now()
    report = await run_here(plan_of(server.url, stage(2000, 200, workers=40)))
    assert report.honest is not None
    assert report.honest.ended.how == "aborted"
    assert judged(report).verdict is Verdict.FAIL
    assert after(server, turned[0]) <= 200
    assert now() - began < 10


@pytest.mark.prove
@pytest.mark.parametrize(
    "bad", [always(500, b"no"), slams, never, slow(3.5, always(200, b"OK"))], ids=["5xx", "network", "hang", "slow"]
)
@pytest.mark.parametrize("rate", [20, 120, 300])
async def test_R18_every_kind_of_bad_within_10_s_and_200_further_requests(wild: Start, bad: object, rate: int) -> None:
    """With production's ceiling of 160 in flight, a target that hangs gets no more than those."""
    handler, turned = turning_bad(bad, rate * 2)
    server = await wild(handler)  # type: ignore[arg-type]
    plan = plan_of(server.url, stage(rate * 60, rate, workers=40), ceilings=Ceilings(in_flight=160))
    report = await run_here(plan)
    assert report.honest is not None
    assert report.honest.ended.how == "aborted"
    assert after(server, turned[0]) <= 200
    last = max(seen.at for seen in server.seen)
    assert last - turned[0] <= 10


@pytest.mark.prove
async def test_R18_no_healthy_drill_of_fifty_is_aborted(wild: Start) -> None:
    """Healthy is within the promises: now and then slow, a refusal among the answers, and no more."""
    answers = over_and_over(
        *([always(200, b"OK")] * 17), slow(0.4, always(200, b"OK")), always(429, b"later"), always(200, b"OK")
    )
    for _ in range(50):
        server = await wild(answers)
        report = await run_here(plan_of(server.url, stage(120, 150, workers=40)))
        assert report.honest is not None
        assert report.honest.ended.how == "finished", (report.honest.ended, report.honest.generator)


# Stop (R13, R19)


async def stopped(url: str, processes: int = 1) -> tuple[float, float]:
    """Stop a drill in the middle, on a target of which every third answer hangs. Seconds from the stop to the last
    request that came, and to the last socket that closed."""
    brake = Brake(SystemClock())
    running = asyncio.Event()

    def see(progress: DrillProgress) -> None:
        if progress.sent > 20:
            running.set()

    plan = plan_of(url, stage(6000, 200, workers=200), processes=processes)
    task = asyncio.create_task(run_apart(plan, brake, see))
    await asyncio.wait_for(running.wait(), 60)
    brake.stop("stopped by a test")
    at = now()
    report = await asyncio.wait_for(task, 60)
    told = await seen(url)
    assert told.open == 0
    assert report.honest is not None
    assert (report.honest.ended.how, judged(report).verdict is Verdict.PASS) == ("stopped", False)
    return told.last_at - at, told.closed_at - at


async def test_R19_a_stop_ends_load_in_250_ms_and_sockets_in_2_s() -> None:
    """In one of three tries, since a busy machine may hold up anybody; the proof below is for every one."""
    tried = []
    async with far("hang") as server:
        for _ in range(3):
            tried.append(await stopped(server["url"]))
            if tried[-1][0] <= 0.25 and tried[-1][1] <= 2.0:
                return
    pytest.fail(f"last request and last socket after {tried} s")


@pytest.mark.prove
@pytest.mark.timeout(1800)
async def test_R19_a_stop_holds_a_hundred_times() -> None:
    async with far("hang") as server:
        tried = [await stopped(server["url"], processes=1 + number % 2) for number in range(100)]
    late = [f"{last:.3f} {closed:.3f}" for last, closed in tried if last > 0.25 or closed > 2.0]
    worst = max(last for last, _ in tried), max(closed for _, closed in tried)
    assert not late, f"{len(late)} of 100 (s): {late}; worst {worst}"


# Several processes


async def test_several_processes_are_one_drill(wild: Start) -> None:
    """One schedule, one choice of users, one report: the same as of one process."""
    server = await wild(healthy())
    report = await run_apart(plan_of(server.url, stage(30, 100), stage(31, 100), scenario=CHAT, processes=3))
    assert report.honest is not None
    assert report.honest.ended.how == "finished"
    assert (report.honest.generator.processes, report.honest.generator.sent) == (3, 61)
    threads = Counter(json.loads(seen.body)["threadId"] for seen in server.seen)
    assert threads == Counter(f"thread-{i % 5}" for total in (30, 31) for i in range(total))
    stages = report.honest.scenario(CHAT).stages  # type: ignore[union-attr]
    assert [item.sent for item in stages] == [30, 31]
    assert pooled(report).succeeded == 61
    came = [seen.at for seen in server.seen]
    assert 0.14 < came[29] - came[0] < 0.29 + 0.15 * SLOW, "the processes began together"


async def test_R18_the_error_budget_is_kept_over_all_processes(wild: Start) -> None:
    handler, turned = turning_bad(always(500, b"no"), 60)
    server = await wild(handler)  # type: ignore[arg-type]
    report = await run_apart(plan_of(server.url, stage(2000, 200, workers=40), processes=2))
    assert report.honest is not None
    assert report.honest.ended.how == "aborted"
    assert after(server, turned[0]) <= 200


async def test_a_dead_process_stops_the_others_and_is_no_pass(wild: Start) -> None:
    server = await wild(healthy())
    brake = Brake(SystemClock())
    killed: list[int] = []

    def see(progress: DrillProgress) -> None:
        if progress.sent > 20 and not killed:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            killed.append(int(children[-1]))
            os.kill(killed[0], signal.SIGKILL)

    report = await run_apart(plan_of(server.url, stage(3000, 100, workers=40), processes=2), brake, see)
    assert report.honest is not None
    assert report.honest.ended.how == "control_lost"
    assert "died" in report.honest.ended.reason
    assert judged(report).verdict is Verdict.INCOMPLETE
    assert len(server.seen) < 1000


@pytest.mark.parametrize(("total", "of"), [(0, 1), (1, 4), (10, 3), (11, 3), (12, 3), (160, 16)])
def test_shares_add_up(total: int, of: int) -> None:
    shares = [Share(part, of) for part in range(of)]
    assert sum(share.count(total) for share in shares) == total
    numbers = sorted(share.number(n) for share in shares for n in range(share.count(total)))
    assert numbers == list(range(total))


def test_more_processes_than_places_stand_idle() -> None:
    shares = [Share(part, 4).among(2) for part in range(4)]
    assert [share.count(5) for share in shares] == [3, 2, 0, 0]


async def test_parts_survive_the_pipe_and_add_up(wild: Start) -> None:
    from bot.sendcat.load.engine import Engine
    from tests.bot.sendcat.drill_kit import SECRETS

    server = await wild(healthy())
    clock = SystemClock()
    measured = await Engine(plan_of(server.url, stage(6)), SECRETS, Brake(clock), clock).run()
    again = Measured.from_wire(json.loads(json.dumps(measured.to_wire())))
    assert again == measured
    again.merge(measured)
    assert again.stages["whatsapp_webhook"][0].tally.sent == 12
    assert again.processes == 2


def test_a_window_counts_what_the_budget_needs() -> None:
    window = Window(CHAT)
    for slow_one, status in ((False, 200), (True, 200), (False, 503), (False, None)):
        window.note(slow_one, status)
    assert (window.n, window.slow, window.five_xx, window.errors) == (4, 1, 1, 1)


# The generator's look at itself


async def test_weakness_15_a_generator_that_stood_still_decides_nothing(wild: Start) -> None:
    """The load process is frozen for a while by the machine: late requests are its own, not the target's."""
    server = await wild(healthy())
    frozen: list[int] = []

    def see(progress: DrillProgress) -> None:
        if progress.sent > 20 and not frozen:
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            frozen.append(int(children[-1]))
            os.kill(frozen[0], signal.SIGSTOP)
            asyncio.get_running_loop().call_later(0.6, os.kill, frozen[0], signal.SIGCONT)

    report = await run_apart(plan_of(server.url, stage(150, 100)), on_progress=see)
    judgement = judged(report)
    assert frozen
    assert report.honest is not None
    assert report.honest.generator.bottleneck
    assert judgement.verdict is Verdict.INCOMPLETE
    assert "the load generator sent late" in judgement.reason
    assert [item.verdict for item in judgement.checks if item.name == "p95_latency"] == [Verdict.INCOMPLETE]


async def test_R18_a_generator_that_stood_still_does_not_abort_the_target(wild: Start) -> None:
    """This process, the drill's, is blocked longer than twice the latency limit: INCOMPLETE, and not FAIL."""
    server = await wild(healthy())
    asyncio.get_running_loop().call_later(1.0, time.sleep, 3.3)
    report = await run_here(plan_of(server.url, stage(400, 100, workers=40)))
    assert report.honest is not None
    assert report.honest.ended.how == "finished", report.honest.ended
    assert judged(report).verdict is Verdict.INCOMPLETE


def test_weakness_15_a_late_moment_counts_in_the_scenario_that_it_fell_into() -> None:
    """Two late requests of thirty move a webhook's p95; among a thousand others they must not get lost."""
    limits = {"whatsapp_webhook": 1500.0, CHAT: 12_000.0}
    lags = {"whatsapp_webhook": array("d", [0.1] * 28 + [400.0] * 2), CHAT: array("d", [0.1] * 1000)}

    assert "sent whatsapp_webhook late" in Measured(own_lag_ms=lags).bottleneck(limits)
    assert Measured(own_lag_ms={**lags, "whatsapp_webhook": array("d", [0.1] * 29 + [400.0])}).bottleneck(limits) == ""
    chat = {**lags, "whatsapp_webhook": array("d", [0.1] * 30), CHAT: array("d", [0.1] * 900 + [400.0] * 100)}
    assert Measured(own_lag_ms=chat).bottleneck(limits) == "the load generator sent late: p95 400 ms, allowed 100 ms"
    few = {**lags, "whatsapp_webhook": array("d", [0.1] * 30), CHAT: array("d", [0.1, 0.1, 400.0])}
    assert Measured(own_lag_ms=few).bottleneck(limits) == "", "400 ms of a chat's 12 s are not what decides"


# The truth about a target that stalls


async def read_stall(url: str, **more: object) -> tuple[dict[int, float], float]:
    """p95 and p99 as a drill reads them, and how late the generator says that it was itself, in ms."""
    report = await run_apart(plan_of(url, stage(2000, 500, workers=100), **more))
    latency = pooled(report).latency
    assert latency.p95_ms is not None
    assert latency.p99_ms is not None
    assert report.honest is not None
    made = report.honest.generator
    return {95: latency.p95_ms, 99: latency.p99_ms}, (made.send_lag_p99_ms or 0) + (made.receive_lag_p99_ms or 0)


async def test_weakness_08_a_stall_is_read_as_it_was_and_the_closed_loop_does_not_see_it() -> None:
    """400 ms of every 2 s, 500 planned requests a second. Beyond 3% only what the generator owns up to, since the
    machine of a test is busy; the strict figure is the proof below and in the bench."""
    assert (truth(95), truth(99)) == (pytest.approx(300, abs=3), pytest.approx(380, abs=3))
    tried = []
    async with far("stall") as server:
        for _ in range(4):
            read, own_ms = await read_stall(server["url"])
            tried.append((read, own_ms))
            if all(abs(value - truth(p)) <= 0.03 * truth(p) + own_ms for p, value in read.items()):
                break
        else:
            pytest.fail(f"truth {truth(95):.0f} and {truth(99):.0f} ms, read {tried}")
        closed = await run_apart(plan_of(server["url"], stage(3000, 500, workers=10), mode="closed"))
        assert (pooled(closed).latency.p95_ms or 0) < 0.5 * truth(95)


@pytest.mark.prove
@pytest.mark.parametrize("processes", [1, 2])
async def test_weakness_08_a_stall_is_read_within_3_percent_of_the_truth(processes: int) -> None:
    """In most of five rounds, so that one that fell into a busy moment does not decide."""
    good = 0
    async with far("stall") as server:
        for _ in range(5):
            read, _ = await read_stall(server["url"], processes=processes)
            good += all(abs(value / truth(p) - 1) <= 0.03 for p, value in read.items())
    assert good >= 3
