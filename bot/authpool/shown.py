"""Pools on cards: size, age, tokens that end, who would take part, and for which milestones it is enough."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from bot.authpool.pools import Listed, enough_for
from bot.card import Button, Card, Cell, Fact, Table, Tone, when
from bot.redact import inert
from bot.views import duration
from slo.authpool import PoolFacts, coverage
from slo.pool import ROTATIONS, PoolSelector
from slo.profiles import PROFILES

if TYPE_CHECKING:
    from bot.authpool.maker import Made, Wish
    from bot.run import Run

SHOWN = 5
OWN = " (the target's own)"


def tokens_text(facts: PoolFacts, now_ms: int, max_age_ms: int) -> str:
    """``all hold, the first one until 14:00``; what has ended or does not say comes first."""
    over, silent, first = facts.ended(now_ms), facts.silent(), facts.first_end_ms()
    parts = [f"{over} ended"] if over else []
    if silent:
        age = facts.age_ms(now_ms)
        old = age is not None and age > max_age_ms
        parts.append(f"{silent} do not say when they end{', and the file is old' if old else ''}")
    if not over and first is not None:
        soon = first <= now_ms + max_age_ms // 2
        parts.append(f"{'the first ends soon, ' if soon else 'they hold until '}{when(first)}")
    return "; ".join(parts) or "none"


def made_card(run: Run, wish: Wish, made: Made, facts: PoolFacts | None) -> Card:
    """How it went: the pool's size first, then what was done for it, failures by user, and what to do with it."""
    total, whole = len(made.users), len(made.users) == wish.count
    halted = run.brake.halted
    word = "STOPPED" if halted is not None else "INCOMPLETE"
    title = f"DONE: pool of {total} users" if whole else f"{word}: {total} of {wish.count} users"
    now_ms, sections = run.world.clock.now_ms(), []
    if made.failed:
        lines = [f"• {label}: {inert(why, 140)}" for label, why in list(made.failed.items())[:SHOWN]]
        more = len(made.failed) - SHOWN
        sections.append("\n".join(["*Not made*", *lines, *([f"• and {more} more"] if more > 0 else [])]))
    if made.unclear:
        sections.append(f"{made.unclear} threads may have been made all the same; nobody uses them (R26).")
    fit = enough_for(facts.size - facts.ended(now_ms)) if facts is not None else ()
    facts_shown = [
        Fact(label="Kept", value=str(made.kept)),
        Fact(label="Signed in", value=str(made.renewed)),
        Fact(label="Signed up", value=str(made.signed_up)),
        Fact(label="Enough for", value=", ".join(fit) or "no milestone"),
    ]
    max_age_ms = run.world.book.thresholds.h.pool_max_age_ms
    if facts is not None:
        facts_shown.append(Fact(label="Tokens", value=tokens_text(facts, now_ms, max_age_ms)))
    buttons = []
    if not whole:
        buttons.append(Button(label="Go on", line=run.op.line, name="pool.again", style="primary"))
    elif fit:
        line = f"milestone-gate --milestone={fit[0]} --chat-auth-pool-file={wish.name} --target={run.target.name}"
        buttons.append(Button(label=f"Run milestone gate {fit[0]}", line=line, name="milestone.run", style="primary"))
    return Card(
        title=f"{title} for {run.target.name}",
        tone=Tone.OK if whole else Tone.UNKNOWN,
        context=run.context,
        lead=halted.detail if halted is not None else "",
        facts=tuple(facts_shown),
        sections=tuple(sections),
        next=(
            f"`--chat-auth-pool-file={wish.name}`, or chat_pool_file under [target.{run.target.name}]"
            if whole
            else "the same line again: users that are there are kept"
        ),
        buttons=tuple(buttons),
        footer=f"`{wish.name}` (0600, live credentials: it is never sent) · took {duration(run.elapsed_s * 1000)}",
        final=True,
    )


def status_card(run: Run, listed: Iterable[Listed], requests: int) -> Card:
    """Every pool of a target with its size, age, tokens and for what it is enough."""
    now_ms, max_age_ms = run.world.clock.now_ms(), run.world.book.thresholds.h.pool_max_age_ms
    pools = list(listed)
    rows, sections, good = [], [], False
    for each in pools:
        if isinstance(each.facts, str):
            rows.append((Cell(text=each.name), Cell(text="not usable", tone=Tone.BAD), *[Cell(text="–")] * 3))
            sections.append(f"`{each.name}`: {inert(each.facts, 200)}")
            continue
        facts = each.facts
        age, fresh = facts.age_ms(now_ms), facts.fresh(now_ms, 0, max_age_ms)
        fit = enough_for(fresh)
        good = good or bool(fit)
        rows.append(
            (
                Cell(text=each.name),
                Cell(text=f"{fresh} of {facts.size}", tone=Tone.OK if fresh == facts.size else Tone.WARN),
                Cell(text="–" if age is None else f"{age / 60_000:.0f} min"),
                Cell(text=tokens_text(facts, now_ms, max_age_ms)),
                Cell(text=", ".join(fit) or "none"),
            )
        )
        sections.append(f"`{each.name}`{'' if each.made else OWN}: {_rotations(facts, requests)}")
    target = run.target.name
    title = (
        f"{len(pools)} chat auth pool{'' if len(pools) == 1 else 's'} of {target}" if pools else f"No pool of {target}"
    )
    return Card(
        title=title,
        tone=Tone.OK if good else Tone.WARN,
        context=run.context,
        table=Table(columns=("Pool", "Users that hold", "Age", "Tokens", "Enough for"), rows=tuple(rows))
        if rows
        else None,
        sections=tuple(sections[:SHOWN]),
        next="" if good else f"`/sendcat pool --count=20 --target={target}` makes one, or renews it",
        final=True,
    )


def _rotations(facts: PoolFacts, requests: int) -> str:
    """How many users each rotation brings in over so many chats: ``stride 7 reaches 5 of 35``."""
    parts = []
    for mode in ROTATIONS:
        share = coverage(PoolSelector(facts.size, mode, seed="m1_1k-seed"), requests)
        parts.append(f"{mode} {round(share * facts.size)}")
    return f"of {facts.size} users, {requests:,} chats bring in: {', '.join(parts)}"


def data_of(facts: PoolFacts | str, now_ms: int) -> dict[str, Any]:
    """The same for ``--json``."""
    if isinstance(facts, str):
        return {"usable": False, "why": facts}
    return {
        "usable": True,
        "size": facts.size,
        "age_ms": facts.age_ms(now_ms),
        "ended": facts.ended(now_ms),
        "silent": facts.silent(),
        "first_end_ms": facts.first_end_ms(),
    }


def streams_of(milestone: str) -> int:
    """Chats of which the coverage is worked out: one for each stream of the milestone."""
    plan = PROFILES[milestone].streams
    return plan.streams if plan is not None else 1_000
