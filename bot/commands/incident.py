"""``incident``: open, status, note, update, handoff, close; one incident to a channel, one live card in it.

The answers here go to the asker only: what the team must see stands on the card, which is drawn from state (ux.md,
rules 1 and 11).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from pydantic import field_validator

from bot.card import Card, Form, Tone, clipped, when
from bot.card import Field as Question
from bot.card import channel as mention_channel
from bot.card import who as mention
from bot.command import Args, Command, Outcome
from bot.errors import Refused, SendcatError, Unknown
from bot.redact import inert
from slo.scenarios import ENDPOINTS

if TYPE_CHECKING:
    from bot.config import Config
    from bot.incidents.picture import Picture
    from bot.run import Run
    from bot.store.incidents import Incident
    from bot.store.ops import Op
    from bot.store.tx import Tx

Severity = Literal["sev1", "sev2", "sev3"]
LOOK_BACK_MS = 2 * 3_600_000
"""A failing triage of the channel is taken as the beginning when it is at most this old."""


def paths(text: str) -> tuple[str, ...]:
    """Endpoint paths in a list such as ``/api/chat,/api/gmail/push``; raises ValueError for what is none."""
    found = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    for path in found:
        if not path.startswith("/") or inert(path, 80) != path:
            raise ValueError(f"endpoints are paths such as {', '.join(ENDPOINTS.values())}")
    return found


class OpenArgs(Args):
    title: str = ""
    """What is wrong, in a few words; without it the last failing triage of the channel says it."""
    severity: Severity | None = None
    """sev1 (users cannot work), sev2 (degraded), sev3 (small or unclear)."""
    cause: str = ""
    """The cause, as far as it is known."""
    endpoints: str = ""
    """Affected endpoint paths, separated by commas."""
    run: str | None = None
    """The triage that it starts from, for example r-8f2k."""
    channel: str | None = None
    """From a terminal: the listed channel, by id, where the card is to stand."""

    @field_validator("endpoints")
    @classmethod
    def _paths(cls, value: str) -> str:
        return ",".join(paths(value))


async def _open(run: Run, args: OpenArgs) -> Outcome:
    from bot.incidents import disk, hand, keeper, live, picture, remind, words
    from bot.run import done
    from bot.store import artifacts, chronicle, incidents, pins

    channel = _channel(run, args)
    world = run.world
    commands = hand.keeper_of(run).commands
    since_ms = world.clock.now_ms() - LOOK_BACK_MS
    triage = await _triage(run, args.run, channel, since_ms)
    red = await _red_endpoints(run, triage) if triage is not None else ()
    known = await world.store.read(lambda conn: artifacts.latest(conn, "snapshot", run.target.name))
    before = {"baseline": disk.baseline_now(), "snapshot": known.name if known else None}
    title = (
        words.said(args.title, world.masker, world.scrubber, 120) or _headline(triage) or "what is wrong is not named"
    )
    cause = words.said(args.cause, world.masker, world.scrubber, 160) or _cause(triage)

    def write(tx: Tx) -> Incident:
        began = chronicle.began_ms(tx.db, channel, run.target.name, since_ms)
        if triage is not None:
            began = min(triage.created_ms, began or triage.created_ms)
        incident = incidents.open_one(
            tx,
            title=title,
            channel=channel,
            target=run.target.name,
            by=run.who.actor.account,
            owner=run.who.actor.account,
            severity=args.severity,
            cause=cause,
            endpoints=paths(args.endpoints) or red,
            began_ms=began,
            opened_seq=chronicle.seq_before(tx.db, tx.now_ms if began is None else began),
            before=before,
        )
        _event(tx, run, incident.id, "opened", f"incident opened: {title}")
        remind.begin_updates(tx, incident)
        seen = picture.gather(tx.db, incident.id, commands, tx.now_ms)
        assert seen is not None
        keeper.put(tx, incident, live.key(incident.id), live.card(seen))
        pins.pin(tx, live.key(incident.id))
        return incident

    incident = await world.store.write(write)
    where = f"Its card stands in {mention_channel(channel)}." if channel else "It has no channel; read it here."
    card = Card(
        title=clipped(f"Incident {incident.id} is open: {title}"),
        tone=Tone.BAD,
        lead=f"You hold it. {where} What happens here is kept in its timeline.",
        next="/sendcat triage" if triage is None else "add notes with /sendcat incident note TEXT",
        footer=f"began {when(incident.began_ms)}",
    )
    return done(card, incident=incident.id, channel=channel, began_ms=incident.began_ms)


def _channel(run: Run, args: OpenArgs) -> str | None:
    place = run.op.place
    if place.kind == "dm":
        raise Refused(
            "An incident is held in a channel, where the team sees it.", then="type it in the incident's channel"
        )
    if place.channel is not None:
        return place.channel
    if args.channel is not None and args.channel not in run.world.config.slack.channels:
        raise Refused(
            f"{inert(args.channel, 20)} is not a listed channel.",
            rule="a channel is bound by a responder in the channel itself (R8)",
            then="type /sendcat incident open there",
        )
    return args.channel


async def _triage(run: Run, wanted: str | None, channel: str | None, since_ms: int) -> Op | None:
    """The triage that it starts from: the named one, else the newest failing one of the last two hours."""
    from bot.store import ops

    if wanted is not None:
        named = await run.world.store.read(lambda conn: ops.get(conn, wanted))
        if named is None or named.command != "triage":
            raise Unknown(f"{inert(wanted, 20)} is not a triage.", then="/sendcat status")
        return named
    recent = await run.world.store.read(lambda conn: ops.recent(conn, 20, "triage", run.target.name))
    fit = (op for op in recent if op.created_ms >= since_ms and op.verdict == "FAIL")
    return next((op for op in fit if channel is None or op.place.channel in (channel, None)), None)


def _headline(triage: Op | None) -> str:
    if triage is None or triage.card is None:
        return ""
    return triage.card.title.removeprefix("FAIL: ").removeprefix("INCOMPLETE: ")[:120]


def _cause(triage: Op | None) -> str:
    from playbooks.diagnosis import Cause

    found = (triage.data or {}).get("cause") or "" if triage is not None else ""
    return "" if found == Cause.NONE_FOUND else inert(found, 160)


async def _red_endpoints(run: Run, triage: Op) -> tuple[str, ...]:
    """Endpoints that failed in the triage's own drill; none when its report cannot be read."""
    from bot import measure
    from bot.incidents.disk import read_json
    from slo.errors import BadReport
    from slo.reports import DrillReport
    from slo.verdict import Verdict

    names = [str(name) for name in (triage.data or {}).get("artifacts") or [] if str(name).startswith("load-drill")]
    raw = await read_json(run.world.config.artifact_dir / names[-1]) if names else None
    if raw is None:
        return ()
    try:
        judged = measure.judge_drill(DrillReport.parse(raw))
    except (BadReport, SendcatError):
        return ()
    red = {check.scope for check in judged.checks if check.verdict is Verdict.FAIL}
    return tuple(path for path in ENDPOINTS.values() if path in red)


