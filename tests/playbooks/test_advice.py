"""What a walk proposes fits the fault: the right step of the page, and none of the wrong ones (the catalogue's table)."""

from __future__ import annotations

import re

import pytest

from bot.walk.proposals import Offer, of_step
from playbooks.advice import _JUDGES, against, drains_in_vain, first, queue_cause, upstreams_failing
from playbooks.book import Book
from playbooks.callers import pressure
from playbooks.lines import parse
from playbooks.page import StepKind
from playbooks.signals import judge_signals
from tests.playbooks.fault_states import State, observe

PAIR = "TOOL_JOB_RUNMAX_WEB=3 TOOL_JOB_RUNMAX_QOS_REALTIME=3"

PROPOSED: dict[str, dict[int, str]] = {
    "A:abusive": {},
    "A:legitimate": {3: "RATE_LIMIT_GMAIL_PUSH_MAX=150"},
    "A:chat": {3: "RATE_LIMIT_CHAT_STREAM_MAX=37"},
    "A:contention": {},
    "B:primary": {5: "FF_PROVIDER_FAILOVER_ENABLED=true"},
    "B:quota": {5: "FF_PROVIDER_FAILOVER_ENABLED=true"},
    "B:stale_open": {},
    "B:tool": {},
    "C:sustained": {2: "BULKHEAD_OR_PRI_MAX_CONCURRENT=28"},
    "C:spike": {},
    "C:leaked": {3: "BULKHEAD_OR_PRI_LEASE_TTL_MS=480000"},
    "D:surge": {},
    "D:hidden": {},
    "E:stale": {2: "TOOL_CACHE_WEB_SEARCH_NAMESPACE_VERSION=v2"},
    "E:products": {2: "TOOL_CACHE_PRODUCTS_NS_VER=v2"},
    "F:caps": {2: PAIR},
    "F:backlog": {2: PAIR, 3: "TOOL_JOB_QMAX_WEB=96"},
    "F:no_drain": {},
    "F:leaked_slots": {2: "BULKHEAD_TOOL_JOB_MAX=7"},
    "F:upstream": {},
}
"""By fault: the values that its change steps offer. Whatever the table of mitigations calls wrong is in none of them."""
MUTATES = {"E:stale": {1}, "E:products": {1}, "F:no_drain": {6}, "F:caps": {4}, "F:backlog": {4}}
"""Steps that change something beside a knob, and against which nothing speaks."""


def _wished(offer: Offer) -> str:
    """The change that an offer leads to: by its form's first answers, or by its line."""
    if offer.form is not None:
        return " ".join(f"{field.prefix}{field.value}" for field in offer.form.fields if field.word)
    return "=".join(parse(offer.line).words)


def _state(fault: str, gap_ms: int = 8_000) -> State:
    return State(0, ((fault, {}),), (), gap_ms)


@pytest.mark.parametrize("fault", PROPOSED)
async def test_a_walk_proposes_the_right_change_and_no_wrong_one(book: Book, fault: str) -> None:
    """The capacity knobs of a queue nobody drains, the limit of an abuser, the slots of crashed callers stay alone."""
    facts = (await observe(_state(fault))).facts
    assert facts.now is not None
    signal = next(s for s in judge_signals(facts, book) if s.letter == fault[0])
    page = book.playbook(fault[0])
    offered = {
        step.number: tuple(_wished(offer) for offer in of_step(step, signal, facts.now, {})[1])
        for step in page.steps
        if step.kind is StepKind.CHANGE and not against(step.number, signal, facts)
    }
    free = {s.number for s in page.steps if s.kind is StepKind.MUTATE and not against(s.number, signal, facts)}

    assert {number: lines for number, lines in offered.items() if lines} == {
        number: (line,) for number, line in PROPOSED[fault].items()
    }
    assert free == MUTATES.get(fault, set())


async def test_B_flapping_is_told_from_looks_over_time_and_only_then_the_cool_down_is_raised(book: Book) -> None:
    """Two looks some seconds apart see an open circuit; looks over a cool-down see it open again."""
    page = book.playbook("B")
    short, long = [(await observe(_state("B:flapping", gap), looks=4)).facts for gap in (2_000, 31_000)]
    brief, over_time = [next(s for s in judge_signals(f, book) if s.letter == "B") for f in (short, long)]

    assert "span no cool-down" in against(4, brief, short)
    assert over_time.variant == "flapping"
    assert against(4, over_time, long) == ""
    assert long.now is not None
    _, offers = of_step(page.step(4), over_time, long.now, {})
    assert [_wished(offer) for offer in offers] == ["CIRCUIT_OPENROUTER_PRIMARY_COOLDOWN_MS=90000"]


async def test_B_no_failover_to_a_sick_route(book: Book) -> None:
    """The health of the secondary route is looked at before anything is moved to it."""
    both = (("B:primary", {}), ("B:tool", {"provider": "openrouter_chat_secondary"}))
    facts = (await observe(State(0, both, (), 8_000))).facts
    signal = next(s for s in judge_signals(facts, book) if s.letter == "B")

    assert "the secondary route is not healthy" in against(5, signal, facts)


@pytest.mark.parametrize(
    ("fault", "says"),
    [
        ("F:caps", r"capacity: the running caps are reached \(search_web: 2 running; 2 of 6 worker slots taken\)"),
        ("F:upstream", "upstream: the jobs fail"),
        ("F:no_drain", "neither: nobody drains"),
        ("F:leaked_slots", "neither: worker slots leaked.*6 of 6"),
    ],
)
async def test_F_action_1_says_capacity_or_upstream_or_neither(book: Book, fault: str, says: str) -> None:
    facts = (await observe(_state(fault))).facts
    signal = next(s for s in judge_signals(facts, book) if s.letter == "F")
    assert facts.now is not None

    assert re.search(says, queue_cause(signal, facts.now))
    failing = fault == "F:upstream"
    assert bool(upstreams_failing(facts.now)) == failing
    assert first(signal) == ("B" if failing else "")
    assert bool(drains_in_vain(facts.now)) == (failing and bool(facts.now.tool_jobs.by_status.queued))


@pytest.mark.parametrize(
    ("fault", "endpoint", "keys", "reason"),
    [
        ("A:abusive", "/api/whatsapp/webhook", 8, r"refused in (9\d|100)% of its 5 s slots, so all the time"),
        ("A:legitimate", "/api/gmail/push", 1, r"refused only from second 5\d of each 60 s window on"),
        ("A:chat", "/api/chat", 1, "one account asks for more chats than a person does"),
        ("A:contention", "/api/whatsapp/webhook", None, "write conflicts, which no limit changes"),
    ],
)
async def test_A_action_1_names_the_endpoint_and_says_why(
    book: Book, fault: str, endpoint: str, keys: int | None, reason: str
) -> None:
    """Events against distinct keys, abusive or legitimate with the reasoning."""
    facts = (await observe(_state(fault))).facts
    pressed = pressure(facts)
    signal = next(s for s in judge_signals(facts, book) if s.letter == "A")

    assert pressed is not None
    assert pressed.endpoint == endpoint
    assert keys is None or pressed.keys == keys
    assert re.search(reason, pressed.reason(signal.variant))


def test_every_judged_step_is_a_step_of_its_page(book: Book) -> None:
    for letter, number in _JUDGES:
        assert book.playbook(letter).step(number).kind is not StepKind.READ
