"""Masks people in what Sendcat answers, before it is stored or shown (safety.md, R37; reading rule 9).

Structure stays: keys of objects, counts, times and states are kept, so that `Snapshot.parse` reads a masked snapshot
as it reads a raw one. What people wrote or are called becomes a short keyed hash: the same person, the same mark.
"""

from __future__ import annotations

import re
from typing import Any

from bot.redact import Masker

_WRITTEN = frozenset({"argsJson", "resultJson", "lastError", "value", "error", "deadLetterReason"})
"""Fields that hold what users wrote, or what a provider said about it."""
_KEPT_WORDS = re.compile(
    r"(?:max_attempts|queue_saturated|queue_timeout|lease_expired|dead_letter|timeout|circuit_open|bulkhead_full)"
    r"|(?:(?:ebay|serper|web|global|products?|search|tool|provider|upstream|gmail|oauth|chat|openrouter|request|job|http)"
    r"[ _:]{1,2}){1,5}(?:(?:failed|timed out|timeout|unavailable|error|open)(?:: ?(?:http )?\d{3})?|\d{3})",
    re.ASCII | re.IGNORECASE,
)
"""Of those fields, known words (``max_attempts``, ``HTTP 503``, ``eBay search failed: 500``) tell the cause and name
nobody; anything else may quote a person."""
_ADDRESSES = frozenset({"redisUrl"})

_EMAIL = re.compile(r"[\w.+'%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.])")
_IPV6 = re.compile(r"(?<![\w:.])(?=[0-9a-fA-F]*:[0-9a-fA-F:.]*:)[0-9a-fA-F:.]{3,45}(?:%\w+)?(?![\w:])")
_PHONE = re.compile(r"(?<![\w.+-])\+\d{8,15}(?!\w)")
_IN_KEY = re.compile(r"(?<![^:|/ ,;])(user|ip|session|email|phone|client)([:=])([^|/ ,;]+)")
"""``...:user:<id>`` and ``...:ip:<address>``: the parts of a limiter's key that name somebody."""
_REPLAY = re.compile(r"(.+@[^:]+|[^:]{3,}):(\d+)", re.DOTALL)
_MASKED = re.compile(r"(?:[a-z]+#[0-9a-f]{8})")
_CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2})?")
_MAX_DEPTH = 64


class Mask:
    """Applies a `Masker` to whole answers, to single texts, and to keys."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker

    def snapshot(self, raw: dict[str, Any]) -> dict[str, Any]:
        """A masked copy of a snapshot, plain JSON for the artifact; masking twice changes nothing more."""
        masked = self.value(raw)
        assert isinstance(masked, dict)
        return masked

    def result(self, function: str, value: Any) -> Any:
        """A masked copy of what a function returned; a cached value as a whole is what somebody searched for."""
        if function == "toolCache:get" and isinstance(value, str):
            return self._masker.mask(value, "text")
        return self.value(value)

    def value(self, answer: Any, field: str = "", depth: int = 0) -> Any:
        """A masked copy of any function's result. What is nested deeper than 64 levels is dropped."""
        if depth > _MAX_DEPTH:
            return None
        if isinstance(answer, dict):
            scope = answer.get("scope")
            replay = isinstance(scope, str) and "hitCount" in answer
            return {
                self.text(name): self._key(item) if replay and name == "key" else self.value(item, name, depth + 1)
                for name, item in answer.items()
            }
        if isinstance(answer, list):
            return [self.value(item, field, depth + 1) for item in answer]
        return self._field(field, answer) if isinstance(answer, str) else answer

    def _field(self, field: str, text: str) -> str:
        if not text or _MASKED.fullmatch(text):
            return text
        if field in _WRITTEN:
            return text if _KEPT_WORDS.fullmatch(text) else self._masker.mask(text, "text")
        if field in _ADDRESSES:
            return self._masker.mask(text, "url")
        if field == "key":
            return self._key(text)
        return self.text(text)

    def _key(self, text: str) -> str:
        """A limiter's, a replay's or a cache's key: the words stay, the people do not."""
        replay = _REPLAY.fullmatch(text)
        if replay and "@" in text:
            return f"{self._masker.mask(replay[1], 'email')}:{self._masker.mask(replay[2], 'history')}"
        named = self.text(text)
        if named != text:
            return named
        if _PLAIN_KEY.fullmatch(text):
            return text
        return self._masker.mask(text, "key")

    def text(self, text: str) -> str:
        """E-mail and IP addresses, telephone numbers, and named ids anywhere in a text."""
        if len(text) < 3:
            return text
        text = _EMAIL.sub(lambda m: self._masker.mask(m[0].lower(), "email"), text)
        text = _IN_KEY.sub(self._named, text)
        text = _IPV4.sub(lambda m: self._masker.mask(m[0], "ip"), text)
        text = _IPV6.sub(self._ipv6, text)
        return _PHONE.sub(lambda m: self._masker.mask(m[0], "phone"), text)

    def _named(self, found: re.Match[str]) -> str:
        if _MASKED.fullmatch(found[3]) or found[3] == "unknown":
            return found[0]
        return f"{found[1]}{found[2]}{self._masker.mask(found[3], found[1])}"

    def _ipv6(self, found: re.Match[str]) -> str:
        if _CLOCK.fullmatch(found[0]):
            return found[0]
        return self._masker.mask(found[0].lower(), "ip")


_PLAIN_KEY = re.compile(r"(?=.{1,60}$)[a-z]+(?:[_:][a-z]+)*", re.ASCII)
"""``gmail_push:blocked``: words only, so nobody's."""
