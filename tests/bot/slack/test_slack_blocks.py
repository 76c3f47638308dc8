"""Cards as Block Kit: always within Slack's limits, nothing foreign alive, nothing silently lost."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from slack_kit import OFFER

from bot.card import Attachment, Button, Card, Cell, Confirm, Fact, Link, Step, Table, Tone, channel, when, who
from bot.practice.slack import blockkit
from bot.redact import inert
from bot.slack.blocks import MORE, Message, aligned, render, render_attachment, size
from bot.slack.lint import lint, lint_blocks, lint_view
from bot.slack.text import literal, mrkdwn, plain

AT_MS = 1_795_435_380_000


def texts(value: Any) -> list[str]:
    """Every string of a payload."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for item in value.values() for text in texts(item)]
    return [text for item in value for text in texts(item)] if isinstance(value, list) else []


def assert_clean(message: Message) -> None:
    assert lint(message) == []
    assert blockkit.problems(message.blocks, "message") == []
    assert json.loads(json.dumps(message.blocks)) == message.blocks


def offer(number: int) -> str:
    return f"{number:032x}"


TRIAGE = Card(
    title="FAIL: outbound provider",
    tone=Tone.BAD,
    context=f"started by {who('slack:U0ONCALL')} · {when(AT_MS)} · run r-8f2k",
    lead="Circuit `openrouter_chat_primary` is *open*; chat falls back to the secondary route.",
    steps=(Step(label="Snapshot", tone=Tone.OK, detail="1.2 s"), Step(label="Quick drill")),
    facts=(Fact(label="Circuits", value="1 open of 6"), Fact(label="Bulkheads", value="peak 62 %")),
    table=Table(
        columns=("Endpoint", "p95", "5xx"),
        rows=(
            (Cell(text="/api/chat"), Cell(text="14.3 s", tone=Tone.BAD), Cell(text="3.1 %", tone=Tone.OK)),
            (Cell(text="/api/whatsapp"), Cell(text="", tone=Tone.UNKNOWN)),
        ),
    ),
    sections=("Not done: WhatsApp probe.",),
    code="npx convex run reliability:snapshot",
    next="playbook B, step 1",
    buttons=(
        Button(label="Start playbook B", line="playbook B", name="playbook.open", style="primary", offer=offer(1)),
        Button(label="Run again", line="triage", name="triage.rerun", style="primary", offer=offer(2)),
        Button(label="Details", line="diagnose", name="triage.details", offer=offer(3)),
        Button(
            label="Undo",
            line="undo",
            name="tuning.undo",
            style="danger",
            confirm=Confirm(title="Undo?", text="40 -> 48 on practice"),
            offer=offer(4),
        ),
        Button(label="Owners", line="owners", name="owners.show", offer=offer(5)),
        Button(label="Help", line="help", name="help.show", offer=offer(6)),
    ),
    links=(Link(label="Runbook", url="https://example.com/r?a=1&b=2"), Link(label="Bad", url="javascript:x")),
    footer="snapshot a91c · runbook B",
    final=True,
)


def test_a_card_is_read_from_verdict_to_buttons() -> None:
    message = render(TRIAGE)

    assert [block["type"] for block in message.blocks] == [
        "header",
        "context",
        "section",
        "section",
        "section",
        "table",
        "section",
        "rich_text",
        "section",
        "actions",
        "context",
        "context",
    ]
    assert message.blocks[0]["text"]["text"] == "🔴 FAIL: outbound provider"
    assert message.text.startswith("🔴 FAIL: outbound provider. Circuit openrouter_chat_primary is open; ")
    assert message.overflow == ()
    assert_clean(message)


def test_people_and_times_are_drawn_by_slack() -> None:
    context = render(TRIAGE).blocks[1]["elements"][0]["text"]

    assert "<@U0ONCALL>" in context
    assert re.search(r"<!date\^1795435380\^\{date_short_pretty\} \{time\}\|\d{4}-\d\d-\d\d \d\d:\d\d UTC>", context)


def test_only_slack_accounts_and_real_ids_become_mentions() -> None:
    drawn = mrkdwn(
        " ".join([who("os:oncall"), who("timer:08:00"), who("slack:!channel"), channel("C0INC"), channel("x>")])
    )

    assert drawn == "oncall (terminal) timer 08:00 @channel <#C0INC> #x"


