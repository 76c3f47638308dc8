"""The checklist against facts, the cards, and the report: pure values in, texts out."""

from __future__ import annotations

import json
from datetime import timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.card import Card
from bot.clock import token
from bot.incidents import board, disk, export, items, live, words
from bot.incidents.changes import Change, recorded
from bot.incidents.items import ITEMS, Disk
from bot.incidents.picture import Picture
from bot.redact import Masker, Scrubber, inert
from bot.slack.blocks import render
from bot.slack.lint import lint
from bot.store.checklist import Found, Item, Mark
from bot.store.chronicle import Deed, Ruling
from bot.store.incidents import Entry, Incident
from playbooks.book import Book
from slo.verdict import Verdict

T0 = 1_763_899_320_000
ONCALL = "slack:U0ONCALL"


def incident(**more: object) -> Incident:
    values: dict[str, object] = {
        "id": "i-12",
        "title": "chat is slow",
        "state": "open",
        "channel": "C0INC",
        "target": "practice",
        "severity": "sev2",
        "cause": "outbound provider",
        "endpoints": ("/api/chat",),
        "owner": ONCALL,
        "next_step": "",
        "began_ms": T0,
        "opened_by": ONCALL,
        "opened_ms": T0 + 60_000,
        "opened_seq": 4,
        "before": {},
        "closed_by": None,
        "closed_ms": None,
    }
    return Incident(**{**values, **more})  # type: ignore[arg-type]


def entry(text: str, n: int = 1) -> Entry:
    return Entry(n, "note", f"note:{n}", T0 + n * 1000, T0, ONCALL, ONCALL, "C0INC", None, None, text, None)


def change(names: tuple[str, ...] = ("BULKHEAD_OR_PRI_MAX_CONCURRENT",), **more: object) -> Change:
    values: dict[str, object] = {
        "id": "c-41",
        "what": "40 to 48",
        "by": ONCALL,
        "at_ms": T0,
        "state": "VERIFIED",
        "names": names,
    }
    return Change(**{**values, **more})  # type: ignore[arg-type]


def picture(**more: object) -> Picture:
    values: dict[str, object] = {
        "incident": incident(),
        "now_ms": T0 + 600_000,
        "entries": (entry("one"), entry("two", 2)),
        "deeds": (),
        "rulings": (),
        "offered": (),
        "changes": (),
        "items": (),
        "reminders": (),
        "saved": (),
    }
    return Picture(**{**values, **more})  # type: ignore[arg-type]


def whole(**more: object) -> Picture:
    """A picture with its checklist looked at."""
    seen = picture(**more)
    found = items.look(seen, Disk())
    return picture(**more, items=tuple(Item("i-12", key, None, None, facts, ()) for key, facts in found.items()))


def names(account: str) -> str:
    return account.partition(":")[2]


def test_the_items_are_the_runbooks_four_in_its_order() -> None:
    from bot.commands import catalog

    page = Book.load(catalog().names).procedure("post-incident")
    assert [kind.step for kind in ITEMS] == sorted(kind.step for kind in ITEMS)
    assert {kind.step for kind in ITEMS} == {step.number for step in page.steps} == {1, 2, 3, 4}


def test_conditional_items_are_asked_only_when_their_condition_holds() -> None:
    quiet = items.look(picture(), Disk())
    tuned = items.look(picture(changes=(change(),)), Disk(phase_log="# Log"))

    assert [key for key, found in quiet.items() if not found.asked] == ["gates", "phase-log", "baseline"]
    assert [key for key, found in tuned.items() if not found.asked] == ["gates"]
    assert "BULKHEAD_OR_PRI_MAX_CONCURRENT" in tuned["phase-log"].detail
    assert not tuned["baseline"].ready
    assert "as before" in tuned["baseline"].lacks


def test_a_mitigation_that_the_log_knows_asks_for_no_entry_and_a_written_entry_is_seen() -> None:
    known = items.look(picture(changes=(change(),)), Disk(phase_log="- BULKHEAD_OR_PRI_MAX_CONCURRENT raised in May"))
    entered = items.look(picture(changes=(change(),)), Disk(phase_log="## i-12: BULKHEAD_OR_PRI_MAX_CONCURRENT raised"))

    assert not known["phase-log"].asked
    assert entered["phase-log"].asked
    assert entered["phase-log"].ready


