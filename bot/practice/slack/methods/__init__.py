"""The Web API methods, one table. A method takes the house and the arguments, and answers JSON."""

from __future__ import annotations

from collections.abc import Mapping

from bot.practice.slack.methods import chat, conversations, files, marks, people, views
from bot.practice.slack.methods.house import House, Method

METHODS: Mapping[str, Method] = {
    **chat.METHODS,
    **conversations.METHODS,
    **files.METHODS,
    **marks.METHODS,
    **people.METHODS,
    **views.METHODS,
}

__all__ = ["METHODS", "House", "Method"]