def test_steps_facts_and_table_say_what_they_mean() -> None:
    blocks = render(TRIAGE).blocks

    assert blocks[3]["text"]["text"] == "✅ Snapshot  1.2 s\n▫️ Quick drill"
    assert [field["text"] for field in blocks[4]["fields"]] == ["*Circuits*  1 open of 6", "*Bulkheads*  peak 62 %"]
    assert [[cell["text"] for cell in row] for row in blocks[5]["rows"]] == [
        ["Endpoint", "p95", "5xx"],
        ["/api/chat", "14.3 s 🔴", "3.1 % ✅"],
        ["/api/whatsapp", "– ❔", "–"],
    ]


def test_the_fallback_of_a_table_is_aligned_text() -> None:
    assert TRIAGE.table is not None
    drawn = render(TRIAGE, table_fallback=True)

    assert aligned(TRIAGE.table).splitlines() == [
        "Endpoint       p95        5xx",
        "/api/chat      14.3 s 🔴  3.1 % ✅",
        "/api/whatsapp  – ❔       –",
    ]
    assert all(block["type"] != "table" for block in drawn.blocks)
    assert_clean(drawn)


def test_buttons_four_side_by_side_one_primary_the_rest_in_a_menu() -> None:
    [actions] = [block for block in render(TRIAGE).blocks if block["type"] == "actions"]
    *buttons, menu = actions["elements"]

    assert [button.get("style") for button in buttons] == ["primary", None, None, "danger"]
    assert [button["value"] for button in buttons] == [offer(1), offer(2), offer(3), offer(4)]
    assert menu["action_id"] == MORE
    assert [option["text"]["text"] for option in menu["options"]] == ["Owners", "Help"]


def test_R11_a_button_holds_the_offer_and_no_line() -> None:
    assert "triage" not in [text for block in render(TRIAGE).blocks for text in texts(block.get("elements", []))]
    unminted = TRIAGE.model_copy(update={"buttons": (Button(label="x", line="triage", name="a.b"),)})

    assert all(block["type"] != "actions" for block in render(unminted).blocks)


def test_the_same_name_twice_gives_two_action_ids() -> None:
    card = Card(title="x", buttons=tuple(Button(label="a", line="b", name="a.b", offer=offer(i)) for i in range(3)))
    [actions] = [block for block in render(card).blocks if block["type"] == "actions"]

    assert [element["action_id"] for element in actions["elements"]] == ["a.b", "a.b:2", "a.b:3"]


def test_danger_without_a_second_thought_is_not_drawn_as_danger() -> None:
    card = Card(title="x", buttons=(Button(label="Stop", line="stop", name="run.stop", style="danger", offer=OFFER),))
    [actions] = [block for block in render(card).blocks if block["type"] == "actions"]

    assert "style" not in actions["elements"][0]


def test_a_long_table_keeps_ten_rows_and_the_rest_goes_to_the_thread() -> None:
    rows = tuple((Cell(text=f"row {number}"), Cell(text="x")) for number in range(30))
    message = render(Card(title="x", table=Table(columns=("a", "b"), rows=rows, caption="Jobs")))

    assert len(next(block for block in message.blocks if block["type"] == "table")["rows"]) == 11
    assert [note.title for note in message.overflow] == ["Jobs"]
    assert all(f"row {number}" in message.overflow[0].text for number in range(30))
    assert_clean(message)


def test_evidence_that_does_not_fit_goes_to_the_thread_in_order() -> None:
    sections = tuple(f"evidence {number}: " + "x" * 1_500 for number in range(14))
    message = render(Card(title="x", sections=sections, code="line\n" * 900))
    kept = "".join(texts(message.blocks)) + "".join(note.text for note in message.overflow)

    assert all(f"evidence {number}:" in kept for number in range(14))
    more = next(note for note in message.overflow if note.title == "More evidence").text
    assert sorted(re.findall(r"evidence (\d+)", more), key=int) == re.findall(r"evidence (\d+)", more)
    assert_clean(message)


def test_a_long_attachment_is_continued_and_nothing_is_lost() -> None:
    lines = [f"{number:05d}  value <{number}> & more" for number in range(2_000)]
    left: tuple[Attachment, ...] = (Attachment(title="Raw", text="\n".join(lines)),)
    shown: list[str] = []
    for _ in range(50):
        if not left:
            break
        message = render_attachment(left[0])
        assert_clean(message)
        shown.append(message.blocks[1]["elements"][0]["elements"][0]["text"])
        left = message.overflow

    assert "\n".join(shown).splitlines() == lines
    assert not left


def test_columns_in_the_thread_are_a_code_block_without_its_marks() -> None:
    drawn = render_attachment(Attachment(title="Stages", text="```stage      p95\ngmail      5 ms```"))

    assert "```" not in json.dumps(drawn.blocks)
    assert drawn.blocks[1]["elements"][0]["type"] == "rich_text_preformatted"


