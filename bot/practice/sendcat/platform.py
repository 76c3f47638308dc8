"""What the platform answers outside any function: refusals with ``code`` and ``message``, and failures on the way."""

from __future__ import annotations

from bot.practice.sendcat.keys import Identity, denied
from bot.practice.sendcat.wire import Answer, Request


class PlatformError(Exception):
    """A failure outside any function: an HTTP status with ``code`` and ``message``."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


def must(identity: Identity, permission: str) -> None:
    """Raises `PlatformError` when this key may not do this."""
    if not identity.admin:
        raise PlatformError(403, "BadDeployKey", "This address needs the deploy key of the deployment.")
    if not identity.may(permission):
        raise PlatformError(403, "OperationNotPermitted", denied(permission))


def json_object(request: Request) -> dict[str, object]:
    """The body of a request; raises `PlatformError` when it is no JSON object."""
    if not request.is_json:
        raise PlatformError(400, "BadJsonBody", "Expected request with `Content-Type: application/json`")
    try:
        body = request.json()
    except ValueError as error:
        raise PlatformError(400, "BadJsonBody", f"Failed to parse the request body as JSON: {error}") from error
    if not isinstance(body, dict):
        raise PlatformError(400, "BadJsonBody", "The request body must be a JSON object")
    return body


def text(body: dict[str, object], name: str) -> str:
    """A member of a body that has to be text; raises `PlatformError` when it is not."""
    value = body.get(name)
    if not isinstance(value, str):
        raise PlatformError(400, "BadJsonBody", f"missing field `{name}`")
    return value


def refusal(status: int, code: str, message: str) -> Answer:
    """A refusal as it goes over the wire; a path that does not exist has no body."""
    if status == 404 and not message:
        return Answer(404)
    return Answer.json({"code": code, "message": message}, status)


def failure(status: int) -> Answer:
    """An error of the platform or of a proxy before it."""
    if status in (502, 504):
        return Answer(
            status,
            b"<html><head><title>Bad gateway</title></head><body>Bad gateway</body></html>",
            [(b"content-type", b"text/html")],
        )
    codes = {429: "TooManyConcurrentRequests", 503: "ExpiredInQueue", 401: "BadAdminKey", 403: "BadDeployKey"}
    if status == 408:
        return Answer(408)
    code = codes.get(status, "InternalServerError")
    return refusal(status, code, "Your request couldn't be completed. Try again later.")
