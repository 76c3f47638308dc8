"""A wish becomes a proposal: how the knobs stand is read, the rules are asked, and the result is written down."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

from bot import measure
from bot.card import Button, Field, Form
from bot.errors import Refused, Unknown
from bot.measure import Looked
from bot.run import Run
from bot.sendcat.snapshot import SKEW_REFUSE_MS
from bot.store import changes
from bot.store.change import Change
from bot.tuning import identity
from playbooks.capacity import capacity_notes
from playbooks.change_set import ChangeSet, Standing
from playbooks.judges.b_circuit import PRIMARY, SECONDARY
from playbooks.knobs import Knob, UnknownKnob, Value, effective, knob
from playbooks.lines import Line
from playbooks.steps import Family, family
from playbooks.tuning import RuleBroken, WishError, involved, propose
from playbooks.wishes import Wish, parse_wishes
from slo.drill import first_token_p95_ms
from slo.snapshot import Snapshot

DAY_MS = 24 * 3_600_000
OPEN_MS = 30 * 60_000
"""A proposal can be approved for this long (INTERFACES.md, section 4)."""


@dataclass(frozen=True)
class Draft:
    """A lawful change set with everything that an approval of it is bound to."""

    change_set: ChangeSet
    notes: tuple[str, ...]
    deployment: str
    policy: str
    looked: Looked


def wishes_of(words: tuple[str, ...]) -> tuple[Wish, ...]:
    """Read wishes; raises `Unknown` with what to type instead."""
    try:
        return parse_wishes(words)
    except UnknownKnob as error:
        rest = " ".join(words[1:])
        then = f"/sendcat tune {error.near} {rest}".strip() if error.near and len(words) <= 2 else "/sendcat knobs"
        raise Unknown(f"There is {error.what.rstrip('?')}{'?' if error.near else '.'}", then=then) from None
    except WishError as error:
        raise Unknown(error.what, then=_typed(error.then)) from None


async def draft(run: Run, words: tuple[str, ...], why: str) -> Draft:
    """Look at the deployment and ask the rules. Raises `Refused` with the rule and the nearest lawful line."""
    wishes = wishes_of(words)
    deployment = await identity.deployment(run.convex, run.target)
    stored = await run.convex.environment()
    looked = await measure.snapshot(run)
    check_clock(looked.read.skew_ms)
    known = {one.name: await standing(run, one, stored, looked.snapshot) for one in involved(wishes)}
    since = run.world.clock.now_ms() - DAY_MS
    name = run.target.name
    kept = await run.world.store.read(lambda conn: changes.retested_since(conn, name, since))
    gentler = any(_gentle(step.knob) for change in kept for step in change.steps)
    for wish in wishes:
        _check_last(await run.world.store.read(partial(changes.last_of, target=name, knob=wish.knob.name)), since)
    try:
        change_set = propose(wishes, known, why=why, gentler_tried=gentler)
    except RuleBroken as broken:
        raise Refused(
            broken.what, rule=broken.rule, then=_typed(broken.then), buttons=nearest(broken.then, why)
        ) from None
    except WishError as error:
        raise Unknown(error.what, then=_typed(error.then)) from None
    earlier = await measure.last_snapshot(run)
    drilled = await measure.fresh_drill(run)
    first_token = first_token_p95_ms(drilled.report) if drilled else None
    notes = capacity_notes(change_set.steps, earlier[1] if earlier else None, looked.snapshot, first_token)
    return Draft(change_set, notes, deployment, identity.policy(), looked)


async def standing(run: Run, one: Knob, stored: dict[str, str], now: Snapshot) -> Standing:
    """How a knob stands, with its value 24 h ago and, for the lease of a chat route, how long its calls take."""
    value = effective(now, one)
    day_ago = await _day_ago(run, one) if value is not None else None
    return Standing(stored.get(one.name), value, day_ago, await _call_ms(run, one, now))


def check_clock(skew_ms: int) -> None:
    """R31: changes are refused when the other side's clock is two minutes away."""
    if abs(skew_ms) >= SKEW_REFUSE_MS:
        raise Refused(
            f"Sendcat's clock and ours are {abs(skew_ms) // 1000} s apart.",
            rule="changes are refused from 120 s of skew (R31)",
            then="correct the clock of the host, then: /sendcat doctor",
        )