def test_prose_in_the_thread_keeps_its_formatting() -> None:
    message = render_attachment(Attachment(title="Why outbound", text="The rule *circuit* fired.\n\nOthers did not."))

    assert [block["type"] for block in message.blocks] == ["section", "section"]
    assert "*circuit*" in message.blocks[1]["text"]["text"]


# -- arbitrary cards --------------------------------------------------------------------------------------------------

HOSTILE = [
    "<!channel>",
    "<!here|x>",
    "<@U0LEAD>",
    "<https://evil.example|Approve>",
    "https://evil.example",
    "@everyone",
    "*bold* _it_ ~no~ `code",
    "```",
    "&lt;!channel&gt;",
    "&amp;",
    ":fire:",
    "> quote\n1. list",
    "\u202egnp.exe\u202c",
    "\x00\x07\x1b[31m",
    "\ue000@:slack:U0LEAD\ue001",
    "\ue000t:9999999999999999999\ue001",
    "a\u0301\u200b\ufeff",
    "🔥" * 40,
    "𝕬" * 10,
    "|",
    "\\n",
    '"',
]
CORPUS = st.one_of(
    st.text(max_size=60),
    st.sampled_from(HOSTILE),
    st.lists(st.sampled_from(HOSTILE), max_size=6).map(" ".join),
    st.integers(0, 5_000).map(lambda n: "&" * n),
    st.integers(0, 5_000).map(lambda n: "word " * n),
    st.just(who("slack:U0ONCALL") + when(AT_MS) + channel("C0INC")),
    st.integers(1, 200).map(lambda n: who("slack:U0ONCALL") * n),
)
TONES = st.sampled_from(Tone)
BUTTONS = st.builds(
    Button,
    label=CORPUS,
    line=CORPUS,
    name=st.one_of(st.sampled_from(["a.b", "gate.approve", "card.more"]), CORPUS),
    style=st.sampled_from([None, "primary", "danger"]),
    confirm=st.none() | st.builds(Confirm, title=CORPUS, text=CORPUS, yes=CORPUS, no=CORPUS),
    offer=st.none() | st.integers(0, 2**128 - 1).map(offer),
)
TABLES = st.builds(
    Table,
    columns=st.lists(CORPUS, max_size=24).map(tuple),
    rows=st.lists(st.lists(st.builds(Cell, text=CORPUS, tone=TONES), max_size=24).map(tuple), max_size=120).map(tuple),
    caption=CORPUS,
)
CARDS = st.builds(
    Card,
    title=CORPUS,
    tone=TONES,
    context=CORPUS,
    banner=CORPUS,
    lead=CORPUS,
    steps=st.lists(st.builds(Step, label=CORPUS, tone=TONES, detail=CORPUS), max_size=40).map(tuple),
    facts=st.lists(st.builds(Fact, label=CORPUS, value=CORPUS), max_size=10).map(tuple),
    to_read=st.lists(CORPUS, max_size=10).map(tuple),
    sections=st.lists(CORPUS, max_size=60).map(tuple),
    code=CORPUS,
    table=st.none() | TABLES,
    next=CORPUS,
    buttons=st.lists(BUTTONS, max_size=30, unique_by=lambda b: b.offer).map(tuple),
    links=st.lists(st.builds(Link, label=CORPUS, url=CORPUS | st.just("https://example.com/a?b=c&d")), max_size=9).map(
        tuple
    ),
    footer=CORPUS,
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(CARDS, st.booleans())
def test_R34_any_card_is_clean_whatever_stands_in_it(card: Card, table_fallback: bool) -> None:
    """Even text that skipped the escaping helper can neither break a limit nor come alive."""
    stays_clean(card, table_fallback)


@pytest.mark.prove
@pytest.mark.timeout(3_600)
@settings(max_examples=10_000, deadline=None, suppress_health_check=list(HealthCheck), phases=(Phase.generate,))
@given(CARDS, st.booleans())
def test_R34_ten_thousand_cards_0_over_a_limit_0_live_foreign_markup(card: Card, table_fallback: bool) -> None:
    stays_clean(card, table_fallback)


def stays_clean(card: Card, table_fallback: bool) -> None:
    """Within every limit, and no markup alive but our own, by our linter and by the practice Slack's rules."""
    message = render(card, table_fallback=table_fallback)
    assert_clean(message)
    for note in message.overflow:
        assert_clean(render_attachment(note))


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.builds(Attachment, title=CORPUS, text=st.lists(CORPUS, max_size=30).map("\n".join)))
def test_R34_any_attachment_is_clean(note: Attachment) -> None:
    assert_clean(render_attachment(note))


