"""``audit reconcile``: was anything changed beside the bot? Our record against the deployment (issue, "Audit")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bot.card import Attachment, Button, Card, Field, Form, Tone, when
from bot.command import Args, Command, Outcome

if TYPE_CHECKING:
    from bot.audit.reconciling import Outside, Own, Seen
    from bot.run import Run
    from bot.sendcat.convex import AuditEvent
    from bot.store.audit import AuditRecord
    from bot.store.tx import Tx

ROWS = 8
WEEK_MS = 7 * 86_400_000


class ReconcileArgs(Args):
    accept: str = ""
    """A knob whose value of now is right, though somebody else set it: accepted on the record, not shown any more."""
    why: str = ""
    """The reason for accepting it."""


async def _reconcile(run: Run, args: ReconcileArgs) -> Outcome:
    """Reads listed knobs and, where the key permits, Convex's log; writes nothing to Sendcat."""
    from bot.audit import reconciling
    from bot.store import audit, changes, settings
    from playbooks.knobs import all_knobs

    name = run.target.name
    began_ms = run.world.clock.now_ms()
    stored = await run.convex.environment()
    seen: Seen | None = await run.world.store.read(lambda conn: _seen(settings.get(conn, _key(name))))
    events, unread = await _events(run, began_ms, seen)
    intents = await _intents(run, name, {event.knob for event in events if event.knob is not None})
    strangers = reconciling.foreign(events, intents)

    def write(tx: Tx) -> tuple[dict[str, Outside], tuple[str, ...], dict[str, Own], bool]:
        mine = reconciling.own(reversed(changes.recent(tx.db, name, limit=1_000)))
        busy = {knob for knob, one in mine.items() if one.at_ms >= began_ms or not one.sure}
        last = _seen(settings.get(tx.db, _key(name)))
        knobs = [knob for knob in all_knobs() if knob not in busy]
        fresh = reconciling.differences(stored, last, mine, knobs)
        outside = reconciling.standing(last.outside if last else {}, fresh, stored, mine, tx.now_ms)
        told = {knob: (was, now) for knob, (was, now) in fresh.items() if knob in outside}
        passing = {
            e.knob for e in strangers if e.knob and e.knob not in fresh and e.at_ms > (last.events_ms if last else 0)
        }
        for knob, (was, now) in told.items():
            seq = audit.append(tx, _fact(run, knob, was, now, strangers))
            outside[knob] = outside[knob].model_copy(update={"seq": seq})
        for knob in sorted(passing):
            text = stored.get(knob)
            audit.append(tx, _fact(run, knob, text, text, strangers))
        accepted = args.accept in outside
        if accepted:
            gone = outside.pop(args.accept)
            audit.append(tx, _accepted(run, args, gone))
        kept = {k: v for k, v in stored.items() if k not in busy}
        kept |= {k: v for k, v in (last.stored if last else {}).items() if k in busy}
        newest = max((event.at_ms for event in events), default=last.events_ms if last else 0)
        look = reconciling.Seen(at_ms=began_ms, stored=kept, outside=outside, events_ms=newest)
        settings.put(tx, _key(name), look.model_dump(mode="json"))
        return outside, tuple(sorted({*told, *passing})), mine, accepted

    if args.accept:
        _known(args.accept)
    outside, new, mine, accepted = await run.world.store.write(write)
    card = _card(run, outside, new, seen, strangers, unread, mine, len(stored))
    if args.accept:
        word = "is accepted as it is, on the record" if accepted else "was not changed outside: nothing was accepted"
        card = card.model_copy(update={"lead": f"`{args.accept}` {word}. {card.lead}".strip()})
    data = {
        "target": name,
        "outside": reconciling.data(outside),
        "new": list(new),
        "firstLook": seen is None,
        "events": [{"knob": e.knob, "atMs": e.at_ms, "action": e.action, "actor": e.actor} for e in strangers[-50:]],
        "eventsUnread": unread,
        "stored": len(stored),
    }
    return Outcome(card=card, exit_status=1 if outside else 0, data=data)


def _key(target: str) -> str:
    return f"reconcile:{target}"


def _seen(raw: object) -> Seen | None:
    from bot.audit.reconciling import Seen

    return None if raw is None else Seen.model_validate(raw)


