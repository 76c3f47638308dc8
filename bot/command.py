"""What the doors hand to the desk (`Ask`), and what stands on the wall of commands (`Command`).

A slash command, a button, a terminal line and a timer tick all become the same small value and take the same
way (style.md, point 4).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from bot.card import Card, Form
from slo.verdict import Verdict

if TYPE_CHECKING:
    from pathlib import Path

    from bot.config import Config
    from bot.run import Run
    from playbooks.book import Book


class Door(StrEnum):
    SLACK = "slack"
    TERMINAL = "terminal"
    TIMER = "timer"


class Actor(BaseModel):
    """Who asks, by verified ids only; names never count (safety.md, R8).

    ``account`` is ``slack:<user id>``, ``os:<login>`` or ``timer:<slot>``. ``team`` and ``app`` are Slack's ids of
    the verified request, None elsewhere.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    door: Door
    account: str
    team: str | None = None
    app: str | None = None


class Place(BaseModel):
    """Where it was asked: a channel (and thread), a direct message, or the terminal."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["channel", "dm", "terminal", "timer"]
    channel: str | None = None
    thread_ts: str | None = None


class Ask(BaseModel):
    """One wish, as it comes through any door.

    ``line`` is a command line (``triage``, ``drill --quick=true``) or, from a button, empty with ``offer`` set: the
    meaning of a button is in the database (safety.md, R11). ``key`` is the delivery key: the same key is the same
    wish, whatever happens in between (R2, R3). ``fields`` carries form values of a modal.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    line: str
    by: Actor
    place: Place
    key: str
    offer: str | None = None
    target: str | None = None
    fields: dict[str, str] = {}
    submitted: bool = False
    """Whether ``fields`` are the answers of a sent form."""
    modal: bool = False
    """Whether the door can open a form now."""
    form: bool = False
    """The command's form comes first, although the line says something already: a shortcut on a message."""


class Opening(BaseModel):
    """A form to open: sent back, it becomes an `Ask` with this offer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    form: Form
    line: str
    offer: str


class Reply(BaseModel):
    """What the desk says at once: accepted with an operation id, or a card that explains why not.

    ``card`` is shown to the asker only. ``duplicate`` marks a later delivery of a known key. ``errors`` marks the
    questions of a form by flag; ``opening`` is a form to open instead of anything else.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    op: str | None = None
    card: Card | None = None
    exit_status: int = 0
    duplicate: bool = False
    errors: dict[str, str] = {}
    opening: Opening | None = None


@dataclass(frozen=True)
class Outcome:
    """How a run ended: the final card, the verdict (None when nothing was judged), the exit status, the data.

    ``data`` is what ``--json`` prints; it holds nothing that may not be seen. ``silent``: the answer stands on a card
    that is there already, so the asker is told nothing more.
    """

    card: Card
    exit_status: int
    verdict: Verdict | None = None
    data: dict[str, Any] = field(default_factory=dict)
    silent: bool = False


EXIT: dict[Verdict | None, int] = {None: 0, Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.INCOMPLETE: 3}
"""Exit status of a verdict (INTERFACES.md, section 4)."""


@dataclass(frozen=True)
class Offline:
    """What a line has that needs no bot: the pages, a folder of ours when one is known, the time in ms UTC."""

    book: Callable[[], Book]
    state_dir: Path | None
    now_ms: int
    config: Config | None = None
    """The configuration here; None on a practice folder, which is its owner's to play with."""
    account: str = ""
    """Who types, as the operating system says: ``os:oncall``."""


class Args(BaseModel):
    """Arguments of a command: field names are flags (``--quick=true``), positional ones are listed by the command."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True)


A = TypeVar("A", bound=Args)


@dataclass(frozen=True)
class Command(Generic[A]):
    """One entry of the wall: everything that help, the terminal, the manifest and the docs need to know.

    ``action`` is the row of the authority table (INTERFACES.md, section 3). ``quiet`` answers only the asker and
    posts no card (help, owners). ``effects`` says that the run sends something beyond reads: a drill, a probe, a
    change; such a run carries a Stop button and obeys the brake.
    """

    name: str
    summary: str
    action: str
    args: type[A]
    run: Callable[[Run, A], Awaitable[Outcome]]
    positional: tuple[str, ...] = ()
    rest: str | None = None
    """The field that takes every further word, as a tuple."""
    prose: str | None = None
    """The field that takes all further words as one text, so that a note needs no quotes."""
    examples: tuple[str, ...] = ()
    group: str = "See"
    doors: frozenset[Door] = frozenset({Door.SLACK, Door.TERMINAL})
    quiet: bool = False
    effects: bool = False
    single: bool = False
    """At most one of it at a time in a channel; a second one is answered with the first."""
    targeted: bool = True
    """Whether it works on a Sendcat target: then ``--target`` and ``--base-url`` are understood."""
    action_for: Callable[[A], str] | None = None
    """For commands whose arguments decide the row: the rows are listed in ``actions``."""
    quiet_for: Callable[[A], bool] | None = None
    """For commands whose arguments decide whether the answer is the asker's own."""
    further_actions: tuple[str, ...] = ()
    form: Callable[[Config], Form] | None = None
    """Opened when the command is typed alone in Slack; a terminal has flags."""
    offline: Callable[[A, Offline], Outcome] | None = None
    """Reads files and nothing else: a terminal carries it out itself, where it was typed, without bot or settings."""
    attached: bool = False
    """Lives as long as the terminal that asked: it is stopped when that one goes away."""
    variables: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Flag to the variables of a terminal that stand for it, first one found; the line then names the flag."""

    @property
    def actions(self) -> tuple[str, ...]:
        """Every row of the authority table this command may need."""
        return (self.action, *self.further_actions)

    def action_of(self, args: A) -> str:
        """The row for these arguments."""
        return self.action_for(args) if self.action_for else self.action
