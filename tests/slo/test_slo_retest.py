"""After against before (VERDICTS, "Tuning retest"): each threshold at its edge, both ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from slo.retest import Answer, Pressure, compare
from slo.verdict import Judgement, Verdict, sum_up
from slo.verdict import judge as check

CHAT = "/api/chat"


def drill(*, five_xx: float = 0.0, streams: float = 1.0, p95_ms: float | None = 1000, ran: bool = True) -> Judgement:
    """A drill of the chat endpoint with these figures."""
    checks = [
        check("p95_latency", p95_ms, 12_000, scope=CHAT, unit="ms"),
        check("5xx_rate", five_xx, 0.03, scope=CHAT, unit="rate"),
        check("stream_success_rate", streams, 0.95, scope=CHAT, unit="rate", comparison=">="),
    ]
    if not ran:
        checks = [check("scenario_ran", None, 1, scope=CHAT, unit="count", comparison=">=")]
    return sum_up(checks)


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        (drill(), drill(), Answer.SAME),
        (drill(five_xx=0.03), drill(five_xx=0.05), Answer.WORSE),  # passed, now fails
        (drill(five_xx=0.05), drill(five_xx=0.03), Answer.BETTER),
        (drill(five_xx=0.10), drill(five_xx=0.12), Answer.SAME),  # exactly 0.02 is not more
        (drill(five_xx=0.10), drill(five_xx=0.121), Answer.WORSE),
        (drill(five_xx=0.121), drill(five_xx=0.10), Answer.BETTER),
        (drill(streams=0.90), drill(streams=0.88), Answer.SAME),
        (drill(streams=0.90), drill(streams=0.87), Answer.WORSE),
        (drill(streams=0.5), drill(streams=0.9), Answer.BETTER),
        (drill(p95_ms=1000), drill(p95_ms=1250), Answer.SAME),  # 25%, not more
        (drill(p95_ms=1000), drill(p95_ms=1251), Answer.WORSE),
        (drill(p95_ms=400), drill(p95_ms=600), Answer.SAME),  # 50%, but only 200 ms
        (drill(p95_ms=400), drill(p95_ms=601), Answer.WORSE),
        (drill(p95_ms=1251), drill(p95_ms=900), Answer.BETTER),
        (drill(p95_ms=12_000), drill(p95_ms=12_001), Answer.WORSE),  # over the limit now
        (drill(ran=False), drill(ran=False), Answer.INCOMPLETE),
        (drill(), drill(ran=False), Answer.INCOMPLETE),
        (drill(five_xx=1, p95_ms=None), drill(), Answer.BETTER),  # nothing succeeded before
        (drill(), drill(five_xx=1, p95_ms=None), Answer.WORSE),
        (drill(five_xx=1, p95_ms=None), drill(five_xx=1, p95_ms=None), Answer.SAME),
    ],
)
def test_the_answer_at_every_edge(before: Judgement, after: Judgement, answer: Answer) -> None:
    assert compare(before, after).answer is answer


@pytest.mark.parametrize(
    ("before", "after", "answer"),
    [
        (100, 110, Answer.SAME),
        (100, 111, Answer.WORSE),
        (100, 90, Answer.SAME),
        (100, 89, Answer.BETTER),
        (0, 0, Answer.SAME),
        (0, 1, Answer.WORSE),
        (None, 1, Answer.INCOMPLETE),
        (1, float("nan"), Answer.INCOMPLETE),
    ],
)
def test_the_pressure_that_the_change_was_meant_to_relieve(
    before: float | None, after: float | None, answer: Answer
) -> None:
    pressure = Pressure(name="queued jobs", before=before, after=after, unit="count")

    result = compare(drill(), drill(), (pressure,))

    assert result.answer is answer
    assert (result.lines[-1].answer) is answer


def test_worse_dominates_incomplete() -> None:
    pressure = Pressure(name="queued jobs", before=10, after=20, unit="count")

    result = compare(drill(ran=False), drill(ran=False), (pressure,))

    assert result.answer is Answer.WORSE
    assert [line.name for line in result.worse] == ["queued jobs"]


def test_an_aborted_drill_is_worse_and_a_stopped_one_incomplete() -> None:
    aborted = sum_up(drill().checks, reason="5xx above twice the limit", also=(Verdict.FAIL,))
    stopped = sum_up(drill().checks, reason="stopped by a person", also=(Verdict.INCOMPLETE,))

    assert compare(drill(), aborted).answer is Answer.WORSE
    assert compare(drill(), stopped).answer is Answer.INCOMPLETE
    assert compare(drill(), stopped).reason == "stopped by a person"
    assert compare(aborted, drill()).answer is Answer.SAME


_figures = st.builds(
    drill,
    five_xx=st.floats(0, 1),
    streams=st.floats(0, 1),
    p95_ms=st.floats(1, 60_000),
)


@given(_figures, _figures)
def test_better_and_worse_are_mirror_images(before: Judgement, after: Judgement) -> None:
    """What is better one way is worse the other way, line by line, but for the reference of a percentage."""
    there, back = compare(before, after), compare(after, before)

    swapped = {Answer.BETTER: Answer.WORSE, Answer.WORSE: Answer.BETTER, Answer.SAME: Answer.SAME}
    for line, mirror in zip(there.lines, back.lines, strict=True):
        if line.unit == "rate":
            assert mirror.answer is swapped[line.answer]
    assert compare(before, before).answer is Answer.SAME
