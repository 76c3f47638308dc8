"""What a step holds while it writes: the connection, the moment, the leader's epoch."""

from __future__ import annotations

from dataclasses import dataclass, field
from sqlite3 import Connection


@dataclass(frozen=True)
class Tx:
    """An open transaction. It is valid inside the step it was given to, and nowhere else.

    A step neither commits nor rolls back, and calls nothing that waits: it holds the one writing connection.
    """

    db: Connection
    now_ms: int
    """When the transaction was opened, ms UTC: every row of a step carries the same time."""
    epoch: int
    topics: set[str] = field(default_factory=set)

    def touch(self, topic: str) -> None:
        """Wake the watchers of a topic (``ops``, ``outbox``) once this step is committed."""
        self.topics.add(topic)
