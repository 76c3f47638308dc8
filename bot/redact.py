"""One escaping helper for foreign text, and one scrubber for secrets and customer data (safety.md, R34, R36, R37)."""

from __future__ import annotations

import hashlib
import hmac
import re
import unicodedata
from collections.abc import Iterable

MAX_FOREIGN = 300
"""Foreign text is cut to this many characters (R34)."""

_FORMATTING = str.maketrans({"*": "∗", "~": "∼", "`": "ˋ", "<": "‹", ">": "›", "&": "＆", "@": "＠", "|": "¦"})
_EDGE_UNDERSCORE = re.compile(r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])")
"""An underscore inside a word formats nothing; one at its edge would."""
_URL = re.compile(r"(?i)\b([a-z][a-z0-9+.-]{1,12})://")
_DOMAIN = re.compile(r"(?i)(?<=\w)\.(?=[a-z]{2,24}\b)")


def inert(value: object, limit: int = MAX_FOREIGN) -> str:
    """Make text that we did not write harmless wherever it is drawn (R34).

    No mentions, links, formatting, control, direction, private-use or zero-width characters, no faked lines; at most
    ``limit`` characters, cut with an ellipsis. The result contains no character that Slack or a terminal interprets.
    """
    text = str(value)[: limit * 8]
    text = unicodedata.normalize("NFC", text)
    kept = []
    for char in text:
        kind = unicodedata.category(char)
        if char in "\n\r\t\v\f\x85\u2028\u2029":
            kept.append(" ")
        elif kind[0] == "C":
            continue
        else:
            kept.append(char)
    text = " ".join("".join(kept).split()).translate(_FORMATTING)
    text = _EDGE_UNDERSCORE.sub("＿", text)
    text = _URL.sub(r"\1:∕∕", text)
    text = _DOMAIN.sub("․", text)
    text = text.replace(":", "꞉") if _EMOJI.search(text) else text
    return text if len(text) <= limit else text[: limit - 1].rstrip() + "…"


_EMOJI = re.compile(r":[a-z0-9+'-]+:")


class Masker:
    """Masks customer data by a keyed hash, so that two sights of the same person stay comparable (R37)."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mask(self, value: str, kind: str) -> str:
        """``mask("ann@example.com", "email")`` gives ``email#3f0d9a1c``; the same input, the same answer."""
        digest = hmac.new(self._key, value.encode(), hashlib.sha256).hexdigest()[:8]
        return f"{kind}#{digest}"

    def text(self, text: str) -> str:
        """What people wrote, with the addresses of people and machines in it masked."""
        text = _EMAIL.sub(lambda found: self.mask(found[0], "email"), text)
        return _IP.sub(lambda found: self.mask(found[0], "ip"), text)


_EMAIL = re.compile(r"[\w.+'%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IP = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")


class Scrubber:
    """Replaces known secret values in any text by ``***`` (R36); a logging filter uses it on the root handlers."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._secrets: list[str] = []
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Remember a secret value; texts under six characters are ignored, they would blot out ordinary words."""
        if len(secret) >= 6 and secret not in self._secrets:
            self._secrets.append(secret)
            self._secrets.sort(key=len, reverse=True)

    def learn_all(self, secrets: Iterable[str]) -> None:
        """Remember many secret values at once, such as the tokens of a chat pool."""
        known = set(self._secrets) | {secret for secret in secrets if len(secret) >= 6}
        self._secrets = sorted(known, key=len, reverse=True)

    def scrub(self, text: str) -> str:
        for secret in self._secrets:
            if secret in text:
                text = text.replace(secret, "***")
        return _TOKEN_SHAPES.sub("***", text)


_TOKEN_SHAPES = re.compile(
    r"xox[abprs]-[A-Za-z0-9-]{8,}|xapp-[A-Za-z0-9-]{8,}|(?:prod|dev|preview|custom|project):[\w:-]+\|[\w=+/-]{8,}"
    r"|(?<=Bearer )[\w.~+/=-]{8,}|(?<=[?&]token=)[^&\s\"']+|https://hooks\.slack\.com/[^\s\"']+"
)
"""Shapes of Slack tokens, Convex deploy keys, bearer tokens and response addresses."""
