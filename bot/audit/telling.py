"""One record of the trail as a line that a person can read: when, who, what, how it ended, why."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.card import Tone, when
from bot.card import who as mention
from bot.redact import inert

if TYPE_CHECKING:
    from bot.store.audit_search import Hit

_ACCOUNT = re.compile(r"(?:slack:[A-Z0-9]{2,30}|os:[A-Za-z0-9_.-]{1,60})")
_ACTION = re.compile(r"[a-z]{1,30}(?:\.(?:decide|approve|reconcile|verify|export))?")
"""Actions of our own, written as they are: nothing after the dot is the end of an address."""
_TONES = {
    "FAIL": Tone.BAD,
    "WORSE": Tone.BAD,
    "failed": Tone.BAD,
    "changed outside": Tone.BAD,
    "INCOMPLETE": Tone.UNKNOWN,
    "unknown": Tone.UNKNOWN,
    "ambiguous": Tone.UNKNOWN,
    "interrupted": Tone.UNKNOWN,
    "refused": Tone.REFUSED,
}
_PHASES = {"intent": "began", "refusal": "refused", "system": "", "decision": "", "result": ""}


def by(actor: str) -> str:
    """Who it was: a mention of an account, or the bot."""
    if actor == "system":
        return "the bot"
    return mention(actor) if _ACCOUNT.fullmatch(actor) else inert(actor, 60)


def tone(hit: Hit) -> Tone:
    return _TONES.get(hit.outcome, Tone.REFUSED if hit.phase == "refusal" else Tone.PLAIN)


def what(hit: Hit, limit: int = 120, *, of: str = "") -> str:
    """``tune.approve c-41 KNOB 24 → 28: approved``; the words of the trail, made harmless.

    ``of`` is the thing whose story is told: what the record was about is left out when it was that.
    """
    parts = [hit.action if _ACTION.fullmatch(hit.action) else inert(hit.action, 40)]
    if hit.object.startswith(f"{hit.action} "):
        parts = []  # a line that was typed names its command itself
    if hit.object and hit.object != hit.action and hit.object.partition(" ")[0] != of:
        parts.append(inert(hit.object, limit))
    ended = inert(hit.outcome, 40) or _PHASES.get(hit.phase, "")
    line = " ".join(parts)
    if hit.phase == "intent" and ended == "started":
        ended = "began"
    return f"{line}: {ended}" if ended else line


def line(hit: Hit, *, number: bool = True, fresh: bool = False, of: str = "") -> str:
    """A record in one line; ``fresh`` marks one that no anchor vouches for yet, ``of`` is as in `what`."""
    about = bool(of) and hit.object.partition(" ")[0] == of
    place = f" on {inert(hit.target, 30)}" if hit.target and not about else ""
    why = f" · “{inert(hit.why, 100)}”" if hit.why else ""
    mark = " · not yet anchored" if fresh else ""
    start = f"*{hit.seq}*  " if number else "• "
    return f"{start}{when(hit.at_ms)} {by(hit.actor)} · {what(hit, of=of)}{place}{why}{mark}"


def data(hit: Hit, anchored: int) -> dict[str, object]:
    """What ``--json`` prints of a record."""
    return {
        "seq": hit.seq,
        "atMs": hit.at_ms,
        "actor": hit.actor,
        "person": hit.person,
        "door": hit.door,
        "phase": hit.phase,
        "action": hit.action,
        "object": hit.object,
        "target": hit.target,
        "run": hit.op,
        "outcome": hit.outcome,
        "why": hit.why,
        "anchored": hit.seq <= anchored,
    }
