"""Every page says what its section of the runbook says: none missing, none contradicted, in its order.

``tests/data/facts/<page>.json`` lists the facts of the section: `` `code` `` stands for a span, ``=line`` for a line of a
command block, anything else for words (a regular expression, any case). ``code`` lists what the notes say where Sendcat
does something else than the runbook's words ("Runbook against code"), ``figures`` every number a page may give.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from playbooks.book import PROCEDURES, Book, UnknownPage
from playbooks.functions import BUCKETS, FUNCTIONS
from playbooks.lines import parse
from playbooks.page import Page
from playbooks.spans import CommandSpan, ConvexLine, FunctionRef, KnobRef
from playbooks.terms import is_snapshot_field

FACTS = Path(__file__).parent.parent / "data" / "facts"
CASES = sorted(path.stem for path in FACTS.glob("*.json"))


def _facts(name: str) -> dict[str, object]:
    found: dict[str, object] = json.loads((FACTS / f"{name}.json").read_text("utf-8"))
    return found


def _said(page: Page) -> str:
    """The page's own words: without the notes, which say what the code does instead."""
    return "\n".join(row for row in page.text.splitlines() if not row.lstrip().startswith(">"))


def _pattern(fact: str) -> str:
    if fact.startswith("="):
        return rf"(?m)^{re.escape(fact[1:])}$"
    return re.escape(fact) if fact.startswith("`") else f"(?i){fact}"


def test_every_page_of_the_runbook_is_there(book: Book) -> None:
    assert list(book.pages) == CASES_IN_ORDER
    assert [page.letter for page in book.playbooks] == list("ABCDEFGH")
    assert [page.name for page in book.procedures] == list(PROCEDURES)
    assert sorted(book.pages) == CASES


CASES_IN_ORDER = [
    "a-rate-limit",
    "b-circuit",
    "c-bulkhead",
    "d-replay",
    "e-tool-cache",
    "f-tool-queue",
    "g-region",
    "h-milestone-gate",
    *PROCEDURES,
]


@pytest.mark.parametrize("name", CASES)
def test_a_page_says_every_fact_in_the_runbooks_order(book: Book, name: str) -> None:
    said, at = _said(book.pages[name]), 0
    for fact in _facts(name)["facts"]:  # type: ignore[attr-defined]
        found = re.search(_pattern(fact), said[at:])
        assert found, f"{name} does not say {fact!r} after: …{said[max(0, at - 80) : at]}"
        at += found.end()


@pytest.mark.parametrize("name", CASES)
def test_a_page_contradicts_no_figure_of_the_runbook(book: Book, name: str) -> None:
    """Outside its notes a page gives no percentage that the section does not give, and no other knob or line."""
    facts, page = _facts(name), book.pages[name]
    said = _said(page)

    assert sorted(set(re.findall(r"[0-9.]+%", said))) == sorted(facts["percentages"])  # type: ignore[call-overload]
    named = {code for fact in facts["facts"] for code in re.findall(r"`([^`]+)`", fact)}  # type: ignore[attr-defined]
    for line in re.findall(r"`(npm [^`]+)`", said):
        assert line in named or line in DRILL_AND_SNAPSHOT
    if name != "d-replay":
        assert set(re.findall(r"`([A-Z][A-Z0-9*]*(?:_[A-Z0-9*]+)+)", said)) == {
            code.split("=")[0] for code in named if re.match(r"[A-Z][A-Z0-9]*_", code)
        }


DRILL_AND_SNAPSHOT = ("npm run reliability:drill -- --quick=true", "npm run reliability:snapshot")
"""The lines for "quick drill" and "snapshot", which the runbook says in words in some places."""


@pytest.mark.parametrize("name", CASES)
def test_the_notes_say_where_the_code_differs_from_the_words(book: Book, name: str) -> None:
    """The truth beside the runbook's words: each row of "Runbook against code" stands in a note of its page."""
    rows = [row.strip().lstrip(">").strip() for row in book.pages[name].text.splitlines() if row.lstrip()[:1] == ">"]
    notes = " ".join(rows)

    for fact in _facts(name)["code"]:  # type: ignore[attr-defined]
        assert re.search(f"(?i){fact}", notes), f"no note of {name} says {fact!r}"


@pytest.mark.parametrize("name", CASES)
def test_a_page_gives_no_number_that_the_section_does_not_give(book: Book, name: str) -> None:
    """Outside notes, code, lines and the baseline table."""
    said = re.sub(r"```.*?```|`[^`]*`|(?m:^\|[^\n]*$)|(?m:^\s*\d+\. )", "", _said(book.pages[name]), flags=re.DOTALL)

    figures = _facts(name)["figures"]
    assert sorted(re.findall(r"\d{4}-\d\d-\d\d|\d+(?:\.\d+)?%?", said)) == sorted(figures)  # type: ignore[call-overload]


def test_the_baseline_is_the_runbooks(book: Book) -> None:
    table = [row for row in book.text("core-commands").splitlines() if row.startswith("| `/api/")]

    found = [[cell.strip(" `") for cell in row.strip("|").split("|")] for row in table]
    assert found == _facts("core-commands")["baseline"]


@pytest.mark.parametrize("name", CASES)
def test_signals_and_actions_are_recognised_with_their_kinds(book: Book, name: str) -> None:
    facts, page = _facts(name), book.pages[name]

    letter = f"{page.letter}. " if page.letter else ""
    assert f"{letter}{page.title}" == facts["title"]
    assert len(page.signals) == facts["signals"]
    assert [step.kind.value for step in page.steps] == facts["kinds"]
    assert [step.number for step in page.steps] == list(range(1, len(page.steps) + 1))
    assert len(page.rules) == facts.get("rules", 0)
    assert all(step.text for step in page.steps)


