"""The grammar of a line: three spellings, one canonical form, and words that are only data."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from playbooks.lines import MAX_LENGTH, Line, LineError, normalise, parse


@pytest.mark.parametrize(
    ("spelling", "canonical"),
    [
        ("/sendcat triage", "triage"),
        ("sendcat triage", "triage"),
        ("triage", "triage"),
        ("  triage  ", "triage"),
        ("", "help"),
        ("/sendcat", "help"),
        ("npm run reliability:snapshot", "snapshot"),
        ("npm run reliability:drill -- --quick=true", "drill --quick=true"),
        ("npm run reliability:drill --quick", "drill --quick=true"),
        ("/sendcat npm run reliability:drill -- --quick=true", "drill --quick=true"),
        ("reliability:gate --profile=quick", "gate --profile=quick"),
        ("Drill --Quick=true", "drill --quick=true"),
        (
            """npx convex run circuitBreaker:listStatuses '{"limit":20}'""",
            'inspect circuitBreaker:listStatuses {"limit":20}',
        ),
        (
            """npx convex run circuitBreaker:listStatuses '{ "limit": 20 }'""",
            'inspect circuitBreaker:listStatuses {"limit":20}',
        ),
        ("npx convex run ops:getReliabilitySnapshot", "inspect ops:getReliabilitySnapshot"),
        ("inspect a:b {“limit”: 20}", 'inspect a:b {"limit":20}'),
        ("npx convex run a:b ‘{“limit”:20}’", 'inspect a:b {"limit":20}'),
        ("cat scripts/reliability/ownership-matrix.json", "owners"),
        ("drill —quick=true", "drill --quick=true"),
        ("drill –quick", "drill --quick=true"),
        ("drill \u200b--quick", "drill --quick=true"),
        ("gate --release=“my release”", "gate --release='my release'"),
        ("canary --control-url=<https://a.convex.site>", "canary --control-url=https://a.convex.site"),
        ("canary --control-url=<https://a.convex.site|a.convex.site>", "canary --control-url=a.convex.site"),
        ("canary --control-url=<https://a.convex.site|here>", "canary --control-url=https://a.convex.site"),
        ("incident open chat doesn't answer", "incident open chat doesn't answer"),
        ("incident open chat — slow", "incident open chat '—' slow"),
        ("region-readiness --expected-peak-streams=<forecast>", "region-readiness --expected-peak-streams=<forecast>"),
        ("note '--quick'", "note '--quick'"),
        ("drill --quick=true --quick=true", "drill --quick=true"),
    ],
)
def test_every_spelling_has_one_canonical_form(spelling: str, canonical: str) -> None:
    assert normalise(spelling) == canonical
    assert normalise(canonical) == canonical


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("--quick drill", "starts with a command"),
        ("drill --quick=true --quick=false", "given twice"),
        ("drill --=true", "a flag is"),
        ("drill --quick:true", "followed by"),
        ("note 'open", "never closed"),
        ("note 'a'b", "closing quote"),
        ("npm install x", "npm run reliability"),
        ("npx cowsay", "npx convex run"),
        ("npx convex env set A b", "npx convex run"),
        ("npx convex run", "needs a function"),
        ("npx convex run --prod a:b", "--target"),
        ("npx convex run a:b {} {}", "one function"),
        ("cat /etc/passwd", "ownership"),
        ("<@U1> hi", "not the name of a command"),
        ("x" * (MAX_LENGTH + 1), "at most"),
    ],
)
def test_what_cannot_be_read_says_what_is_wrong(text: str, says: str) -> None:
    with pytest.raises(LineError, match=says):
        parse(text)


@given(st.text(max_size=60))
@example('drill --a={"b": [1, \'')
@example("[" * 2000)
@example("x {" + '{"a":' * 1500)
@example("x <<https://a>>")
@settings(max_examples=120)
def test_R5_any_text_is_read_or_refused_by_its_own_error(text: str) -> None:
    """Whatever is typed gives a line that reads back as itself, or a `LineError`; nothing else is raised."""
    try:
        line = parse(text)
    except LineError:
        return

    assert parse(line.text) == line


WORDS = st.one_of(
    st.text(max_size=20),
    st.text(alphabet="ab-–—'\"“”‘’{}[]<>|= \\\t:/", max_size=12),
    st.recursive(st.integers() | st.text(max_size=4), lambda kids: st.lists(kids) | st.dictionaries(st.text(), kids))
    .filter(lambda value: isinstance(value, (list, dict)))
    .map(json.dumps),
    st.sampled_from(["--", "—", "rm -rf /", "'; DROP TABLE ops; --", "<!channel>", "<https://a.b|a.b>", "{“a”:1}"]),
)


@given(
    st.from_regex(r"[a-z][a-z0-9-]{0,9}", fullmatch=True).filter(lambda c: c not in ("npm", "npx", "cat", "sendcat")),
    st.lists(WORDS, max_size=4),
    st.dictionaries(st.from_regex(r"[a-z][a-z0-9_-]{0,9}", fullmatch=True), WORDS, max_size=3),
)
@settings(max_examples=120)
def test_R5_any_words_and_values_survive_writing_and_reading(
    command: str, words: list[str], flags: dict[str, str]
) -> None:
    line = Line(command, tuple(words), flags)

    assert parse(line.text) == line


def test_words_that_look_like_effects_stay_words() -> None:
    line = parse("""note 'npx convex run toolCache:clearNamespace' "--target=production" $(reboot)""")

    assert line.command == "note"
    assert line.words == ("npx convex run toolCache:clearNamespace", "--target=production", "$(reboot)")
    assert line.flags == {}


def test_a_line_is_a_value() -> None:
    """Equal lines are equal whatever the order of their flags, and serve as keys."""
    one, other = parse("gate --a=1 --b=2"), parse("gate --b=2 --a=1")

    assert one == other
    assert hash(one) == hash(other)
    with pytest.raises(TypeError):
        one.flags["a"] = "3"  # type: ignore[index]
