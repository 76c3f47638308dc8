"""What the deployment's variables say about a change whose write is in doubt (safety.md, R25, R26). Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from bot.store.change import Change

Fate = Literal["ours", "as before", "a stranger's"]
Classed = Literal["applied", "not applied", "partial", "changed by someone else"]


@dataclass(frozen=True)
class Seen:
    """The fate of each knob of a change, in the order of its steps, and the stored texts."""

    fates: Mapping[str, Fate]
    stored: Mapping[str, str | None]

    @property
    def classed(self) -> Classed:
        """A stranger's value dominates; a mix of ours and before is a partial success, shown as partial."""
        fates = set(self.fates.values())
        if "a stranger's" in fates:
            return "changed by someone else"
        if fates == {"ours"}:
            return "applied"
        return "not applied" if fates == {"as before"} else "partial"

    @property
    def words(self) -> str:
        """``KNOB=14 (ours), OTHER unset (as before)``."""
        return ", ".join(
            f"{knob}{'=' + text[:40] if (text := self.stored[knob]) is not None else ' unset'} ({fate})"
            for knob, fate in self.fates.items()
        )

    def with_fate(self, fate: Fate) -> tuple[str, ...]:
        return tuple(knob for knob, found in self.fates.items() if found == fate)


def see(change: Change, stored: Mapping[str, str]) -> Seen:
    """Compare the stored texts, exactly as they are, with what this change wrote and with what was there before."""
    fates: dict[str, Fate] = {}
    for step in change.steps:
        now = stored.get(step.knob)
        fates[step.knob] = "ours" if now == step.text else "as before" if now == step.stored else "a stranger's"
    return Seen(fates, {step.knob: stored.get(step.knob) for step in change.steps})
