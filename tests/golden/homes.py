"""The Home tab: a newcomer, a responder with work, a manager, outsiders, the paused and the broken bot."""

from __future__ import annotations

from dataclasses import replace

from bot.card import SYMBOL, Tone, when
from bot.card import channel as mention_channel
from bot.card import who as mention
from bot.catalog import Catalog
from bot.commands import catalog
from bot.errors import Broken
from bot.home.parts import Line, Part, nobody, rights
from bot.home.tab import Home, Homes
from bot.slack.home import draw
from bot.store.pauses import Pause
from tests.golden.stage import CHANNEL, HOUR, LEAD, MINUTE, ONCALL, T0, VISITOR, Scene, Shown, minted

ORIGIN = "https://practice.slack.test/"
_CARD = (CHANNEL, "1795419420.000100")
COMMANDS = (
    "triage",
    "stop",
    "status",
    "snapshot",
    "gate",
    "gate approve",
    "incident open",
    "checklist",
    "tune",
    "resume",
)
"""Rights are shown for these only, so that a new command does not change every Home here."""


async def cards(scene: Scene) -> dict[str, Shown]:
    some = Catalog([command for command in catalog().commands if command.name in COMMANDS])
    homes = Homes(scene.world, catalog())
    empty = await homes.look(scene.who(ONCALL))
    responder, manager = scene.who(ONCALL), scene.who(LEAD)
    busy = replace(
        empty,
        parts=(
            Part(
                "3 things wait for you",
                (
                    Line("*Release gate g-77* waits for your decision · 2026.11.23-2 · until " + when(T0 + HOUR),
                         Tone.WARN, _CARD),
                    Line("*i-12* is yours: chat answers slowly", Tone.WARN, _CARD),
                    Line(f"*Checklist of i-12*: Sentry links, Phase-log entry · due {when(T0 + 23 * HOUR)}",
                         Tone.WARN, _CARD),
                ),
            ),
            Part(
                "Production",
                (
                    Line("*production*  FAIL: outbound provider · triage r-8f2k 12 min ago ⚠️ older than 5 min",
                         Tone.BAD, _CARD),
                    Line("*staging*  not looked at yet: `/sendcat triage --target=staging`", Tone.UNKNOWN),
                ),
            ),
            Part(
                "Open incidents: 1",
                (Line(f"*i-12*  sev2 · chat answers slowly in {mention_channel(CHANNEL)} · {mention(ONCALL)} · began "
                      "1 h ago · next: wait for the provider", Tone.BAD, _CARD),),
            ),
            Part("Recent runs", (Line(f"FAIL · triage r-8f2k on production · {mention(ONCALL)} 12 min ago", Tone.BAD),)),
        ),
    )  # fmt: skip
    decisions = Part(
        "Last decisions",
        (
            Line(
                f"*41*  approve · gate.decide g-76 · {mention(LEAD)} {when(T0 - HOUR)} · “evidence read”",
                Tone.PLAIN,
                _CARD,
            ),
        ),
    )
    at_lead = await homes.look(manager)
    broken = Home(
        parts=(Part("Nothing can be read now", (Line(str(Broken("the database does not answer")), Tone.UNKNOWN),)),),
        about=rights(some, scene.config, responder),
    )
    paused = Pause(LEAD, "lead", T0 - 5 * MINUTE, "freeze until the provider is back").banner
    shown = {
        "home.newcomer": replace(empty, about=rights(some, scene.config, scene.who(VISITOR))),
        "home.responder": replace(busy, about=rights(some, scene.config, responder)),
        "home.manager": replace(
            at_lead, parts=(*at_lead.parts[:-1], decisions), about=rights(some, scene.config, manager)
        ),
        "home.paused-and-stopped": replace(
            busy, banners=(paused, f"{SYMBOL[Tone.REFUSED]} New drills are blocked: stopped by oncall."), about=()
        ),
        "home.guest": Home(parts=(nobody(scene.who("slack:U0GUEST", "guest")),)),
        "home.stranger": Home(parts=(nobody(scene.who("slack:U0STRANGER", "stranger")),)),
        "home.membership-not-learned": Home(parts=(nobody(scene.who("slack:U0NEW", "unknown")),)),
        "home.database-broken": broken,
    }
    return {name: draw(_counted(home), ORIGIN) for name, home in shown.items()}


def _counted(home: Home) -> Home:
    """With offers that are the same every time."""
    from bot.card import Card

    return replace(home, buttons=minted(Card(title="Home", buttons=home.buttons)).buttons)
