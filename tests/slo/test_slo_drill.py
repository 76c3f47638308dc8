"""A drill passes only when everything required ran, and everything that ran was good."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from slo import drill
from slo.policy import FILES, Baseline, Ownership, load
from slo.reports import DrillReport, Ended, Generator
from slo.scenarios import CHAT, ENDPOINTS, GMAIL, SCENARIOS, WHATSAPP
from slo.summary import NO_CHAT_CREDENTIALS
from slo.tally import Sample
from slo.verdict import Check, Judgement, Verdict

Drilled = Callable[..., DrillReport]
Make = Callable[..., Sample]
Judge = Callable[..., Judgement]
ARTIFACTS = Path(__file__).parent.parent / "data" / "samples" / "artifacts"


@pytest.fixture
def judged(drilled: Drilled, baseline: Baseline, ownership: Ownership) -> Judge:
    def build(*args: Any, **more: Any) -> Judgement:
        return drill.judge(drilled(*args, **more), baseline, ownership)

    return build


def find(judgement: Judgement, name: str, scenario: str = CHAT) -> Check:
    (found,) = [c for c in judgement.checks if c.name == name and c.scope == ENDPOINTS[scenario]]
    return found


def test_a_healthy_quick_drill_passes(judged: Judge) -> None:
    made = judged()

    assert made.verdict is Verdict.PASS
    assert made.original_rule is True
    assert [(c.scope, c.name) for c in made.checks] == [
        *(
            (ENDPOINTS[s], name)
            for s in (GMAIL, WHATSAPP)
            for name in ("p95_latency", "5xx_rate", "network_error_rate", "unknown_status_rate")
        ),
        *(
            ("/api/chat", name)
            for name in (
                "p95_latency",
                "5xx_rate",
                "network_error_rate",
                "unknown_status_rate",
                "2xx_success_rate",
                "stream_success_rate",
            )
        ),
    ]
    assert all(check.evidence is not None and check.owner is not None for check in made.checks)


def test_evidence_stands_beside_every_rate(judged: Judge) -> None:
    shown = find(judged(), "5xx_rate", GMAIL).evidence

    assert shown is not None
    assert (shown.n, shown.bad, f"{shown.upper_bound:.1%}", shown.more_needed) == (30, 0, "9.5%", 269)


def test_without_chat_credentials_it_is_incomplete_though_the_original_passes(judged: Judge) -> None:
    """Weakness 1: the most important endpoint untested is not a pass."""
    made = judged(skipped={CHAT: NO_CHAT_CREDENTIALS})

    assert made.verdict is Verdict.INCOMPLETE
    assert made.original_rule is True
    assert drill.not_run(made) == ("/api/chat",)
    assert "RELIABILITY_AUTH_TOKEN" in find(made, "scenario_ran").reason


def test_a_scenario_that_was_not_required_may_be_left_out(judged: Judge) -> None:
    made = judged(only=(GMAIL,), required=(GMAIL,))

    assert made.verdict is Verdict.PASS
    assert {check.scope for check in made.checks} == {"/api/gmail/push"}


def test_a_required_scenario_that_was_left_out_is_incomplete(judged: Judge) -> None:
    assert judged(only=(GMAIL,)).verdict is Verdict.INCOMPLETE
    assert judged(required=(*SCENARIOS, "new_webhook")).verdict is Verdict.INCOMPLETE


def test_a_scenario_that_ran_badly_counts_even_when_not_required(judged: Judge, sample_of: Make) -> None:
    def bad_gmail(scenario: str, stage: str, i: int) -> Sample:
        return sample_of(scenario, stage, i, status=500 if scenario == GMAIL else 200)

    assert judged(bad_gmail, required=(WHATSAPP,)).verdict is Verdict.FAIL


def test_nothing_required_and_nothing_run_is_incomplete(judged: Judge) -> None:
    made = judged(skipped=dict.fromkeys(SCENARIOS, "x"), required=())

    assert made.verdict is Verdict.INCOMPLETE
    assert made.reason == "no scenario was run"
    assert made.original_rule is True


def test_no_requests_is_incomplete(judged: Judge) -> None:
    made = judged(sent=0)

    assert made.verdict is Verdict.INCOMPLETE
    assert {check.verdict for check in made.checks} == {Verdict.INCOMPLETE}
    assert {check.reason for check in made.checks} == {"no requests"}


@pytest.mark.parametrize(
    ("how", "verdict"),
    [
        ("finished", Verdict.PASS),
        ("aborted", Verdict.FAIL),
        ("stopped", Verdict.INCOMPLETE),
        ("control_lost", Verdict.INCOMPLETE),
        ("generator", Verdict.INCOMPLETE),
        ("died", Verdict.INCOMPLETE),
    ],
)
def test_R18_how_it_ended_decides_too(judged: Judge, how: Any, verdict: Verdict) -> None:
    """A target so bad that the run was aborted failed; anything else that cut it short proves nothing."""
    made = judged(ended=Ended(how=how))

    assert made.verdict is verdict
    assert bool(made.reason) is (how != "finished")


def test_stopped_while_the_target_was_bad_still_fails(judged: Judge, sample_of: Make) -> None:
    made = judged(lambda s, g, i: sample_of(s, g, i, status=503), ended=Ended(how="stopped"))

    assert made.verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("sent", "ended", "verdict", "p95"),
    [
        (30, Ended(how="finished"), Verdict.PASS, 40),
        (29, Ended(how="finished"), Verdict.PASS, 40),
        (28, Ended(how="finished"), Verdict.FAIL, 15_000),
        (3, Ended(how="finished"), Verdict.FAIL, 15_000),
        (3, Ended(how="stopped"), Verdict.INCOMPLETE, 40),
    ],
)
def test_what_never_found_a_place_counts_as_late(
    judged: Judge, sample_of: Make, sent: int, ended: Ended, verdict: Verdict, p95: float
) -> None:
    """Of 30 planned webhooks the last found all places taken until they were given up; a stop gives nothing up."""

    def answer(scenario: str, stage: str, i: int) -> Sample:
        return sample_of(scenario, stage, i)

    judgement = judged(answer, only=(WHATSAPP,), required=(WHATSAPP,), sent=sent, ended=ended)
    latency = next(item for item in judgement.checks if item.name == "p95_latency")

    assert (judgement.verdict, latency.value) == (verdict, pytest.approx(p95, rel=0.001))
    assert ("found no free place" in latency.reason) is (sent < 30 and ended.how == "finished")


def test_a_late_generator_never_blames_the_target(judged: Judge, sample_of: Make) -> None:
    """Latency from the planned time holds our own lag: it decides nothing then, but errors still do."""
    busy = Generator(planned=63, sent=63, unsent=0, send_lag_p99_ms=9000, send_lag_max_ms=9000, bottleneck=True)
    late = judged(lambda s, g, i: sample_of(s, g, i, took_ms=20_000), generator=busy)
    broken = judged(lambda s, g, i: sample_of(s, g, i, status=503), generator=busy)

    assert late.verdict is Verdict.INCOMPLETE
    assert find(late, "p95_latency").verdict is Verdict.INCOMPLETE
    assert broken.verdict is Verdict.FAIL


def test_a_refusal_is_not_a_fast_answer(judged: Judge, sample_of: Make) -> None:
    """Weakness 4: with a wrong token every webhook is refused quickly, and the original passes."""
    made = judged(lambda s, g, i: sample_of(s, g, i, status=200 if s == CHAT else 403, took_ms=2))

    assert made.verdict is Verdict.INCOMPLETE
    assert made.original_rule is True
    assert find(made, "p95_latency", GMAIL).reason == "none of 30 requests succeeded (403 x 30)"


@pytest.mark.parametrize("end", ["error", "cut", None])
def test_a_200_that_does_not_say_done_is_a_failed_stream(judged: Judge, sample_of: Make, end: Any) -> None:
    """Weakness 6: with the provider down the original's chat drill is 100% 2xx and fast."""
    made = judged(lambda s, g, i: sample_of(s, g, i, **({"stream": end} if s == CHAT else {})))

    assert made.verdict is Verdict.FAIL
    assert made.original_rule is True
    assert find(made, "2xx_success_rate").verdict is Verdict.PASS
    assert find(made, "stream_success_rate").verdict is Verdict.FAIL
    assert find(made, "p95_latency").verdict is Verdict.INCOMPLETE


