"""One thing that was done, told from the record: a change, a case, a run, an incident, a decision, a single record.

What is told is read from the trail and from the rows that were written in the same steps; each line says who, when and
why, and the end says how far anchors vouch for it. "Anchored" is a statement of ours; `audit verify` checks it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bot.audit import telling
from bot.card import Card, Cell, Fact, Table, Tone, when
from bot.card import who as mention
from bot.errors import Unknown
from bot.redact import inert
from bot.store import audit, audit_search, cases, changes, checkpoints, glance, grants, incidents, ops
from bot.store.audit_search import Hit, Source, Wanted
from bot.store.case import Case, State
from bot.store.change import Change
from bot.views import number
from slo.retest import Answer, Compared

if TYPE_CHECKING:
    from sqlite3 import Connection

    from bot.store.checkpoints import Checkpoint

MOST = 200
"""Records of one story that are read; the newest."""
LINES = 14
"""Lines that a card shows: a phone's screen; the search has the rest."""
CHECKS = 6
"""Lines of a retest beside the figures of both snapshots: a card's table has ten rows."""
_SAYS = {Answer.BETTER: Tone.OK, Answer.SAME: Tone.PLAIN, Answer.WORSE: Tone.BAD, Answer.INCOMPLETE: Tone.UNKNOWN}
_ENDS = {"kept": Tone.OK, "undone": Tone.WARN, "failed": Tone.BAD, "unknown": Tone.UNKNOWN}
_STANDS = {State.APPROVED: Tone.OK, State.REJECTED: Tone.REFUSED, State.WAITING: Tone.WARN, State.WAIVED: Tone.WARN}


@dataclass(frozen=True)
class Story:
    """What is told, oldest record first. ``change`` is set for a tuning change: its snapshots have figures to show."""

    id: str
    title: str
    hits: tuple[Hit, ...]
    tone: Tone = Tone.PLAIN
    lead: str = ""
    facts: tuple[Fact, ...] = ()
    change: Change | None = None
    anchored: Checkpoint | None = None
    """The newest checkpoint: records up to its size are anchored."""
    code: str = ""
    again: str = ""
    """The search that has every record of it."""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def fresh(self) -> int:
        """How many of the records no anchor vouches for yet."""
        size = self.anchored.size if self.anchored else 0
        return sum(hit.seq > size for hit in self.hits)


def tell(conn: Connection, name: str, now_ms: int) -> Story:
    """The story of an id, as people see ids. Raises `Unknown` for what is no id, or one that is not known."""
    for shape, teller in _TELLERS:
        if shape.fullmatch(name):
            return teller(conn, name, now_ms)
    raise Unknown(
        f"{inert(name, 40) or 'Nothing'} is no id of the record.",
        then="/sendcat audit show c-41, g-77, i-12, r-8f2k, d-118, or the number of a record",
    )


def has_one(words: str) -> str | None:
    """The id that a record's object begins with, when that is a thing with a story: a change, a case, a grant."""
    name = words.partition(" ")[0]
    return name if re.fullmatch(r"(?:c|g|cn|ms|rg|ce|b|i)-\d{1,9}", name) else None


def _change(conn: Connection, name: str, now_ms: int) -> Story:
    change = changes.get(conn, name)
    if change is None:
        raise _missing(name, "change")
    told = [hit for hit in _about(conn, name) if hit.detail.get("change") == name]
    ended = f"{change.state.upper()}{f', {change.verdict.value}' if change.verdict else ''}"
    steps = ", ".join(f"`{s.knob}` {inert(s.change, 60)}" for s in change.steps)
    facts = [
        Fact(label="Proposed", value=f"{telling.by(change.proposer.account)} {when(change.created_ms)}"),
        Fact(label="Approved", value=_approval(change)),
    ]
    if change.undo_by is not None:
        facts.append(Fact(label="Undone", value=f"{telling.by(change.undo_by.account)}: {inert(change.undo_why, 100)}"))
    why = f" Why: {inert(change.why, 300)}" if change.why else ""
    return Story(
        id=name,
        title=f"{name} on {inert(change.target, 40)}: {ended}",
        hits=tuple(told),
        tone=_ENDS.get(change.state, Tone.PLAIN),
        lead=f"{steps}.{why}",
        facts=tuple(facts),
        change=change,
        again=f"audit --object={name}",
        more={"state": change.state, "verdict": change.verdict.value if change.verdict else None},
    )


def _approval(change: Change) -> str:
    if change.approver is None or change.approved_ms is None:
        return "by nobody"
    how = f" on break-glass {change.break_glass}" if change.break_glass else ""
    return f"{telling.by(change.approver.account)} {when(change.approved_ms)}{how}"


