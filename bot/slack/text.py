"""Our card texts in Slack's two text kinds: ``mrkdwn`` and ``plain_text`` (platform.md, 3.9).

Card texts are ours and may hold ``*bold*`` and `` `code` ``; people, times and channels stand in them as the marks of
`bot.card`. Everything else is taken literally: ``&``, ``<``, ``>`` are escaped, control characters dropped, so that no
text can ping a crowd or forge a link, whatever was forgotten upstream (safety.md, R34).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import UTC, datetime

from bot.card import resolve

_ESCAPE = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
_MARKED = re.compile("(\ue000[@t#&]:[^\ue000\ue001]*\ue001)")
_USER = re.compile(r"slack:([UW][A-Z0-9]{2,30})")
_GROUP = re.compile(r"S[A-Z0-9]{2,30}")
_CHANNEL = re.compile(r"[CGD][A-Z0-9]{2,30}")
_DIRECTION = frozenset("\u200b\u200e\u200f\u2028\u2029\u2060\ufeff")


def undone(text: str) -> str:
    """What Slack hands over as a person typed it: its three entities undone (platform.md, 3.9)."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def mrkdwn(text: str, limit: int = 2900) -> str:
    """Escaped text with live marks, at most ``limit`` characters; a cut never breaks a mark, entity, bold or code."""
    return _fit(_tokens(text, live=True), limit, balance=True)


def plain(text: str, limit: int) -> str:
    """The same text for ``plain_text``: marks as words, ``*`` and `` ` `` of our formatting removed, one line."""
    words = " ".join("".join(_tokens(text, live=False)).split())
    return _fit(iter(_unformatted(words)), limit)


def literal(text: str, limit: int) -> str:
    """Text for ``rich_text`` and table cells, which Slack never interprets: marks as words, lines kept."""
    return _fit(_tokens(text, live=False), limit)


def moment(at_ms: int) -> str:
    """``2026-11-23 14:03 UTC``: where Slack cannot draw the reader's own zone."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return "at an unknown time"


def width(text: str) -> int:
    """Columns in a fixed-width font: wide signs count two, combining ones none."""
    wide = sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
    return wide - sum(1 for c in text if unicodedata.combining(c) or c == "\ufe0f")


def _tokens(text: str, *, live: bool) -> Iterator[str]:
    """Pieces that must not be cut in two: one drawn mark, one entity, or one character."""
    for part in _MARKED.split(text):
        if _MARKED.fullmatch(part):
            yield resolve(part, _live if live else _worded)
            continue
        for char in part:
            if char == "\n":
                yield char
            elif unicodedata.category(char)[0] == "C" or char in _DIRECTION:
                if char in "\t\r\v\f":
                    yield " "
            else:
                yield _ESCAPE.get(char, char) if live else char


def _fit(tokens: Iterator[str], limit: int, *, balance: bool = False) -> str:
    """Join tokens up to ``limit`` characters; what does not fit is replaced by an ellipsis."""
    room = limit - 3  # the ellipsis, and the ends of an open bold and code
    kept: list[str] = []
    length = 0
    over: list[str] = []
    for token in tokens:
        if over or length + len(token) > room:
            over.append(token)
            if length + sum(map(len, over)) > limit:
                break
        else:
            kept.append(token)
            length += len(token)
    else:
        return "".join(kept + over).strip()
    while kept and kept[-1].isspace():
        kept.pop()
    cut = "".join(kept).lstrip() + "…"
    if balance:
        cut += "`" * (cut.count("`") % 2) + "*" * (re.sub(r"`[^`]*`", "", cut).count("*") % 2)
    return cut


def _unformatted(text: str) -> str:
    text = re.sub(r"`([^`]*)`", r"\1", text)
    return re.sub(r"(?<![\w*])\*([^*\s](?:[^*]*[^*\s])?)\*(?![\w*])", r"\1", text)


def _live(kind: str, value: str) -> str:
    if kind == "@" and (user := _USER.fullmatch(value)):
        return f"<@{user.group(1)}>"
    if kind == "&" and _GROUP.fullmatch(value):
        return f"<!subteam^{value}>"
    if kind == "#" and _CHANNEL.fullmatch(value):
        return f"<#{value}>"
    if kind == "t" and _seconds(value) is not None:
        return f"<!date^{_seconds(value)}^{{date_short_pretty}} {{time}}|{moment(int(value))}>"
    return "".join(_ESCAPE.get(char, char) for char in _worded(kind, value))


def _worded(kind: str, value: str) -> str:
    if kind == "t":
        return moment(int(value)) if _seconds(value) is not None else "at an unknown time"
    name = "".join(c for c in value if c.isalnum() or c in "._-:")[:60]
    if kind == "@":
        door, _, account = name.partition(":")
        return {"os": f"{account} (terminal)", "timer": f"timer {account}"}.get(door, f"@{account or door}")
    return f"@{name}" if kind == "&" else f"#{name}"


def _seconds(value: str) -> int | None:
    """Whole seconds of a ``when`` mark; None when it holds no sensible time."""
    return int(value) // 1000 if re.fullmatch(r"[0-9]{1,14}", value) else None