def test_warm_up_cannot_decide(judged: Judge, sample_of: Make) -> None:
    """Weakness 9: a six-request warm-up whose p95 is its maximum."""
    made = judged(lambda s, g, i: sample_of(s, g, i, took_ms=20_000 if g == "warmup" else 40), name="burst")

    assert made.verdict is Verdict.PASS
    assert made.original_rule is False


def test_waiting_for_a_turn_counts_as_latency(judged: Judge, sample_of: Make) -> None:
    """Weakness 8: from the planned time, a request sent late was late."""

    def queued(scenario: str, stage: str, i: int) -> Sample:
        late = 1600.0 if scenario == GMAIL else 0.0
        planned = i * 50.0
        return sample_of(
            scenario, stage, i, sent_ms=planned + late, headers_ms=planned + late + 40, end_ms=planned + late + 40
        )

    made = judged(queued)

    assert find(made, "p95_latency", GMAIL).value == 1640
    assert made.verdict is Verdict.FAIL
    assert made.original_rule is True


@pytest.mark.parametrize(("took", "verdict"), [(1500.0, Verdict.PASS), (1500.001, Verdict.FAIL)])
def test_p95_is_compared_exactly(judged: Judge, sample_of: Make, took: float, verdict: Verdict) -> None:
    """No histogram rounding at the limit."""
    made = judged(
        lambda s, g, i: Sample(
            s, g, False, 0, 0, headers_ms=took, end_ms=took, status=200, stream="done" if s == CHAT else None
        )
    )

    assert find(made, "p95_latency", WHATSAPP).verdict is verdict