def test_the_core_page_holds_no_line_that_the_runbook_does_not(book: Book) -> None:
    listed = [fact[1:] for fact in _facts("core-commands")["facts"] if fact.startswith("=")]  # type: ignore[attr-defined]

    assert [span.text for span in book.procedure("core-commands").lines] == listed


def test_the_baseline_table_equals_the_baseline_file(book: Book) -> None:
    path = Path(__file__).parent.parent.parent / "slo" / "policies" / "slo-baseline.json"
    baseline = json.loads(path.read_text("utf-8"))["endpoints"]
    rows = [
        [cell.strip() for cell in row.strip("|").split("|")]
        for row in book.text("core-commands").splitlines()
        if row.startswith("| `/api/")
    ]

    assert {row[0].strip("`") for row in rows} == set(baseline)
    for path_cell, p95, five_xx, network, unknown, statuses in rows:
        slo = baseline[path_cell.strip("`")]
        assert p95 == f"<= {slo['maxP95Ms']}ms"
        assert five_xx == f"<= {slo['maxFiveXxRate']:.0%}"
        assert network == f"<= {slo['maxNetworkErrorRate']:.0%}"
        assert unknown == f"<= {slo['maxUnknownStatusRate']:.0%}"
        assert [int(status) for status in statuses.split(",")] == slo["allowedStatuses"]


def test_every_live_line_parses_to_its_canonical_form(book: Book) -> None:
    lines = [span for page in book.pages.values() for span in page.lines]

    assert len(lines) > 40
    for span in lines:
        assert isinstance(span, CommandSpan)
        assert parse(span.line.text) == span.line


def test_every_function_on_a_page_is_called_as_its_kind_demands(book: Book) -> None:
    """A step of kind read names no function that may change something; a mutate step names one that does."""
    for page in book.pages.values():
        for step in page.steps:
            called = [span.function for span in step.spans if isinstance(span, ConvexLine | FunctionRef)]
            if step.kind == "read":
                assert all(function.reads for function in called), (page.name, step.number)
            if step.kind == "mutate":
                assert any(function.mutates for function in called), (page.name, step.number)


def test_every_change_names_knobs_and_every_retest_a_line(book: Book) -> None:
    for page in book.playbooks:
        for step in page.steps:
            if step.kind == "change":
                assert step.all(KnobRef), (page.name, step.number)
            if step.kind in ("retest", "run"):
                assert step.all(CommandSpan), (page.name, step.number)


def test_a_knob_named_by_a_playbook_is_listed_for_it(book: Book) -> None:
    """`knobs.json` lists each knob's playbooks; a page proposes no knob that is not its own."""
    for page in book.playbooks:
        for step in page.steps:
            if step.kind != "change":
                continue
            for knob in (knob for ref in step.all(KnobRef) for knob in ref.knobs):
                own = page.letter in knob.playbooks or "*" in "".join(ref.text for ref in step.all(KnobRef))
                assert own or page.letter == "H", (page.name, knob.name)


def test_blanks_are_what_a_person_fills_in(book: Book) -> None:
    (line,) = book.playbook("G").step(1).all(CommandSpan)

    assert line.blanks == ("forecast",)


def test_settings_are_not_part_of_the_text(book: Book) -> None:
    assert "toml" not in book.text("F")
    assert book.playbook("f").settings["queued_utilization"] == 0.8


def test_pages_are_found_by_letter_and_name_and_the_nearest_is_named(book: Book) -> None:
    assert book.playbook("f") is book.pages["f-tool-queue"]
    assert book.page("Triage") is book.procedure("triage")
    assert book.text("F") == book.text("f-tool-queue")
    with pytest.raises(UnknownPage, match="release-gate"):
        book.procedure("relese-gate")
    with pytest.raises(UnknownPage, match="A, B, C"):
        book.playbook("Z")
    with pytest.raises(UnknownPage):
        book.procedure("f-tool-queue")


def test_the_alert_rules_on_the_page_are_for_known_buckets(book: Book) -> None:
    assert set(book.thresholds.a.alert_events) <= set(BUCKETS)


@pytest.mark.parametrize(
    ("path", "known"),
    [
        ("toolJobs.byStatus.queued", True),
        ("bulkheads.inFlightByProvider.tool_job_worker", True),
        ("config.regionTopology", True),
        ("config.rateLimits.chatStream.windowMs", True),
        ("toolQueueAlerts", True),
        ("toolJobs.byStatus.waiting", False),
        ("toolJobs.sampled.deep", False),
        ("tool_jobs", False),
        ("nothing", False),
    ],
)
def test_a_snapshot_field_is_known_by_its_wire_names(path: str, known: bool) -> None:
    assert is_snapshot_field(path) is known


def test_the_functions_are_the_closed_set_of_the_runbook() -> None:
    named = ("getReliabilitySnapshot", "getEventSummary", "listStatuses", "clearNamespace", "requeueDeadLetter")

    assert all(any(name.endswith(f":{end}") for name in FUNCTIONS) for end in named)
    assert {f.name for f in FUNCTIONS.values() if f.mutates} == {
        "rateLimit:monitorAndAlert",
        "toolCache:clearNamespace",
        "toolJobs:monitorQueueHealth",
        "toolJobs:requeueDeadLetter",
        "toolJobs:processQueue",
    }
    assert all(function.reads is (function.kind == "Q") for function in FUNCTIONS.values())
