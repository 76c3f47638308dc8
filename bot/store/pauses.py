"""The pause: everything that changes is refused for everybody, with a banner on every card, until it is lifted."""

from __future__ import annotations

from dataclasses import dataclass
from sqlite3 import Connection

from bot.card import when
from bot.card import who as mention
from bot.store import settings
from bot.store.tx import Tx

NAME = "pause"


@dataclass(frozen=True)
class Pause:
    """Who paused, when (ms UTC), and why."""

    account: str
    person: str | None
    at_ms: int
    why: str

    @property
    def banner(self) -> str:
        """The first line of every card meanwhile."""
        reason = f": {self.why}" if self.why else ""
        return f"⏸ Paused by {mention(self.account)} {when(self.at_ms)}{reason}. Everything that changes is refused."


def paused(conn: Connection) -> Pause | None:
    """The pause that holds now, None when there is none."""
    found = settings.get(conn, NAME)
    return None if found is None else Pause(**found)


def put(tx: Tx, pause: Pause | None) -> None:
    """Pause, or lift the pause with None."""
    settings.put(tx, NAME, None if pause is None else vars(pause))
