"""What a person finds on the Home tab: first what waits for them, then how things stand (ux.md, "Home").

Everything is read from rows at the moment of looking; nothing of it is remembered. What is shown follows the table of
authority: production and runs as `status` allows, incidents as `read`, decisions and the audit search as the audit
rows. Outsiders find out who they are here and what they may do, and nothing else (safety.md, R8).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.authority import TABLE, Decision, Role, Who, decide
from bot.card import Button, Card, Tone, when
from bot.card import who as mention
from bot.catalog import AnyCommand, Catalog
from bot.command import Door, Place
from bot.config import Config
from bot.errors import SendcatError
from bot.redact import inert
from bot.store import glance, offers, ops
from bot.store.ops import Op
from bot.world import World

if TYPE_CHECKING:
    from sqlite3 import Connection

OLD_MS = 5 * 60_000
"""Data older than this is called old in the first line (ux.md, "Banner")."""
RUNS = 6
RULINGS = 5
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


@dataclass(frozen=True)
class Home:
    """The whole tab, in reading order. The first part's title is the answer: what waits for me."""

    parts: tuple[Part, ...]
    banners: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()
    footer: str = ""


@dataclass
class Homes:
    """Looks for people. Its buttons navigate only; each is minted once in the life of this process."""

    world: World
    catalog: Catalog
    _minted: dict[Button, Button] = field(default_factory=dict)

    async def look(self, who: Who) -> Home:
        """The tab for this person now; never raises: what cannot be read is said."""
        if who.standing.kind != "member":
            return Home(parts=(_nobody(who), *_rights(self.catalog, self.world.config, who)))
        now_ms = self.world.clock.now_ms()
        try:
            parts = await self.world.store.read(lambda conn: self._read(conn, who, now_ms))
            buttons = await self._buttons(who)
        except SendcatError as error:
            first = Part("Nothing can be read now", (Line(str(error), Tone.UNKNOWN),))
            return Home(parts=(first, *_rights(self.catalog, self.world.config, who)))
        blocked = self.world.stops.blocked
        banners = (f"🚫 New drills are blocked: {inert(blocked)}.",) if blocked else ()
        return Home(
            parts=parts,
            banners=banners,
            buttons=buttons,
            footer=f"as of {when(now_ms)} · answers to these buttons come as direct messages",
        )

    def _read(self, conn: Connection, who: Who, now_ms: int) -> tuple[Part, ...]:
        config = self.world.config
        found = [
            _waiting(conn, config, who, now_ms),
            _production(conn, config, now_ms),
            _runs(conn, self.catalog, now_ms),
        ]
        if self._may(who, "audit.export"):
            found.append(_rulings(conn))
        return (*found, *_rights(self.catalog, config, who))

    def _may(self, who: Who, action: str) -> bool:
        """Whether the table lets this person do it from here, which is nobody's channel."""
        return _decide(self.world.config, who, action, Place(kind="dm", channel=who.actor.account)).allowed

    async def _buttons(self, who: Who) -> tuple[Button, ...]:
        wanted = [button for button in _BUTTONS if self._offered(button, who)]
        new = [button for button in wanted if button not in self._minted]
        if new:
            card = Card(title="Home", buttons=tuple(new))
            minted = await self.world.store.write(lambda tx: offers.mint(tx, card, None, None))
            self._minted |= dict(zip(new, minted.buttons, strict=True))
        return tuple(self._minted[button] for button in wanted)

    def _offered(self, button: Button, who: Who) -> bool:
        command = self.catalog.get(button.line)
        return command is not None and self._may(who, command.action)


_BUTTONS = (
    Button(label="Status", line="status", name="home.status"),
    Button(label="Help", line="help", name="home.help"),
    Button(label="Owners", line="owners", name="home.owners"),
)


# -- parts --------------------------------------------------------------------------------------------------------


def _waiting(conn: Connection, config: Config, who: Who, now_ms: int) -> Part:
    """What I must decide or watch: runs that wait for a person, then my own."""
    lines: list[tuple[Line, str]] = []
    mine = accounts(config, who)
    for op in ops.open_ops(conn):
        if op.waits_for and _may_answer(config, who, op):
            lines.append((Line(f"*{op.command} {op.id}* waits for {op.waits_for}{_on(op)}", Tone.WARN), op.id))
        elif op.by.account in mine:
            lines.append((Line(f"*{op.command} {op.id}* is yours{_on(op)}, {_since(op, now_ms)}", Tone.RUNNING), op.id))
    count = f"{len(lines)} thing waits" if len(lines) == 1 else f"{len(lines)} things wait"
    title = f"{count} for you" if lines else "Nothing waits for you"
    return Part(title, _with_cards(conn, lines))


