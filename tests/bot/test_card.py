"""Titles that do not fit end at a word, and no mark is cut in two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.card import clipped, resolve, when, who

MARK = who("slack:U0ONCALL")


@pytest.mark.parametrize(
    ("text", "limit", "shown"),
    [
        ("short", 140, "short"),
        ("i-1 stays open: Timeline, Affected endpoints", 26, "i-1 stays open: Timeline…"),
        ("x" * 50, 20, "x" * 19 + "…"),
        (f"Paused by {MARK} until noon", 18, "Paused by…"),
    ],
)
def test_a_title_ends_at_a_word(text: str, limit: int, shown: str) -> None:
    assert clipped(text, limit) == shown


@given(st.lists(st.one_of(st.text(max_size=12), st.just(MARK), st.just(when(1))), max_size=20).map(" ".join))
def test_what_is_left_is_short_enough_and_its_marks_are_whole(text: str) -> None:
    left = clipped(text, 60)

    assert len(left) <= max(60, len(text) if left == text else 0)
    if MARK in text:
        assert "\ue000" not in resolve(left, lambda kind, value: "") or "\ue000" in text.replace(MARK, "").replace(
            when(1), ""
        )
