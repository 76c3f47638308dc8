"""``incident``: open, status; one incident to a channel, one live card in it.

The answers go to the asker only: what the team must see stands on the card, which is drawn from state (ux.md, rules 1
and 11). What is done with an open one is `bot.commands.incident_hold`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import field_validator

from bot.card import Card, Form, Tone, clipped, when
from bot.card import Field as Question
from bot.card import channel as mention_channel
from bot.command import Args, Command, Outcome
from bot.errors import Refused, SendcatError, Unknown
from bot.incidents.words import Severity, paths
from bot.redact import inert
from slo.scenarios import ENDPOINTS

if TYPE_CHECKING:
    from bot.config import Config
    from bot.incidents.picture import Picture
    from bot.run import Run
    from bot.store.incidents import Incident
    from bot.store.ops import Op
    from bot.store.tx import Tx

LOOK_BACK_MS = 2 * 3_600_000
"""A failing triage of the channel is taken as the beginning when it is at most this old."""


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
        hand.event(tx, run, incident.id, "opened", f"incident opened: {title}")
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
)
