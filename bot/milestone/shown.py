"""A milestone gate on its card: the verdict, how many streams were really open, every check, which knobs to look at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Attachment, Button, Card, Fact, Table
from bot.drill.shown import stages_attachment
from bot.gate import checks
from bot.gate.checks import Row
from bot.milestone import ladder
from bot.milestone.sent import load_of
from bot.redact import inert
from bot.views import duration, number, verdict_tone
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
    if honest.warnings:
        sections.append("⚠️ *To read:* " + "; ".join(inert(text, 160) for text in honest.warnings[:4]))
    if advice:
        lines = [f"• {item.text}" + (f": `/sendcat {item.line}`" if item.line else "") for item in advice[:4]]
        sections.append("\n".join(["*Knobs to look at*", *lines]))
    owners = _owners(made)
    if owners:
        sections.append(f"*Owners of what is red:* {owners}")
    sections.append(f"*Milestones{release} on {run.target.name}:* {ladder.words(made.rungs)}")
    before = ladder.lacking(made.rungs, name)
    if before is not None and verdict is Verdict.PASS:
        sections.append(f"{name} can be approved once {before} is: {ladder.RULE}.")
    return Card(
        title=f"{word}{verdict}: milestone {name}{release} on {run.target.name}"[:120],
        tone=verdict_tone(verdict),
        context=run.context,
        lead=_lead(run, found, made),
        facts=tuple(_facts(wish, found, honest)),
        table=_table(every, made),
        sections=tuple(sections),
        code="\n".join(found.by_hand),
        next=_then(run, wish, found, made),
        buttons=_buttons(run, verdict, advice),
        footer=f"took {duration(run.elapsed_s * 1000)} · `{made.kept.name}` · sha256 {made.kept.sha256[:8]}",
        attachments=(
            Attachment(title="Every check", text=checks.every_check(every)),
            *((stages_attachment(found.drilled.report),) if found.drilled is not None else ()),
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


def _lead(run: Run, found: Gathered, made: Made) -> str:
    halted = run.brake.halted
    if halted is not None:
        return halted.detail
    if found.not_run:
        return inert(found.not_run, 300)
    if made.judged.verdict is Verdict.INCOMPLETE:
        return f"Nothing can be approved on it: {inert(made.honest.blocked, 300)}."
    if made.judged.original_rule is not (made.judged.verdict is Verdict.PASS):
        word = "passes" if made.judged.original_rule else "fails"
        return f"The original rule {word} this gate; ours decides."
    return ""


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
        value = f"{number(honest.availability, 'rate')} (target {honest.availability_target:.2%} over the soak)"
        facts.append(Fact(label="Availability", value=value))
    scale = honest.scale
    if (scale.load, scale.concurrency, scale.duration) != (1, 1, 1) or scale.original_workers:
        parts = f"load {scale.load:g}, concurrency {scale.concurrency:g}, duration {scale.duration:g}"
        facts.append(Fact(label="Scaled", value=parts + (", original workers" if scale.original_workers else "")))
    if found.pool is not None:
        age = f", {honest.pool_age_ms / 60_000:.0f} min old" if honest.pool_age_ms is not None else ""
        facts.append(Fact(label="Pool", value=f"{inert(found.pool.name, 60)}: {found.pool.size} users{age}"))
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
    """Red first, then what was not shown, then what is near its limit, then the rest in the policy's order."""
    rank = {Verdict.FAIL: 0, Verdict.INCOMPLETE: 1, Verdict.PASS: 3}
    ordered = sorted(every, key=lambda row: 2 if near(row.check) else rank[row.check.verdict])
    shown = ordered[:ROWS]
    if not shown:
        return None
    left = len(ordered) - len(shown)
    return Table(
        columns=("Check", "Value", "Limit", "Against last" if made.last is not None else "Last", "Evidence"),
        rows=tuple(checks.cells(row) for row in shown),
        caption=f"{left} more check{'' if left == 1 else 's'} in the thread" if left else "",
    )


def _owners(made: Made) -> str:
    names = {check.owner.owner: check for check in made.judged.failed if check.owner is not None}
    return "; ".join(f"{owner} ({check.name.replace('_', ' ')})" for owner, check in names.items())


def _stopped(run: Run) -> bool:
    from bot.milestone.made import stopped

    return stopped(run)


def _then(run: Run, wish: Asked, found: Gathered, made: Made) -> str:
    verdict, honest = made.judged.verdict, made.honest
    if _stopped(run):
        return "run it again; a stopped run is never gone on with (R18)"
    if found.not_run:
        red = {check.name for check in made.judged.checks if check.verdict is not Verdict.PASS}
        if red & _POOL:
            return f"`/sendcat pool --count={wish.rules.pool.min_auth_pool_size}`, then this gate with its file"
        return "run it again"
    if verdict is Verdict.FAIL:
        return (
            "tune what is named above, one change at a time, and run it again before promotion (playbook H, action 4)"
        )
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
    return (*offered[:2], Button(label="Open playbook H", line="playbook H", name="playbook.open"), again)


def _label(line: str) -> str:
    return f"Propose {line.removeprefix('tune ')}"[:75] if line.startswith("tune ") else "Make the pool"
