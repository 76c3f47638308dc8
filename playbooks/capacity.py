"""Little's law beside a proposal: where arrival and hold time are known, one line says how many slots are needed.

slots in use = arrivals a second × seconds that each is held. Pure; shown, never decides.
"""

from __future__ import annotations

from collections.abc import Sequence

from playbooks.change_set import Step
from playbooks.judges.b_circuit import PRIMARY
from playbooks.knobs import knob
from playbooks.relief import QOS_TOOL, TOOL_OF
from playbooks.steps import Family, family
from playbooks.tuning import PARTNER
from slo.snapshot import Snapshot

APART_MS = (5_000, 30 * 60_000)
"""Two looks tell a rate when they are this far apart."""


def capacity_notes(
    steps: Sequence[Step], earlier: Snapshot | None, now: Snapshot, first_token_ms: float | None = None
) -> tuple[str, ...]:
    """The lines for these steps, each once; empty where a figure is not known.

    ``earlier`` is an older look; ``first_token_ms`` the p95 to the first token of a chat, which bounds its lease.
    """
    return tuple(dict.fromkeys(line for step in steps if (line := _line(step, earlier, now, first_token_ms))))


def _line(step: Step, earlier: Snapshot | None, now: Snapshot, first_token_ms: float | None) -> str:
    if isinstance(step.after, bool) or not isinstance(step.after, int) or not isinstance(step.before, int):
        return ""
    if step.knob in PARTNER and earlier is not None:
        word = step.knob.rsplit("_", 1)[1]
        return _jobs(TOOL_OF[QOS_TOOL.get(word, word)], step.before, step.after, earlier, now)
    one = knob(step.knob)
    chat = one.snapshot_path == f"config.bulkheads.{PRIMARY}.maxConcurrent"
    if chat and family(one) is Family.CONCURRENCY and first_token_ms:
        return littles_law(first_token_ms, step.before, step.after)
    return ""


def _jobs(tool: str, slots: int, after: int, earlier: Snapshot, now: Snapshot) -> str:
    """From two looks: what came between them, what was done, and how many ran meanwhile."""
    apart_ms = now.generated_at - earlier.generated_at
    old, new = earlier.tool_jobs.by_tool.get(tool), now.tool_jobs.by_tool.get(tool)
    if old is None or new is None or not APART_MS[0] <= apart_ms <= APART_MS[1]:
        return ""
    came = (new.queued + new.running + new.failed + new.completed) - (
        old.queued + old.running + old.failed + old.completed
    )
    done = (new.failed + new.completed) - (old.failed + old.completed)
    running = (old.running + new.running) / 2
    if came <= 0 or done <= 0 or running <= 0:
        return ""
    return littles_law(running * apart_ms / done, slots, after, came / apart_ms * 1000)


def littles_law(hold_ms: float, slots_before: int, slots_after: int, arrivals_per_s: float | None = None) -> str:
    """One line of Little's law: slots = arrivals × hold time."""
    hold_s = hold_ms / 1000
    if hold_s <= 0:
        return ""
    hold = f"{hold_s:.1f} s" if hold_s >= 1 else f"{hold_ms:.0f} ms"
    if arrivals_per_s is None:
        before, after = slots_before / hold_s, slots_after / hold_s
        return (
            f"Little's law: at {hold} a call, {slots_before} slots carry {before:.1f} calls a second, "
            f"{slots_after} carry {after:.1f}."
        )
    need = arrivals_per_s * hold_s
    enough = "enough" if need <= slots_after else "not enough"
    return (
        f"Little's law: {arrivals_per_s * 60:.0f} a minute × {hold} each need {need:.1f} slots; "
        f"{slots_after} are {enough}."
    )
