"""One line, however it is spelled: ``command [subcommand] [positional] [--name=value]``.

``/sendcat triage``, ``sendcat triage``, ``npm run reliability:drill -- --quick=true`` and ``npx convex run F '{...}'``
are spellings of the same lines; `parse` reads all of them, `Line.text` is the one canonical form, and
``parse(line.text) == line`` always holds. Slack, the terminal, the buttons and the pages all use this grammar.

Rules of a word:

- a single or double quote opens only at the start of a word or value, so ``don't`` is a word; inside double quotes
  ``\\"`` and ``\\\\`` are escapes, inside single quotes nothing is;
- JSON at the start of a word or value is read as a whole, blanks included, and kept without its blanks;
- what phones and Slack do to text is mended: typographic quotes and dashes, zero-width blanks,
  ``<https://x|y>`` (a domain that Slack linked by itself becomes the domain again);
- a quoted word is never a flag. ``--flag`` alone means ``true``.

Whatever the words say, they are data (safety.md, R5): nothing here raises anything but `LineError`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NoReturn

MAX_LENGTH = 16_384
"""Characters of the longest line that is read; Slack itself sends at most 4,000."""

OWNERSHIP = "scripts/reliability/ownership-matrix.json"

_DOUBLE, _SINGLE, _DASH = "“”„‟", "‘’‚‛", "‐‑‒–—―−"
_STRAIGHT = str.maketrans({**dict.fromkeys(_DOUBLE, '"'), **dict.fromkeys(_SINGLE, "'")})
_CLOSES = {
    '"': '"',
    "'": "'",
    **dict.fromkeys(_DOUBLE, f'"{_DOUBLE}'),
    **dict.fromkeys(_SINGLE, f"'{_SINGLE}"),
}
_ZERO_WIDTH = "\u200b\u2060\ufeff"
_LONG_DASH = re.compile(f"[{_DASH}]-?(?=[A-Za-z])")
_FLAG = re.compile(r"--(?P<name>[A-Za-z][A-Za-z0-9_-]*)(?P<value>=)?")
_SPELLINGS = frozenset({"npm", "npx", "cat", "sendcat"})
_COMMAND = re.compile(r"[a-z][a-z0-9-]*")
_FLAG_NAME = re.compile(r"[a-z][a-z0-9_-]*")
_LINK = re.compile(r"<(?P<url>(?:https?://|mailto:)[^\s'\"\\<>|]+)(?:\|(?P<label>[^\s'\"\\<>|]*))?>")
_JSON_BLANK = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\r\n]+')


class LineError(ValueError):
    """A line that cannot be read: ``what`` is wrong, and the column ``at`` which it starts (0-based)."""

    def __init__(self, what: str, at: int = 0) -> None:
        super().__init__(what)
        self.what = what
        self.at = at


@dataclass(frozen=True)
class Line:
    """A command, its words in order, and its flags by name (lower case, without dashes).

    Words and values are tidied on the way in: JSON loses its blanks, Slack's links become addresses.
    """

    command: str
    words: tuple[str, ...] = ()
    flags: Mapping[str, str] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if self.command in _SPELLINGS or not _COMMAND.fullmatch(self.command):
            raise LineError(f"{self.command!r} is not the name of a command")
        for name in self.flags:
            if not _FLAG_NAME.fullmatch(name):
                raise LineError(f"{name!r} is not the name of a flag")
        object.__setattr__(self, "words", tuple(tidy(word) for word in self.words))
        object.__setattr__(self, "flags", MappingProxyType({k: tidy(v) for k, v in self.flags.items()}))

    @property
    def text(self) -> str:
        """The canonical form: words first, then the flags, each quoted only where it must be."""
        flags = (f"--{name}={_quoted(value, first=False)}" for name, value in self.flags.items())
        return " ".join((self.command, *map(_quoted, self.words), *flags))

    def __str__(self) -> str:
        return self.text


def parse(text: str) -> Line:
    """Read one line in any of its spellings; an empty one asks for ``help``.

    Raises `LineError`: what is wrong and where.
    """
    if len(text) > MAX_LENGTH:
        raise LineError(f"the line has {len(text)} characters; at most {MAX_LENGTH} are read", MAX_LENGTH)
    tokens = _split(text)
    if tokens and tokens[0].word in ("/sendcat", "sendcat"):
        tokens = tokens[1:]
    match [token.word for token in tokens]:
        case ["npm", "run", script, *_] if script.startswith("reliability:"):
            tokens = tokens[2:]
        case ["npm", *_]:
            _fail("only `npm run reliability:<command> -- --name=value` is a line here", tokens[0])
        case ["npx", "convex", "run", *rest]:
            return _convex(tokens, rest)
        case ["npx", *_]:
            _fail("only `npx convex run <module:function> '{...}'` is a line here", tokens[0])
        case ["cat", path] if path == OWNERSHIP:
            return Line("owners")
        case ["cat", *_]:
            _fail(f"only `cat {OWNERSHIP}` is a line here", tokens[0])
    if not tokens:
        return Line("help")
    first = tokens[0]
    if first.flag is not None:
        _fail(f"a line starts with a command, not with the flag `--{first.flag}`", first)
    command = first.word.removeprefix("reliability:").lower()
    if command in _SPELLINGS or not _COMMAND.fullmatch(command):
        _fail(f"`{_short(first.word)}` is not the name of a command", first)
    words: list[str] = []
    flags: dict[str, str] = {}
    for token in tokens[1:]:
        if token.flag is None:
            if token.word != "--" or token.quoted:
                words.append(token.word)
        elif flags.setdefault(token.flag, token.word) != token.word:
            _fail(f"`--{token.flag}` is given twice, with different values", token)
    return Line(command, tuple(words), flags)


def normalise(text: str) -> str:
    """The canonical form of a line in any spelling; raises `LineError`."""
    return parse(text).text


def tidy(word: str) -> str:
    """A word as it is kept: Slack's links unwrapped, JSON without blanks and with straight quotes."""
    while (plain := _LINK.sub(_address, word)) != word:
        word = plain
    if word[:1] in ("{", "["):
        for spelling in (word, word.translate(_STRAIGHT)):
            if _json_end(spelling, 0) == len(spelling):
                return _JSON_BLANK.sub(lambda m: m[1] or "", spelling)
    return word


