"""A form completes a command line: answers become its flags and words (ux.md, rule 8)."""

from __future__ import annotations

from collections.abc import Mapping

from bot.card import Form
from bot.catalog import read
from bot.errors import Unknown
from playbooks.lines import Line


def filled(line: str, form: Form, answers: Mapping[str, str]) -> str:
    """The line with the answers in it, canonical; answers to what the form does not ask are dropped.

    Raises `Unknown` with ``fields`` naming each required question without an answer.
    """
    missing = {f.flag: "an answer is needed" for f in form.fields if not f.optional and not answers.get(f.flag)}
    if missing:
        raise Unknown("Something is missing in the form.", fields=missing)
    base = read(line)
    words, flags = list(base.words), dict(base.flags)
    for field in form.fields:
        answer = answers.get(field.flag, "").strip()
        if not answer:
            continue
        if field.word:
            words.append(answer)
        else:
            flags[field.flag] = answer
    return Line(base.command, tuple(words), flags).text


def as_line(line: str, form: Form) -> str:
    """The same as something to type: ``gate --release=... --risk=standard``."""
    parts = [read(line).text]
    for field in form.fields:
        shown = field.value or "..."
        if not field.optional or field.value:
            parts.append(shown if field.word else f"--{field.flag}={shown}")
    return " ".join(parts)
