"""A milestone gate on its card: the verdict, how many streams were really open, every check, which knobs to look at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bot.card import Attachment, Button, Card, Fact, Table
from bot.dashboard.files import shown as file_name
from bot.drill.shown import stages_attachment
from bot.gate import checks
from bot.gate.checks import Row
from bot.milestone import ladder
from bot.milestone.sent import load_of
from bot.redact import inert
from bot.views import beside, duration, number, verdict_tone
from playbooks.milestone_knobs import Advice, advise
from slo.authpool import COVERAGE, FRESH, SIZE
from slo.milestone_report import near
from slo.verdict import SNAPSHOT, Verdict

if TYPE_CHECKING:
    from bot.milestone.gathering import Asked, Gathered
    from bot.milestone.made import Made
    from bot.run import Run
    from slo.artifacts import MilestoneHonest

ROWS = 10
MOST_TOLD = 3
"""Figures that are told in words above the table."""
_ALWAYS = frozenset(
    {"stream_success_rate", "429_rate", "p95_completion_latency", "p95_first_token_latency", "open_streams"}
)
"""Checks that are shown on every card, also when all is well."""
_POOL = frozenset({SIZE, COVERAGE, FRESH})


def gate_card(run: Run, wish: Asked, found: Gathered, made: Made) -> Card:
    """How it ended, whatever happened; a case draws its decision over it."""
    name, verdict, honest = wish.args.milestone, made.judged.verdict, made.honest
    halted = run.brake.halted
    release = f" of {inert(wish.args.name, 60)}" if wish.args.name else ""
    word = "STOPPED, " if halted is not None and _stopped(run) else ""
    advice = advice_of(wish, found, made)
    every = _rows(made)
    sections = []
    if advice:
        lines = [f"• {item.text}" + (f": `/sendcat {item.line}`" if item.line else "") for item in advice[:4]]
        sections.append("\n".join(["*Knobs to look at*", *lines]))
    # How this one stands is said above, and changes after this card was drawn.
    others = tuple(rung for rung in made.rungs if rung.name != name)
    if others:
        sections.append(f"*Other milestones{release}:* {ladder.words(others)}")
    before = ladder.lacking(made.rungs, name)
    if before is not None and verdict is Verdict.PASS:
        sections.append(f"{name} can be approved once {before} is: {ladder.RULE}.")
    return Card(
        title=f"{word}{verdict}: milestone {name}{release} on {run.target.name}"[:120],
        tone=verdict_tone(verdict),
        context=run.context,
        lead=_lead(run, found, made, every),
        facts=tuple(_facts(wish, found, honest)),
        table=_table(every, made),
        to_read=tuple(inert(text, 160) for text in honest.warnings[:10]),
        sections=tuple(sections),
        code="\n".join(found.by_hand),
        next=_then(run, wish, found, made, advice),
        buttons=_buttons(run, verdict, advice),
        footer=" · ".join(_footer(run, found, made)),
        attachments=(
            Attachment(title="Every check", text=checks.every_check(every)),
            *((stages_attachment(found.drilled.report, only_asked=True),) if found.drilled is not None else ()),
            Attachment(title="Milestone report", file=made.kept.name),
        ),
        final=True,
    )


def advice_of(wish: Asked, found: Gathered, made: Made) -> tuple[Advice, ...]:
    """What would help, for what is red; a pool that was not fit counts as red."""
    red = {check.name for check in made.judged.failed}
    red |= {check.name for check in made.judged.undecided if check.name in _POOL}
    now = found.after.snapshot if found.after is not None else None
    sent = load_of(found.drilled.report) if found.drilled is not None else None
    return advise(red, now, sent, wish.rules.pool.min_auth_pool_size)


def _lead(run: Run, found: Gathered, made: Made, every: tuple[Row, ...]) -> str:
    """Why: the figures that decide, or what is missing; and the original's word where it differs."""
    halted, verdict = run.brake.halted, made.judged.verdict
    if halted is not None:
        return halted.detail
    if found.not_run:
        return inert(found.not_run, 300)
    if verdict is Verdict.INCOMPLETE:
        return f"Nothing can be approved on it: {inert(made.honest.blocked, 300)}."
    said = [_red(every) if verdict is Verdict.FAIL else f"All {len(every)} checks hold."]
    if made.judged.original_rule is not (verdict is Verdict.PASS):
        word = "passes" if made.judged.original_rule else "fails"
        said.append(f"The original rule {word} this gate; ours decides.")
    return " ".join(said)


def _red(every: tuple[Row, ...]) -> str:
    """``chat streams done 87 %, at least 95 %; chat 5xx 3.9 %, limit 1.0 %; 2 more.``"""
    red = [row for row in every if row.check.verdict is Verdict.FAIL]
    told = []
    for row in red[:MOST_TOLD]:
        check = row.check
        word = "at least" if check.comparison == ">=" else "limit"
        value = beside(check.value, check.limit, check.unit)
        told.append(f"{row.label} {value}, {word} {number(check.limit, check.unit)}")
    if len(red) > len(told):
        told.append(f"{len(red) - len(told)} more")
    return f"{'; '.join(told)}." if told else ""