def test_first_token_is_shown(drilled: Drilled, sample_of: Make, baseline: Baseline, ownership: Ownership) -> None:
    report = drilled(
        lambda s, g, i: sample_of(s, g, i, took_ms=900, **({"first_token_ms": i * 50.0 + 300} if s == CHAT else {}))
    )

    assert drill.first_token_p95_ms(report) == 300
    assert find(drill.judge(report, baseline, ownership), "p95_latency").reason == "first token p95 300 ms"


STATUS = st.sampled_from([200, 202, 401, 403, 404, 429, 500, 503, None])


@given(st.lists(STATUS, min_size=30, max_size=30), st.lists(STATUS, min_size=3, max_size=3))
@settings(max_examples=30, deadline=None)
def test_the_verdict_is_what_the_table_says_for_any_mixture(
    drilled: Drilled,
    sample_of: Make,
    baseline: Baseline,
    ownership: Ownership,
    hooks: list[int | None],
    chats: list[int | None],
) -> None:
    """Rates recomputed from the runbook's table, for every endpoint."""
    report = drilled(lambda s, g, i: sample_of(s, g, i, status=(chats if s == CHAT else hooks)[i]))

    made = drill.judge(report, baseline, ownership)

    for scenario, seen in ((GMAIL, hooks), (WHATSAPP, hooks), (CHAT, chats)):
        promise = baseline.endpoints[ENDPOINTS[scenario]]
        n = len(seen)
        got = [status for status in seen if status is not None]
        expected = {
            "5xx_rate": sum(s >= 500 for s in got) / n <= promise.max_five_xx_rate,
            "network_error_rate": (n - len(got)) / n <= promise.max_network_error_rate,
            "unknown_status_rate": sum(s not in promise.allowed_statuses for s in got) / n
            <= promise.max_unknown_status_rate,
        }
        if scenario == CHAT:
            good = sum(200 <= s <= 299 for s in got) / n
            expected["2xx_success_rate"] = good >= 0.95
            expected["stream_success_rate"] = sum(s == 200 for s in got) / n >= 0.95
        for name, passes in expected.items():
            check = find(made, name, scenario)
            assert (check.verdict is Verdict.PASS) is passes
            assert check.verdict is not Verdict.INCOMPLETE
        none_good = not any(200 <= s <= 299 and (scenario != CHAT or s == 200) for s in got)
        assert (find(made, "p95_latency", scenario).verdict is Verdict.INCOMPLETE) is none_good
    if Verdict.FAIL in {check.verdict for check in made.checks}:
        assert made.verdict is Verdict.FAIL


