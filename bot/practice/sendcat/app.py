"""The app host: sign-in, sign-up and the token for Convex, as Better Auth answers them.

Where an account and a password lead to: a session cookie, and with it ``GET /api/auth/convex/token``
(operator-commands.md section 11). Origins are checked as Better Auth does; traps on an address work here as well.
"""

from __future__ import annotations

from http.cookies import CookieError, SimpleCookie

from starlette.types import Receive, Scope, Send

from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.wire import Answer, Request, deliver, drop, received

SIGN_IN, SIGN_UP, TOKEN = "/api/auth/sign-in/email", "/api/auth/sign-up/email", "/api/auth/convex/token"
COOKIE = "better-auth.session_token"
SHORTEST, LONGEST = 8, 128
WEEK_S = 7 * 86_400


class App:
    """The ASGI application of the app host."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        deployment = self._deployment
        request = await received(scope, receive, send, deployment.counters.peers, too_large=Answer(413))
        if request is None:
            return
        name = f"{request.method} {request.path}"
        deployment.counters.requests[name] += 1
        trap = deployment.switches.script_for(request.path) if deployment.switches.scripts else None
        if trap is not None:
            if trap.delay_ms:
                await deployment.clock.sleep(trap.delay_ms)
            if trap.drop:
                drop(send)
                return
            if trap.status is not None or trap.body is not None:
                await deliver(Answer.canned(trap), send, half=trap.half_answer)
                return
        answer = self._answer(request)
        deployment.counters.statuses[f"{name} {answer.status}"] += 1
        if trap is not None and trap.drop_after_commit:
            drop(send)
            return
        await deliver(answer, send)

    def _answer(self, request: Request) -> Answer:
        match request.method, request.path:
            case "GET", "/api/auth/convex/token":
                return self._token(request)
            case "POST", "/api/auth/sign-in/email" | "/api/auth/sign-up/email":
                if not self._trusted(request):
                    return _no(403, "INVALID_ORIGIN", "Invalid origin")
                return self._sign(request)
        return Answer.text("Not Found", 404)

    def _sign(self, request: Request) -> Answer:
        try:
            body = request.json() if request.is_json else None
        except ValueError:
            body = None
        email, password = (body.get("email"), body.get("password")) if isinstance(body, dict) else (None, None)
        if not isinstance(body, dict) or not isinstance(email, str) or not isinstance(password, str):
            return _no(400, "VALIDATION_ERROR", "Invalid body parameters")
        accounts = self._deployment.accounts
        if request.path == SIGN_IN:
            session = accounts.sign_in(email.lower(), password)
            if session is None:
                return _no(401, "INVALID_EMAIL_OR_PASSWORD", "Invalid email or password")
            return _signed(session, email, {"redirect": False})
        if not isinstance(body.get("name"), str):
            return _no(400, "VALIDATION_ERROR", "Invalid body parameters")
        if not SHORTEST <= len(password) <= LONGEST:
            word = "short" if len(password) < SHORTEST else "long"
            return _no(400, f"PASSWORD_TOO_{word.upper()}", f"Password too {word}")
        session = accounts.register(str(body["name"]), email.lower(), password)
        if session is None:
            return _no(422, "USER_ALREADY_EXISTS_USE_ANOTHER_EMAIL", "User already exists. Use another email.")
        return _signed(session, email, {})

    def _token(self, request: Request) -> Answer:
        cookie = _cookie(request)
        token = self._deployment.accounts.token_of(cookie) if cookie is not None else None
        return _no(401, "UNAUTHORIZED", "Unauthorized") if token is None else Answer.json({"token": token})

    def _trusted(self, request: Request) -> bool:
        listed = (self._deployment.environment.get("ALLOWED_ORIGINS") or "").split(",")
        return request.header(b"origin") in {origin.strip() for origin in listed}


def _cookie(request: Request) -> str | None:
    try:
        found = SimpleCookie(request.header(b"cookie") or "").get(COOKIE)
    except CookieError:
        return None
    return None if found is None else found.value


def _signed(session: str, email: str, more: dict[str, object]) -> Answer:
    answer = Answer.json({**more, "token": session, "user": {"email": email.lower(), "emailVerified": False}})
    cookie = f"{COOKIE}={session}; Max-Age={WEEK_S}; Path=/; HttpOnly; SameSite=Lax"
    answer.headers.append((b"set-cookie", cookie.encode("latin-1")))
    return answer


def _no(status: int, code: str, message: str) -> Answer:
    return Answer.json({"code": code, "message": message}, status)