def test_what_was_undone_is_no_mitigation_and_a_function_is_no_threshold() -> None:
    undone = items.look(picture(changes=(change(counts=False),)), Disk())
    called = items.look(picture(changes=(change(names=("toolCache:clearNamespace",)),)), Disk())

    assert not undone["phase-log"].asked
    assert not undone["baseline"].asked
    assert called["phase-log"].asked
    assert not called["baseline"].asked


def test_reports_count_only_while_their_files_are_whole() -> None:
    saved = ({"name": "reliability-snapshot-1.json", "sha256": "0" * 64, "kind": "snapshot", "started_ms": T0},)
    gone = items.look(picture(saved=saved), Disk())["snapshots"]
    there = items.look(picture(saved=saved), Disk(sound=frozenset({"reliability-snapshot-1.json"})))["snapshots"]

    assert not gone.ready
    assert "1 gone or altered" in gone.detail
    assert there.ready
    assert there.evidence == ("reliability-snapshot-1.json",)


def test_a_sentry_issue_in_a_note_is_found_though_the_note_is_inert() -> None:
    said = inert("see https://acme.sentry.io/issues/4711 for it")
    assert items.sentry_links(picture(entries=(entry(said),))) == ("https://acme.sentry.io/issues/4711",)


def test_changes_are_read_from_the_record_with_the_names_that_they_touched() -> None:
    rulings = (
        Ruling(5, "result", T0, ONCALL, "mutate", "mutate toolCache:clearNamespace {}", "done", "", "r-1"),
        Ruling(6, "decision", T0, ONCALL, "gate.decide", "g-77", "approve", "", "r-2"),
        Ruling(7, "result", T0, ONCALL, "tune", "tune A_B=3", "refused", "", "r-3"),
    )
    assert [(c.id, c.names) for c in recorded(rulings)] == [("r-1", ("toolCache:clearNamespace",))]


def test_the_live_card_tells_the_next_decision() -> None:
    """A person's word first, then an open undo, then what waits, then what triage said."""
    deed = Deed("r-1", "triage", "triage", ONCALL, "done", Verdict.FAIL, "FAIL: x", "playbook B, step 1", None, T0, T0)
    undo = change(undo="undo c-41")

    assert live.next_decision(picture()) == "run /sendcat triage"
    assert live.next_decision(picture(deeds=(deed,))) == "playbook B, step 1"
    assert live.next_decision(picture(deeds=(deed,), changes=(undo,))) == "keep or undo c-41: /sendcat undo c-41"
    assert live.next_decision(picture(incident=incident(next_step="fail over"), changes=(undo,))) == "fail over"


HOSTILE = st.text(max_size=400) | st.sampled_from(
    ["=HYPERLINK(1)", "<!channel>", "[x](https://evil.test)", "| a | b |", "# head", "+cmd", "@SUM(1)", "`a`", "\u202e"]
)


def _with(text: str) -> Picture:
    """A picture in which every foreign text is this one, as the commands would have kept it."""
    kept = words.said(text, Masker(b"k"), Scrubber())
    mark = Mark(1, "sentry", "skip", ONCALL, None, T0, None, kept or "x", "")
    listed = Item("i-12", "sentry", ONCALL, T0, Found(detail=kept, lacks=kept), (mark,))
    return picture(
        incident=incident(title=kept, cause=kept, next_step=kept),
        entries=(entry(kept),),
        changes=(change(what=kept, undo="undo c-41"),),
        items=(listed, Item("i-12", "drill", None, None, Found(lacks=kept), ())),
    )