def _known(knob: str) -> None:
    from bot.catalog import nearest
    from bot.errors import Unknown
    from bot.redact import inert
    from playbooks.knobs import all_knobs

    if knob not in all_knobs():
        near = nearest(knob.upper(), all_knobs())
        raise Unknown(
            f"{inert(knob, 60)} is no knob.",
            then=f"/sendcat audit reconcile --accept={near or 'KNOB'}",
            fields={"accept": "the name of a knob"},
        )


async def _events(run: Run, now_ms: int, seen: Seen | None) -> tuple[tuple[AuditEvent, ...], str]:
    """Convex's own events since the last look, a week at most; or why there are none."""
    from bot.redact import inert
    from bot.sendcat.convex import CallFailed, Cause

    since = max(seen.events_ms if seen and seen.events_ms else 0, now_ms - WEEK_MS)
    try:
        return await run.convex.audit_events(since), ""
    except CallFailed as error:
        if error.code == "AuditLogsDisabled":
            return (), "this deployment's plan has no audit log"
        if error.code == "AuditLogsTooOld":
            return (), "the log does not reach back that far"
        if error.cause is Cause.NO_PERMISSION:
            return (), f"the deploy key lacks `{error.permission or 'deployment:auditLog:view'}`"
        return (), inert(error.what, 200)


async def _intents(run: Run, target: str, knobs: set[str]) -> dict[str, list[int]]:
    """When the bot itself set out to write each of these knobs, by its own record."""
    from bot.audit import reconciling
    from bot.store import audit_search
    from bot.store.audit_search import Source, Wanted, word

    since = run.world.clock.now_ms() - WEEK_MS - reconciling.AFTER_MS
    found: dict[str, list[int]] = {}
    for knob in knobs:
        ours = ((Source("word", word(knob)),), (Source("phase", "intent"),), (Source("target", target),))
        look = Wanted(ours, since_ms=since)
        page = await run.world.store.read(lambda conn, look=look: audit_search.search(conn, look, limit=500))  # type: ignore[misc]
        found[knob] = [hit.at_ms for hit in page.hits if hit.detail.get("change")]
    return found


def _fact(run: Run, knob: str, was: str | None, now: str | None, events: tuple[AuditEvent, ...]) -> AuditRecord:
    """The record of a change that was not ours; written once."""
    from bot.store.audit import AuditRecord

    told = [event for event in events if event.knob == knob]
    detail: dict[str, Any] = {"knobs": {knob: {"was": _kept(run, was), "now": _kept(run, now)}}}
    if told:
        last = told[-1]
        detail["convex"] = {"events": len(told), "last_ms": last.at_ms, "actor": last.actor, "action": last.action}
    return AuditRecord(
        phase="system",
        action="audit.reconcile",
        actor="system",
        door="system",
        object=knob,
        target=run.target.name,
        op=run.op.id,
        outcome="changed outside" if was != now else "changed outside, and back",
        detail=detail,
    )


def _accepted(run: Run, args: ReconcileArgs, gone: Outside) -> AuditRecord:
    from bot.redact import inert
    from bot.store.audit import AuditRecord

    return AuditRecord(
        phase="decision",
        action="audit.reconcile",
        actor=run.who.actor.account,
        person=run.who.person,
        door=run.op.by.door.value,
        object=args.accept,
        target=run.target.name,
        op=run.op.id,
        outcome="accepted",
        why=inert(args.why) or None,
        detail={"knobs": {args.accept: {"was": _kept(run, gone.was), "now": _kept(run, gone.now)}}},
    )


def _kept(run: Run, text: str | None) -> str | None:
    """A stored text as the record may keep it: known secrets and people blotted out (R36, R37)."""
    return None if text is None else run.world.masker.text(run.world.scrubber.scrub(text[:200]))


