"""Loggers for Bolt and the SDK that cannot tell what they must not (safety.md, R1, R36).

Both libraries log request bodies, addresses that carry a ticket, and answers. Little comes through: cut short,
without tracebacks and with everything that looks like a secret blotted out.
"""

from __future__ import annotations

import logging
import re

from bot.redact import Scrubber

_ROOT = "sendcat.slack"
_MAX = 300
_BODY = re.compile(r"(?s)\b(body|payload|response_url|headers?|req_args|params|data|ticket)\b\W.*", re.IGNORECASE)
_ADDRESS = re.compile(r"(?:wss?|https?)://[^\s'\"<>)]+")

_scrubber = Scrubber()


class _Quiet(logging.Filter):
    """Rewrites a record in place: one line, scrubbed, cut where a body or an address begins."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if record.exc_info and record.exc_info[0] is not None:
            text = f"{text.splitlines()[0] if text else ''} [{record.exc_info[0].__name__}]"
        text = _BODY.sub(r"\1 (not shown)", _ADDRESS.sub("(address)", _scrubber.scrub(text)))
        record.msg, record.args = " ".join(text.split())[:_MAX], ()
        record.exc_info = record.exc_text = record.stack_info = None
        return True


def quiet_logger(name: str) -> logging.Logger:
    """A logger to hand to Bolt or the SDK: errors only, harmless. Their warnings are advice to programmers."""
    logger = logging.getLogger(f"{_ROOT}.{name}")
    _hush(logger)
    logger.setLevel(logging.ERROR)
    return logger


def hush_libraries(*secrets: str) -> None:
    """Quiet the libraries' own loggers too, and remember values that never may appear."""
    for secret in secrets:
        _scrubber.learn(secret)
    for name in ("slack_bolt", "slack_sdk", "aiohttp", "uvicorn", "uvicorn.error", "uvicorn.access"):
        _hush(logging.getLogger(name))
    for name in list(logging.Logger.manager.loggerDict):
        if name.startswith(("slack_bolt", "slack_sdk", "aiohttp.")):
            _hush(logging.getLogger(name))


def _hush(logger: logging.Logger) -> None:
    logger.setLevel(logging.WARNING)
    if not any(isinstance(known, _Quiet) for known in logger.filters):
        logger.addFilter(_Quiet())
