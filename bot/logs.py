"""Logging: one JSON object a line, secrets blotted out on the root handlers (safety.md, R35, R36, decision 12)."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from bot.redact import Scrubber


class _Scrubbing(logging.Filter):
    def __init__(self, scrubber: Scrubber) -> None:
        super().__init__()
        self._scrubber = scrubber

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = self._scrubber.scrub(record.getMessage()), ()
        if record.exc_info and not record.exc_text:
            record.exc_text = self._scrubber.scrub(logging.Formatter().formatException(record.exc_info))
        return True


def configure(scrubber: Scrubber, *, json: bool = True, level: int = logging.INFO) -> None:
    """Set up structlog and the standard library's root logger to write scrubbed lines to stderr."""

    def scrub(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {k: scrubber.scrub(v) if isinstance(v, str) else v for k, v in event.items()}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            scrub,
            structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.addFilter(_Scrubbing(scrubber))
    handler.setFormatter(logging.Formatter('{"level":"%(levelname)s","logger":"%(name)s","event":%(message)r}'))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
