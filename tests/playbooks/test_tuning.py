"""Change sets: what is proposed, what is refused by which rule, and that the line offered instead is lawful."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks.capacity import littles_law
from playbooks.change_set import ChangeSet, Standing, line_of
from playbooks.knobs import KnobType, Protection, UnknownKnob, all_knobs, knob
from playbooks.steps import cap_of
from playbooks.tuning import (
    NEVER,
    PARTNER,
    RuleBroken,
    WishError,
    fixed,
    involved,
    legal,
    propose,
    rejected,
    rules_digest,
)
from playbooks.wishes import parse_wishes

CHAT, LIMIT = "BULKHEAD_OR_PRI_MAX_CONCURRENT", "RATE_LIMIT_CHAT_STREAM_MAX"
INTS = [one.name for one in all_knobs().values() if one.type is KnobType.INT]


def proposed(line: str, *, why: str = "", gentler_tried: bool = False, **standings: Standing) -> ChangeSet:
    """The change set of a line, from the defaults unless said otherwise."""
    wishes = parse_wishes(line.split())
    known = {one.name: Standing(None, one.shown(one.default)) for one in involved(wishes)}
    return propose(wishes, known | standings, why=why, gentler_tried=gentler_tried)


def refused(line: str, **given: object) -> RuleBroken:
    with pytest.raises(RuleBroken) as caught:
        proposed(line, **given)  # type: ignore[arg-type]
    return caught.value


@pytest.mark.parametrize(
    ("line", "value"),
    [
        (f"{CHAT} +20%", 28),
        (f"{CHAT} 28", 28),
        (f"{CHAT}=28", 28),
        (f"{CHAT} +2", 26),
        (f"{CHAT} -2", 22),
        (f"{CHAT} −20%", 20),
        (f"{CHAT.lower()}=+4", 28),
        (f"{LIMIT} +25%", 37),
        ("CIRCUIT_SERPER_COOLDOWN_MS +50%", 180_000),
        ("FF_PROVIDER_FAILOVER_ENABLED true", True),
        ("TOOL_CACHE_PRODUCTS_NS_VER v2", "search_products_v2"),
    ],
)
def test_a_wish_in_any_spelling(line: str, value: object) -> None:
    change = proposed(line)

    assert change.steps[0].after == value
    assert proposed(change.line.removeprefix("tune ")) == change


def test_R22_values_are_written_as_plain_decimal_digits() -> None:
    assert proposed(f"{CHAT} +20%").steps[0].text == "28"
    for text in ("2e1", "0x1c", "28.0", "+28.5", "٢٨", "1_0", "28%", ""):
        with pytest.raises(WishError):
            parse_wishes([f"{CHAT}={text}"])


@pytest.mark.parametrize(
    ("line", "says", "rule", "then"),
    [
        (f"{CHAT} +30%", "at most 28", "20%", f"tune {CHAT} 28"),
        (f"{CHAT} 10", "at least 20", "20%", f"tune {CHAT} 20"),
        (f"{LIMIT} 38", "at most 37", "25%", f"tune {LIMIT} 37"),
        (f"{LIMIT} 1200", "default 30", "own range", f"tune {LIMIT} 37"),
        (f"{CHAT} 500", "amounts to switching", "never disable", f"tune {CHAT} 28"),
        ("CIRCUIT_SERPER_THRESHOLD 100", "amounts to switching", "never disable", "tune CIRCUIT_SERPER_THRESHOLD 5"),
        (f"{LIMIT} 1000", "amounts to switching", "never disable", f"tune {LIMIT} 37"),
        (f"{CHAT} 24", "already", "changes something", "tune"),
        ("RATE_LIMIT_CHAT_STREAM_WINDOW_MS 1000", "not tunable", "R21", "knobs"),
        ("OPS_MAX_ROWS_PER_SECTION 60", "could not be confirmed", "R21", "knobs"),
        ("CHAT_MODEL_FAST_PRIMARY a/b/c", "no playbook", "R21", "knobs"),
        ("ADMISSION_REDIS_TOKEN abc", "secret", "R21", "knobs"),
        ("ADMISSION_ENFORCE_USER_INFLIGHT false", "weaken", "never disable", "playbook tuning-rules"),
    ],
)
def test_R21_R22_a_refusal_names_its_rule_and_the_nearest_lawful_line(
    line: str, says: str, rule: str, then: str
) -> None:
    broken = refused(line)

    assert says in broken.what
    assert rule in broken.rule
    assert broken.then == then


@pytest.mark.parametrize(
    "name",
    [one.name for one in all_knobs().values() if one.protection in (Protection.KEEP_TRUE, Protection.KEEP_FALSE)],
)
def test_R21_a_switch_of_a_protection_is_never_flipped_the_wrong_way(name: str) -> None:
    """Whatever it stands at, whatever reason is given."""
    wrong = knob(name).protection is Protection.KEEP_FALSE

    broken = refused(f"{name} {str(wrong).lower()}", why="an outage of Redis", **{name: Standing(None, not wrong)})

    assert broken.rule == NEVER


@given(
    st.sampled_from(INTS),
    st.sampled_from(["+{}%", "-{}%", "+{}", "-{}", "{}"]),
    st.integers(0, 7000),
    st.data(),
)
def test_every_line_that_a_refusal_offers_is_lawful(name: str, form: str, number: int, data: st.DataObject) -> None:
    """Any number from any effective value: either lawful, or refused with a line that then is."""
    one = knob(name)
    old = data.draw(st.integers(one.minimum or 0, min(one.maximum or 0, 10_000_000)) | st.just(one.default))
    line, standing = f"{name}={form.format(min(number, 9999))}", {name: Standing(None, old)}
    offered = ""
    try:
        proposed(line, why="because", **standing)
    except RuleBroken as broken:
        offered = broken.then
    if offered.startswith("tune "):
        line = offered.removeprefix("tune ")
    elif offered:
        return

    change = proposed(line, why="because", **standing)

    bounds, cap = legal(name, Standing(None, old)), cap_of(one)
    assert bounds is not None
    assert change.steps[0].after in bounds
    assert cap is None or change.steps[0].after <= max(cap, old)  # type: ignore[operator]


def test_caps_that_act_only_together_are_one_change_set() -> None:
    """Raising one alone changes nothing, so it is refused with the pair; where the partner is higher already, it acts."""
    web, realtime = "TOOL_JOB_RUNMAX_WEB", "TOOL_JOB_RUNMAX_QOS_REALTIME"

    broken = refused(f"{web} 3")
    pair = proposed(f"{web}=3 {realtime}=3")
    alone = proposed(f"{web} 3", **{realtime: Standing("3", 3)})
    down = proposed(f"{web} 1")

    assert broken.then == f"tune {web}=3 {realtime}=3"
    assert pair.knobs == (web, realtime)
    assert alone.steps[0].after == 3
    assert down.steps[0].after == 1
    assert PARTNER[realtime] == web


def test_unequal_partners_are_noted() -> None:
    web, realtime = "TOOL_JOB_RUNMAX_WEB", "TOOL_JOB_RUNMAX_QOS_REALTIME"

    change = proposed(f"{web}=6 {realtime}=4", **{web: Standing("5", 5), realtime: Standing("3", 3)})

    assert "the smaller one" in change.notes[0]


def test_R22_one_whole_step_needs_a_second_person_in_any_case() -> None:
    assert proposed("CIRCUIT_SERPER_THRESHOLD 5").second
    assert not proposed(f"{CHAT} 28").second


def test_R23_creep_counts_from_the_value_24_hours_ago() -> None:
    far = proposed(f"{CHAT} 40", **{CHAT: Standing("34", 34, day_ago=24)})
    broken = refused(f"{CHAT} 50", **{CHAT: Standing("44", 44, day_ago=24)})
    end = refused(f"{CHAT} 49", **{CHAT: Standing("48", 48, day_ago=24)})

    assert any("R23" in reason for reason in far.second)
    assert "R23" in broken.rule
    assert broken.then == f"tune {CHAT} 48"
    assert end.then == "playbook tuning-rules"
    assert far.steps[0].drift == "×1.67 in 24 h"


def test_auth_controls_come_last() -> None:
    """Raising the limit of a sign-in asks for a reason, or for a gentler change before; lowering it does not."""
    name = "RATE_LIMIT_WA_LINK_CODE_MAX"

    broken = refused(f"{name} 6")
    reasoned = proposed(f"{name} 6", why="a campaign sends 40 people an hour to link")
    tried = proposed(f"{name} 6", gentler_tried=True)
    lowered = proposed(f"{name} 4")

    assert "validation or auth controls" in broken.rule
    assert broken.then == f'tune {name} 6 --why="..."'
    assert reasoned.second
    assert tried.second
    assert not lowered.second


def test_a_shorter_cooldown_or_lease_needs_a_reason_and_a_second_person() -> None:
    cooldown = "CIRCUIT_SERPER_COOLDOWN_MS 90000"
    lease = "BULKHEAD_OR_PRI_LEASE_TTL_MS 90000"
    known = {"BULKHEAD_OR_PRI_LEASE_TTL_MS": Standing(None, 600_000, call_ms=45_000)}

    assert "--why" in refused(cooldown).then
    assert proposed(cooldown, why="it recovers faster").second
    assert "--why" in refused(lease, **known).then
    assert proposed(lease, why="leaked slots", **known).second
    assert refused(lease, why="leaked slots").then == "tune BULKHEAD_OR_PRI_LEASE_TTL_MS 480000"


def test_a_rejected_stored_value_may_be_replaced_by_the_one_in_force() -> None:
    """Somebody stored 2000, which the application does not take: storing 30 changes nothing but the trap."""
    change = proposed(f"{LIMIT} 30", **{LIMIT: Standing("2000", 30)})

    assert rejected(knob(LIMIT), "2000")
    assert change.steps[0].before == change.steps[0].after == 30
    assert "stored plainly" in change.steps[0].change


def test_what_cannot_be_tuned_says_why() -> None:
    for one in all_knobs().values():
        reason = fixed(one)
        if one.snapshot_path is None or one.secret:
            assert reason
        if one.playbooks:
            assert not reason, one.name


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ([], WishError),
        ([CHAT], WishError),
        ([CHAT, "20%"], WishError),
        ([CHAT, "much"], WishError),
        ([f"{CHAT}=28", f"{CHAT}=27"], WishError),
        (["--"], WishError),
        (["BULKHED_OR_PRI_MAX", "1"], UnknownKnob),
        (["FF_PROVIDER_FAILOVER_ENABLED", "on"], WishError),
        ([f"{name}=1" for name in INTS[:13]], WishError),
    ],
)
def test_what_cannot_be_read_helps(words: list[str], error: type[Exception]) -> None:
    with pytest.raises(error):
        parse_wishes(words)


@given(st.lists(st.text(max_size=30), max_size=6))
def test_R5_words_are_data(words: list[str]) -> None:
    """Nothing but a helpful error comes of any text."""
    with contextlib.suppress(WishError, UnknownKnob):
        assert parse_wishes(words)


def test_littles_law_in_one_line() -> None:
    assert littles_law(3000, 24, 28) == (
        "Little's law: at 3.0 s a call, 24 slots carry 8.0 calls a second, 28 carry 9.3."
    )
    assert "need 2.3 slots; 3 are enough" in littles_law(7000, 2, 3, 20 / 60)
    assert "not enough" in littles_law(3000, 24, 28, 10)


def test_more_workers_than_the_running_caps_allow_are_called_idle() -> None:
    """By the caps as they stand, not as they were shipped."""
    caps = (
        "TOOL_JOB_RUNMAX_WEB",
        "TOOL_JOB_RUNMAX_QOS_REALTIME",
        "TOOL_JOB_RUNMAX_PROD",
        "TOOL_JOB_RUNMAX_QOS_INTERACTIVE",
    )

    idle = proposed("BULKHEAD_TOOL_JOB_MAX 7")
    used = proposed("BULKHEAD_TOOL_JOB_MAX 7", **{cap: Standing("4", 4) for cap in caps})

    assert any("sum up to 5, and there are 6 slots" in note for note in idle.notes)
    assert not used.notes


def test_lines_and_digest() -> None:
    assert line_of({"A": "1", "B": "2"}) == "tune A=1 B=2"
    assert len(rules_digest()) == 64