@pytest.mark.parametrize("states", itertools.product(["good", "bad", "skipped"], repeat=3))
def test_every_mixture_of_good_bad_and_not_run(judged: Judge, sample_of: Make, states: tuple[str, str, str]) -> None:
    state = dict(zip(SCENARIOS, states, strict=True))
    made = judged(
        lambda s, g, i: sample_of(s, g, i, status=503 if state[s] == "bad" else 200),
        skipped={name: "no" for name, how in state.items() if how == "skipped"},
    )

    if "bad" in states:
        assert made.verdict is Verdict.FAIL
    elif "skipped" in states:
        assert made.verdict is Verdict.INCOMPLETE
    else:
        assert made.verdict is Verdict.PASS


def test_required_evidence_turns_an_unproved_pass_into_incomplete(drilled: Drilled, ownership: Ownership) -> None:
    text = (Path(drill.__file__).parent / "policies" / FILES[Baseline]).read_text()
    strict = load(Baseline, json.dumps(json.loads(text) | {"evidence": {"quick": "required"}}))

    made = drill.judge(drilled(), strict, ownership)

    assert made.verdict is Verdict.INCOMPLETE
    assert find(made, "5xx_rate", GMAIL).reason == "within its limit, not proved: 269 more requests needed"


def test_an_endpoint_without_a_promise_is_incomplete(drilled: Drilled, ownership: Ownership) -> None:
    text = (Path(drill.__file__).parent / "policies" / FILES[Baseline]).read_text()
    document = json.loads(text)
    del document["endpoints"]["/api/chat"]

    made = drill.judge(drilled(), load(Baseline, json.dumps(document)), ownership)

    assert made.verdict is Verdict.INCOMPLETE


@pytest.mark.parametrize(
    ("case", "verdict", "original"),
    [
        ("drill-quick-pass", Verdict.INCOMPLETE, True),
        ("drill-quick-fail", Verdict.FAIL, False),
        ("drill-quick-chat-skipped", Verdict.INCOMPLETE, True),
    ],
)
def test_the_originals_artifacts_are_judged_on_what_they_measured(
    baseline: Baseline, ownership: Ownership, case: str, verdict: Verdict, original: bool
) -> None:
    """They never read a stream, so even the passing one proves nothing about chat."""
    (path,) = (ARTIFACTS / case).glob("load-drill-*.json")
    made = drill.judge(DrillReport.parse(json.loads(path.read_text())), baseline, ownership)

    assert (made.verdict, made.original_rule) == (verdict, original)
    if case == "drill-quick-pass":
        assert [check.name for check in made.undecided] == ["stream_success_rate"]


def test_reports_judge_the_same_after_a_trip_through_a_file(
    drilled: Drilled, baseline: Baseline, ownership: Ownership
) -> None:
    report = drilled()
    again = DrillReport.parse(json.loads(report.to_json()))

    assert drill.judge(again, baseline, ownership) == drill.judge(report, baseline, ownership)
