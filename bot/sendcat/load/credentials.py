"""The credentials of a drill: the target's own, or a pool made for it (safety.md, R15)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from pydantic import ValidationError

from bot.errors import Broken
from bot.sendcat.load.plan import ChatUser, DrillSecrets
from bot.target import PoolUser, Target

MAX_POOL_BYTES = 16 << 20


def drill_secrets(target: Target, pool_file: Path | None = None) -> DrillSecrets:
    """The target's own credentials for a drill (R15); ``pool_file`` replaces the target's pool for this one drill.

    Raises `Broken` for a pool that cannot be used.
    """
    users, pooled = _chat_users(target, pool_file)
    return DrillSecrets(
        gmail_token=target.gmail_token.get_secret_value() if target.gmail_token else None,
        whatsapp_secret=target.whatsapp_secret.get_secret_value() if target.whatsapp_secret else None,
        chat_users=users,
        pooled=pooled,
    )


def what_to_set(target: Target) -> str:
    """What is missing for chat to be drilled, with the lines to write."""
    return (
        f"no chat credentials: under [target.{target.name}] of sendcat.toml set chat_pool_file (`sendcat pool` makes"
        " one), or chat_token_env and chat_thread_id"
    )


def _chat_users(target: Target, pool_file: Path | None) -> tuple[tuple[ChatUser, ...], bool]:
    """A pool wins over the single token, and a pool in a variable over the file, as in the original."""
    if pool_file is not None:
        return _from_file(target, pool_file, "name another file, or make one with `sendcat pool`"), True
    if target.chat_pool is not None:
        broken = _broken(target, "in its variable", "correct the variable that chat_pool_env names")
        return _users(target.chat_pool.get_secret_value(), broken), True
    if target.chat_pool_file is not None:
        then = "make one with `sendcat pool`, or correct chat_pool_file in sendcat.toml"
        return _from_file(target, target.chat_pool_file, then), True
    if target.chat_token is not None and target.chat_thread_id:
        return (ChatUser(target.chat_token.get_secret_value(), target.chat_thread_id),), False
    return (), False


def _broken(target: Target, where: str, then: str) -> Callable[[str], Broken]:
    return lambda why: Broken(f"The chat pool {where} of target {target.name} cannot be used: {why}.", then=then)


def _from_file(target: Target, file: Path, then: str) -> tuple[ChatUser, ...]:
    broken = _broken(target, file.name, then)
    try:
        if file.stat().st_size > MAX_POOL_BYTES:
            raise broken("it is larger than 16 MiB")
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise broken(error.strerror or type(error).__name__) from None
    except ValueError:
        raise broken("it is not text") from None
    return _users(text, broken)


def _users(text: str, broken: Callable[[str], Broken]) -> tuple[ChatUser, ...]:
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        raise broken("it is not JSON") from None
    if not isinstance(entries, list) or not entries:
        raise broken("it is not a list with at least one user")
    users = []
    for number, entry in enumerate(entries, 1):
        if isinstance(entry, dict) and "authToken" not in entry and "token" in entry:
            entry = {**entry, "authToken": entry["token"]}
        try:
            user = PoolUser.model_validate(entry)
        except ValidationError:
            raise broken(f"entry {number} needs authToken and threadId") from None
        users.append(ChatUser(user.auth_token.get_secret_value(), user.thread_id))
    return tuple(users)
