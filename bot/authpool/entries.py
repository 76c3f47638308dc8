"""Pool files: read without showing them, known by what may be told - size, age, when tokens end (safety.md, R36)."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bot.errors import Broken, SendcatError
from bot.sendcat.load.credentials import drill_secrets
from slo.authpool import PoolFacts

if TYPE_CHECKING:
    from bot.target import Target

MOST_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Entry:
    """One user as the original's file holds him."""

    label: str
    email: str
    thread_id: str = field(repr=False)
    token: str = field(repr=False)
    source: str

    def to_json(self) -> dict[str, str]:
        return {
            "userLabel": self.label,
            "email": self.email,
            "threadId": self.thread_id,
            "authToken": self.token,
            "source": self.source,
        }


def ends_ms(token: str) -> int | None:
    """When a token says that it ends, in ms UTC; None for one that does not say. Its signature is not looked at."""
    parts = token.split(".")
    if len(parts) != 3:
        return None
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, RecursionError):
        return None
    end = claims.get("exp") if isinstance(claims, dict) else None
    if isinstance(end, bool) or not isinstance(end, int | float) or not 0 < end < 1e11:
        return None
    return round(end * 1000)


def earlier(file: Path) -> dict[str, Entry]:
    """What an earlier run wrote into this file, by e-mail; an entry that is not whole is made anew.

    Raises `Broken` for a file that is no pool: it is not ours to overwrite. Blocks on the disk.
    """
    try:
        if file.stat().st_size > MOST_BYTES:
            raise _not_ours(file)
        raw = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        raise _not_ours(file) from None
    if not isinstance(raw, list):
        raise _not_ours(file)
    found = {}
    for row in raw:
        texts = [row.get(key) for key in ("userLabel", "email", "threadId", "authToken", "source")]
        if all(isinstance(text, str) and text for text in texts):
            entry = Entry(*texts)
            found[entry.email] = entry
    return found


def _not_ours(file: Path) -> Broken:
    return Broken(
        f"{file.name} is there and is no chat auth pool; nothing was written over it.",
        then="move it away, or choose another --prefix or --seed",
    )


def facts_of(target: Target, file: Path | None) -> PoolFacts | None:
    """What may be told of the pool that a drill would take: this file, else the target's own; None without a pool.

    A single token with its thread is no pool. Raises `Broken` for a pool that cannot be used. Blocks on the disk.
    """
    secrets = drill_secrets(target, file)
    if not secrets.pooled:
        return None
    path = file or (None if target.chat_pool is not None else target.chat_pool_file)
    written_ms = None
    name = "the pool of its variable"
    if path is not None:
        name = path.name
        try:
            written_ms = round(path.stat().st_mtime * 1000)
        except OSError as error:
            raise Broken(f"{name} cannot be read: {error.strerror}.", then="sendcat pool") from None
    return PoolFacts(name, tuple(ends_ms(user.token) for user in secrets.chat_users), written_ms)


def looked_at(target: Target, file: Path | None) -> PoolFacts | str | None:
    """As `facts_of`, with what is wrong as a sentence instead of an error."""
    try:
        return facts_of(target, file)
    except SendcatError as error:
        return error.what
