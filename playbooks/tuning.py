"""A change set: wishes in, lawful steps out, or the rule that forbids one with the nearest line that is legal.

Runbook, "Tuning Rules": one change set at a time; before and after recorded; cool-downs and concurrency before
validation or auth controls; never disable circuit breakers, bulkheads or idempotency - nor by a value that amounts to
it. Figures: `playbooks.steps`. Pure: how the knobs stand is given, nothing is read here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import NoReturn

from playbooks.change_set import ChangeSet, Standing, Step, line_of, shown
from playbooks.knobs import Knob, KnobType, Protection, Value, all_knobs, knob, parse_value
from playbooks.steps import CREEP_APPROVED, Family, Reach, cap_of, drifts_far, is_window, reach, rule_of
from playbooks.wishes import MOST, Wish, WishError, parse_wishes

AUTH_CONTROLS = frozenset({"RATE_LIMIT_GMAIL_OAUTH_MAX", "RATE_LIMIT_WA_LINK_CODE_MAX"})
"""Limits that guard a sign-in: raising one relaxes an auth control."""
PAIRS = {
    "TOOL_JOB_RUNMAX_WEB": "TOOL_JOB_RUNMAX_QOS_REALTIME",
    "TOOL_JOB_RUNMAX_PROD": "TOOL_JOB_RUNMAX_QOS_INTERACTIVE",
    "TOOL_JOB_RUNMAX_GLOB": "TOOL_JOB_RUNMAX_QOS_BATCH",
}
"""Caps that are both applied to the same jobs: the smaller one holds (contract, knobs that do less)."""
PARTNER = {**PAIRS, **{qos: tool for tool, qos in PAIRS.items()}}
WORKERS = "BULKHEAD_TOOL_JOB_MAX"
LEFTOVER = ("BULKHEAD_OPENROUTER_", "CIRCUIT_OPENROUTER_THRESHOLD", "CIRCUIT_OPENROUTER_COOLDOWN_MS")
"""Knobs of a provider that no call uses since routing was split."""
NEVER = "never disable circuit breakers, bulkheads or idempotency in production (runbook, tuning rules; R21)"
ORDER = "cool-downs and concurrency come before validation or auth controls (runbook, tuning rules)"


class RuleBroken(ValueError):
    """A wish against the rules: ``what`` is wrong, by which ``rule``, and ``then``, the nearest line that is legal."""

    def __init__(self, what: str, rule: str, then: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.rule = rule
        self.then = then


def propose(
    wishes: Sequence[Wish], standings: Mapping[str, Standing], *, why: str = "", gentler_tried: bool = False
) -> ChangeSet:
    """The change set that these wishes make. ``standings`` has every knob of `involved`.

    ``gentler_tried`` says that a cool-down or a concurrency was tuned and retested on this target in the last 24 h.
    Raises `RuleBroken`, naming the rule and the nearest legal line of the whole set, and `WishError`.
    """
    try:
        return _propose(wishes, standings, why, gentler_tried)
    except RuleBroken as broken:
        raise RuleBroken(broken.what, broken.rule, _mended(broken.then, standings, why, gentler_tried)) from None


def _propose(wishes: Sequence[Wish], standings: Mapping[str, Standing], why: str, gentler_tried: bool) -> ChangeSet:
    drafts = [_Draft(wish, standings[wish.knob.name]) for wish in wishes]
    texts = {draft.name: draft.wish.text for draft in drafts}
    steps = tuple(_step(draft, texts, why.strip(), gentler_tried) for draft in drafts)
    after = {step.knob: step.after for step in steps}
    notes: list[str] = []
    for step in steps:
        notes += _pair(step, after, standings, texts)
        notes += _remarks(knob(step.knob))
        if step.knob == WORKERS:
            notes += _workers(step, after, standings)
    second = tuple(dict.fromkeys(reason for step in steps for reason in step.second))
    return ChangeSet(steps, tuple(dict.fromkeys(notes)), why.strip(), second)


def _mended(line: str, standings: Mapping[str, Standing], why: str, gentler_tried: bool) -> str:
    """The line that a refusal offers, mended until it is legal itself; each round mends one wish."""
    for _ in range(2 * MOST):
        words = line.split()
        if words[:1] != ["tune"] or len(words) < 2 or words[-1].startswith("--why"):
            return line
        try:
            _propose(parse_wishes(words[1:]), standings, why, gentler_tried)
        except RuleBroken as broken:
            line = broken.then
        except KeyError:
            return line
        else:
            return line
    return line


def involved(wishes: Sequence[Wish]) -> tuple[Knob, ...]:
    """The knobs whose standing must be known: those named, and the partners that are applied with them."""
    names = [name for wish in wishes for name in (wish.knob.name, PARTNER.get(wish.knob.name)) if name]
    names += [cap for name in names[:] if name == WORKERS for cap in PARTNER]
    return tuple(knob(name) for name in dict.fromkeys(names))


def legal(knob_name: str, standing: Standing) -> Reach | None:
    """The legal interval of a number as it stands, for forms and lists; None for switches, texts and what is fixed."""
    one = knob(knob_name)
    old = standing.effective
    if one.type is not KnobType.INT or isinstance(old, bool) or not isinstance(old, int) or fixed(one):
        return None
    day_ago = standing.day_ago if isinstance(standing.day_ago, int) else None
    return reach(one, old, day_ago, call_ms=standing.call_ms)


def fixed(one: Knob) -> str:
    """Why a knob cannot be tuned at all, empty when it can."""
    if one.secret:
        return "it holds a secret"
    if is_window(one):
        return "window lengths are not tunable (R21)"
    if one.snapshot_path is None:
        return "its effective value shows in no snapshot, so a change could not be confirmed (R24)"
    if one.type is not KnobType.INT and not one.playbooks and one.protection is None:
        return "no playbook tunes it (R21)"
    return ""


def rejected(one: Knob, stored: str | None) -> bool:
    """Whether a stored text is not taken, so that the default rules in its place."""
    return stored is not None and stored != "" and not one.accepts(stored)


def rules_digest() -> str:
    """sha256 over the knobs and the step limits: an approval is void when the rules it was given under have changed."""
    limits = [f"{one.name} {rule_of(one).text} {cap_of(one)}" for one in all_knobs().values() if one.type == "int"]
    said = files("playbooks").joinpath("knobs.json").read_text("utf-8") + json.dumps(limits)
    return hashlib.sha256(said.encode()).hexdigest()


@dataclass(frozen=True)
class _Draft:
    wish: Wish
    standing: Standing

    @property
    def name(self) -> str:
        return self.wish.knob.name

    @property
    def knob(self) -> Knob:
        return self.wish.knob


def _step(draft: _Draft, texts: Mapping[str, str], why: str, gentler_tried: bool) -> Step:
    one, standing = draft.knob, draft.standing
    if reason := fixed(one):
        raise RuleBroken(
            f"{one.name} cannot be tuned: {reason}.", "only listed knobs within their rules (R21)", "knobs"
        )
    old = standing.effective
    if old is None:
        raise RuleBroken(
            f"The snapshot does not show {one.name}.", "a change is confirmed by the effective value (R24)", "snapshot"
        )
    value = draft.wish.value(old)
    if one.type is KnobType.INT:
        assert isinstance(old, int)
        assert isinstance(value, int)
        return _number(draft, old, value, texts, why, gentler_tried)
    text, after = shown(value), parse_value(one, shown(value))
    if after == old and not rejected(one, standing.stored):
        raise RuleBroken(f"{one.name} is {shown(old)} already.", "a change changes something", "tune")
    weakened = {Protection.KEEP_TRUE: False, Protection.KEEP_FALSE: True}.get(one.protection)  # type: ignore[arg-type]
    if weakened is not None and value is weakened:
        tail = f" {one.protection_note}" if one.protection_note else ""
        raise RuleBroken(f"{one.name}={text} would weaken a protection.{tail}", NEVER, "playbook tuning-rules")
    return Step(one.name, standing.stored, old, text, after, _base(standing, old), "no number: one switch or text")


def _number(draft: _Draft, old: int, value: int, texts: Mapping[str, str], why: str, gentler_tried: bool) -> Step:
    one, standing, rule = draft.knob, draft.standing, rule_of(draft.knob)
    base = _base(standing, old)
    assert isinstance(base, int)
    bounds = reach(one, old, base, call_ms=standing.call_ms)
    text = str(value)
    if value == old and draft.wish.how != "percent" and rejected(one, standing.stored):
        return Step(one.name, standing.stored, old, text, old, base, "stores the value that is in force")
    if value not in bounds:
        _refuse(draft, value, bounds, base, texts)
    second: list[str] = []
    down = value < old
    if bounds.single:
        second.append(f"one whole step of {one.name}, since {rule.pct}% of {old} is less than one (R22)")
    if drifts_far(value, base):
        second.append(f"{one.name} drifts more than ×1.5 from {base}, its value 24 h ago (R23)")
    if down and rule.family in (Family.COOLDOWN, Family.LEASE):
        second.append(f"{one.name} comes down")
        if not why:
            needs = f"a {rule.family} comes down only with a reason and another person's approval"
            _need_why(f"A shorter {rule.family} needs a reason.", needs, {**texts, one.name: text})
    if one.name in AUTH_CONTROLS and not down:
        second.append(f"{one.name} guards a sign-in; {ORDER}")
        if not (why or gentler_tried):
            what = f"{one.name} guards a sign-in. Try cool-downs or concurrency first, or say why they do not help."
            _need_why(what, ORDER, {**texts, one.name: text})
    return Step(one.name, standing.stored, old, text, value, base, rule.text, tuple(second))


def _refuse(draft: _Draft, value: int, bounds: Reach, base: int, texts: Mapping[str, str]) -> NoReturn:
    """Say which bound the value breaks: the first that a person should know of."""
    one, rule, old, up = draft.knob, rule_of(draft.knob), bounds.old, value > bounds.old
    nearest = bounds.nearest(value) if value != old else bounds.nearest(old + draft.wish.number)
    then = line_of({**texts, one.name: str(nearest)}) if nearest is not None else "playbook tuning-rules"
    cap = cap_of(one)
    if value == old:
        if draft.wish.how == "percent" and draft.wish.number:
            what = f"{draft.wish.text} of {old} is less than one whole step of {one.name}."
            raise RuleBroken(what, rule.text, then)
        raise RuleBroken(f"{one.name} is {old} already.", "a change changes something", "tune")
    if not one.accepts(str(value)):
        what = (
            f"{one.name} takes {one.minimum} to {one.maximum}: {value} would not be cut, "
            f"Sendcat would use its default {one.default}."
        )
        raise RuleBroken(what, "inside the application's own range (R22)", then)
    if cap is not None and up and value > max(cap, old):
        factor = rule.cap_factor
        what = f"{one.name}={value} amounts to switching the protection off: above {factor} × the default, {cap}."
        raise RuleBroken(what, NEVER, then)
    if not bounds.step_low <= value <= bounds.step_high:
        if nearest is None and rule.by_runbook:
            what = f"{one.name} is {old}: {rule.pct}% of it is less than one, so there is no legal step."
        else:
            side = "most" if up else "least"
            edge = f"at {side} {nearest}" if nearest is not None else "not this way"
            what = f"{one.name} {old} → {value} is {abs(value - old) * 100 / old if old else 100:.0f}%: {edge} now."
        raise RuleBroken(what, rule.text, then)
    limit = f"at most ×{CREEP_APPROVED} from the value 24 h ago, {base} (R23)"
    raise RuleBroken(f"{one.name}={value} would drift too far from {base}, its value 24 h ago.", limit, then)


def _need_why(what: str, rule: str, texts: Mapping[str, str]) -> NoReturn:
    raise RuleBroken(what, rule, f'{line_of(texts)} --why="..."')


def _base(standing: Standing, old: Value) -> Value:
    return old if standing.day_ago is None else standing.day_ago


def _pair(
    step: Step, after: Mapping[str, Value], standings: Mapping[str, Standing], texts: Mapping[str, str]
) -> list[str]:
    """Caps that act only together: raising one alone is refused, since it would change nothing."""
    partner = PARTNER.get(step.knob)
    if partner is None or not isinstance(step.after, int) or not isinstance(step.before, int):
        return []
    standing = standings.get(partner)
    other = after.get(partner, standing.effective if standing else None)
    if not isinstance(other, int):
        return []
    if step.after > step.before and partner not in after and step.before >= other:
        raise RuleBroken(
            f"{step.knob}={step.after} alone changes nothing: {partner} is {other}, and both caps are applied.",
            "caps that act only together are one change set (runbook, tuning rules; playbook F, step 2)",
            line_of({**texts, step.knob: step.text, partner: str(step.after)}),
        )
    if partner in after and other != step.after:
        return [f"Both caps are applied to the same jobs: {min(other, step.after)} holds, the smaller one."]
    return []


def _remarks(one: Knob) -> list[str]:
    """What the knob does less than its name says."""
    if one.name.startswith(LEFTOVER):
        return [f"{one.name} belongs to a provider that no call uses any more: this changes nothing."]
    if one.name == "FF_TOOL_QUEUE_ENFORCE":
        return ["Sendcat reports this flag and never reads it."]
    return []


def _workers(step: Step, after: Mapping[str, Value], standings: Mapping[str, Standing]) -> list[str]:
    """More worker slots than the running caps sum up to run no more jobs (contract, knobs that do less)."""

    def total(caps: Iterable[str]) -> int | None:
        values = [after.get(cap, standings[cap].effective if cap in standings else None) for cap in caps]
        numbers = [value for value in values if isinstance(value, int) and not isinstance(value, bool)]
        return sum(numbers) if len(numbers) == len(values) else None

    sums = [found for found in (total(PAIRS), total(PAIRS.values())) if found is not None]
    if not sums or not isinstance(step.before, int) or min(sums) > step.before:
        return []
    return [
        f"The running caps bind first: they sum up to {min(sums)}, and there are {step.before} slots. More slots help "
        "only while the slots themselves are used up, as by leases that leaked."
    ]


__all__ = [
    "AUTH_CONTROLS",
    "PAIRS",
    "PARTNER",
    "RuleBroken",
    "WishError",
    "fixed",
    "involved",
    "legal",
    "propose",
    "rejected",
    "rules_digest",
]
