"""A playbook as it is walked: found, in the middle, unclear, done, left."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from bot.store.walks import Taken, Walk
from bot.walk.card import card, listed, whole
from bot.walk.look import Look
from bot.walk.picture import picture
from playbooks.facts import Facts
from playbooks.findings import Finding
from playbooks.signals import judge_signals
from tests.golden.runs import looked
from tests.golden.stage import CHANNEL, MINUTE, ONCALL, RELMGR, T0, Scene, Shown

SAMPLES = {"a": "rate-limit-pressure", "b": "circuit-open", "f": "queue-backlog"}


async def cards(scene: Scene) -> dict[str, Shown]:
    found: dict[str, Shown] = {}
    for letter, sample in SAMPLES.items():
        page = scene.world.book.page(letter)
        run = await scene.run(f"playbook {letter.upper()}")
        seen = await looked(run, sample)
        facts = Facts((seen.snapshot,))
        made = Look(
            run=run, page=page, facts=facts, signals=judge_signals(facts, scene.world.book), artifact=seen.artifact
        )  # fmt: skip
        begun = walk(letter, await picture(made))
        found[f"walk.{letter}-looked"] = card(begun, page)
        if letter == "f":
            found["walk.looking"] = card(replace(begun, seen={}), page)
            acting = [step.number for step in page.steps if step.kind.value not in ("read",)]
            first, second = acting[0], acting[1]
            done = Taken(first, "done", ONCALL, T0, "r-8f2k", (Finding("workers are the limit, not the provider"),))
            found["walk.in-the-middle"] = card(_with(begun, done), page)
            running = Taken(second, "running", RELMGR, T0, "r-9c3d", (Finding("waiting 12 s"),))
            found["walk.step-running"] = card(_with(begun, done, running), page)
            found["walk.step-unclear"] = card(_with(begun, done, replace(running, state="unclear")), page)
            found["walk.step-failed"] = card(
                _with(begun, done, replace(running, state="failed", lines=(Finding("Convex refused it", "bad"),))), page
            )
            found["walk.step-interrupted"] = card(_with(begun, done, replace(running, state="interrupted")), page)
            every = [Taken(number, "done", ONCALL, T0, None, ()) for number in acting]
            found["walk.everything-done"] = card(_with(begun, *every), page)
            found["walk.every-step-in-the-thread"] = listed(_with(begun, done, running), page)
            found["walk.in-a-terminal"] = whole(_with(begun, done), page)
            found["walk.left"] = card(replace(begun, ended_ms=T0 + MINUTE, ended_by=RELMGR), page)
    return found


def walk(letter: str, seen: dict[str, Any]) -> Walk:
    """A walk through a page that began a minute ago."""
    return Walk(
        id="w-3", page=letter, target="practice", channel=CHANNEL, card_op="r-8f2k", by=ONCALL, started_ms=T0 - MINUTE,
        before=None, seen=seen,
    )  # fmt: skip


def _with(walk: Walk, *steps: Taken) -> Walk:
    return replace(walk, steps={taken.number: taken for taken in steps})
