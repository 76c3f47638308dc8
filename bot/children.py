"""Heavy work in a child process that dies with its caller: JSON in, bytes out (DESIGN section 4, "Heavy work").

``python -m <module>`` reads one JSON document from stdin and writes its answer to stdout; exit status 3 means that the
extra ``reports`` is not installed.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from typing import Any

WITHIN_S = 30.0
MISSING = 3


class NotDone(Exception):
    """The child gave no answer; the text is a sentence without its subject: ``it was not drawn within 30 s``."""


class NotInstalled(NotDone):
    """The extra ``reports`` is not installed."""


async def ask(module: str, data: dict[str, Any], within_s: float = WITHIN_S) -> bytes:
    """The child's answer. Raises `NotDone`."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(within_s):
            out, _ = await process.communicate(json.dumps(data).encode())
    except TimeoutError:
        raise NotDone(f"it was not done within {within_s:.0f} s") from None
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if process.returncode == MISSING:
        raise NotInstalled("install the extra `reports` (pip install 'sendcat-chatops[reports]')")
    if process.returncode != 0 or not out:
        raise NotDone("it could not be done")
    return out


def serve(answer: Callable[[dict[str, Any]], bytes]) -> int:
    """The child's side: one document in, one answer out; the exit status."""
    data = json.loads(sys.stdin.buffer.read())
    try:
        said = answer(data)
    except ImportError:
        return MISSING
    sys.stdout.buffer.write(said)
    return 0