def _card(
    run: Run,
    outside: dict[str, Outside],
    new: tuple[str, ...],
    seen: Seen | None,
    events: tuple[AuditEvent, ...],
    unread: str,
    mine: dict[str, Own],
    stored: int,
) -> Card:
    from bot.redact import inert

    def said(text: str | None) -> str:
        return "unset" if text is None else inert(text, 40) or "empty"

    # Lines and no table: names are long, and a phone would show nothing but them.
    ordered = sorted(outside.items(), key=lambda item: -item[1].seen_ms)
    rows = [
        f"🔴 `{knob}` {said(one.was)} → {said(one.now)} · {'new' if knob in new else 'known'}"
        + (f", record {one.seq}" if one.seq else "")
        for knob, one in ordered
    ]
    count = len(outside)
    title = f"{count} knob{'' if count == 1 else 's'} changed outside the bot" if count else "Every knob is as recorded"
    if not count and seen is None:
        title = f"First look: {stored} stored knob{'' if stored == 1 else 's'} noted"
    lines = ["\n".join(rows[:ROWS])] if rows else []
    if events:
        told = [f"{e.knob} {when(e.at_ms)} by a {inert(e.actor, 30)} ({inert(e.action, 60)})" for e in events[-5:]]
        lines.append("*Convex's log, not by the bot:*\n" + "\n".join(f"• {line}" for line in told))
    if unread:
        lines.append(f"Convex's own log was not read: {unread}.")
    doubtful = sorted({one.change for one in mine.values() if not one.sure})
    if doubtful:
        lines.append(f"Left out, since it is at work or unclear: {', '.join(doubtful)}.")
    known = f"{len(new)} of them {'is' if len(new) == 1 else 'are'} new, and on the record now." if new else ""
    names = [knob for knob, _ in ordered]
    first = next((knob for knob in names if _step_back(knob, outside[knob]) is not None), next(iter(names), ""))
    return Card(
        title=title,
        tone=Tone.BAD if count else Tone.OK,
        context=run.context,
        lead=known,
        sections=tuple(lines),
        next=_mend(first, outside[first]) if first else "",
        buttons=_buttons(run, first, outside[first] if first else None),
        footer="only listed knobs are ever read; nothing was changed",
        attachments=((Attachment(title="All of them", text="\n".join(rows)),) if len(rows) > ROWS else ()),
        final=True,
    )


def _mend(knob: str, one: Outside) -> str:
    """How the newest one is put right, either way."""
    from bot.redact import inert

    step = _step_back(knob, one)
    if step is not None and step == one.was:
        back = f"put {knob} back: `/sendcat tune {knob} {step}`, which another person approves"
    elif step is not None:
        to = inert(one.was, 40)
        back = (
            f"put {knob} back to {to} step by step: `/sendcat tune {knob} {step}` first, which another person approves"
        )
    else:
        line = (
            f"npx convex env remove {knob}" if one.was is None else f"npx convex env set {knob} '{inert(one.was, 40)}'"
        )
        back = f"put {knob} back: whoever holds the deploy key runs `{line}`"
    return f"{back}; or accept it as it is"


def _step_back(knob: str, one: Outside) -> str | None:
    """The lawful change that leads back at once, or as far as one change may (R22); None where no change does."""
    from playbooks.change_set import Standing
    from playbooks.knobs import KnobType, all_knobs, parse_value
    from playbooks.tuning import legal

    found = all_knobs()[knob]
    if found.type is not KnobType.INT or one.was is None or one.now is None or not found.accepts(one.now):
        return None
    was, now = parse_value(found, one.was), parse_value(found, one.now)
    reach = legal(knob, Standing(one.now, now))
    if reach is None or not isinstance(was, int) or not isinstance(now, int):
        return None
    step = min(max(was, reach.low), reach.high)
    return str(step) if step != now else None


def _buttons(run: Run, knob: str, one: Outside | None) -> tuple[Button, ...]:
    """For the newest one: put it back, or accept it with a reason."""
    again = Button(label="Look again", line=f"audit reconcile --target={run.target.name}", name="audit.reconcile")
    if one is None:
        return (again,)
    buttons = []
    step = _step_back(knob, one)
    if step is not None:
        line = f"tune {knob} {step} --target={run.target.name}"
        buttons.append(Button(label=f"Propose {step}", line=line, name="tuning.propose", style="primary"))
    why = Form(
        title="Accept a value",
        fields=(Field(flag="why", label="Why is it right as it is?", kind="long"),),
        submit="Accept",
        text=f"`{knob}` was changed outside the bot.",
        note="It stands on the record with your reason, and is not shown any more.",
    )
    line = f"audit reconcile --accept={knob} --target={run.target.name}"
    buttons.append(Button(label=f"Accept {knob}…"[:75], line=line, name="audit.accept", form=why))
    return (*buttons, again)


COMMANDS = (
    Command(
        name="audit reconcile",
        summary="Compare our record with the deployment's knobs and Convex's own log: what was changed beside the bot.",
        action="audit.reconcile",
        args=ReconcileArgs,
        run=_reconcile,
        examples=("audit reconcile", 'audit reconcile --accept=TOOL_JOB_RUNMAX_WEB --why="set by hand on purpose"'),
        group="Keep",
    ),
)
