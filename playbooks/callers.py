"""Who is refused, and how: events against distinct keys, and when in the window (Runbook, playbook A, action 1; pure).

Events are at most one for each key in 5 s. One that leaves an event in most of these slots is refused all the time:
that is abuse, or a broken client. A sender a little over its limit passes until the window is used up, and is refused
only at its end, a few events in each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from playbooks.facts import Event, Facts
from slo.scenarios import CHAT, ENDPOINTS, GMAIL, WHATSAPP

SLOT_MS = 5_000
"""At most one event for each key and outcome in so long."""
ENDPOINT_OF = {
    "chat_stream": ENDPOINTS[CHAT],
    "chat_admission": ENDPOINTS[CHAT],
    "gmail_push": ENDPOINTS[GMAIL],
    "whatsapp_webhook": ENDPOINTS[WHATSAPP],
    "gmail_oauth_callback": "the Gmail sign-in callback",
}
WINDOW_MS = {"chat_stream": 300_000, "chat_admission": 300_000}
"""Length of the limiter's window where it is not a minute."""


@dataclass(frozen=True)
class Pressure:
    """The bucket and outcome with the most events among the newest rows, and how its loudest key is refused.

    ``busy`` is the share of the 5 s slots between its first and last row in which the loudest key has an event;
    ``from_s`` the earliest second of the window in which anybody is refused, of ``window_s``.
    """

    bucket: str
    outcome: str
    events: int
    keys: int
    loudest: int
    span_s: int
    busy: float
    from_s: int
    window_s: int

    @property
    def endpoint(self) -> str:
        return ENDPOINT_OF.get(self.bucket, "no endpoint of its own")

    @property
    def counted(self) -> str:
        """Events against distinct keys, in words."""
        who = "1 key" if self.keys == 1 else f"{self.keys} keys"
        return f"{self.events} events of {who} in {self.span_s} s, the loudest {self.loudest}"

    def reason(self, variant: str | None) -> str:
        """Why it was judged so."""
        match variant:
            case "abusive":
                return f"{self.counted}: refused in {self.busy:.0%} of its 5 s slots, so all the time"
            case "legitimate":
                if self.from_s > self.window_s // 3:
                    return f"{self.counted}: refused only from second {self.from_s} of each {self.window_s} s window on"
                return f"{self.counted}: not all the time, so it is over its limit and no flood"
            case "chat":
                one = "one account asks" if self.keys == 1 else f"{self.keys} accounts ask"
                return f"{self.counted}: {one} for more chats than a person does: shared, or a script"
            case "contention":
                return f"{self.counted}: write conflicts, which no limit changes"
        return self.counted


def pressure(facts: Facts) -> Pressure | None:
    """Where the pressure is highest among the newest rows; None when they were not read or nobody was refused."""
    refused = [e for e in facts.events or () if e.outcome != "allowed" and e.bucket in ENDPOINT_OF]
    if not refused:
        return None
    (bucket, outcome), _ = Counter((e.bucket, e.outcome) for e in refused).most_common(1)[0]
    rows = [e for e in refused if (e.bucket, e.outcome) == (bucket, outcome)]
    keys = Counter(e.key for e in rows)
    name, loudest = keys.most_common(1)[0]
    window_ms = WINDOW_MS.get(bucket, 60_000)
    span_ms = max(e.created_at for e in rows) - min(e.created_at for e in rows)
    return Pressure(
        bucket=bucket,
        outcome=outcome,
        events=len(rows),
        keys=len(keys),
        loudest=loudest,
        span_s=span_ms // 1000,
        busy=_busy([e for e in rows if e.key == name], span_ms),
        from_s=min(e.created_at % window_ms for e in rows) // 1000,
        window_s=window_ms // 1000,
    )


def _busy(rows: list[Event], span_ms: int) -> float:
    slots = {e.created_at // SLOT_MS for e in rows}
    return min(1.0, len(slots) / (span_ms // SLOT_MS + 1))