ALIVE = re.compile(
    r"<[!@#h]|://|@(?:channel|here|everyone)|[*_~`]|:[a-z]+:|[\u202a-\u202e\u2066-\u2069\x00-\x09\x0b-\x1f]"
)


@pytest.mark.parametrize("foreign", HOSTILE)
def test_R34_foreign_text_is_inert_in_every_part_of_a_card(foreign: str) -> None:
    said = inert(foreign)
    card = Card(
        title=said,
        context=said,
        banner=said,
        lead=said,
        steps=(Step(label=said, detail=said),),
        to_read=(said,),
        sections=(said,),
        code=said,
        table=Table(columns=(said,), rows=((Cell(text=said),),), caption=said),
        next=said,
        buttons=(Button(label=said, line="x", name="a.b", offer=OFFER),),
        links=(Link(label=said, url="x"),),
        footer=said,
    )
    for drawn in (render(card), render(card, table_fallback=True)):
        assert_clean(drawn)
        ours = ("*Next:* ", "actions", "plain_text", "rich_text_preformatted", "rich_text", "raw_text")
        for text in [drawn.text, *texts(drawn.blocks)]:
            if text not in ours:
                assert not ALIVE.search(text.removeprefix("*Next:* ").removeprefix("⚠️ *To read:* ")), text


@settings(max_examples=60, deadline=None)
@given(CORPUS, st.integers(8, 400))
def test_a_cut_never_breaks_a_mark_or_an_entity(text: str, limit: int) -> None:
    drawn = mrkdwn(text, limit)

    assert len(drawn) <= limit
    assert len(plain(text, limit)) <= limit
    assert len(literal(text, limit)) <= limit
    assert (
        lint_blocks(
            [{"type": "section", "text": {"type": "mrkdwn", "text": drawn or "–", "verbatim": True}}], "message"
        )
        == []
    )


def test_a_cut_closes_bold_and_code() -> None:
    assert mrkdwn("*" + "b" * 100 + "*", 20).endswith("…*")
    assert mrkdwn("`" + "b" * 100 + "`", 20).endswith("…`")


# -- the linter itself ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ({"type": "plan"}, "unknown on a message"),
        ({"type": "header", "text": {"type": "mrkdwn", "text": "x", "verbatim": True}}, "plain text"),
        ({"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}, "at most 150"),
        ({"type": "section"}, "neither text nor fields"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "<!channel>", "verbatim": True}}, "pings a crowd"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "a < b", "verbatim": True}}, "broken markup"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "a & b", "verbatim": True}}, "entity"),
        ({"type": "section", "text": {"type": "mrkdwn", "text": "a"}}, "verbatim"),
        ({"type": "context", "elements": []}, "1 to 10"),
        ({"type": "table", "rows": [[{"type": "raw_text", "text": ""}]]}, "empty"),
        ({"type": "table", "rows": [[{"type": "raw_text", "text": "a"}], []]}, "has 0 cells"),
        (
            {"type": "actions", "elements": [{"type": "button", "action_id": "a.b", "value": "line"}]},
            "id of an offer",
        ),
        (
            {
                "type": "actions",
                "elements": [
                    {
                        "type": "button",
                        "action_id": "a.b",
                        "value": OFFER,
                        "style": "danger",
                        "text": {"type": "plain_text", "text": "x"},
                    }
                ],
            },
            "danger without",
        ),
    ],
)
def test_the_linter_finds(block: dict[str, Any], problem: str) -> None:
    assert any(problem in found for found in lint_blocks([block], "message"))


def test_the_linter_counts() -> None:
    divider = {"type": "divider"}
    table = {"type": "table", "rows": [[{"type": "raw_text", "text": "a"}]]}
    named = {"type": "divider", "block_id": "x"}

    assert lint_blocks([divider] * 51, "message") == ["51 blocks, at most 50"]
    assert lint_blocks([table, table], "message") == ["more than one table"]
    assert lint_blocks([named, named], "message") == ["block_id 'x' stands 2 times"]
    assert lint(Message("🔥", [divider])) == ["text: must say something in words"]


def test_the_linter_checks_forms() -> None:
    view = {"type": "modal", "blocks": [{"type": "input", "label": {"type": "plain_text", "text": "x"}}]}

    assert lint_view(view) == ["a modal needs a title", "a form needs a submit button"]


def test_size_never_understates() -> None:
    blocks = render(TRIAGE).blocks

    assert size(blocks) >= blockkit.characters(blocks)