def _case(conn: Connection, name: str, now_ms: int) -> Story:
    case = cases.look(conn, name)
    if case is None:
        raise _missing(name, "case")
    state = case.standing(now_ms)
    return Story(
        id=name,
        title=f"{name} {inert(case.subject, 60)}: {state.value}, judged {case.verdict.value}",
        hits=tuple(hit for hit in _about(conn, name) if hit.object.partition(" ")[0] == name),
        tone=_STANDS.get(state, Tone.PLAIN),
        lead=_decided(case),
        facts=(
            Fact(label="Started", value=f"{telling.by(case.starter)} {when(case.made_ms)}, run {case.op}"),
            Fact(label="Evidence", value=f"binding `{case.digest[:12]}`"),
        ),
        again=f"audit --object={name}",
        more={"state": state.value, "verdict": case.verdict.value, "digest": case.digest},
    )


def _decided(case: Case) -> str:
    lines = []
    for decision in case.decisions:
        about = f" {inert(decision.scenario, 40)}" if decision.scenario else ""
        reason = f": “{inert(decision.reason, 120)}”" if decision.reason else ""
        lines.append(
            f"{decision.id} {decision.verb}{about} by {telling.by(decision.by)} {when(decision.at_ms)}{reason}"
        )
    if case.void_ms is not None:
        lines.append(f"void {when(case.void_ms)}: {inert(case.void_reason, 120)}")
    return "; ".join(lines) or "Nobody has decided on it."


def _decision(conn: Connection, name: str, now_ms: int) -> Story:
    case = glance.case_of(conn, name)
    if case is None:
        raise _missing(name, "decision")
    return _case(conn, case, now_ms)


def _grant(conn: Connection, name: str, now_ms: int) -> Story:
    grant = grants.get(conn, name)
    if grant is None:
        raise _missing(name, "break-glass")
    reviewed = f"reviewed by {telling.by(grant.reviewer.account)}" if grant.reviewer else "OPEN for review"
    finding = f": “{inert(grant.finding, 120)}”" if grant.finding else ""
    return Story(
        id=name,
        title=f"{name} for {grant.change}: {'reviewed' if grant.reviewer else 'OPEN for review'}",
        hits=_about(conn, name),
        tone=Tone.PLAIN if grant.reviewer else Tone.WARN,
        lead=f"Used by {telling.by(grant.by.account)} {when(grant.at_ms)}: “{inert(grant.why, 200)}”; "
        f"{reviewed}{finding}.",
        again=f"audit --object={name}",
        more={"change": grant.change, "reviewed": grant.reviewed_ms},
    )


def _incident(conn: Connection, name: str, now_ms: int) -> Story:
    found = incidents.get(conn, name)
    if found is None:
        raise _missing(name, "incident")
    hits = {hit.seq: hit for hit in _about(conn, name)}
    if found.target:
        decided = ((Source("target", found.target),), (Source("phase", "decision"),))
        window = Wanted(decided, found.began_ms, found.closed_ms)
        hits |= {hit.seq: hit for hit in audit_search.search(conn, window, limit=MOST).hits}
    return Story(
        id=name,
        title=f"{name} {inert(found.title, 80)}: {found.state.upper()}",
        hits=tuple(hits[seq] for seq in sorted(hits)),
        tone=Tone.BAD if found.open else Tone.PLAIN,
        lead=f"Opened by {telling.by(found.opened_by)} {when(found.opened_ms)}"
        + (f", closed by {telling.by(found.closed_by or 'system')} {when(found.closed_ms)}" if found.closed_ms else "")
        + ". Below: what was done to it, and what was decided on its target meanwhile.",
        facts=(Fact(label="Held by", value=mention(found.owner)),),
        again=f"audit --object={name}",
        more={"state": found.state},
    )


def _run(conn: Connection, name: str, now_ms: int) -> Story:
    op = ops.get(conn, name)
    if op is None:
        raise _missing(name, "run")
    hits = audit_search.search(conn, Wanted(((Source("op", name),),)), limit=MOST).hits
    ended = op.verdict.value if op.verdict else op.state.upper()
    return Story(
        id=name,
        title=f"{name} {inert(op.line, 80)}: {ended}",
        hits=tuple(reversed(hits)),
        lead=f"Asked for by {telling.by(op.by.account)} {when(op.created_ms)}"
        + (f" on {inert(op.target, 40)}." if op.target else "."),
        again=f"audit --object={name}",
        more={"state": op.state, "verdict": op.verdict.value if op.verdict else None},
    )


