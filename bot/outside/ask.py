"""One request to the outside: guarded dialling, one time limit, JSON of at most 1 MiB (safety.md, R14, R20)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from bot.errors import Unreachable
from bot.sendcat.wire import Wire, read_raw

WITHIN_S = 8.0
MAX_BODY = 1 << 20


async def ask(
    who: str, url: str, *, method: str = "GET", headers: Mapping[str, str] | None = None, body: object = None
) -> Any:
    """The JSON answer of ``url``. ``who`` names the other side in errors; headers and bodies never stand in them.

    Raises `Unreachable`; with ``ambiguous`` when something may have been changed all the same (R26).
    """
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    content = None if body is None else json.dumps(body).encode()
    sent = {"Accept": "application/json", **(headers or {})}
    if content is not None:
        sent["Content-Type"] = "application/json"
    changes = method not in ("GET", "HEAD") and who == "GitHub"
    timeout = httpx.Timeout(WITHIN_S, connect=3.0)
    wire = Wire(f"{parts.scheme}://{parts.netloc}", connections=1, timeout=timeout)
    try:
        async with (
            asyncio.timeout(WITHIN_S),
            wire.open(method, path, headers=sent, content=content) as response,
        ):
            raw, whole = await read_raw(response, MAX_BODY)
            status = response.status_code
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        raise Unreachable(f"{who} cannot be reached: {type(error).__name__}.") from None
    except (httpx.HTTPError, TimeoutError, OSError) as error:
        raise Unreachable(f"{who} did not answer: {type(error).__name__}.", ambiguous=changes) from None
    finally:
        await wire.aclose()
    if status in (401, 403):
        raise Unreachable(f"{who} refuses the token or key ({status}).", then="renew it in the environment variable")
    if not 200 <= status < 300:
        raise Unreachable(f"{who} answered {status}.", ambiguous=changes and status >= 500)
    try:
        if not whole:
            raise ValueError
        return json.loads(raw)
    except ValueError:
        raise Unreachable(f"{who} answered with something that is not JSON.", ambiguous=changes) from None
