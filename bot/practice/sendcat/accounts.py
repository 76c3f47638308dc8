"""End users of the practice deployment, their tokens and their threads."""

from __future__ import annotations

import base64
import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass

from bot.practice.sendcat.tables import Ids, Thread

SUBJECTS = ("trail shoes", "desk lamp", "rain jacket", "camping stove", "bike light")
"""What the stored messages of practice threads ask for."""
MONTH_S = 30 * 86_400
ID_FORM = re.compile(r"[0-9a-z]{30,37}")


@dataclass(frozen=True, slots=True)
class User:
    """One account with a valid session and a thread that already holds a message."""

    user_id: str
    label: str
    email: str
    token: str
    thread_id: str


TOKEN_LIFE_S = 3_600
"""How long a token lives that the app hands out; those of the pool that stands at the start live a month."""


class Accounts:
    def __init__(self, ids: Ids, seed: int, now_ms: Callable[[], int]) -> None:
        self._ids = ids
        self._now_ms = now_ms
        self._random = random.Random(f"accounts-{seed}")
        self._by_token: dict[str, User] = {}
        self._ends_s: dict[str, int] = {}
        self._revoked: frozenset[str] = frozenset()
        self._by_email: dict[str, User] = {}
        self._passwords: dict[str, str] = {}
        self._sessions: dict[str, User] = {}
        self._subjects: dict[str, str] = {}
        self._expired = False
        self._valid_users: int | None = None
        self.threads: dict[str, Thread] = {}
        self.token_life_s = TOKEN_LIFE_S

    @property
    def tokens_expired(self) -> bool:
        """Every session there is now is over, as when a pool file has grown old; who signs in again has a new one."""
        return self._expired

    @tokens_expired.setter
    def tokens_expired(self, over: bool) -> None:
        self._expired = over
        self._revoked = frozenset(self._by_token) if over else frozenset()

    @property
    def valid_users(self) -> int | None:
        """Only the sessions of so many accounts, the oldest, still hold; None: all do. Signing in again helps."""
        return self._valid_users

    @valid_users.setter
    def valid_users(self, users: int | None) -> None:
        self._valid_users = users
        kept = {user.user_id for user in list(self._by_email.values())[:users]}
        over = (token for token, user in self._by_token.items() if user.user_id not in kept)
        self._revoked = frozenset() if users is None else frozenset(over)

    def sign_up(
        self, label: str, email: str, now_ms: int, *, token: str | None = None, password: str | None = None
    ) -> User:
        """Create an account with a session and a thread."""
        user_id = f"usr_{len(self._by_email) + 1}"
        thread = self.create_thread("moonshotai/kimi-k2.5", f"loadtest-{label}", now_ms, user_id=user_id)
        made = token or self._token(user_id, email, now_ms, MONTH_S)
        user = User(user_id, label, email, made, thread.id)
        self._by_token[made] = user
        self._by_email[email] = user
        if password is not None:
            self._passwords[email] = password
        return user

    def authenticate(self, token: str) -> User | None:
        """Whose token this is, as long as it holds."""
        ends_s = self._ends_s.get(token)
        if token in self._revoked or (ends_s is not None and ends_s * 1000 <= self._now_ms()):
            return None
        return self._by_token.get(token)

    # The app's own sign-in (Better Auth with the Convex plugin)

    def register(self, name: str, email: str, password: str) -> str | None:
        """Sign up: the new session's cookie, or None when there is such an account."""
        if email in self._by_email:
            return None
        user = User(f"usr_{len(self._by_email) + 1}", name, email, "", "")
        self._by_email[email] = user
        self._passwords[email] = password
        return self._session(user)

    def sign_in(self, email: str, password: str) -> str | None:
        """A new session's cookie, or None when account or password are wrong."""
        user = self._by_email.get(email)
        if user is None or self._passwords.get(email) != password:
            return None
        return self._session(user)

    def token_of(self, session: str) -> str | None:
        """A fresh token for Convex, for who holds this cookie."""
        user = self._sessions.get(session)
        if user is None:
            return None
        token = self._token(user.user_id, user.email, self._now_ms(), self.token_life_s)
        self._by_token[token] = user
        return token

    def _session(self, user: User) -> str:
        cookie = f"{self._random.getrandbits(160):040x}"
        self._sessions[cookie] = user
        return cookie

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

    def _token(self, user_id: str, email: str, now_ms: int, life_s: int) -> str:
        claims: dict[str, str | int] = {"sub": user_id, "email": email, "exp": now_ms // 1000 + life_s}
        parts = (json.dumps({"alg": "none"}).encode(), json.dumps(claims).encode())
        head, body = (base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
        token = f"{head}.{body}.{self._random.getrandbits(128):032x}"
        self._ends_s[token] = now_ms // 1000 + life_s
        return token