def _record(conn: Connection, name: str, now_ms: int) -> Story:
    """One record in full: its text as it was hashed, and the chain around it."""
    seq = int(name)
    row = next(iter(audit.rows(conn, seq - 1, 1)), None)
    if row is None or row.seq != seq:
        raise _missing(name, "record")
    hit = audit_search.hit(seq, row.body)
    vouching = checkpoints.covering(conn, seq)
    how = f"anchored {when(vouching.at_ms)}, at record {vouching.size}" if vouching else "not yet anchored"
    return Story(
        id=name,
        title=f"Record {seq}: {telling.what(hit, 80)}",
        hits=(hit,),
        tone=telling.tone(hit),
        lead=f"{how}.",
        code=f"{inert(row.body, 3_000)}\nbefore {row.prev_hash}\nhash   {row.hash}",
        more={"body": row.body, "hash": row.hash, "prevHash": row.prev_hash},
    )


_TELLERS: tuple[tuple[re.Pattern[str], Callable[[Connection, str, int], Story]], ...] = (
    (re.compile(r"c-\d{1,9}"), _change),
    (re.compile(r"(?:g|cn|ms|rg|ce)-\d{1,9}"), _case),
    (re.compile(r"d-\d{1,9}"), _decision),
    (re.compile(r"b-\d{1,9}"), _grant),
    (re.compile(r"i-\d{1,9}"), _incident),
    (re.compile(r"[rq]-[0-9a-z]{1,12}"), _run),
    (re.compile(r"\d{1,15}"), _record),
)


def _about(conn: Connection, name: str) -> tuple[Hit, ...]:
    """The records that name a thing, oldest first."""
    return tuple(reversed(audit_search.search(conn, Wanted(((Source("word", name),),)), limit=MOST).hits))


def _missing(name: str, what: str) -> Unknown:
    return Unknown(f"There is no {what} {inert(name, 40)} on the record.", then=f"/sendcat audit --object={name}")


# Drawing


def card(story: Story, figures: tuple[tuple[Fact, ...], tuple[Fact, ...]] | None = None) -> Card:
    """The story on one card. ``figures`` are those of the snapshots before and after, where both can be read."""
    size = story.anchored.size if story.anchored else 0
    shown = story.hits[-LINES:]
    lines = [telling.line(hit, fresh=hit.seq > size, of=story.id) for hit in shown]
    left = len(story.hits) - len(shown)
    if left:
        lines.insert(0, f"… {left} earlier: /sendcat {story.again}")
    return Card(
        title=story.title[:140],
        tone=story.tone,
        lead=story.lead,
        facts=story.facts,
        table=_figures(story.change, figures) if story.change else None,
        sections=("\n".join(lines),) if lines else ("No record tells of it.",),
        code=story.code,
        next="`/sendcat audit verify` checks that nothing of this was altered" if story.hits else "",
        footer=" · ".join(filter(None, (_evidence(story.change), _vouched(story)))),
        final=True,
    )


def _vouched(story: Story) -> str:
    if not story.hits:
        return ""
    if not story.fresh:
        assert story.anchored is not None
        return f"all {len(story.hits)} records are anchored" if len(story.hits) > 1 else "its record is anchored"
    return f"{story.fresh} of {len(story.hits)} record{'' if len(story.hits) == 1 else 's'} not yet anchored"


def _evidence(change: Change | None) -> str:
    parts = []
    for side, taken in (("before", change.before), ("after", change.after)) if change else ():
        if taken is not None:
            parts.append(f"{side} `{taken.snapshot}`")
    return " · ".join(parts)


def _figures(change: Change, figures: tuple[tuple[Fact, ...], tuple[Fact, ...]] | None) -> Table | None:
    """Both columns: what the retest compared, then what of the two snapshots differs (all of it, if nothing does)."""
    lines = change.retest.lines if change.retest else ()
    moved = [line for line in lines if line.answer is not Answer.SAME]
    rows = [_row(line) for line in [*moved, *(line for line in lines if line.answer is Answer.SAME)][:CHECKS]]
    if figures is not None:
        pairs = list(zip(*figures, strict=False))
        moved_facts = [(one, two) for one, two in pairs if one.value != two.value]
        rows += [
            (Cell(text=one.label), Cell(text=one.value), Cell(text=two.value), Cell(text="–"))
            for one, two in moved_facts or pairs
        ][: 10 - len(rows)]
    return Table(columns=("Figure", "Before", "After", "Says"), rows=tuple(rows)) if rows else None


def _row(line: Compared) -> tuple[Cell, ...]:
    name = line.name if line.scope == "snapshot" else f"{line.name.replace('_', ' ')} {line.scope}"
    return (
        Cell(text=inert(name, 60)),
        Cell(text=number(line.before, line.unit)),
        Cell(text=number(line.after, line.unit), tone=_SAYS[line.answer]),
        Cell(text=line.answer.value),
    )
