"""Foreign text is inert, secrets are blotted out, people are masked (R34, R36, R37)."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from bot.card import who
from bot.redact import MAX_FOREIGN, Masker, Scrubber, inert


@given(st.text(max_size=2_000))
def test_R34_whatever_stands_in_a_text_nothing_of_it_is_interpreted(text: str) -> None:
    """No markup, mentions, links, control, direction or private characters, no second line, bounded length."""
    made = inert(text)

    assert len(made) <= MAX_FOREIGN
    assert not set(made) & set("<>&`*~@|\n\r")
    assert not any(unicodedata.category(char)[0] == "C" for char in made)
    assert "://" not in made
    assert inert(made) == made


def test_R34_a_mark_of_ours_cannot_be_faked() -> None:
    """A name that carries our own mark for people is only text."""
    assert who("slack:U0LEAD") not in inert(f"hello {who('slack:U0LEAD')}")


def test_words_stay_readable() -> None:
    assert inert("TOOL_JOB_RUNMAX_WEB is 3 of 12") == "TOOL_JOB_RUNMAX_WEB is 3 of 12"
    assert inert("_emphasis_") != "_emphasis_"


def test_R36_secrets_known_and_shaped_are_blotted_out() -> None:
    scrubber = Scrubber(["s3cret-value", "abc"])
    text = scrubber.scrub(
        "s3cret-value xoxb-1234567890-abc prod:heron-1|eyJ2Ijoi Authorization: Bearer abcdefghijk /push?token=qwerty abc"
    )

    assert "s3cret-value" not in text
    assert "1234567890" not in text
    assert "eyJ2" not in text
    assert "abcdefghijk" not in text
    assert "qwerty" not in text
    assert text.endswith(" abc")


def test_R37_the_same_person_stays_comparable_and_unknown() -> None:
    one, two = Masker(b"a" * 32), Masker(b"b" * 32)

    assert one.mask("ann@example.com", "email") == one.mask("ann@example.com", "email")
    assert one.mask("ann@example.com", "email") != two.mask("ann@example.com", "email")
    assert "ann" not in one.mask("ann@example.com", "email")
