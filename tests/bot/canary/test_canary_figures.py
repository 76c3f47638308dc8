"""How often a canary is right: seeded runs of the practice pair at profile standard (the whole figures under `prove`)."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from functools import partial

import pytest

from slo.rounds import CANDIDATE, CONTROL
from slo.scenarios import CHAT
from tests.bot.canary import pair

SAME, WORSE = 200, 100
FALSE_ALARMS, CAUGHT = 0.05, 0.95


@pytest.mark.timeout(180)
def test_one_seed_of_each_is_right_and_measures_what_was_set() -> None:
    """The same release passes; slower, failing and breaking ones fail. One block of rounds, so that it runs each time."""
    control = pair.drilled(CONTROL, pair.Release(), 1, blocks=1)
    assert control.honest is not None
    chat = control.honest.scenario(CHAT)
    assert chat is not None
    assert chat.pooled is not None
    assert (chat.pooled.sent, control.honest.generator.unsent) == (36, 0)
    assert all("429" not in (each.pooled or chat.pooled).statuses for each in control.honest.scenarios)
    assert 900 < (control.honest.scenarios[0].pooled or chat.pooled).latency.p95_ms < 1_100  # type: ignore[operator]

    found = {
        name: pair.judged(control, pair.drilled(CANDIDATE, release, 1, blocks=1))
        for name, release in {"same": pair.Release(), **pair.WORSE}.items()
    }

    assert {name: str(made.verdict) for name, made in found.items()} == {
        "same": "PASS",
        "slower": "FAIL",
        "5xx": "FAIL",
        "broken": "FAIL",
    }
    assert found["slower"].original_rule is False
    assert "stream_success_drop" in {check.name for check in found["broken"].failed}
    assert found["broken"].original_rule is True  # weakness 6: the statuses are all 200


@pytest.mark.prove
@pytest.mark.timeout(7200)
def test_same_releases_rarely_alarm_and_worse_ones_are_caught() -> None:
    """At most 5% false alarms of 200 seeds; each of three kinds of worse candidates caught in at least 95 of 100."""
    seen: Counter[tuple[str, str]] = Counter()
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as pool:
        for found in (
            *pool.map(pair.verdicts, range(WORSE)),
            *pool.map(partial(pair.verdicts, worse=False), range(WORSE, SAME)),
        ):
            seen.update(found.items())

    alarms = SAME - seen["same", "PASS"]
    assert alarms <= FALSE_ALARMS * SAME, seen
    for kind in pair.WORSE:
        assert seen[kind, "FAIL"] >= CAUGHT * WORSE, seen