def _event(tx: Tx, run: Run, incident: str, key: str, text: str) -> None:
    """One line of the system about the incident itself, once for each run."""
    from bot.store import incidents

    account = run.who.actor.account
    incidents.add_entry(
        tx,
        incident,
        "system",
        f"{key}:{run.op.id}",
        event_ms=tx.now_ms,
        author=account,
        added_by="system",
        text=text[:300],
        op=run.op.id,
    )


def _open_form(config: Config) -> Form:
    from bot.incidents.live import SEVERITIES

    return Form(
        title="Open an incident",
        fields=(
            Question(flag="title", label="What is wrong", hint="in a few words"),
            Question(flag="severity", label="Severity", kind="choice", options=SEVERITIES, optional=True),
            Question(flag="endpoints", label="Affected endpoints", hint=", ".join(ENDPOINTS.values()), optional=True),
            Question(flag="cause", label="Cause, if known", optional=True),
        ),
        submit="Open",
        note="This channel is bound to it until it is closed.",
    )


class StatusArgs(Args):
    incident: str | None = None
    """Which one, for example i-12; without it the one of this channel."""


async def _status(run: Run, args: StatusArgs) -> Outcome:
    from bot.incidents import hand, live
    from bot.run import done

    incident = await hand.which(run, args.incident, closed=True)
    seen = await hand.drawn(run, incident.id)
    return done(live.card(seen), **_data(seen))


