"""Every form: those of commands, and those behind the buttons of the cards of the other areas."""

from __future__ import annotations

from collections.abc import Iterable

from bot.card import Card, Form
from bot.command import Opening
from bot.commands import ALL
from bot.slack.modal import modal
from tests.golden.stage import Scene, Shown


async def cards(scene: Scene) -> dict[str, Shown]:
    return {
        f"form.{command.name.replace(' ', '-')}": _view(command.form(scene.config), command.name)
        for command in ALL
        if command.form is not None
    }


def behind(cards: Iterable[Card]) -> dict[str, Shown]:
    """The forms of the buttons, each name once."""
    found: dict[str, Shown] = {}
    for card in cards:
        for button in card.buttons:
            if button.form is not None:
                found.setdefault(f"form-of-button.{button.name}", _view(button.form, button.line))
    return found


def _view(form: Form, line: str) -> Shown:
    return modal(Opening(form=form, line=line, offer="0" * 32), "0" * 32)
