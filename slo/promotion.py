"""What stands between a judged gate and its approval: what may be waived, what may not, what must be read.

VERDICTS: only *not run* can be waived, naming the scenario, never *ran badly*. Warnings do not change the verdict; a
person who approves over one says why (ux.md, sketch 2).
"""

from __future__ import annotations

from dataclasses import dataclass

from slo.drill import SCENARIO_RAN
from slo.gate import GateJudgement
from slo.scenarios import ENDPOINTS, SCENARIOS
from slo.verdict import Check, Judgement, Verdict

NEAR = 0.8
"""From this share of a limit a passing check is marked: within 20% of its limit."""


@dataclass(frozen=True, slots=True)
class Gaps:
    """What an INCOMPLETE gate lacks: scenarios that may be waived by name, and a sentence for what may not."""

    waivable: tuple[str, ...] = ()
    blocked: str = ""


def gaps(made: GateJudgement) -> Gaps:
    """What is missing for a decision; empty for a PASS. A gate of which no scenario ran lacks more than scenarios."""
    waivable: list[str] = []
    blocked: list[str] = []
    for name, step in made.steps:
        if step.verdict is not Verdict.INCOMPLETE:
            continue
        label = name.replace("_", " ")
        lacking = [check for check in step.undecided if check.name == SCENARIO_RAN and name == "load_drill"]
        others = [check for check in step.undecided if check not in lacking]
        known = [check for check in lacking if _scenario(check) is not None]
        waivable += [scenario for check in known if (scenario := _scenario(check)) is not None]
        blocked += [f"{label}: {check.reason}" for check in lacking if check not in known]
        blocked += [_why(label, check) for check in others]
        if step.reason or not step.checks:
            blocked.append(f"{label}: {step.reason or 'nothing was shown'}")
    if set(waivable) >= set(SCENARIOS) and not blocked:
        blocked.append("no scenario ran at all")
    return Gaps(tuple(dict.fromkeys(waivable)), "; ".join(dict.fromkeys(blocked)))


def _scenario(check: Check) -> str | None:
    return next((name for name, path in ENDPOINTS.items() if path == check.scope), None)


def _why(label: str, check: Check) -> str:
    return f"{label}: {check.name.replace('_', ' ')} of {check.scope} {check.reason or 'not measured'}"


def near(check: Check) -> bool:
    """Whether a passing check is at the baseline's warning level, else within 20% of its limit.

    For a minimum, of the share that may be bad.
    """
    if check.verdict is not Verdict.PASS or check.value is None or check.limit is None:
        return False
    if check.warning is not None:
        return check.value >= check.warning
    if check.comparison == ">=":
        return check.unit == "rate" and check.limit < 1 and (1 - check.value) >= NEAR * (1 - check.limit)
    return check.limit > 0 and check.value >= NEAR * check.limit


def _nearness(check: Check) -> str:
    return "is at its warning level" if check.warning is not None else "is within 20% of its limit"


def warnings(made: GateJudgement) -> tuple[str, ...]:
    """Lines to be read before an approval, most telling first; none for a clean PASS."""
    found: list[str] = []
    for name, step in made.steps:
        found += [
            f"{check.name.replace('_', ' ')} of {check.scope} {_nearness(check)}"
            for check in step.checks
            if near(check)
        ]
        found += _snapshot_warnings(step) if name == "snapshot_gate" else []
        if step.verdict is Verdict.PASS and step.original_rule is False:
            found.append(f"the original rule fails {name.replace('_', ' ')}: {_original(step)}")
    found += [f"{name.replace('_', ' ')} was over its limit before the drill" for name in made.already]
    return tuple(dict.fromkeys(found))


def _snapshot_warnings(step: Judgement) -> list[str]:
    return [
        f"{check.name.replace('_', ' ')}: {part}"
        for check in step.checks
        for part in check.reason.split("; ")
        if part.startswith(("stale-open", "full only after"))
    ]


def _original(step: Judgement) -> str:
    names = [check.name.replace("_", " ") for check in step.checks if check.original is False]
    return ", ".join(dict.fromkeys(names)) or "as a whole"