def _data(seen: Picture) -> dict[str, Any]:
    from bot.incidents import board

    incident = seen.incident
    answered, asked = board.counts(seen)
    return {
        "incident": incident.id,
        "state": incident.state,
        "severity": incident.severity,
        "cause": incident.cause,
        "endpoints": list(incident.endpoints),
        "owner": incident.owner,
        "channel": incident.channel,
        "running": [deed.op for deed in seen.running],
        "changes": [change.id for change in seen.changes],
        "pending_undos": [change.id for change in seen.undos],
        "verdicts": {last.command: [last.verdict.value, last.at_ms] for last in seen.verdicts},
        "checklist": {"done": answered, "asked": asked},
    }


class NoteArgs(Args):
    text: str = ""
    """What happened; it needs no quotes."""
    incident: str | None = None
    """Which one; without it the one of this channel."""


async def _note(run: Run, args: NoteArgs) -> Outcome:
    from bot.incidents import hand, remind, words
    from bot.run import done
    from bot.store import incidents

    incident = await hand.which(run, args.incident)
    text = words.said(args.text, run.world.masker, run.world.scrubber)
    if not text:
        raise Unknown("A note needs words.", then="/sendcat incident note WHAT HAPPENED", fields={"text": "some words"})
    if not incident.open:
        raise incidents.closed(incident.id)
    account = run.who.actor.account

    def write(tx: Tx) -> None:
        incidents.add_entry(
            tx,
            incident.id,
            "note",
            f"note:{run.op.id}",
            event_ms=run.op.created_ms,
            author=account,
            added_by=account,
            channel=run.op.place.channel,
            text=text,
            op=run.op.id,
        )
        remind.begin_updates(tx, incident)

    await run.world.store.write(write)
    card = Card(title=f"Noted in the timeline of {incident.id}", tone=Tone.OK, lead=text)
    return done(card, incident=incident.id, text=text)


def _note_form(config: Config) -> Form:
    return Form(
        title="Note",
        fields=(Question(flag="text", label="What happened", kind="long"),),
        submit="Add",
        note="It stands in the timeline of this channel's incident and cannot be changed afterwards.",
    )


class UpdateArgs(Args):
    incident: str | None = None
    """Which one; without it the one of this channel."""
    severity: Severity | None = None
    """sev1 (users cannot work), sev2 (degraded), sev3 (small or unclear)."""
    cause: str | None = None
    """The cause, as far as it is known."""
    endpoints: str | None = None
    """Affected endpoint paths, separated by commas."""
    next: str | None = None
    """The next decision, as it is to stand on the card."""

    @field_validator("endpoints")
    @classmethod
    def _paths(cls, value: str | None) -> str | None:
        return None if value is None else ",".join(paths(value))


