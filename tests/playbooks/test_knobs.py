"""The knobs: 109 of them, read by the rules of the code that reads them."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from playbooks.knobs import (
    REDACTED,
    Knob,
    KnobType,
    Protection,
    UnknownKnob,
    all_knobs,
    effective,
    js_number,
    knob,
    matching,
    nearest,
    parse_value,
)
from slo.snapshot import Snapshot

IDLE = Path(__file__).parent.parent / "data" / "samples" / "snapshots" / "idle.json"
KNOBS = list(all_knobs().values())


def test_all_109_knobs_are_read() -> None:
    assert len(KNOBS) == 109
    assert sum(knob.type is KnobType.INT for knob in KNOBS) == 82
    assert sum(knob.protection is Protection.GUARDED for knob in KNOBS) == 20
    assert sum(knob.protection in (Protection.KEEP_TRUE, Protection.KEEP_FALSE) for knob in KNOBS) == 9


@pytest.mark.parametrize("one", KNOBS, ids=lambda one: one.name)
def test_every_default_is_accepted_and_shown_by_the_snapshot(one: Knob) -> None:
    """The sample of an untouched deployment shows each knob's default at its path, or shows no such knob."""
    snapshot = Snapshot.parse(json.loads(IDLE.read_text("utf-8"))["snapshot"])

    assert parse_value(one, None) == one.shown(one.default)
    if one.default != "":
        text = str(one.default).lower() if one.type is KnobType.BOOL else str(one.default)
        assert one.accepts(text)
        assert parse_value(one, text) == one.shown(one.default)
    shown = effective(snapshot, one)
    assert shown == (None if one.snapshot_path is None else one.shown(one.default))


@pytest.mark.parametrize("one", [k for k in KNOBS if k.type is KnobType.INT], ids=lambda one: one.name)
def test_a_number_outside_its_range_falls_back_to_the_default_and_is_never_cut(one: Knob) -> None:
    assert one.minimum is not None
    assert one.maximum is not None

    assert parse_value(one, str(one.minimum)) == one.minimum
    assert parse_value(one, str(one.maximum)) == one.maximum
    assert parse_value(one, f"{one.maximum}.9") == one.maximum
    for text in (str(one.minimum - 1), str(one.maximum + 1), "", "abc", "NaN", "Infinity", "1_0", "12px"):
        assert not one.accepts(text)
        assert parse_value(one, text) == one.default


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("RATE_LIMIT_CHAT_STREAM_MAX", "1200", 30),
        ("RATE_LIMIT_CHAT_STREAM_MAX", " 40 ", 40),
        ("RATE_LIMIT_CHAT_STREAM_MAX", "1e2", 100),
        ("RATE_LIMIT_CHAT_STREAM_MAX", "40.9", 40),
        ("RATE_LIMIT_CHAT_STREAM_MAX", "0x20", 32),
        ("RATE_LIMIT_CHAT_STREAM_MAX", "0.5", 30),
        ("ADMISSION_EST_TOOL_CALLS_PER_MSG", "   ", 0),
        ("FF_PROVIDER_FAILOVER_ENABLED", " YES ", True),
        ("FF_PROVIDER_FAILOVER_ENABLED", "on", False),
        ("ADMISSION_REDIS_SHADOW_MODE", "0", False),
        ("TOOL_CACHE_WEB_SEARCH_NAMESPACE_VERSION", " V2 ", "search_web_v2"),
        ("TOOL_CACHE_WEB_SEARCH_NAMESPACE_VERSION", "v 2", "search_web_v1"),
        ("TOOL_CACHE_PRODUCTS_NS_VER", "x" * 25, "search_products_v1"),
        ("CHAT_DEFAULT_MODEL_CLASS", "FAST", "fast"),
        ("CHAT_DEFAULT_MODEL_CLASS", "slow", "agent"),
        ("CHAT_MODEL_FAST_PRIMARY", "Some/Model", "Some/Model"),
        ("RELIABILITY_TOPOLOGY_MODE", "active_active", "active_active"),
        ("ADMISSION_REDIS_TOKEN", "secret", REDACTED),
        ("ADMISSION_REDIS_URL", "redis://x", "redis://x"),
    ],
)
def test_a_text_is_read_as_the_code_reads_it(name: str, text: str, value: object) -> None:
    assert parse_value(knob(name), text) == value


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("", 0),
        (" \t\n\ufeff\u00a0", 0),
        ("+.5", 0.5),
        ("5.", 5),
        ("-1e-2", -0.01),
        ("0b101", 5),
        ("0O17", 15),
        ("0xFF", 255),
        ("-0xFF", None),
        ("0x", None),
        ("1e999", math.inf),
        ("-Infinity", -math.inf),
        ("++Infinity", None),
        ("infinity", None),
        ("nan", None),
        ("1_000", None),
        ("1 2", None),
        ("\u0661", None),
        ("\x1c1", None),
        (".", None),
    ],
)
def test_numbers_are_javascripts(text: str, number: float | None) -> None:
    assert js_number(text) == number


@given(st.sampled_from(KNOBS), st.text(max_size=30))
def test_any_text_gives_a_value_within_the_range(one: Knob, text: str) -> None:
    value = parse_value(one, text)

    if one.type is KnobType.INT:
        assert isinstance(value, int)
        assert one.minimum is not None
        assert one.maximum is not None
        assert one.minimum <= value <= one.maximum
    if one.type is KnobType.BOOL:
        assert isinstance(value, bool)


def test_the_runbooks_step_limits_stand_at_their_knobs() -> None:
    rates = list(matching("RATE_LIMIT_*_MAX"))
    bulkheads = [*matching("BULKHEAD_*_MAX_CONCURRENT"), knob("BULKHEAD_TOOL_JOB_MAX")]

    assert {k.step_limit_pct for k in rates} == {25}
    assert {k.step_limit_pct for k in bulkheads} == {20}
    assert {k for k in KNOBS if k.step_limit_pct is not None} == {*rates, *bulkheads}


def test_running_caps_are_coupled_with_their_class() -> None:
    assert knob("TOOL_JOB_RUNMAX_WEB").coupled_with == ("TOOL_JOB_RUNMAX_QOS_REALTIME",)
    assert knob("TOOL_JOB_RUNMAX_QOS_BATCH").coupled_with == ("TOOL_JOB_RUNMAX_GLOB",)


def test_an_unknown_knob_names_the_nearest() -> None:
    assert nearest("TOOL_JOB_RUNMAX_WBE") == "TOOL_JOB_RUNMAX_WEB"
    assert nearest("tool_job_lease") == "TOOL_JOB_LEASE_MS"
    assert nearest("zzz") is None
    with pytest.raises(UnknownKnob, match="did you mean TOOL_JOB_POLL_MS"):
        knob("TOOL_JOB_POL_MS")
