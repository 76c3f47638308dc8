"""A card as terminal text: rich renderables, or plain lines where nobody watches live."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime

from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.table import Table as RichTable
from rich.text import Text

from bot.card import SYMBOL, Card, Tone, resolve
from bot.config import Config
from bot.forms import as_line

_STYLE = {
    Tone.OK: "green",
    Tone.WARN: "yellow",
    Tone.BAD: "bold red",
    Tone.UNKNOWN: "magenta",
    Tone.RUNNING: "cyan",
    Tone.REFUSED: "red",
    Tone.PLAIN: "",
}
_TYPED = re.compile(r"(?<![\w/])/sendcat(?= |$)")
"""A line that people type in Slack; here the same is typed without the stroke."""
_SPANS = re.compile(r"`([^`\n]+)`|(?<![\w*])\*([^*\n]+)\*(?![\w*])")

Names = Callable[[str, str], str]


def names(config: Config) -> Names:
    """How marks are drawn here: people by name, moments in local time, channels by id."""

    def draw(kind: str, value: str) -> str:
        if kind == "t":
            moment = datetime.fromtimestamp(int(value) / 1000, tz=UTC).astimezone()
            today = datetime.now(tz=UTC).astimezone().date()
            return moment.strftime("%H:%M:%S" if moment.date() == today else "%Y-%m-%d %H:%M")
        if kind in "#&":
            return f"{'#' if kind == '#' else '@'}{value}"
        door, _, account = value.partition(":")
        for name, person in config.people.items():
            if account in (person.slack if door == "slack" else person.os):
                return f"@{name}"
        return f"@{account}"

    return draw


def spans(text: str, draw: Names, style: str = "") -> Text:
    """Our small markup as styled text; brackets in values mean nothing."""
    out = Text(style=style)
    at = 0
    plain = _TYPED.sub("sendcat", resolve(text, draw))
    for found in _SPANS.finditer(plain):
        out.append(plain[at : found.start()])
        code, bold = found.groups()
        out.append(code or bold, style="bold cyan" if code else "bold")
        at = found.end()
    out.append(plain[at:])
    return out


THREAD, BELOW, ABOVE = "in the thread", "below", "above"
"""A terminal has no thread: what a card says to be there stands between its table and what to type next."""


def _without_thread(card: Card) -> Card:
    table = card.table
    if table is not None and THREAD in table.caption:
        table = table.model_copy(update={"caption": table.caption.replace(THREAD, BELOW)})
    return card.model_copy(update={"table": table, "next": card.next.replace(THREAD, ABOVE)})


def render(card: Card, draw: Names) -> RenderableType:
    """The whole card, top to bottom: verdict, reason, evidence, what to type next."""
    refers = THREAD in card.next or (card.table is not None and THREAD in card.table.caption)
    card = _without_thread(card) if refers else card
    parts: list[RenderableType] = []
    if card.banner:
        parts.append(spans(card.banner, draw, "bold yellow"))
    title = Text()
    if SYMBOL[card.tone]:
        title.append(f"{SYMBOL[card.tone]} ")
    title.append_text(spans(card.title, draw, f"bold {_STYLE[card.tone]}".strip()))
    parts.append(title)
    if card.context:
        parts.append(spans(card.context, draw, "dim"))
    if card.lead:
        parts.append(spans(card.lead, draw))
    if card.steps:
        parts.append(Text(""))
        width = max(len(step.label) for step in card.steps)
        for step in card.steps:
            line = Text(f"{SYMBOL[step.tone] or '▫️'} ", style=_STYLE[step.tone])
            line.append(f"{step.label:<{width}}  ")
            line.append_text(spans(step.detail, draw, "dim"))
            parts.append(line)
    if card.facts:
        grid = RichTable.grid(padding=(0, 3))
        pairs = list(card.facts)
        for at in range(0, len(pairs), 2):
            cells = []
            for fact in pairs[at : at + 2]:
                cell = Text(f"{fact.label}  ", style="bold")
                cell.append_text(spans(fact.value, draw, "not bold"))
                cells.append(cell)
            grid.add_row(*cells)
        parts += [Text(""), grid]
    if card.table is not None:
        table = RichTable(box=None, pad_edge=False, header_style="bold", caption=card.table.caption or None)
        for at, column in enumerate(card.table.columns):
            table.add_column(column, no_wrap=at == 0, overflow="fold")
        for row in card.table.rows:
            texts = ((f"{resolve(cell.text, draw)} {SYMBOL[cell.tone]}".rstrip(), _STYLE[cell.tone]) for cell in row)
            table.add_row(*(Text(text, style=style) for text, style in texts))
        parts += [Text(""), table]
    for section in filter(None, (card.warned, *card.sections)):
        parts += [Text(""), spans(section, draw)]
    for note in card.attachments:
        if note.columns or (refers and note.text):
            parts += [Text(""), Text(note.title, style="bold"), Text(note.text, no_wrap=True, overflow="ignore")]
    if card.code:
        parts += [Text(""), Padding(Text(card.code, style="cyan"), (0, 2))]
    if card.next:
        line = Text("Next: ", style="bold")
        line.append_text(spans(card.next, draw))
        parts += [Text(""), line]
    for link in card.links:
        parts.append(Text(f"{link.label}: {link.url}"))
    offered = [
        as_line(button.line, button.form) if button.form is not None else button.line
        for button in card.buttons
        if button.line and not button.decision
    ]
    if offered and card.final:
        line = Text("Also: ", style="dim")
        line.append(" · ".join(f"sendcat {line_}" for line_ in dict.fromkeys(offered)), style="dim")
        parts.append(line)
    if card.footer:
        parts.append(spans(card.footer, draw, "dim"))
    return Group(*parts)


def plain(card: Card, draw: Names, width: int = 110) -> str:
    """The card as lines without colour."""
    console = Console(width=width, no_color=True, highlight=False, force_terminal=False, legacy_windows=False)
    with console.capture() as captured:
        console.print(render(card, draw), crop=False)
    return "\n".join(line.rstrip() for line in captured.get().splitlines())


class Progress:
    """Draws the course on stderr: live where somebody watches, else one line for each change of a step."""

    def __init__(self, draw: Names, console: Console | None = None) -> None:
        from rich.live import Live

        self._draw = draw
        self._console = console or Console(stderr=True, highlight=False)
        self._live = (
            Live(console=self._console, transient=True, auto_refresh=False) if self._console.is_terminal else None
        )
        self._said: set[str] = set()
        self._started = False

    def show(self, card: Card) -> None:
        """Draw a running card."""
        if self._live is not None:
            if not self._started:
                self._live.start()
                self._started = True
            self._live.update(render(card, self._draw), refresh=True)
            return
        for step in card.steps:
            if step.tone is Tone.PLAIN:
                continue
            line = f"{SYMBOL[step.tone]} {step.label}  {resolve(step.detail, self._draw)}".rstrip()
            if line not in self._said:
                self._said.add(line)
                self._console.print(Text(line))

    def end(self) -> None:
        """Take the live drawing away; the final card goes to stdout."""
        if self._live is not None and self._started:
            self._live.stop()
