"""What a person finds on the Home tab: first what waits for them, then how things stand (ux.md, "Home").

Everything is read from rows at the moment of looking; nothing of it is remembered. What is shown follows the table of
authority: production and runs as `status` allows, incidents as `read`, decisions and the audit search as the audit
rows. Outsiders find out who they are here and what they may do, and nothing else (safety.md, R8). What waits for a
person is judged in `bot.home.waiting`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bot.authority import Who
from bot.card import Button, Card, Field, Form, Tone, when
from bot.catalog import AnyCommand, Catalog
from bot.command import Door, Place
from bot.errors import SendcatError
from bot.home.parts import (
    Line,
    Part,
    judged,
    last_decisions,
    nobody,
    open_incidents,
    production,
    recent_runs,
    rights,
    waiting,
)
from bot.redact import inert
from bot.store import incidents, offers, pauses
from bot.world import World

if TYPE_CHECKING:
    from sqlite3 import Connection


@dataclass(frozen=True)
class Home:
    """The whole tab, in reading order. The first part's title is the answer: what waits for me."""

    parts: tuple[Part, ...]
    banners: tuple[str, ...] = ()
    buttons: tuple[Button, ...] = ()
    about: tuple[Part, ...] = ()
    """Who one is, and what one may do: long, and the same every day, so it stands below the buttons."""
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
            return Home(parts=(nobody(who),))
        now_ms = self.world.clock.now_ms()
        try:
            banners, parts = await self.world.store.read(lambda conn: self._read(conn, who, now_ms))
            buttons = await self._buttons(who)
        except SendcatError as error:
            first = Part("Nothing can be read now", (Line(str(error), Tone.UNKNOWN),))
            return Home(parts=(first,), about=rights(self.catalog, self.world.config, who))
        return Home(
            parts=parts,
            banners=banners,
            buttons=buttons,
            about=rights(self.catalog, self.world.config, who),
            footer=f"as of {when(now_ms)} · answers to these buttons come as direct messages",
        )

    def _read(self, conn: Connection, who: Who, now_ms: int) -> tuple[tuple[str, ...], tuple[Part, ...]]:
        config = self.world.config
        banners = []
        if pause := pauses.paused(conn):
            banners.append(pause.banner)
        if blocked := self.world.stops.blocked:
            banners.append(f"🚫 New drills are blocked: {inert(blocked)}.")
        live = incidents.open_ones(conn)
        bound = frozenset(incident.channel for incident in live if incident.channel)
        found = [waiting(conn, config, who, now_ms, bound), production(conn, config, now_ms)]
        if self._may(who, "read"):
            found.append(open_incidents(conn, live, now_ms))
        found.append(recent_runs(conn, self.catalog, now_ms))
        if self._may(who, "audit.export"):
            found.append(last_decisions(conn))
        return tuple(banners), tuple(found)

    def _may(self, who: Who, action: str) -> bool:
        """Whether the table lets this person do it from here, which is nobody's channel."""
        return judged(self.world.config, who, action, Place(kind="dm", channel=who.actor.account)).allowed

    async def _buttons(self, who: Who) -> tuple[Button, ...]:
        wanted = [button for name in _OFFERED if (button := self._button(name, who)) is not None]
        new = [button for button in wanted if button not in self._minted]
        if new:
            card = Card(title="Home", buttons=tuple(new))
            minted = await self.world.store.write(lambda tx: offers.mint(tx, card, None, None))
            self._minted |= dict(zip(new, minted.buttons, strict=True))
        return tuple(self._minted[button] for button in wanted)

    def _button(self, name: str, who: Who) -> Button | None:
        """The button of a command that exists and that this person may use from here; the search asks first."""
        command = self.catalog.get(name)
        if command is None or Door.SLACK not in command.doors or not self._may(who, command.action):
            return None
        label, needs = _OFFERED[name]
        if needs is not None and not self._may(who, needs):
            return None
        form = None
        if name == "audit":
            form = command.form(self.world.config) if command.form is not None else _search(command)
        return Button(label=label, line=name, name=f"home.{name}", form=form)


_OFFERED: dict[str, tuple[str, str | None]] = {
    "status": ("Status", None),
    "audit": ("Search the audit trail…", "audit.export"),
    "help": ("Help", None),
    "owners": ("Owners", None),
}
"""Commands with a button here: label, and the right that somebody needs who is shown it (ux.md: for managers)."""

_ASKED = {
    "person": ("Who", "A person or an account"),
    "action": ("What was done", "For example tune.approve or gate.decide"),
    "object": ("To what", "A run, a change, a gate, an incident: r-8f2k, c-41, g-77, i-12"),
    "knob": ("Knob", "For example BULKHEAD_OR_PRI_MAX_CONCURRENT"),
    "since": ("Since", "A date or an age: 2026-11-23, 7d"),
    "until": ("Until", "A date or an age"),
}
"""Questions of the audit search (ux.md, "Home": person, action, object, time), as far as the command has the flag."""


def _search(command: AnyCommand) -> Form | None:
    """The questions that this command can answer; None when it has none of these flags."""
    fields = tuple(
        Field(flag=flag, label=label, hint=hint, optional=True)
        for flag, (label, hint) in _ASKED.items()
        if flag in command.args.model_fields
    )
    said = "Leave empty what may be anything."
    return Form(title="Search the audit trail", fields=fields, submit="Search", text=said) if fields else None