@settings(max_examples=60, deadline=None)
@given(text=HOSTILE)
def test_R34_R35_cards_and_reports_are_inert_whatever_people_write(text: str) -> None:
    """No live markup on a card, no formula and no link in a report; both are drawn within Slack's limits."""
    seen = _with(text)
    for card in (live.card(seen), board.card(seen)):
        minted = card.model_copy(
            update={"buttons": tuple(b.model_copy(update={"offer": token()}) for b in card.buttons)}
        )
        assert lint(render(minted)) == []
    data = export.report(seen, Disk(), zone=timezone(timedelta(hours=2), "LOCAL"), names=names)
    page = export.markdown(data)
    for row in data["timeline"]:
        assert not row["text"].startswith(("=", "+", "-", "@"))
        assert isinstance(row["at"]["ms"], int)
    assert "](" not in page.replace("\\](", "")
    assert "<!" not in page
    assert "://" not in page
    assert page.count("| Who |") == 1
    json.loads(json.dumps(data))


def test_times_stand_in_utc_and_in_the_local_zone() -> None:
    told = export.spelled(T0, timezone(timedelta(hours=2), "LOCAL"))
    assert told == {"utc": "2025-11-23 12:02:00 UTC", "local": "2025-11-23 14:02:00 LOCAL"}


def test_drafts_are_made_only_when_there_is_something_to_enter() -> None:
    zone = timezone(timedelta(0), "UTC")
    assert export.phase_log_draft(picture(), Disk(), zone=zone, names=names) is None
    assert export.baseline_draft(picture(), Disk()) is None
    drafted = export.phase_log_draft(picture(changes=(change(),)), Disk(), zone=zone, names=names)
    assert drafted is not None
    assert "i-12" in drafted
    assert "40 to 48" in drafted


def test_the_baseline_is_compared_with_the_one_of_before(tmp_path: Path) -> None:
    before = disk.baseline_now()
    before["endpoints"]["/api/chat"]["maxP95Ms"] = 9000
    seen = picture(incident=incident(before={"baseline": before}))

    stands = disk.read(seen, tmp_path, tmp_path)

    assert len(stands.baseline) == 1
    assert "9000 to 12000" in stands.baseline[0]
    assert items.look(seen, stands)["baseline"].ready


@pytest.mark.parametrize("state", ["open", "closed"])
def test_cards_fit_and_name_one_primary_button(state: str) -> None:
    shut = {"closed_ms": T0 + 5, "closed_by": ONCALL} if state == "closed" else {}
    seen = whole(incident=incident(state=state, **shut))
    for card in (live.card(seen), board.card(seen)):
        assert isinstance(card, Card)
        assert sum(button.style == "primary" for button in card.buttons) <= 1
        assert card.final is (state == "closed")
        assert "i-12" in card.title


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("https://acme.sentry.io/issues/4711", True),
        ("https://user@evil.test/x", False),
        ("http://acme.sentry.io/issues/1", False),
        ("https://a.test/x y", False),
        ("javascript:alert(1)", False),
    ],
)
def test_only_plain_https_addresses_stand_as_links(text: str, good: bool) -> None:
    assert words.is_link(text) is good


def test_a_tuning_change_is_followed_through_its_records_and_its_undo_is_pending_until_decided() -> None:
    """As the change's own state machine writes them: the card names the proposer, the knobs, and what is to decide."""

    def step(seq: int, outcome: str, phase: str, actor: str = "system") -> Ruling:
        detail = {"change": "c-41", "knobs": {"BULKHEAD_OR_PRI_MAX_CONCURRENT": {"before": 40, "after": 48}}}
        return Ruling(seq, phase, T0 + seq, actor, "tune", "40 to 48", outcome, "", "r-1", detail)

    asked = [step(1, "proposed", "decision", ONCALL), step(2, "approved", "decision", "slack:U0RELMGR")]
    written = [*asked, step(3, "intent", "intent"), step(4, "written", "result")]
    (first,), (then,) = recorded(asked), recorded(written)
    (kept,) = recorded([*written, step(5, "kept", "result")])
    (undone,) = recorded([*written, step(5, "undone", "result")])

    assert (first.counts, first.undo) == (False, None)
    assert (then.by, then.names, then.undo) == (ONCALL, ("BULKHEAD_OR_PRI_MAX_CONCURRENT",), "undo c-41")
    assert (kept.counts, kept.undo) == (True, None)
    assert (undone.counts, undone.undo) == (False, None)
