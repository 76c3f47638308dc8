"""Triage's answer: a verdict, its cause, the playbooks to open, and what to do next (Runbook, First 5 Minutes, step 3).

FAIL dominates INCOMPLETE dominates PASS: what was measured and is bad fails, what could not be measured is never green.
A region trigger or a milestone that waits for evidence is a decision, not a fault, and does not change the verdict.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from playbooks.book import Book
from playbooks.facts import Facts
from playbooks.signals import Signal, judge_signals, one_provider, suggestions
from slo.verdict import Check, Judgement, Verdict, combine

REQUIRED = "ABCDF"
"""Signals without which a deployment is not called healthy; E, G and H need evidence that triage does not gather."""
DECISIONS = "GH"
"""Playbooks that ask for a decision; they never make a deployment ill."""

AGAIN = ("once", "closing")
"""Variants that one more look decides: slots full in one look, a circuit that has just closed."""


class Cause(StrEnum):
    """The cause line of triage."""

    HEALTHY = "healthy"
    RATE_LIMIT = "inbound pressure: rate limit"
    REPLAY = "inbound pressure: replay"
    PROVIDER = "outbound provider"
    BULKHEAD = "saturation: bulkhead"
    QUEUE = "saturation: tool queue"
    CACHE = "stale cached results"
    REGION = "region"
    SEVERAL = "several"
    NONE_FOUND = "none found"


_CAUSES: Mapping[str, Cause] = {
    "A": Cause.RATE_LIMIT,
    "B": Cause.PROVIDER,
    "C": Cause.BULKHEAD,
    "D": Cause.REPLAY,
    "E": Cause.CACHE,
    "F": Cause.QUEUE,
    "G": Cause.REGION,
}

_NEXT: Mapping[str, tuple[int, str]] = {
    "A": (1, "find the bucket and who is refused; abuse keeps its limits"),
    "A abusive": (2, "keep the limits in place and monitor"),
    "A legitimate": (3, "raise the limit of that bucket by at most 25%, then retest"),
    "A contention": (1, "find the key that many write at once; more limit does not help"),
    "A redis": (1, "find out why Redis does not answer: no limit is at fault, and no other one helps"),
    "B": (1, "identify the provider and check its status, token and quota; keep the circuit"),
    "B flapping": (4, "raise the cool-down first, then retest"),
    "B failing": (2, "check the provider's status, token and quota"),
    "B closing": (1, "look again: a trial passed seconds ago, and flapping does that too"),
    "C": (1, "look a second time: a spike is over in seconds"),
    "C sustained": (2, "raise that provider's concurrency by at most 20%"),
    "C leaked": (3, "wait for the leases to end, or bring their life closer to real call durations"),
    "D": (1, "find the sender and why it repeats; keep dedupe"),
    "E": (1, "check that the upstream is fresh, then clear exactly that namespace"),
    "F": (1, "tell capacity from upstream"),
    "F caps": (2, "raise the tool's running cap and its QoS class's together"),
    "F upstream": (1, "mitigate the upstream first; then requeue the dead letters, then drain"),
    "F no_drain": (6, "call `toolJobs:processQueue` until nothing is queued"),
    "F leaked_slots": (1, "wait a minute for the slots to end, or add one worker"),
    "G": (1, "run the trigger check with the forecast"),
    "H": (1, "check the pool, then run the milestone gate"),
}
"""The action to begin with, by letter or by letter and variant."""


@dataclass(frozen=True)
class Diagnosis:
    """What triage found. ``headline`` is the first line of the card; ``reason`` explains it in one sentence.

    ``signals`` are ranked, ``suggestions`` are the letters to open, first one first. ``region`` is the posture from
    `config.regionTopology`. ``missing`` lists what could not be seen.
    """

    verdict: Verdict
    cause: Cause
    headline: str
    reason: str
    signals: tuple[Signal, ...]
    suggestions: tuple[str, ...]
    next_step: str
    region: str
    missing: tuple[str, ...]

    def signal(self, letter: str) -> Signal:
        """The signal of one playbook."""
        return next(signal for signal in self.signals if signal.letter == letter)


def diagnose(
    facts: Facts,
    drill_judgement: Judgement | None,
    probe_judgement: Judgement | None,
    posture_judgement: Judgement | None,
    book: Book,
    why_not: Mapping[str, str] | None = None,
) -> Diagnosis:
    """Put signals and judgements together; a judgement that is None was not made, and decides nothing.

    ``why_not`` says why one was not made, by its name: ``snapshot``, ``probe`` or ``quick drill``.
    """
    signals = judge_signals(facts, book)
    parts = {"snapshot": posture_judgement, "probe": probe_judgement, "quick drill": drill_judgement}
    made = [Verdict.INCOMPLETE if part is None else part.verdict for part in parts.values()]
    verdict = combine([*made, *(_verdict_of(signal) for signal in signals)])
    letters = suggestions(signals)
    cause = _cause(verdict, letters, one_provider=one_provider(signals))
    missing = _missing(signals, parts, why_not or {})
    return Diagnosis(
        verdict=verdict,
        cause=cause,
        headline=_headline(verdict, cause, letters, signals, parts, why_not or {}),
        reason=_reason(signals, parts, missing),
        signals=signals,
        suggestions=letters,
        next_step=_next_step(verdict, signals, parts, missing),
        region=_region(facts),
        missing=missing,
    )


def _verdict_of(signal: Signal) -> Verdict:
    """A fault that fired fails; what needs another look, and a required signal without evidence, decide nothing."""
    if signal.letter in DECISIONS:
        return Verdict.PASS
    if signal.fired:
        return Verdict.INCOMPLETE if signal.variant in AGAIN else Verdict.FAIL
    if signal.state == "not judged" and signal.letter in REQUIRED:
        return Verdict.INCOMPLETE
    return Verdict.PASS


def _cause(verdict: Verdict, letters: tuple[str, ...], *, one_provider: bool) -> Cause:
    faults = [letter for letter in letters if letter not in DECISIONS]
    if one_provider and set(faults) == {"B", "F"}:
        return Cause.PROVIDER
    if len(faults) > 1:
        return Cause.SEVERAL
    if faults:
        return _CAUSES[faults[0]]
    if verdict is Verdict.PASS:
        return Cause.HEALTHY
    return Cause.REGION if letters[:1] == ("G",) else Cause.NONE_FOUND


def _headline(
    verdict: Verdict,
    cause: Cause,
    letters: tuple[str, ...],
    signals: tuple[Signal, ...],
    parts: Mapping[str, Judgement | None],
    why_not: Mapping[str, str],
) -> str:
    """The verdict and its cause; where there is none, what is red without one, or what could not be known and why."""
    words = str(cause)
    if cause is Cause.SEVERAL:
        words += f": {', '.join(str(_CAUSES[letter]) for letter in letters if letter not in DECISIONS)}"
    if verdict is Verdict.PASS:
        return f"{verdict}: {words}"
    if verdict is Verdict.FAIL:
        if cause is Cause.NONE_FOUND:
            return f"{verdict}: {_red(parts)}, no playbook's signal fired"
        return f"{verdict}: {f'{_red(parts)}; {words}' if cause is Cause.REGION else words}"
    again = any(signal.fired and signal.variant in AGAIN for signal in signals)
    unknown = _unknown(signals, parts, why_not) or ("one more look decides" if again else "")
    known = "" if cause is Cause.NONE_FOUND else words
    return f"{verdict}: {'; '.join(filter(None, (known, unknown))) or 'nothing was measured'}"


def _red(parts: Mapping[str, Judgement | None]) -> str:
    """What failed although no signal of a fault fired."""
    checks = [
        f"{check.scope} {check.name.replace('_', ' ')}" for part in parts.values() if part for check in part.failed
    ]
    if checks:
        more = f" and {len(checks) - 1} more" if len(checks) > 1 else ""
        return f"{checks[0]} is red{more}"
    bad = [f"{name}: {part.reason}" for name, part in parts.items() if part and part.verdict is Verdict.FAIL]
    return bad[0] if bad else str(Cause.NONE_FOUND)


def _unknown(signals: tuple[Signal, ...], parts: Mapping[str, Judgement | None], why_not: Mapping[str, str]) -> str:
    """What could not be known and why, the widest gap first: a step not run, one half done, a signal not judged."""
    absent = [name for name, part in parts.items() if part is None]
    if absent:
        reasons = [f" ({why_not[name].partition('. ')[0]})" if name in why_not else "" for name in absent]
        if len(set(reasons)) == 1:  # told once
            return f"{_listed(absent)} did not run{reasons[0]}"
        return f"not run: {', '.join(name + why for name, why in zip(absent, reasons, strict=True))}"
    for name, part in parts.items():
        if part is not None and part.verdict is Verdict.INCOMPLETE:
            if part.reason or not part.undecided:
                return f"{name}: {part.reason or 'incomplete'}"
            return f"{name}: {_counted(part.undecided)} not measured"
    unjudged = [signal for signal in signals if signal.state == "not judged" and signal.letter in REQUIRED]
    if not unjudged:
        return ""
    why = unjudged[0].why if len({signal.why for signal in unjudged}) == 1 else "see what is not known"
    return f"{_named(unjudged)} not judged: {why}"


def _counted(checks: Sequence[Check]) -> str:
    """The first of the checks, and how many more there are."""
    more = f" and {len(checks) - 1} more" if len(checks) > 1 else ""
    return f"{checks[0].scope} {checks[0].name.replace('_', ' ')}{more}"


def _named(signals: list[Signal]) -> str:
    letters = sorted(signal.letter for signal in signals)
    return f"signal{'s' if len(letters) > 1 else ''} {_listed(letters)}"


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _reason(signals: tuple[Signal, ...], parts: Mapping[str, Judgement | None], missing: tuple[str, ...]) -> str:
    """Why, in one sentence: the signals that fired, else the checks that are red, else what is missing."""
    fired = [signal.why for signal in signals if signal.fired]
    if fired:
        return "; ".join(fired)
    red = [f"{check.scope} {check.name}" for part in parts.values() if part is not None for check in part.failed]
    if red:
        return f"red: {', '.join(red)}; no playbook's signal fired"
    failed = [f"{name}: {part.reason}" for name, part in parts.items() if part and part.verdict is Verdict.FAIL]
    if failed:
        return "; ".join(failed)
    if not missing:
        return "every signal is quiet, every check is within its limit"
    seen = any(part is not None and part.checks for part in parts.values())
    return "what could be seen shows no fault; that is not a pass" if seen else "nothing could be measured"


def _missing(
    signals: tuple[Signal, ...], parts: Mapping[str, Judgement | None], why_not: Mapping[str, str]
) -> tuple[str, ...]:
    """What could not be seen and would count; reads that only would add detail stay with their signal."""
    found: list[str] = []
    for name, part in parts.items():
        if part is None:
            found.append(f"{name} did not run{f': {why_not[name]}' if name in why_not else ''}")
        elif part.verdict is not Verdict.PASS:
            if part.undecided:
                found += [f"{check.scope} {check.name}: {check.reason or 'not measured'}" for check in part.undecided]
            elif part.verdict is Verdict.INCOMPLETE:
                found.append(f"{name}: {part.reason or 'incomplete'}")
    alike: dict[str, list[Signal]] = {}
    for signal in signals:
        undecided = signal.state == "not judged" and signal.letter in REQUIRED
        if undecided or (signal.fired and signal.variant in AGAIN):
            alike.setdefault(signal.why, []).append(signal)
    found += [f"{_named(several)}: {why}" for why, several in alike.items()]
    return tuple(dict.fromkeys(found))


def _next_step(
    verdict: Verdict, signals: tuple[Signal, ...], parts: Mapping[str, Judgement | None], missing: tuple[str, ...]
) -> str:
    top = next((signal for signal in signals if signal.fired), None)
    if top is not None:
        step, words = _NEXT.get(f"{top.letter} {top.variant}") or _NEXT[top.letter]
        return f"playbook {top.letter}, action {step}: {words}"
    if verdict is Verdict.PASS:
        return "nothing to do"
    owners = [owner.owner for part in parts.values() if part is not None for owner in part.owners]
    if owners:
        return f"ask {', '.join(dict.fromkeys(owners))}"
    return f"get what is missing, then triage again: {missing[0]}" if missing else "triage again"


def _region(facts: Facts) -> str:
    if facts.now is None:
        return "region posture unknown"
    topology = facts.now.config.region_topology
    ready = ", readiness only" if topology.readiness_only else ""
    return f"{topology.topology_mode} in {topology.region_id}{ready}"
