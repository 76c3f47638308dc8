"""``audit``: finding what was done, by whom and why; and one thing told from its record (ux.md, "Home")."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import Field

from bot.audit.criteria import Moment
from bot.card import Button, Card
from bot.card import Field as Question
from bot.card import Form as FormOf
from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.audit.story import Story
    from bot.card import Fact
    from bot.run import Run
    from bot.store.audit_search import Page
    from bot.store.change import Change


class AuditArgs(Args):
    words: tuple[str, ...] = ()
    """Free words: of what was acted on, of reasons, a person, an action, an id. All of them must hold."""
    person: str = ""
    """A person of sendcat.toml, or an account such as slack:U0ONCALL."""
    knob: str = ""
    """A knob, for example BULKHEAD_OR_PRI_MAX_CONCURRENT."""
    action: str = ""
    """What was done, for example tune, gate.decide, pause."""
    object: str = ""
    """To what: a run, a change, a gate, an incident (r-8f2k, c-41, g-77, i-12)."""
    on: str = ""
    """On which target, by name."""
    outcome: str = ""
    """How it ended: PASS, FAIL, kept, undone, approve, refused."""
    since: Moment = ""
    """From when on: an age (7d, 12h, 30min) or a date in UTC (2026-11-23)."""
    until: Moment = ""
    """Until when: an age or a date."""
    before: int | None = Field(default=None, ge=1)
    """Go on with records older than this number, as the Older button does."""
    limit: int = Field(default=10, ge=1, le=100)
    """Records on one page."""


async def _search(run: Run, args: AuditArgs) -> Outcome:
    from bot.audit import telling
    from bot.audit.criteria import Wish, wanted
    from bot.redact import inert
    from bot.run import done
    from bot.store import audit_search, checkpoints

    wish = Wish(" ".join(args.words), **args.model_dump(include=set(Wish.__dataclass_fields__) - {"words"}))
    look = wanted(wish, run.world.config, run.world.clock.now_ms())
    page, last = await run.world.store.read(
        lambda conn: (
            audit_search.search(conn, look, before=args.before, limit=args.limit),
            checkpoints.latest(conn),
        )
    )
    anchored = last.size if last else 0
    lines = [telling.line(hit, fresh=hit.seq > anchored) for hit in page.hits]
    more = "+" if page.older is not None else ""
    count = len(page.hits)
    title = f"{count}{more} record{'' if count == 1 and not more else 's'}"
    if not count:
        title = "No record fits"
    elif args.before is not None:
        title = f"{title}, before record {args.before}"
    lead = ""
    if page.cut:
        lead = f"Looked back to record {page.older}; few fit. Older goes on from there."
    card = Card(
        title=title,
        lead=lead,
        sections=("\n".join(lines),) if lines else (),
        buttons=_buttons(run, args, page),
        next="" if count else "fewer words, a longer --since, or /sendcat audit alone for the newest",
        footer=" · ".join(
            filter(None, (inert(run.op.line, 120), "newest first", "/sendcat audit show c-41 tells one as a story"))
        ),
    )
    return done(
        card,
        records=[telling.data(hit, anchored) for hit in page.hits],
        older=page.older,
        cut=page.cut,
        anchored=anchored,
    )


def _buttons(run: Run, args: AuditArgs, page: Page) -> tuple[Button, ...]:
    """Older, the story of the newest thing that has one, and asking anew."""
    from bot.audit.story import has_one
    from playbooks.lines import Line, parse

    line = parse(run.op.line)
    found = []
    if page.older is not None:
        further = Line(line.command, line.words, {**line.flags, "before": str(page.older)})
        found.append(Button(label="Older", line=further.text, name="audit.older"))
    named = next((name for hit in page.hits if (name := has_one(hit.object))), None)
    if named is not None:
        found.append(Button(label=f"Story of {named}", line=f"audit show {named}", name="audit.story"))
    asked = {key: value for key, value in line.flags.items() if key not in ("before", "limit")}
    found.append(Button(label="Search…", line="audit", name="audit.search", form=search_form(asked)))
    return tuple(found)


def search_form(asked: dict[str, str] | None = None) -> FormOf:
    """The questions of the search, with what was asked before."""
    values = asked or {}
    questions = (
        ("person", "Who", "A person or an account"),
        ("action", "What was done", "For example tune.approve or gate.decide"),
        ("object", "To what", "A run, a change, a gate, an incident: r-8f2k, c-41, g-77, i-12"),
        ("knob", "Knob", "For example BULKHEAD_OR_PRI_MAX_CONCURRENT"),
        ("outcome", "How it ended", "PASS, FAIL, kept, undone, approve, refused"),
        ("since", "Since", "A date or an age: 2026-11-23, 7d"),
        ("until", "Until", "A date or an age"),
    )
    return FormOf(
        title="Search the audit trail",
        fields=tuple(
            Question(flag=flag, label=label, hint=hint, optional=True, value=values.get(flag, ""))
            for flag, label, hint in questions
        ),
        submit="Search",
        text="Leave empty what may be anything.",
    )


class ShowArgs(Args):
    id: str
    """A change, gate, decision, incident or run (c-41, g-77, d-118, i-12, r-8f2k), or the number of a record."""


async def _show(run: Run, args: ShowArgs) -> Outcome:
    from dataclasses import replace

    from bot.audit import story, telling
    from bot.run import done
    from bot.store import checkpoints

    now_ms = run.world.clock.now_ms()
    told: Story = await run.world.store.read(
        lambda conn: replace(story.tell(conn, args.id.strip(), now_ms), anchored=checkpoints.latest(conn))
    )
    figures = await _figures(run, told.change) if told.change is not None else None
    size = told.anchored.size if told.anchored else 0
    return done(
        story.card(told, figures),
        id=told.id,
        **told.more,
        records=[telling.data(hit, size) for hit in told.hits],
        figures=[
            {"figure": one.label, "before": one.value, "after": two.value}
            for one, two in (zip(*figures, strict=False) if figures else ())
        ],
        notYetAnchored=told.fresh,
    )


async def _figures(run: Run, change: Change) -> tuple[tuple[Fact, ...], tuple[Fact, ...]] | None:
    """How both snapshots stood; None when there are not two, or one is gone or not as it was written."""
    import asyncio

    from bot import history
    from bot.errors import Broken
    from bot.views import posture_facts
    from slo.errors import SloError
    from slo.snapshot import Snapshot

    if change.before is None or change.after is None:
        return None
    found = []
    for taken in (change.before, change.after):
        kept = await history.kept(run.world, taken.snapshot)
        if kept is None:
            return None
        try:
            raw = await asyncio.to_thread(history.read, run.world.config.artifact_dir, kept.name, kept.sha256)
            found.append(posture_facts(Snapshot.parse(raw)))
        except (Broken, SloError, ValueError):
            return None
    return found[0], found[1]


COMMANDS = (
    Command(
        name="audit",
        summary="Search the record: who did what, to what, when, how it ended, and why; newest first.",
        action="audit",
        args=AuditArgs,
        run=_search,
        rest="words",
        examples=(
            "audit",
            "audit --person=oncall --since=7d",
            "audit --knob=BULKHEAD_OR_PRI_MAX_CONCURRENT",
            "audit --action=gate.decide --outcome=approve",
            "audit spike --since=2026-11-01 --until=2026-11-30",
        ),
        group="Keep",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="audit show",
        summary="One change, gate, decision, incident or run told from its record, with what came before and after.",
        action="audit",
        args=ShowArgs,
        run=_show,
        positional=("id",),
        examples=("audit show c-41", "audit show g-77", "audit show 1234"),
        group="Keep",
        quiet=True,
        targeted=False,
    ),
)
