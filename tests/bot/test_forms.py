"""Forms: answers complete a line, numbers keep their bounds, and the same can be typed (ux.md, rule 8)."""

from __future__ import annotations

import pytest

from bot.card import Field, Form
from bot.command import Opening
from bot.errors import Unknown
from bot.forms import as_line, filled
from bot.slack.modal import modal
from bot.tuning.form import Wanted, change_form
from playbooks.knobs import knob

CHAT, LIMIT = "BULKHEAD_OR_PRI_MAX_CONCURRENT", "RATE_LIMIT_CHAT_STREAM_MAX"
ASKED = change_form(
    [Wanted(knob(CHAT), 20, 28, 24, "28"), Wanted(knob(LIMIT), 23, 37, 30, "37")],
    title="Propose a change",
    why="playbook C: it is full",
)


def test_the_answers_of_a_change_become_one_change_set_with_its_reason() -> None:
    answers = {CHAT.lower(): "26", LIMIT.lower(): "30", "why": "half of it"}

    assert filled("tune", ASKED, answers) == f"tune {CHAT}=26 {LIMIT}=30 --why='half of it'"
    assert as_line("tune --replace=c-2", ASKED) == (
        f"tune {CHAT}=28 {LIMIT}=37 --replace=c-2 --why='playbook C: it is full'"
    )


@pytest.mark.parametrize("answer", ["29", "19", "-1", "+20%", "2e1"])
def test_a_number_beyond_its_legal_range_is_marked_at_its_question(answer: str) -> None:
    with pytest.raises(Unknown) as caught:
        filled("tune", ASKED, {CHAT.lower(): answer, LIMIT.lower(): "30"})

    assert list(caught.value.fields) == [CHAT.lower()]


def test_slack_is_told_the_range() -> None:
    """Slack marks the question itself, before anything is sent."""
    view = modal(Opening(form=ASKED, line="tune", offer="0" * 32), "here")
    element = view["blocks"][0]["element"]

    assert (element["type"], element["min_value"], element["max_value"]) == ("number_input", "20", "28")
    assert "20 to 28" in view["blocks"][0]["hint"]["text"]


def test_without_bounds_a_number_is_any_number() -> None:
    hours = Form(title="Hours", fields=(Field(flag="hours", label="Hours", kind="number"),))

    assert filled("incident", hours, {"hours": "9999"}) == "incident --hours=9999"


BOXES = Form(
    title="Read", fields=(Field(flag="read", label="Read", kind="ticks", options=(("1", "a"), ("2", "b" * 100))),)
)


@pytest.mark.parametrize(("answer", "said"), [("", "2 of 2"), ("1", "1 of 2"), ("2", "1 of 2"), ("1,2", "")])
def test_every_box_has_to_be_ticked(answer: str, said: str) -> None:
    """Which one is not ticked stands at the question; a form that is sent without any is no other than half of it."""
    if not said:
        assert filled("gate", BOXES, {"read": answer}) == "gate --read=1,2"
        return
    with pytest.raises(Unknown) as caught:
        filled("gate", BOXES, {"read": answer} if answer else {})

    assert caught.value.fields["read"].startswith(f"{said} not ticked")


def test_a_long_line_fits_a_box() -> None:
    """Slack's boxes hold 75 characters, and as many in the grey line below."""
    view = modal(Opening(form=BOXES, line="gate", offer="0" * 32), "here")
    long = view["blocks"][0]["element"]["options"][1]

    assert (len(long["text"]["text"]), len(long["description"]["text"])) == (75, 25)
