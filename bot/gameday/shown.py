"""A game day and its action items on cards: the verdict first, each finding with who looks after it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bot.card import Attachment, Button, Card, Cell, Fact, Field, Form, Table, Tone, when
from bot.card import who as mention
from bot.drill.shown import stages_attachment
from bot.gameday.judged import LOOK
from bot.redact import inert
from bot.views import duration, red_text, verdict_tone
from slo.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from bot.gameday.day import Day
    from bot.gameday.judged import Concluded
    from bot.run import Run
    from bot.store.gameday import Item

MOST_ITEMS, MOST_STILL, MOST_LISTED = 6, 3, 8
MOST_BUTTONS = 4


def day_card(run: Run, day: Day, made: Concluded, *, lacking: str, more: Sequence[Attachment]) -> Card:
    """How the day ended. ``lacking`` says what of the dashboard is missing."""
    verdict, judgement = made.verdict, made.judged.judgement
    profiles = ", ".join(day.profiles)
    lead = day.halted.detail if day.halted is not None else _worst(judgement)
    if not lead and day.sought is not None and day.sought.verdict is not Verdict.PASS:
        lead = f"{inert(day.sought.reason, 200).removesuffix('.')}."
    if day.halted is None and judgement.original_rule is not (verdict is Verdict.PASS):
        word = "passes" if judgement.original_rule else "fails"
        lead = f"{lead} The original rule {word} this day; ours decides, and findings move it.".strip()
    sections = []
    if made.items:
        sections.append("*Findings*\n" + items_text(made.items))
    if made.still:
        sections.append("*Still open from earlier game days*\n" + items_text(made.still[::-1], MOST_STILL))
    buttons = [Button(label="Run again", line=run.op.line, name="gameday.rerun")]
    if made.items or made.still:
        line = f"gameday items --target={run.target.name}"
        buttons.insert(0, Button(label="Action items", line=line, name="gameday.items", style="primary"))
    stages = tuple(stages_attachment(each.report) for each in day.drilled.values())
    footer = (f"took {duration(run.elapsed_s * 1000)}", f"`{made.artifact}`", f"sha256 {made.sha256[:8]}", lacking)
    return Card(
        title=f"{'STOPPED, ' if day.stopped else ''}{verdict}: game day of {run.target.name} ({profiles})"[:140],
        tone=verdict_tone(verdict),
        context=run.context,
        lead=lead,
        facts=(
            Fact(label="Findings", value=str(len(made.items)) if made.items else "none"),
            Fact(label="Open items", value=str(len(made.items) + len(made.still))),
        ),
        table=_table(day, made),
        sections=tuple(sections),
        next=_then(made),
        buttons=tuple(buttons),
        footer=" · ".join(part for part in footer if part),
        attachments=(*stages, *more, Attachment(title="Game-day report", file=made.artifact)),
        final=True,
    )


def _worst(judgement: Judgement) -> str:
    """The first figures that are over their limits, in words: ``p95 latency of /api/chat 14.3 s, limit 12.0 s``."""
    told = red_text(judgement.model_copy(update={"checks": tuple(c for c in judgement.checks if c.unit != "count")}))
    return f"{told}." if told else ""


def _table(day: Day, made: Concluded) -> Table:
    rows = []
    for name, judged in made.judged.steps:
        label = f"fault {day.fault}" if name == LOOK else name
        rows.append((Cell(text=label), Cell(text=str(judged.verdict), tone=verdict_tone(judged.verdict)), _why(judged)))
    return Table(columns=("Step", "Verdict", "Why"), rows=tuple(rows))


def _why(judged: Judgement) -> Cell:
    if judged.reason:
        return Cell(text=inert(judged.reason, 90))
    told = judged.failed or judged.undecided
    if not told:
        return Cell(text="within its limits")
    if judged.failed and judged.failed[0].unit != "count":  # the findings tell them one by one
        return Cell(text=f"{len(told)} over {'its limit' if len(told) == 1 else 'their limits'}")
    first = told[0]
    more = f", and {len(told) - 1} more" if len(told) > 1 else ""
    return Cell(text=f"{first.name.replace('_', ' ')} of {first.scope}{more}")


def _then(made: Concluded) -> str:
    if made.items:
        return "look after each item before the next game day, which opens with what is still open"
    if made.verdict is Verdict.PASS:
        return "nothing to do before the next game day" if not made.still else "look after what is still open"
    return "run the day again"


def items_text(items: Sequence[Item], most: int = MOST_ITEMS) -> str:
    """One line for each item, at most ``most``, with whoever is asked first."""
    lines = [f"• `{item.id}` {item.words} – {_first(item)}{_times(item)}" for item in items[:most]]
    if len(items) > most:
        lines.append(f"• and {len(items) - most} more: `/sendcat gameday items`")
    return "\n".join(lines)


def _first(item: Item) -> str:
    return mention(item.holder) if item.holder else item.owner


def holder(item: Item) -> str:
    """Who looks after it: the person it was handed to, else the team."""
    return mention(item.holder) if item.holder else f"{item.owner} (then {item.secondary})"


def _times(item: Item) -> str:
    return f", found {item.times} times" if item.times > 1 else ""


def items_card(items: Sequence[Item], target: str | None, *, closed: bool) -> Card:
    """Action items as a list, open ones first, with what to press for each."""
    opened = [item for item in items if item.open]
    shown = [*opened, *([item for item in reversed(items) if not item.open] if closed else [])]
    where = f" of {target}" if target else ""
    lines = [_item_text(item) for item in shown[:MOST_LISTED]]
    buttons = []
    for item in opened[:MOST_BUTTONS]:
        buttons.append(
            Button(label=f"{item.id} done…", line=f"gameday done {item.id}", name="gameday.done", form=_DONE)
        )
        if item.holder is None:
            buttons.append(Button(label=f"Take {item.id}", line=f"gameday assign {item.id} me", name="gameday.take"))
    more = len(shown) - MOST_LISTED
    count = f"{len(opened)} action item{'' if len(opened) == 1 else 's'}" if opened else "No action item"
    return Card(
        title=f"{count}{where} {'are' if len(opened) > 1 else 'is'} open",
        tone=Tone.WARN if opened else Tone.OK,
        lead="The next game day opens with them." if opened else "",
        sections=("\n".join(lines),) if lines else (),
        next="`/sendcat gameday assign gi-1 @somebody`, `/sendcat gameday done gi-1 what was done`" if opened else "",
        buttons=tuple(buttons),
        footer=f"and {more} more; in a terminal --json shows all" if more > 0 else "",
        final=True,
    )


_DONE = Form(
    title="Done",
    fields=(Field(flag="note", label="What was done", kind="long", hint="raised TOOL_JOB_RUNMAX_WEB, c-41"),),
    submit="Done",
    note="The next game day no longer opens with it; found again, it becomes a new item.",
)


def _item_text(item: Item) -> str:
    if (done := item.done) is not None:
        return f"✅ *{item.id}* {item.words} – done by {mention(done.by)} {when(done.at_ms)}: {done.value}"
    return f"*{item.id}* {item.words} – {holder(item)} · since {when(item.made_ms)}{_times(item)}"
