"""End users of the practice deployment, their tokens and their threads."""

from __future__ import annotations

import base64
import json
import random
import re
from dataclasses import dataclass

from bot.practice.sendcat.tables import Ids, Thread

SUBJECTS = ("trail shoes", "desk lamp", "rain jacket", "camping stove", "bike light")
"""What the stored messages of practice threads ask for."""
ID_FORM = re.compile(r"[0-9a-z]{30,37}")


@dataclass(frozen=True, slots=True)
class User:
    """One account with a valid session and a thread that already holds a message."""

    user_id: str
    label: str
    email: str
    token: str
    thread_id: str


class Accounts:
    def __init__(self, ids: Ids, seed: int) -> None:
        self._ids = ids
        self._random = random.Random(f"accounts-{seed}")
        self._by_token: dict[str, User] = {}
        self._subjects: dict[str, str] = {}
        self.threads: dict[str, Thread] = {}
        self.tokens_expired = False
        """Every session is over, as when a pool file has grown old."""
        self.valid_users: int | None = None
        """Only the sessions of so many accounts, the oldest, still hold; None: all do."""

    def sign_up(self, label: str, email: str, now_ms: int, *, token: str | None = None) -> User:
        """Create an account with a session and a thread."""
        user_id = f"usr_{len(self._by_token) + 1}"
        thread = self.create_thread("moonshotai/kimi-k2.5", f"loadtest-{label}", now_ms, user_id=user_id)
        user = User(user_id, label, email, token or self._token(user_id, email, now_ms), thread.id)
        self._by_token[user.token] = user
        return user

    def authenticate(self, token: str) -> User | None:
        user = None if self.tokens_expired else self._by_token.get(token)
        if user is None or self.valid_users is None:
            return user
        return user if user in list(self._by_token.values())[: self.valid_users] else None

    def create_thread(
        self,
        model_id: str,
        session_id: str,
        now_ms: int,
        *,
        title: str | None = None,
        user_id: str | None = None,
        parent_thread_id: str | None = None,
    ) -> Thread:
        thread = Thread(
            id=self._ids.new(),
            creation_time=self._ids.creation_time(now_ms),
            title=title,
            model_id=model_id,
            session_id=session_id,
            user_id=user_id,
            parent_thread_id=parent_thread_id,
        )
        self.threads[thread.id] = thread
        self._subjects[thread.id] = SUBJECTS[len(self.threads) % len(SUBJECTS)]
        return thread

    def subject(self, thread_id: str) -> str:
        """What the stored message of a thread asks for; a web search uses it as its query."""
        return self._subjects.get(thread_id, SUBJECTS[0])

    def _token(self, user_id: str, email: str, now_ms: int) -> str:
        claims = {"sub": user_id, "email": email, "exp": now_ms // 1000 + 30 * 86_400}
        parts = (json.dumps({"alg": "none"}).encode(), json.dumps(claims).encode())
        head, body = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        return f"{head}.{body}.{self._random.getrandbits(128):032x}"
