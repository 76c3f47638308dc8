"""Reads a chat stream as it comes: what matters is the first token, and how it ended (http-endpoints.md)."""

from __future__ import annotations

import json

from slo.tally import StreamEnd

MAX_LINE = 256 << 10


class ChatStream:
    """Feeds on body bytes. ``first_token`` turns True with the first ``content`` or ``reasoning`` event.

    ``end`` is "done" or "error" once such an event came, else None (the stream was cut off); ``error_code`` is the
    code of the error event. A line over 256 KiB is skipped, not kept.
    """

    __slots__ = ("_line", "_skipping", "end", "error_code", "first_token")

    def __init__(self) -> None:
        self.first_token = False
        self.end: StreamEnd | None = None
        self.error_code: str | None = None
        self._line = bytearray()
        self._skipping = False

    def feed(self, data: bytes) -> None:
        start = 0
        while True:
            stop = data.find(b"\n", start)
            if stop < 0:
                break
            if self._skipping:
                self._skipping = False
            elif self._line:
                self._line += data[start:stop]
                self._event(bytes(self._line))
            else:
                self._event(data[start:stop])
            self._line.clear()
            start = stop + 1
        if not self._skipping:
            self._line += data[start:]
            if len(self._line) > MAX_LINE:
                self._line.clear()
                self._skipping = True

    def _event(self, line: bytes) -> None:
        if not line.startswith(b"data:") or self.end is not None:
            return
        # Once a token was seen only the end matters, and most events are tokens.
        if self.first_token and b'"done"' not in line and b'"error"' not in line:
            return
        try:
            event = json.loads(line[5:])
        except (ValueError, RecursionError):
            return
        kind = event.get("type") if isinstance(event, dict) else None
        if kind in ("content", "reasoning"):
            self.first_token = True
        elif kind == "done":
            self.end = "done"
        elif kind == "error":
            self.end = "error"
            code = event.get("code")
            self.error_code = code[:60] if isinstance(code, str) else "unknown"
