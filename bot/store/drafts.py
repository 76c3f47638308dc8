"""Drafts in the runbook's folder: texts for a person to look through and take over. Only drafts are ever written there.

The folder belongs to the user's repository, so it is never made, and nothing but a file of ours is overwritten.
"""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from bot.clock import token

_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,100}\.draft\.(?:md|json|txt)")


def write(folder: Path, name: str, text: str) -> str | None:
    """Write a draft, whole or not at all; returns why it was not, or None. Blocks on the disk.

    Raises ``ValueError`` for a name that is not one of a draft.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of a draft")
    if not folder.is_dir():
        return f"{folder.name}/ does not exist"
    final, draft = folder / name, folder / f".{name}.{token()[:8]}.tmp"
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        with os.fdopen(fd, "w", encoding="utf-8") as file:
            file.write(text)
        os.replace(draft, final)
    except OSError as error:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        return error.strerror or type(error).__name__
    return None
