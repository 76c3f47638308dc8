"""Pools on cards: size, age, tokens that end, who would take part, and for which milestones it is enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from bot.authpool.pools import Listed, enough_for
from bot.card import Button, Card, Cell, Confirm, Fact, Table, Tone, when
from bot.dashboard.files import shown
from bot.redact import inert
from bot.views import duration
from slo.authpool import PoolFacts, coverage
from slo.pool import ROTATIONS, PoolSelector
from slo.profiles import PROFILES

if TYPE_CHECKING:
    from bot.authpool.maker import Made, Wish
    from bot.run import Run

SHOWN, NAMED = 5, 3
OWN = " (own)"


def tokens_text(facts: PoolFacts, now_ms: int, max_age_ms: int) -> str:
    """``hold until 14:00``, the end of the first one; what has ended or does not say comes first."""
    over, silent, first = facts.ended(now_ms), facts.silent(), facts.first_end_ms()
    parts = [f"{over} ended"] if over else []
    if silent:
        age = facts.age_ms(now_ms)
        old = age is not None and age > max_age_ms
        parts.append(f"{silent} do not say when they end{', and the file is old' if old else ''}")
    if not over and first is not None:
        soon = first <= now_ms + max_age_ms // 2
        parts.append(f"{'the first ends soon, ' if soon else 'hold until '}{when(first)}")
    return "; ".join(parts) or "none"


def made_card(run: Run, wish: Wish, made: Made, facts: PoolFacts | None) -> Card:
    """How it went: the pool's size first, then what was done for it, failures by user, and what to do with it."""
    total, whole = len(made.users), len(made.users) == wish.count
    halted = run.brake.halted
    word = "STOPPED" if halted is not None else "INCOMPLETE"
    title = f"DONE: pool of {total} users" if whole else f"{word}: {total} of {wish.count} users"
    now_ms, sections = run.world.clock.now_ms(), []
    if made.failed:
        sections.append("\n".join(["*Not made*", *_failures(made.failed)]))
    if made.unclear:
        sections.append(f"{made.unclear} threads may have been made all the same; nobody uses them (R26).")
    fit = enough_for(facts.size - facts.ended(now_ms)) if facts is not None else ()
    counts = (("Kept", made.kept), ("Signed in", made.renewed), ("Signed up", made.signed_up))
    facts_shown = [Fact(label=label, value=str(count)) for label, count in counts if count]
    facts_shown.append(Fact(label="Enough for", value=", ".join(fit) or "no milestone"))
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
            if total
            else "mend that, then the same line again"
        ),
        buttons=tuple(buttons),
        footer=(f"`{wish.name}` (0600, live credentials: it is never sent)" if total else "no file was written")
        + f" · took {duration(run.elapsed_s * 1000)}",
        final=True,
    )


def _failures(failed: Mapping[str, str]) -> list[str]:
    """Users by the reason they share: ``u45, u46, u47 and 3 more: sign-up: HTTP 429``."""
    by_reason: dict[str, list[str]] = {}
    for label, why in failed.items():
        by_reason.setdefault(why, []).append(label)
    lines = []
    for why, labels in list(by_reason.items())[:SHOWN]:
        more = f" and {len(labels) - NAMED} more" if len(labels) > NAMED else ""
        lines.append(f"• {', '.join(labels[:NAMED])}{more}: {inert(why, 140)}")
    left = len(by_reason) - SHOWN
    return [*lines, *([f"• and {left} more reasons"] if left > 0 else [])]


def status_card(run: Run, listed: Iterable[Listed], requests: int) -> Card:
    """Every pool of a target with its size, age, tokens and for what it is enough."""
    now_ms, max_age_ms = run.world.clock.now_ms(), run.world.book.thresholds.h.pool_max_age_ms
    pools, target = list(listed), run.target.name
    rows: list[tuple[Cell, ...]] = []
    sections: list[str] = []
    enough: dict[str, None] = {}
    for each in pools:
        name = f"{_short(each.name)}{'' if each.made else OWN}"
        if isinstance(each.facts, str):
            rows.append((Cell(text=name), Cell(text="not usable", tone=Tone.BAD), *[Cell(text="–")] * 3))
            sections.append(inert(each.facts, 200))
            continue
        facts = each.facts
        age, fresh = facts.age_ms(now_ms), facts.fresh(now_ms, 0, max_age_ms)
        fit = enough_for(fresh)
        enough |= dict.fromkeys(fit)
        rows.append(
            (
                Cell(text=name),
                Cell(text=f"{fresh} of {facts.size}", tone=Tone.OK if fresh == facts.size else Tone.WARN),
                Cell(text=", ".join(fit) or "none"),
                Cell(text="–" if age is None else _age(age)),
                Cell(text=tokens_text(facts, now_ms, max_age_ms)),
            )
        )
        if fit:
            sections.append(f"`{_short(each.name)}`: {_rotations(facts, requests)}")
    count = f"{len(pools)} pool{'' if len(pools) == 1 else 's'}"
    fit_for = f"ENOUGH for {', '.join(enough)}" if enough else "NOT ENOUGH for any milestone"
    return Card(
        title=f"{fit_for}: {count} of {target}" if pools else f"No pool of {target}",
        tone=Tone.OK if enough else Tone.WARN,
        context=run.context,
        table=Table(columns=("Pool", "Fresh", "Enough for", "Age", "Tokens"), rows=tuple(rows)) if rows else None,
        sections=tuple(sections[:SHOWN]),
        next="" if enough else f"`/sendcat pool --count=20 --target={target}` makes one, or renews it",
        buttons=() if enough else (_make(target),),
        final=True,
    )


def _short(name: str) -> str:
    """A pool's name without what all of them have."""
    return shown(name).removeprefix("chat-auth-pool-").removesuffix(".json")


def _make(target: str) -> Button:
    return Button(
        label="Make a pool of 20…",
        line=f"pool --count=20 --target={target}",
        name="pool.make",
        style="primary",
        confirm=Confirm(
            title=f"Make 20 users on {target}?",
            text=f"Accounts that are not there are made in the app of {target}, each with a thread.",
            yes="Make them",
        ),
    )


def _age(ms: int) -> str:
    minutes = ms // 60_000
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"


def _rotations(facts: PoolFacts, requests: int) -> str:
    """How many users so many chats bring in: all of them, or which rotation leaves some out (``stride 5``)."""
    parts = []
    for mode in ROTATIONS:
        reached = round(coverage(PoolSelector(facts.size, mode, seed="m1_1k-seed"), requests) * facts.size)
        if reached < facts.size:
            parts.append(f"{mode} {reached}")
    if not parts:
        return f"{requests:,} chats bring in all {facts.size} users, by any rotation"
    return f"of {facts.size} users, {requests:,} chats bring in only: {', '.join(parts)}"


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
