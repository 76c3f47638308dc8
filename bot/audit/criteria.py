"""From what a person types to what the search looks for (issue words: person, knob, action, object, time).

People are named as in the configuration, as an account, or as the trail has them; an action includes its finer ones
(``tune`` finds ``tune.approve``); a time is an age (``7d``, ``12h``, ``30min``) or a moment in UTC.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator

from bot.authority import TABLE
from bot.errors import Unknown
from bot.redact import inert
from bot.store.audit_search import Column, Source, Wanted, word

if TYPE_CHECKING:
    from bot.config import Config

_AGE = re.compile(r"(\d{1,5})\s*(min|m|h|d|w)")
_UNITS_MS = {"min": 60_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_MENTION = re.compile(r"<@([UW][A-Z0-9]{2,30})(?:\|[^>]*)?>")
_OP = re.compile(r"[rq]-[2-9b-z]{4,8}")
_SIGNS = re.compile(r"""[,=;:()"'\s]+""")


def _checked(text: str) -> str:
    try:
        moment(text, 2**42, "since")
    except Unknown as error:
        raise ValueError(error.fields["since"]) from None
    return text


Moment = Annotated[str, AfterValidator(_checked)]
"""An age or a date as it is typed, checked where a form can still mark its question."""


@dataclass(frozen=True)
class Wish:
    """What was typed, as texts; empty is anything."""

    words: str = ""
    person: str = ""
    knob: str = ""
    action: str = ""
    object: str = ""
    on: str = ""
    outcome: str = ""
    since: str = ""
    until: str = ""

    @property
    def empty(self) -> bool:
        return self == Wish()


def wanted(wish: Wish, config: Config, now_ms: int) -> Wanted:
    """What to look for. Raises `Unknown` with the field for a time that is none or a window that is empty."""
    all_of: list[tuple[Source, ...]] = []
    if wish.person:
        all_of.append(people(wish.person, config))
    if wish.knob:
        all_of.append((Source("word", word(wish.knob.strip())),))
    if wish.action:
        all_of.append(actions(wish.action))
    if wish.object:
        all_of += _things(wish.object)
    if wish.on:
        all_of.append((Source("target", wish.on.strip()),))
    if wish.outcome:
        all_of.append(_either(wish.outcome.strip(), "outcome"))
    for text in filter(None, _SIGNS.split(wish.words)):
        all_of.append(_anything(text.rstrip(".!?"), config))
    since, until = moment(wish.since, now_ms, "since"), moment(wish.until, now_ms, "until", end=True)
    if since is not None and until is not None and since > until:
        raise _wrong("since", "this is later than --until")
    return Wanted(tuple(all_of), since, until)


def people(name: str, config: Config) -> tuple[Source, ...]:
    """Every account of a person, and the person's name as the trail has it; or one account.

    Slack sends a mention as ``<@U0ONCALL|ann>``: then it is the account that counts.
    """
    name = name.strip()
    if mentioned := _MENTION.fullmatch(name):
        owner = (who for who, person in config.people.items() if mentioned[1] in person.slack)
        name = next(owner, f"slack:{mentioned[1]}")
    name = name.lstrip("@")
    if ":" in name:
        return (Source("actor", name),)
    person = config.people.get(name)
    found = [Source("person", name)]
    if person is not None:
        found += [Source("actor", f"slack:{account}") for account in person.slack]
        found += [Source("actor", f"os:{account}") for account in person.os]
    else:
        found += [Source("actor", account) for account in (name, f"slack:{name}", f"os:{name}")]
    return tuple(found)


def actions(name: str) -> tuple[Source, ...]:
    """An action with its finer ones: ``tune`` with ``tune.approve``, ``gate`` with ``gate.decide``, ``gate.case``."""
    name = name.strip().lower()
    finer = [known for known in (*TABLE, *_OWN_ACTIONS) if known.startswith(f"{name}.")]
    return tuple(Source("action", one) for one in (name, *finer))


_OWN_ACTIONS = ("gate.case", "canary.case", "milestone.case", "region.case", "ceiling.case")
"""What the bot itself writes beside the actions of the table."""


def moment(text: str, now_ms: int, field: str, *, end: bool = False) -> int | None:
    """A moment in ms UTC from an age or a date; a date alone is its first moment, or with ``end`` its last."""
    text = text.strip()
    if not text:
        return None
    if age := _AGE.fullmatch(text.lower().removesuffix(" ago")):
        return now_ms - int(age[1]) * _UNITS_MS[age[2]]
    try:
        found = datetime.fromisoformat(text)
        if end and len(text) == 10:
            found += timedelta(days=1, milliseconds=-1)
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise _wrong(field, "an age such as 7d, 12h or 30min, or a date such as 2026-11-23 (UTC)") from None


def _things(text: str) -> list[tuple[Source, ...]]:
    """Ids and words of what was acted on."""
    parts = filter(None, _SIGNS.split(text))
    return [_either(part, "op") if _OP.fullmatch(part) else (Source("word", word(part)),) for part in parts]


def _either(text: str, column: Column) -> tuple[Source, ...]:
    return (Source(column, text), Source("word", word(text)))


def _anything(text: str, config: Config) -> tuple[Source, ...]:
    """A free word: in what was acted on, how it ended or why; or a person, an action, a target, a run."""
    found = [Source("word", word(text)), *actions(text), Source("target", text)]
    found += people(text, config)
    if _OP.fullmatch(text):
        found.append(Source("op", text))
    return tuple(found)


def _wrong(field: str, what: str) -> Unknown:
    return Unknown(f"`--{field}`: {what}.", then=f"/sendcat audit --{field}=7d", fields={field: inert(what, 120)})