@dataclass(frozen=True)
class _Token:
    """A word with the column it starts at; for a flag, ``word`` is its value."""

    word: str
    at: int
    flag: str | None = None
    quoted: bool = False


def _convex(tokens: list[_Token], rest: list[str]) -> Line:
    """``npx convex run F '{...}'`` is ``inspect F {...}``; that tool's own flags are not ours."""
    for token in tokens[3:]:
        if token.flag is not None:
            _fail(f"`--{token.flag}` belongs to the convex tool; choose the deployment with --target", token)
    if not rest:
        _fail("`npx convex run` needs a function, such as `ops:getReliabilitySnapshot`", tokens[2])
    if len(rest) > 2:
        _fail("one function and one JSON object are read; quote the object with single quotes", tokens[5])
    return Line("inspect", tuple(rest))


def _split(text: str) -> list[_Token]:
    """Words and flags in order; raises `LineError` for an open quote or a flag without a name."""
    tokens: list[_Token] = []
    at = 0
    while (at := _skip_blanks(text, at)) < len(text):
        start = at
        dash = _LONG_DASH.match(text, at)
        body = f"--{text[dash.end() :]}" if dash else text[at:]
        shift = (dash.end() - at - 2) if dash else 0
        if body.startswith("--") and len(body) > 2 and not _is_blank(body[2]):
            found = _FLAG.match(body)
            if not found:
                raise LineError("a flag is `--name` or `--name=value`", start)
            at += found.end() + shift
            name = found["name"].lower()
            if found["value"]:
                value, at, _ = _read_value(text, at)
                tokens.append(_Token(value, start, name))
            elif at < len(text) and not _is_blank(text[at]):
                raise LineError(f"`--{name}` is followed by {text[at]!r}; write `--{name}=value`", at)
            else:
                tokens.append(_Token("true", start, name))
        else:
            word, at, quoted = _read_value(text, at)
            tokens.append(_Token(word, start, quoted=quoted))
    return tokens


def _read_value(text: str, at: int) -> tuple[str, int, bool]:
    """The word or value that starts at a column, the column after it, and whether it was quoted."""
    opening = text[at : at + 1]
    if opening in _CLOSES and opening:
        return _read_quoted(text, at)
    if opening in ("{", "["):
        for spelling in (text, text.translate(_STRAIGHT)):
            end = _json_end(spelling, at)
            if end and (end == len(text) or _is_blank(text[end])):
                return spelling[at:end], end, False
    end = at
    while end < len(text) and not _is_blank(text[end]):
        end += 1
    return text[at:end], end, False


def _read_quoted(text: str, at: int) -> tuple[str, int, bool]:
    closes, escapes = _CLOSES[text[at]], text[at] in f'"{_DOUBLE}'
    out: list[str] = []
    i = at + 1
    while i < len(text) and text[i] not in closes:
        if escapes and text[i] == "\\" and text[i + 1 : i + 2] in ('"', "\\"):
            i += 1
        out.append(text[i])
        i += 1
    if i >= len(text):
        raise LineError(f"the quote {text[at]} is never closed", at)
    if i + 1 < len(text) and not _is_blank(text[i + 1]):
        raise LineError(f"a closing quote is followed by {text[i + 1]!r}; put a blank between them", i + 1)
    return "".join(out), i + 1, True


def _quoted(word: str, *, first: bool = True) -> str:
    """A word as `parse` reads it back; ``first`` when it stands alone and could be taken for a flag."""
    start = word[:1]
    is_json = start in ("{", "[") and _json_end(word, 0) == len(word)
    plain = word and not any(map(_is_blank, word)) and start not in _CLOSES and start not in ("{", "[")
    flag_like = first and (start == "-" or start in _DASH)
    if is_json or (plain and not flag_like):
        return word
    if "'" not in word:
        return f"'{word}'"
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _json_end(text: str, at: int) -> int:
    """The column after the JSON value that starts here, or 0 when none does."""
    try:
        return _DECODER.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return 0


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def _address(link: re.Match[str]) -> str:
    url, label = link["url"], link["label"]
    if label and url in (f"http://{label}", f"https://{label}", f"mailto:{label}"):
        return label
    return url.removeprefix("mailto:")


def _skip_blanks(text: str, at: int) -> int:
    while at < len(text) and _is_blank(text[at]):
        at += 1
    return at


def _is_blank(character: str) -> bool:
    return character.isspace() or character in _ZERO_WIDTH


def _short(word: str) -> str:
    return word if len(word) <= 40 else f"{word[:40]}…"


def _fail(what: str, token: _Token) -> NoReturn:
    raise LineError(what, token.at)