def _footer(run: Run, found: Gathered, made: Made) -> Iterator[str]:
    yield f"took {duration(run.elapsed_s * 1000)}"
    yield f"`{made.kept.name}`"
    yield f"sha256 {made.kept.sha256[:8]}"
    if found.pool is not None:
        yield f"pool `{file_name(found.pool.name)}`"


def _facts(wish: Asked, found: Gathered, honest: MilestoneHonest) -> list[Fact]:
    facts = []
    wanted = honest.streams_wanted
    if wanted is not None:
        held = "none" if honest.streams_held is None else f"{honest.streams_held:,}"
        facts.append(Fact(label="Streams open", value=f"{held} of {wanted:,}"))
    if honest.sustained_ms is not None and honest.soak_ms is not None:
        soak = f"{duration(honest.sustained_ms)} (documented soak {duration(honest.soak_ms)})"
        facts.append(Fact(label="Held for", value=soak))
    if honest.availability is not None and honest.availability_target is not None:
        value = f"{number(honest.availability, 'rate')} (target {honest.availability_target * 100:g} % over the soak)"
        facts.append(Fact(label="Availability", value=value))
    scale = honest.scale
    if (scale.load, scale.concurrency, scale.duration) != (1, 1, 1) or scale.original_workers:
        parts = f"load {scale.load:g}, concurrency {scale.concurrency:g}, duration {scale.duration:g}"
        facts.append(Fact(label="Scaled", value=parts + (", original workers" if scale.original_workers else "")))
    if found.pool is not None:
        age = f", {honest.pool_age_ms / 60_000:.0f} min old" if honest.pool_age_ms is not None else ""
        facts.append(Fact(label="Pool", value=f"{found.pool.size} users{age}"))
    if honest.approval is not None:
        facts.append(Fact(label="Load approved", value=f"decision {honest.approval}"))
    return facts


def _rows(made: Made) -> tuple[Row, ...]:
    last = made.last.honest.checks if made.last is not None and made.last.honest is not None else ()
    before = {(check.name, check.scope): check.value for check in last}
    return tuple(
        Row("snapshot" if check.scope == SNAPSHOT else "chat", check, before.get((check.name, check.scope)))
        for check in made.judged.checks
    )


def _table(every: tuple[Row, ...], made: Made) -> Table | None:
    """Red first, then what was not shown, then what is near its limit, then what is always shown."""

    def weight(row: Row) -> int:
        if row.check.verdict is not Verdict.PASS:
            return 0 if row.check.verdict is Verdict.FAIL else 1
        return 2 if near(row.check) else 3 if row.check.name in _ALWAYS else 4

    ordered = sorted((row for row in every if weight(row) < 4), key=weight)
    shown = ordered[:ROWS]
    if not shown:
        return None
    left = len(every) - len(shown)
    compared = made.last is not None
    columns = ("Check", "Value", "Limit", *(("Against last",) if compared else ()), "Evidence")
    cells = [checks.cells(row) for row in shown]
    return Table(
        columns=columns,
        rows=tuple(row if compared else (*row[:3], *row[4:]) for row in cells),
        caption=f"{left} more check{'' if left == 1 else 's'} in the thread" if left else "",
    )


def _stopped(run: Run) -> bool:
    from bot.milestone.made import stopped

    return stopped(run)


def _then(run: Run, wish: Asked, found: Gathered, made: Made, advice: tuple[Advice, ...]) -> str:
    verdict, honest = made.judged.verdict, made.honest
    if _stopped(run):
        return "run it again; a stopped run is never gone on with (R18)"
    if found.not_run:
        red = {check.name for check in made.judged.checks if check.verdict is not Verdict.PASS}
        if red & _POOL:
            return f"`/sendcat pool --count={wish.rules.pool.min_auth_pool_size}`, then this gate with its file"
        return "run it again"
    if verdict is Verdict.FAIL:
        first = "tune what is named above, one change at a time," if advice else "find the cause in playbook H, mend it"
        return f"{first} and run it again before promotion (playbook H, action 4)"
    if verdict is Verdict.INCOMPLETE:
        planned, wanted = honest.streams_planned, honest.streams_wanted
        if wanted is not None and (planned is None or planned < wanted):
            return (
                f"run it at its true scale of {wanted:,} streams: without --chat-concurrency-scale and --original-scale"
            )
        return "see what was not shown, and run it again"
    return ""


def _buttons(run: Run, verdict: Verdict, advice: tuple[Advice, ...]) -> tuple[Button, ...]:
    again = Button(label="Run again", line=run.op.line, name="milestone.rerun")
    if verdict is Verdict.PASS:
        return (again,)
    offered = [
        Button(
            label=_label(item.line),
            line=f"{item.line} --target={run.target.name}",
            name=f"milestone.advice-{number}",
            style="primary" if number == 1 else None,
        )
        for number, item in enumerate((item for item in advice if item.line), 1)
    ]
    page = Button(label="Open playbook H", line="playbook H", name="playbook.open")
    if verdict is Verdict.FAIL and not offered:
        page = page.model_copy(update={"style": "primary"})
    return (*offered[:2], page, again)


def _label(line: str) -> str:
    return f"Propose {line.removeprefix('tune ')}"[:75] if line.startswith("tune ") else "Make the pool"