async def _day_ago(run: Run, one: Knob) -> Value | None:
    """The effective value 24 h ago by our own records: a change since then, or a snapshot saved about then (R23)."""
    since, name = run.world.clock.now_ms() - DAY_MS, run.target.name
    change = await run.world.store.read(lambda conn: changes.first_since(conn, name, one.name, since))
    saved = await measure.snapshot_at(run, since)
    if saved is not None and (change is None or change.sent_ms is None or saved[0] <= change.sent_ms):
        return effective(saved[1], one)
    return next((step.before for step in change.steps if step.knob == one.name), None) if change else None


async def moved_since_yesterday(run: Run) -> dict[str, Value]:
    """The effective values 24 h ago of the knobs that a change of ours has moved since (R23)."""
    since, name = run.world.clock.now_ms() - DAY_MS, run.target.name
    touched = await run.world.store.read(partial(changes.knobs_since, target=name, since_ms=since))
    found = {one: await _day_ago(run, knob(one)) for one in touched}
    return {one: value for one, value in found.items() if value is not None}


async def _call_ms(run: Run, one: Knob, now: Snapshot) -> int | None:
    """How long the calls behind a chat lease take: observed to the first token, else what their time-out allows.

    The lease ends when the provider's headers arrive, so the first token is an upper bound of what was observed.
    """
    routes = now.config.chat_provider_routes
    allowed = {
        PRIMARY: routes.primary_timeout_ms * (1 + routes.primary_retries),
        SECONDARY: routes.secondary_timeout_ms * (1 + routes.secondary_retries),
    }
    provider = (one.snapshot_path or "..").split(".")[2:3]
    if one.family != "bulkhead" or family(one) is not Family.LEASE or not provider or provider[0] not in allowed:
        return None
    drilled = await measure.fresh_drill(run) if provider[0] == PRIMARY else None
    seen = first_token_p95_ms(drilled.report) if drilled else None
    return int(seen) if seen is not None else allowed[provider[0]]


def _gentle(name: str) -> bool:
    one = knob(name)
    return one.type == "int" and family(one) in (Family.COOLDOWN, Family.CONCURRENCY)


def _check_last(last: Change | None, since_ms: int) -> None:
    """R23: the retest must pass between two changes of a knob; not worse is enough (VERDICTS)."""
    if last is None or last.state != "kept" or (last.sent_ms or 0) < since_ms or last.verdict in ("BETTER", "SAME"):
        return
    raise Refused(
        f"The last change of this knob, {last.id}, has no passed retest ({last.verdict}).",
        rule="the retest must pass between two changes (R23)",
        then=f"/sendcat tune retest {last.id}",
    )


def nearest(line: str, why: str) -> tuple[Button, ...]:
    """The nearest legal line as a button: one press proposes it; what needs a reason asks for it first."""
    body, lacking, _ = line.partition(" --why=")
    words = body.split()
    if words[:1] != ["tune"] or len(words) < 2:
        return ()
    reason = Field(flag="why", label="Why", kind="long", value=why)
    form = Form(title="Propose it with a reason", fields=(reason,), submit="Propose") if lacking else None
    asked = Line(words[0], tuple(words[1:]), {"why": why} if why and form is None else {}).text
    return (Button(label=f"Propose {' '.join(words[1:])}"[:75], line=asked, name="tuning.nearest", form=form),)


def _typed(line: str) -> str:
    """A line as it is typed; sentences stay as they are."""
    first = line.split(" ", 1)[0]
    return f"/sendcat {line}" if first in ("tune", "knobs", "snapshot", "playbook") else line
