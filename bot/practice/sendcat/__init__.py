"""A Sendcat to practise on: the Convex HTTP API, the site endpoints, real rules, and faults A to H."""

from __future__ import annotations

from bot.practice.sendcat.clock import PracticeClock
from bot.practice.sendcat.practice import PracticeSendcat
from bot.practice.sendcat.switches import Script, Switches

__all__ = ["PracticeClock", "PracticeSendcat", "Script", "Switches"]
