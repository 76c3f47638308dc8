"""A form completes a command line: answers become its flags and words (ux.md, rule 8)."""

from __future__ import annotations

from collections.abc import Mapping

from bot.card import Field, Form
from bot.catalog import read
from bot.errors import Unknown
from playbooks.lines import Line


def filled(line: str, form: Form, answers: Mapping[str, str]) -> str:
    """The line with the answers in it, canonical; answers to what the form does not ask are dropped.

    Raises `Unknown` with ``fields`` naming each required question without an answer, and each number out of bounds.
    """
    missing = {f.flag: "an answer is needed" for f in form.fields if not f.optional and not answers.get(f.flag)}
    missing |= {f.flag: text for f in form.fields if (text := _unticked(f, answers.get(f.flag, "")))}
    if missing:
        raise Unknown("Something is missing in the form.", fields=missing)
    beyond = {f.flag: text for f in form.fields if (text := _beyond(f, answers.get(f.flag, "").strip()))}
    if beyond:
        raise Unknown("A number in the form is out of its bounds.", fields=beyond)
    base = read(line)
    words, flags = list(base.words), dict(base.flags)
    for field in form.fields:
        answer = answers.get(field.flag, "").strip()
        if not answer:
            continue
        if field.word:
            words.append(field.prefix + answer)
        else:
            flags[field.flag] = field.prefix + answer
    return Line(base.command, tuple(words), flags).text


def as_line(line: str, form: Form) -> str:
    """The same as something to type: ``gate --release=... --risk=standard``."""
    base = read(line)
    words, flags = list(base.words), dict(base.flags)
    for field in form.fields:
        shown = field.prefix + (field.value or "...")
        if field.optional and not field.value:
            continue
        if field.word:
            words.append(shown)
        else:
            flags[field.flag] = shown
    return Line(base.command, tuple(words), flags).text


def _unticked(field: Field, answer: str) -> str:
    """Why boxes are refused: each of them has to be ticked; empty when they are, and for other questions."""
    if field.kind != "ticks":
        return ""
    left = [label for value, label in field.options if value not in answer.split(",")]
    return f"{len(left)} of {len(field.options)} not ticked: {left[0][:80]}" if left else ""


def _beyond(field: Field, answer: str) -> str:
    """Why a number is refused; empty for what has no bounds or keeps them."""
    if field.kind != "number" or not answer or (field.least is None and field.most is None):
        return ""
    try:
        number = int(answer)
    except ValueError:
        return "a whole number is needed"
    inside = (field.least is None or number >= field.least) and (field.most is None or number <= field.most)
    return "" if inside else f"{field.least} to {field.most} now; a longer way is several changes"