def _production(conn: Connection, config: Config, now_ms: int) -> Part:
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
        lines.append((Line(line, _TONES.get(str(op.verdict), Tone.PLAIN)), op.id))
    return Part("Production", _with_cards(conn, lines), "No target is set in `sendcat.toml`.")


def _runs(conn: Connection, catalog: Catalog, now_ms: int) -> Part:
    """The last runs that left a card; quick answers are left out."""
    lines: list[tuple[Line, str]] = []
    for op in ops.recent(conn, 60):
        command = catalog.get(op.command)
        if len(lines) == RUNS or command is None or command.quiet or op.open:
            continue
        tone = _TONES.get(str(op.verdict), _ENDS.get(op.state, Tone.OK))
        word = str(op.verdict or op.state)
        ended = ago(now_ms - (op.finished_ms or op.created_ms))
        lines.append((Line(f"{word} · {op.command} {op.id}{_on(op)} · {mention(op.by.account)} {ended}", tone), op.id))
    return Part("Recent runs", _with_cards(conn, lines), "Nothing has run yet.")


def _rulings(conn: Connection) -> Part:
    """The newest decisions on the record, for those who audit."""
    lines = []
    for ruling in glance.rulings(conn, RULINGS):
        why = f" · “{inert(ruling.why, 80)}”" if ruling.why else ""
        what = f"{inert(ruling.outcome, 40)} · {inert(ruling.action, 40)} {inert(ruling.object, 80)}"
        text = f"*{ruling.seq}*  {what} · {mention(ruling.actor)} {when(ruling.at_ms)}{why}"
        lines.append((Line(text), ruling.op or ""))
    return Part("Last decisions", _with_cards(conn, lines), "No decision is on the record yet.")


def _nobody(who: Who) -> Part:
    kinds = {
        "guest": "You are a guest here",
        "stranger": "You belong to another organisation",
        "bot": "You are a bot",
        "deactivated": "Your account is deactivated",
    }
    title = kinds.get(who.standing.kind, "Slack does not say who you are")
    return Part(title, (Line("You may use `help` and `stop` only (R8). Ask a responder in the incident channel."),))


def _rights(catalog: Catalog, config: Config, who: Who) -> Iterator[Part]:
    """Who am I, and what may I do: the table of authority, seen from an incident channel."""
    if who.standing.kind != "member":
        return
    place = Place(kind="channel", channel=next(iter(config.slack.incident_channels), None))
    mine: dict[str, list[str]] = {}
    others: dict[str, list[str]] = {}
    for command in catalog.commands:
        if Door.SLACK not in command.doors:
            continue
        if _decide(config, who, command.action, place).allowed:
            mine.setdefault(command.group, []).append(f"`{command.name}`")
        else:
            others.setdefault(_holders(command), []).append(f"`{command.name}`")
    roles = ", ".join(role.value for role in Role if role in who.roles and role is not Role.MEMBER)
    known = f"known in `sendcat.toml` as *{inert(who.person, 40)}*" if who.person else "in no entry of `[people]`"
    lines = [Line(f"{who.name} · {roles or 'no role'} · {known}")]
    lines += [Line(f"*{group}*  {' '.join(names)}") for group, names in mine.items()]
    lines += [Line(f"Not you, but {holders}:  {' '.join(names)}") for holders, names in others.items()]
    yield Part("You, and what you may do in an incident channel", tuple(lines))


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


def _decide(config: Config, who: Who, action: str, place: Place) -> Decision:
    slack = config.slack
    return decide(action, who, place, listed=slack.channels, incident=frozenset(slack.incident_channels))


def _may_answer(config: Config, who: Who, op: Op) -> bool:
    """Whether somebody with this person's rights could let it go on: where it runs, not its starter."""
    return op.by.account not in accounts(config, who) and _decide(config, who, "tune.approve", op.place).allowed


def _holders(command: AnyCommand) -> str:
    return " or ".join(sorted(role.value for role in TABLE[command.action].roles if role is not Role.MEMBER))


def _on(op: Op) -> str:
    return f" on {op.target}" if op.target else ""


def _since(op: Op, now_ms: int) -> str:
    return "running" if op.started_ms is None else f"began {ago(now_ms - op.started_ms)}"


def _with_cards(conn: Connection, lines: list[tuple[Line, str]]) -> tuple[Line, ...]:
    """The lines, each with the place of its run's card."""
    keys = {run: f"card:{run}" for _, run in lines if run}  # as `bot.run.card_key` names them
    at = glance.places(conn, keys.values()) if keys else {}
    return tuple(Line(line.text, line.tone, at.get(keys.get(run, ""))) for line, run in lines)
