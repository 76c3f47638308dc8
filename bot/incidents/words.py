"""Texts and names that people give an incident: made harmless before they are stored (safety.md, R34, R36, R37)."""

from __future__ import annotations

import re
from typing import Literal

from bot.config import Config
from bot.errors import Unknown
from bot.redact import Masker, Scrubber, inert
from slo.scenarios import ENDPOINTS

Severity = Literal["sev1", "sev2", "sev3"]
MAX_TEXT = 300
_LINK = re.compile(
    r"(?:https://[A-Za-z0-9.-]{1,200}|http://(?:127\.0\.0\.1|localhost))(?::\d{1,5})?/[A-Za-z0-9._~/?#=&%:+,@-]{0,600}"
)
"""https, or plain http to this machine for practice."""
_PERMALINK = re.compile(
    r"https?://[A-Za-z0-9.:-]{1,200}/archives/[A-Z0-9]{3,30}/p[0-9]{11,17}(?:\?[A-Za-z0-9_.=&-]{0,100})?"
)
_MENTION = re.compile(r"<@(?P<live>[UW][A-Z0-9]{2,})(?:\|[^>]*)?>|@?(?P<bare>[UW][A-Z0-9]{5,})")


def said(text: str, masker: Masker, scrubber: Scrubber, limit: int = MAX_TEXT) -> str:
    """What a person wrote, to be kept: without secrets, addresses masked, inert, one line."""
    text = scrubber.scrub(text[: limit * 8])
    return inert(masker.text(text), limit)


def paths(text: str) -> tuple[str, ...]:
    """Endpoint paths in a list such as ``/api/chat,/api/gmail/push``; raises ValueError for what is none."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for path in found:
        if not path.startswith("/") or inert(path, 80) != path:
            raise ValueError(f"endpoints are paths such as {', '.join(ENDPOINTS.values())}")
    return found


def is_link(text: str) -> bool:
    """Whether this is an address that may stand as a live link: https, plain characters, no credentials."""
    return _LINK.fullmatch(text) is not None and "@" not in text.split("/")[2]


def is_permalink(text: str) -> bool:
    """Whether this is the address of a message, as Slack gives it."""
    return _PERMALINK.fullmatch(text) is not None


def account(text: str, config: Config) -> str:
    """The account of a person named in a line: a Slack mention or member id, or a name in [people].

    Raises `Unknown` with what to type.
    """
    named = text.strip()
    if found := _MENTION.fullmatch(named):
        return f"slack:{found['live'] or found['bare']}"
    person = config.people.get(named.removeprefix("@"))
    if person is not None and (person.slack or person.os):
        return f"slack:{person.slack[0]}" if person.slack else f"os:{person.os[0]}"
    raise Unknown(
        f"Nobody here is called {inert(named, 60)}.",
        then="--to=@mention, a Slack member id, or a name in [people]",
        fields={"to": "a Slack member id, @mention, or a name in [people]"},
    )


def name(account_id: str, config: Config) -> str:
    """An account as a report says it: the person's name where there is one, else the id."""
    door, _, account_name = account_id.partition(":")
    for person, accounts in config.people.items():
        if account_name in (accounts.slack if door == "slack" else accounts.os if door == "os" else ()):
            return person
    return inert(account_name or door, 60)