async def _update(run: Run, args: UpdateArgs) -> Outcome:
    from bot.incidents import hand, remind, words
    from bot.run import done
    from bot.store import incidents

    incident = await hand.which(run, args.incident)
    tame = run.world.masker, run.world.scrubber
    cause = None if args.cause is None else words.said(args.cause, *tame, 160)
    affected = None if args.endpoints is None else tuple(sorted(paths(args.endpoints)))
    then = None if args.next is None else words.said(args.next, *tame, 200)
    wanted = {"severity": args.severity, "cause": cause, "endpoints": affected, "next decision": then}
    standing = {
        "severity": incident.severity,
        "cause": incident.cause,
        "endpoints": incident.endpoints,
        "next decision": incident.next_step,
    }
    news = {name: value for name, value in wanted.items() if value is not None and value != standing[name]}
    if not news:
        raise Unknown("Nothing of it is new.", then="/sendcat incident update --cause=... --endpoints=/api/chat")
    said = "; ".join(f"{k}: {', '.join(v) if isinstance(v, tuple) else v}" for k, v in news.items())

    def write(tx: Tx) -> None:
        incidents.change(
            tx,
            incident.id,
            severity=args.severity,
            cause=cause,
            endpoints=affected,
            next_step=then,
        )
        _event(tx, run, incident.id, "updated", said)
        remind.begin_updates(tx, incident)

    await run.world.store.write(write)
    card = Card(title=f"{incident.id} is updated", tone=Tone.OK, lead=said)
    return done(card, incident=incident.id, changed=sorted(news))


class HandoffArgs(Args):
    to: str = ""
    """Who takes it: a mention, a Slack member id, or a name in [people]."""
    note: str = ""
    """What they must know."""
    incident: str | None = None
    """Which one; without it the one of this channel."""


async def _handoff(run: Run, args: HandoffArgs) -> Outcome:
    from bot.incidents import hand, live, remind, words
    from bot.run import done
    from bot.store import checklist, incidents, outbox

    incident = await hand.which(run, args.incident)
    if not args.to:
        raise Unknown("To whom?", then="/sendcat incident handoff @somebody", fields={"to": "a name is needed"})
    new = words.account(args.to, run.world.config)
    if new.startswith("slack:"):
        standing = await run.world.directory.standing(new)
        if standing.known and standing.kind != "member":
            raise Refused(f"{mention(new)} is a {standing.kind} here and cannot hold an incident.", rule="R8")
    if new == incident.owner:
        raise Refused(f"{mention(new)} holds {incident.id} already.", then=f"/sendcat incident status {incident.id}")
    note = words.said(args.note, run.world.masker, run.world.scrubber)
    old = incident.owner
    from_name, to_name = (words.name(account, run.world.config) for account in (old, new))

    def write(tx: Tx) -> None:
        held = incidents.change(tx, incident.id, owner=new)
        theirs = [item.key for item in checklist.items(tx.db, incident.id) if item.owner == old]
        checklist.assign(tx, incident.id, theirs, owner=new)
        told = f"handed over from {from_name} to {to_name}" + (f": {note}" if note else "")
        _event(tx, run, incident.id, "handed over", told)
        remind.begin_updates(tx, held)
        remind.begin_items(tx, held)
        key = live.key(incident.id)
        if incident.channel is not None and outbox.by_key(tx.db, key) is not None:
            text = f"{mention(new)} holds {incident.id} now\nHanded over by {mention(run.who.actor.account)}. {note}"
            outbox.put(tx, f"handoff:{run.op.id}", channel=incident.channel, kind="reply", text=text, thread_of=key)

    await run.world.store.write(write)
    seen = await hand.drawn(run, incident.id)
    card = Card(
        title=f"{incident.id} is handed over",
        tone=Tone.OK,
        lead=f"{mention(new)} holds it now. Everything that they must know stands on its card.",
        next=live.next_decision(seen),
    )
    return done(card, incident=incident.id, owner=new)


def _handoff_form(config: Config) -> Form:
    return Form(
        title="Hand over",
        fields=(
            Question(flag="to", label="To whom", hint="a Slack member id, @mention, or a name in [people]"),
            Question(flag="note", label="What they must know", kind="long", optional=True),
        ),
        submit="Hand over",
    )


class CloseArgs(Args):
    incident: str | None = None
    """Which one; without it the one of this channel."""


