"""A Slack workspace to practise on: Web API, Socket Mode, signed HTTP delivery, people, faults, and a page."""

from __future__ import annotations

from bot.practice.slack.ack import Ack
from bot.practice.slack.api import Call
from bot.practice.slack.faults import (
    LOST_ANSWER,
    LOST_REQUEST,
    RATE_LIMITED,
    SERVER_ERROR,
    SERVER_ERROR_AFTER,
    ApiFault,
    Faults,
)
from bot.practice.slack.people import Channel, Person, UserGroup, practice_people
from bot.practice.slack.practice import PracticeSlack
from bot.practice.slack.signed_http import HttpDelivery, signature

__all__ = [
    "LOST_ANSWER",
    "LOST_REQUEST",
    "RATE_LIMITED",
    "SERVER_ERROR",
    "SERVER_ERROR_AFTER",
    "Ack",
    "ApiFault",
    "Call",
    "Channel",
    "Faults",
    "HttpDelivery",
    "Person",
    "PracticeSlack",
    "UserGroup",
    "practice_people",
    "signature",
]
