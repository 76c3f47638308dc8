"""The parts of a Home tab: each a heading with lines, read from rows now (ux.md, "Home")."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bot.authority import TABLE, Decision, Role, Who, decide
from bot.card import Tone, when
from bot.card import channel as mention_channel
from bot.card import who as mention
from bot.catalog import AnyCommand, Catalog
from bot.command import Door, Place
from bot.config import Config
from bot.home.waiting import for_person
from bot.redact import inert
from bot.run import card_key
from bot.store import glance, ops
from bot.store.incidents import Incident
from bot.store.ops import Op

if TYPE_CHECKING:
    from sqlite3 import Connection

OLD_MS = 5 * 60_000
"""Data older than this is called old in the first line (ux.md, "Banner")."""
RUNS = 6
RULINGS = 5
INCIDENTS = 8
WAITS = 20
_TONES = {"PASS": Tone.OK, "FAIL": Tone.BAD, "INCOMPLETE": Tone.UNKNOWN}
_ENDS = {"failed": Tone.UNKNOWN, "interrupted": Tone.UNKNOWN, "stopped": Tone.WARN, "refused": Tone.REFUSED}


@dataclass(frozen=True)
class Line:
    """One line; ``card`` is the channel and timestamp of the card that tells more."""

    text: str
    tone: Tone = Tone.PLAIN
    card: tuple[str, str] | None = None


@dataclass(frozen=True)
class Part:
    """A heading with its lines, or with ``empty`` when there are none."""

    title: str
    lines: tuple[Line, ...]
    empty: str = ""


def waiting(conn: Connection, config: Config, who: Who, now_ms: int, bound: frozenset[str]) -> Part:
    """What I must decide, watch or answer."""

    def allowed(action: str, place: Place) -> bool:
        return judged(config, who, action, place, bound).allowed

    waits = for_person(conn, config, who, accounts(config, who), now_ms, allowed)
    lines = [(Line(wait.text, wait.tone), wait.key) for wait in waits[:WAITS]]
    if len(waits) > WAITS:
        lines.append((Line(f"… and {len(waits) - WAITS} more"), ""))
    count = f"{len(waits)} thing waits" if len(waits) == 1 else f"{len(waits)} things wait"
    title = f"{count} for you" if waits else "Nothing waits for you"
    return Part(title, _with_cards(conn, lines))


def production(conn: Connection, config: Config, now_ms: int) -> Part:
    """The last verdict of each target, with its age; old data says so."""
    lines: list[tuple[Line, str]] = []
    for name in sorted(config.target, key=lambda n: (n != config.default_target, n)):
        seen = [op for kind in ("triage", "snapshot") for op in ops.recent(conn, 10, kind, name) if op.verdict]
        if not seen:
            lines.append((Line(f"*{name}*  not looked at yet: `/sendcat triage --target={name}`", Tone.UNKNOWN), ""))
            continue
        op = max(seen, key=lambda o: o.finished_ms or o.created_ms)
        age_ms = now_ms - (op.finished_ms or op.created_ms)
        old = " ⚠️ older than 5 min" if age_ms > OLD_MS else ""
        title = op.card.title if op.card else f"{op.verdict}"
        line = f"*{name}*  {title} · {op.command} {op.id} {ago(age_ms)}{old}"
        lines.append((Line(line, _TONES.get(str(op.verdict), Tone.PLAIN)), card_key(op.id)))
    return Part("Production", _with_cards(conn, lines), "No target is set in `sendcat.toml`.")


def open_incidents(conn: Connection, live: tuple[Incident, ...], now_ms: int) -> Part:
    """Every open incident: what, where, whose, since when, what is decided next."""
    lines: list[tuple[Line, str]] = []
    for incident in live[:INCIDENTS]:
        severity = f"{incident.severity} · " if incident.severity else ""
        where = f" in {mention_channel(incident.channel)}" if incident.channel else ""
        after = f" · next: {inert(incident.next_step, 120)}" if incident.next_step else ""
        text = (
            f"*{incident.id}*  {severity}{inert(incident.title, 120)}{where} · {mention(incident.owner)} · "
            f"began {ago(now_ms - incident.began_ms)}{after}"
        )
        lines.append((Line(text, Tone.BAD), f"incident:{incident.id}"))
    if len(live) > INCIDENTS:
        lines.append((Line(f"… and {len(live) - INCIDENTS} more: `/sendcat incident status`"), ""))
    title = f"Open incidents: {len(live)}" if live else "Open incidents"
    return Part(title, _with_cards(conn, lines), "None is open.")


def recent_runs(conn: Connection, catalog: Catalog, now_ms: int) -> Part:
    """What runs, then the last runs that left a card; quick answers are left out."""
    live: list[tuple[Line, str]] = []
    over: list[tuple[Line, str]] = []
    for op in ops.recent(conn, 60):
        command = catalog.get(op.command)
        if command is None or command.quiet:
            continue
        what = f"{op.command} {op.id}{_on(op)} · {mention(op.by.account)}"
        if op.open:
            live.append((Line(f"{op.state} · {what} {_since(op, now_ms)}", Tone.RUNNING), card_key(op.id)))
        else:
            tone = _TONES.get(str(op.verdict), _ENDS.get(op.state, Tone.OK))
            ended = ago(now_ms - (op.finished_ms or op.created_ms))
            over.append((Line(f"{op.verdict or op.state} · {what} {ended}", tone), card_key(op.id)))
    return Part("Recent runs", _with_cards(conn, [*live[:RUNS], *over[:RUNS]]), "Nothing has run yet.")


def last_decisions(conn: Connection) -> Part:
    """The newest decisions on the record, for those who audit."""
    lines = []
    for ruling in glance.rulings(conn, RULINGS):
        why = f" · “{inert(ruling.why, 80)}”" if ruling.why else ""
        what = f"{inert(ruling.outcome, 40)} · {inert(ruling.action, 40)} {inert(ruling.object, 80)}"
        text = f"*{ruling.seq}*  {what} · {mention(ruling.actor)} {when(ruling.at_ms)}{why}"
        lines.append((Line(text), card_key(ruling.op) if ruling.op else ""))
    return Part("Last decisions", _with_cards(conn, lines), "No decision is on the record yet.")


def nobody(who: Who) -> Part:
    kinds = {
        "guest": "You are a guest here",
        "stranger": "You belong to another organisation",
        "bot": "You are a bot",
        "deactivated": "Your account is deactivated",
    }
    title = kinds.get(who.standing.kind, "Slack does not say who you are")
    return Part(title, (Line("You may use `help` and `stop` only (R8). Ask a responder in the incident channel."),))


def rights(catalog: Catalog, config: Config, who: Who) -> tuple[Part, ...]:
    """Who am I, and what may I do: the table of authority, seen from an incident channel."""
    place = Place(kind="channel", channel=next(iter(config.slack.incident_channels), None))
    mine: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for command in catalog.commands:
        if Door.SLACK not in command.doors:
            continue
        if judged(config, who, command.action, place).allowed:
            mine.setdefault(command.group, []).append(command.name)
        else:
            others.setdefault(_holders(command), []).append(command.name)
    roles = ", ".join(role.value for role in Role if role in who.roles and role is not Role.MEMBER)
    known = f"known in `sendcat.toml` as *{inert(who.person, 40)}*" if who.person else "in no entry of `[people]`"
    lines = [Line(f"{who.name} · {roles or 'no role'} · {known}")]
    lines += [Line(f"*{group}*  {_families(names)}") for group, names in mine.items()]
    lines += [Line(f"Not you, but {holders}:  {_families(names)}") for holders, names in others.items()]
    return (Part("You, and what you may do in an incident channel", tuple(lines)),)


def _families(names: list[str]) -> str:
    """``walk look``, ``walk confirm`` as one word with what follows it: `` `walk` look, confirm``."""
    found: dict[str, list[str]] = {}
    for name in names:
        first, _, rest = name.partition(" ")
        found.setdefault(first, []).append(rest)
    return " · ".join(f"`{first}` {', '.join(filter(None, rest))}".strip() for first, rest in found.items())


# -- small things -------------------------------------------------------------------------------------------------


def accounts(config: Config, who: Who) -> frozenset[str]:
    """Every account of the human behind this one."""
    person = config.people.get(who.person or "")
    others: Iterable[str] = ()
    if person is not None:
        others = (*(f"slack:{user}" for user in person.slack), *(f"os:{login}" for login in person.os))
    return frozenset({who.actor.account, *others})


def ago(ms: int) -> str:
    """An age for people: ``just now``, ``12 min ago``, ``3 h ago``, ``9 days ago``."""
    minutes = max(0, ms) // 60_000
    if minutes < 1:
        return "just now"
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes // 60} h ago" if minutes < 48 * 60 else f"{minutes // 1440} days ago"


def judged(config: Config, who: Who, action: str, place: Place, bound: frozenset[str] = frozenset()) -> Decision:
    """The table's word; ``bound`` are the channels that open incidents are held in."""
    slack = config.slack
    incident = frozenset(slack.incident_channels) | bound
    return decide(action, who, place, listed=slack.channels | bound, incident=incident)


def _holders(command: AnyCommand) -> str:
    return " or ".join(sorted(role.value for role in TABLE[command.action].roles if role is not Role.MEMBER))


def _on(op: Op) -> str:
    return f" on {op.target}" if op.target else ""


def _since(op: Op, now_ms: int) -> str:
    return "running" if op.started_ms is None else f"began {ago(now_ms - op.started_ms)}"


def _with_cards(conn: Connection, lines: list[tuple[Line, str]]) -> tuple[Line, ...]:
    """The lines, each with the place of the card of this outbox key."""
    keys = {key for _, key in lines if key}
    at = glance.places(conn, keys) if keys else {}
    return tuple(Line(line.text, line.tone, at.get(key)) for line, key in lines)