async def _close(run: Run, args: CloseArgs) -> Outcome:
    """Refused while a required item of the checklist is open, naming it (ux.md, sketch 4)."""
    from bot.incidents import board, hand, live
    from bot.incidents.items import LABELS
    from bot.incidents.publish import publish
    from bot.run import done
    from bot.store import checklist, incidents, pins, reminders

    incident = await hand.which(run, args.incident)
    if not incident.open:
        raise incidents.closed(incident.id)
    seen, stands = await hand.looked(run, incident)
    left = [item for item in board.ordered(seen) if item.open]
    if left:
        await hand.drawn(run, incident.id)
        names = ", ".join(LABELS.get(item.key, item.key) for item in left)
        first = left[0]
        count = "1 item of its checklist waits" if len(left) == 1 else f"{len(left)} items of its checklist wait"
        raise Refused(
            f"{incident.id} stays open: {count} for an answer ({names}).",
            rule="an incident closes when each required item is confirmed, added or not needed because",
            then=f"/sendcat checklist {'confirm' if first.found.ready else 'skip'} {first.key}"
            + ("" if first.found.ready else " BECAUSE"),
        )

    def write(tx: Tx) -> Incident:
        fresh = [item.key for item in checklist.items(tx.db, incident.id) if item.open]
        if fresh:
            raise Refused(f"{incident.id} stays open: {', '.join(fresh)} changed meanwhile.", then="/sendcat checklist")
        shut = incidents.close(tx, incident.id, run.who.actor.account)
        _event(tx, run, incident.id, "closed", "incident closed: every item of the checklist is answered")
        reminders.end(tx, incident.id)
        pins.pin(tx, live.key(incident.id), wanted=False)
        return shut

    shut = await run.world.store.write(write)
    seen = await hand.drawn(run, incident.id)
    published = await publish(run, seen, stands)
    card = Card(
        title=f"{incident.id} is closed",
        tone=Tone.OK,
        lead=f"It took from {when(shut.began_ms)} to {when(shut.closed_ms or 0)}. " + published.sentence,
        footer=published.footer,
    )
    return done(card, incident=incident.id, artifacts=list(published.names), drafts=list(published.drafts))


COMMANDS = (
    Command(
        name="incident open",
        summary="Open an incident and bind this channel to it.",
        action="incident.open",
        args=OpenArgs,
        run=_open,
        prose="title",
        examples=("incident open chat answers slowly --severity=sev2",),
        group="Incident",
        quiet=True,
        form=_open_form,
    ),
    Command(
        name="incident status",
        summary="The live card of an incident: cause, owner, changes, timers, next decision.",
        action="read",
        args=StatusArgs,
        run=_status,
        positional=("incident",),
        examples=("incident status", "incident status i-12"),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="incident note",
        summary="Write a line into the timeline of this channel's incident.",
        action="incident.note",
        args=NoteArgs,
        run=_note,
        prose="text",
        examples=("incident note primary provider confirms an outage",),
        group="Incident",
        quiet=True,
        targeted=False,
        form=_note_form,
    ),
    Command(
        name="incident update",
        summary="Set severity, cause, affected endpoints, or the next decision.",
        action="incident",
        args=UpdateArgs,
        run=_update,
        examples=("incident update --severity=sev2 --endpoints=/api/chat",),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
    Command(
        name="incident handoff",
        summary="Hand an incident over to somebody else.",
        action="incident",
        args=HandoffArgs,
        run=_handoff,
        positional=("to",),
        prose="note",
        examples=("incident handoff relmgr provider is back, watch the queue",),
        group="Incident",
        quiet=True,
        targeted=False,
        form=_handoff_form,
    ),
    Command(
        name="incident close",
        summary="Close an incident; refused while a required item of its checklist is open.",
        action="incident",
        args=CloseArgs,
        run=_close,
        positional=("incident",),
        examples=("incident close",),
        group="Incident",
        quiet=True,
        targeted=False,
    ),
)
