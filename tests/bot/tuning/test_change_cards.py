"""The card of a change in each state of its life, as the renderer of Slack draws it (ux.md, sketch 3)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.card import Card, Tone
from bot.slack.blocks import render
from bot.store.change import BOT, MOVES, By, Change, Taken
from bot.tuning.cards import change_card
from playbooks.change_set import Standing
from playbooks.tuning import propose
from playbooks.wishes import parse_wishes
from slo.retest import Answer, Compared, Retest

CHAT, LINK = "BULKHEAD_OR_PRI_MAX_CONCURRENT", "RATE_LIMIT_WA_LINK_CODE_MAX"
ONCALL = By(account="slack:U0ONCALL", door="slack", person="oncall")
RELMGR = By(account="slack:U0RELMGR", door="slack", person="relmgr")
WORSE = Retest(
    answer=Answer.WORSE,
    reason="5xx rate /api/chat: moved by 6.0 points",
    lines=(
        Compared(name="5xx_rate", scope="/api/chat", before=0, after=0.06, unit="rate", answer=Answer.WORSE),
        *(
            Compared(name=f"check {n}", scope="snapshot", before=1, after=1, unit="count", answer=Answer.SAME)
            for n in range(9)
        ),
    ),
)


def change(line: str = f"{CHAT}=28", *, why: str = "playbook C: full for 3 minutes", **fields: Any) -> Change:
    """A change as its row holds it, from the defaults."""
    wishes = parse_wishes(line.split())
    known = {one.knob.name: Standing(fields.pop("stored", None), one.knob.default) for one in wishes}
    made = propose(wishes, known, why=why)
    taken = Taken(
        snapshot="reliability-snapshot-1.json", snapshot_id="0" * 12, drill="load-drill-quick-1.json", at_ms=1
    )
    row: dict[str, Any] = {
        "id": "c-1", "target": "practice", "deployment": "heron", "state": "proposed", "line": made.line,
        "why": made.why, "steps": made.steps, "notes": made.notes, "second": made.second, "policy": "0" * 64,
        "binding": "0" * 64, "op": "r-1", "proposer": ONCALL, "approver": None, "approved_ms": None,
        "break_glass": None, "before": taken, "after": None, "retest": None, "verdict": None, "undo_by": None,
        "undo_why": None, "undo_knobs": None, "note": "", "attempts": 0, "created_ms": 1, "expires_ms": 1_800_001,
        "sent_ms": None, "due_ms": None, "raised_ms": None, "updated_ms": 1, "epoch": 1,
    }  # fmt: skip
    return Change.model_validate(row | fields)


def said(card: Card) -> str:
    """Everything that stands on a card."""
    return json.dumps(render(card).blocks, ensure_ascii=False)


def test_a_proposal_says_from_to_effective_rule_drift_reason_and_who() -> None:
    text = said(change_card(change()))

    for words in ("unset", "24 → 28 (+17%)", "20 to 28 (±20%)", "at most 20% in one change (runbook, playbooks C and F",
                  "×1.17", "full for 3 minutes", "no protection switched off", "release manager or an admin",
                  "needs 1 other person than <@U0ONCALL>", "back to"):  # fmt: skip
        assert words in text, words


def test_a_sign_in_limit_is_not_ticked_off_as_harmless() -> None:
    """What cannot be said of a change is not said: the checks are those of this one."""
    text = said(change_card(change(f"{LINK}=6")))

    assert "⚠️ a sign-in limit is raised" in text
    assert "✅ no validation or auth control loosened" not in text
    assert "Needs another person in any case" in text


def test_one_whole_step_is_called_that() -> None:
    assert "one whole step (20% is less)" in said(change_card(change("TOOL_JOB_MAX_PER_RUN=4")))


def test_evidence_keeps_its_name_and_foreign_words_their_place() -> None:
    """Notes are our own words: an artifact's name in them can be copied; a foreign reason stays inert."""
    card = change_card(
        change(
            state="kept",
            verdict="SAME",
            retest=Retest(answer=Answer.SAME),
            note="Evidence: `tuning-c-1-x.json`.",
            approver=RELMGR,
            approved_ms=2,
            why="<!channel> *now*",
        )
    )
    text = said(card)

    assert "`tuning-c-1-x.json`" in text
    assert "<!channel>" not in text
    assert "load-drill-quick-1.json" in text
    assert [button.line for button in card.buttons] == ["undo c-1", f"tune {CHAT} 33"]


def test_a_regression_shows_what_moved_first_and_how_much_is_not_shown() -> None:
    card = change_card(
        change(
            state="undone", verdict="WORSE", retest=WORSE, undo_by=BOT, undo_why="worse", approver=RELMGR, approved_ms=2
        )
    )

    assert card.headline.startswith("🔴 REGRESSION, undone by itself")
    assert card.table is not None
    assert card.table.rows[0][0].text.startswith("5xx rate")
    assert "8 of 10 lines" in card.table.caption


def test_what_a_person_is_to_copy_is_quoted_for_a_shell() -> None:
    """A stored text is a stranger's: it does not end its own quotes."""
    card = change_card(change(state="unknown", stored="24'; rm -rf ~; '", note="Not known."))
    odd = change_card(change(state="unknown", stored="24\n25", note="Not known."))

    assert "env set BULKHEAD_OR_PRI_MAX_CONCURRENT '24'\"'\"'; rm -rf ~; '\"'\"''" in card.code
    assert "stores it again exactly" in odd.code


@pytest.mark.parametrize("state", list(MOVES))
def test_every_state_has_a_card_that_says_what_it_is_and_fits(state: str) -> None:
    """No state is drawn green that is not good, and each one fits a message."""
    card = change_card(change(state=state, due_ms=5, approver=RELMGR, approved_ms=2, note="A note."))
    drawn = render(card)

    assert "c-1" in card.title + card.context
    assert not drawn.overflow
    assert card.tone is not Tone.OK
    assert card.final is (state in ("kept", "undone", "rejected", "expired", "void", "failed")) or state == "unknown"
