"""A look as a walk keeps it: readings, what is offered now for each step, and what is not and why."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from bot.redact import inert
from playbooks.advice import drains_in_vain, upstreams_failing
from playbooks.functions import function
from playbooks.page import Step as Action
from playbooks.page import StepKind
from playbooks.spans import FunctionRef

if TYPE_CHECKING:
    from bot.walk.look import Look
    from bot.walk.proposals import Offer
    from playbooks.change_set import Standing
    from playbooks.knobs import Knob

REQUEUED = 20
"""Dead letters that one button puts back."""
READINGS = 6
"""Readings of the signal on the card, those that fired first."""


async def picture(made: Look) -> dict[str, Any]:
    """A look as the walk keeps it: everything that its card needs, as JSON."""
    from bot.views import reading_text
    from bot.walk import proposals
    from playbooks.advice import against, first

    signal = made.signal()
    found: dict[int, Any] = dict(made.found)
    offers: dict[int, list[Any]] = {}
    not_now: dict[int, str] = {}
    for action in made.page.steps:
        if reason := against(action.number, signal, made.facts):
            not_now[action.number] = reason
        if action.kind is StepKind.CHANGE:
            standings = {} if reason else await _standings(made, proposals.knobs_of(action, signal, made.now))
            ranges, proposed = proposals.of_step(action, signal, made.now, standings, made.gate)
            found[action.number] = (*found.get(action.number, ()), *ranges)
            offers[action.number] = [] if reason else [_kept(offer) for offer in proposed]
        elif action.kind is StepKind.RUN and made.gate is not None:
            offers[action.number] = [{"label": f"Run {made.gate.wish.milestone}", "line": made.gate.line}]
        elif action.kind is StepKind.MUTATE:
            offers[action.number] = list(_changes(made, action))
        elif action.kind is StepKind.CONFIRM and signal.variant == "abusive":
            offers[action.number] = [{"label": "Watch 10 min", "line": "walk watch WALK"}]
    shown = sorted(signal.readings, key=lambda reading: not reading.fired)
    return {
        "state": signal.state,
        "variant": signal.variant,
        "why": signal.why,
        "readings": [[reading.fired, reading_text(reading)] for reading in shown][:READINGS],
        "missing": list(signal.missing),
        "found": {str(number): [[line.tone, line.text] for line in lines] for number, lines in found.items() if lines},
        "offers": {str(number): lines for number, lines in offers.items() if lines},
        "not_now": {str(number): reason for number, reason in not_now.items()},
        "before": first(signal),
        "artifact": made.artifact,
        "at_ms": made.now.generated_at,
    }


async def _standings(made: Look, knobs: Sequence[Knob]) -> dict[str, Standing]:
    """How the few knobs that a signal is about stand: 24 h ago, and how long the calls behind a lease take."""
    from bot.tuning.draft import standing

    return {knob.name: await standing(made.run, knob, {}, made.now) for knob in knobs[:READINGS]}


def _kept(offer: Offer) -> dict[str, Any]:
    form = offer.form.model_dump(mode="json", exclude_defaults=True) if offer.form is not None else None
    return {"label": offer.label, "line": offer.line} | ({"form": form} if form is not None else {})


def _changes(made: Look, action: Action) -> list[dict[str, str]]:
    """A button for each thing that a mutate step may do now, with what it would do to what."""
    offered = []
    for name in dict.fromkeys(ref.function.name for ref in action.all(FunctionRef) if ref.function.mutates):
        for words, args, flags in _targets(made, name):
            text = json.dumps(args, separators=(",", ":"))
            offered.append(
                {
                    "label": f"{name.partition(':')[2]}{f' {words[0]}' if words[0] else ''}",
                    "line": f"walk mutate WALK {action.number} {name} {text} {flags}--yes=true",
                    "confirm": f"On {made.run.target.name} ({made.run.target.environment.value}): {words[1]}",
                }
            )
    return offered


def _targets(made: Look, name: str) -> list[tuple[tuple[str, str], dict[str, Any], str]]:
    """What a function may act on now: label and confirmation, arguments, and flags of the line."""
    now = made.now
    match name:
        case "toolCache:clearNamespace":
            return [
                ((s, f"{count} entries of {s} → 0"), {"namespace": s}, "") for s, count in _namespaces(made) if count
            ]
        case "toolJobs:requeueDeadLetter":
            dead = now.tool_jobs.by_status.dead_letter
            if not dead or upstreams_failing(now):
                return []
            rows = now.tool_jobs.recent_dead_letters[:1]
            jobs = [(inert(row.id, 64), inert(row.tool_name, 40)) for row in rows if row.id is not None]
            one = [((job, f"dead letter {job} ({tool}) → queued"), {"jobId": job}, "") for job, tool in jobs]
            most = min(dead, REQUEUED)
            words = f"the newest {most} of {dead} dead letters → queued; requeue one first when in doubt"
            return [*one, *([((f"({most} at once)", words), {}, f"--most={most} ")] if dead > 1 else [])]
        case "toolJobs:processQueue":
            queued = now.tool_jobs.by_status.queued
            if not queued or drains_in_vain(now):
                return []
            return [(("", f"{queued} queued jobs are run, some at a time"), {}, "")]
    return [(("", f"{function(name).summary}"), {}, "")]


def _namespaces(made: Look) -> list[tuple[str, int]]:
    """Namespaces in use with their entries; only those with stale answers when some were found stale."""
    spaces, counts = made.now.config.tool_cache_namespaces, made.now.tool_cache.by_namespace
    stale = {answer.namespace for answer in made.facts.cached or () if answer.differs}
    names = (spaces.web_search, spaces.product_search)
    return [(name, counts.get(name, 0)) for name in names if not stale or name in stale]
