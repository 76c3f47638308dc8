"""Deploy keys of a practice deployment and what each may do."""

from __future__ import annotations

import base64
import json
import random
import secrets
from dataclasses import dataclass

from bot.practice.sendcat.accounts import Accounts, User

RUN = {
    "Query": "deployment:functions:runInternalQueries",
    "Mutation": "deployment:functions:runInternalMutations",
    "Action": "deployment:functions:runInternalActions",
}
ACT_AS_USER = "deployment:functions:actAsUser"
ENV_VIEW, ENV_WRITE = "deployment:env:view", "deployment:env:write"
DATA_VIEW, AUDIT_VIEW = "deployment:data:view", "deployment:auditLog:view"
PAUSE, UNPAUSE = "deployment:pause", "deployment:unpause"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who sends a request: an administrator with permissions, an end user, or nobody."""

    admin: bool = False
    permissions: frozenset[str] | None = None
    """What a limited key may do; None = everything."""
    user: User | None = None

    def may(self, permission: str) -> bool:
        return self.admin and (self.permissions is None or permission in self.permissions)


ANONYMOUS = Identity()


class HeaderRefused(Exception):
    """The ``Authorization`` header is not acceptable."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message


class Keys:
    """Keys by their whole text, prefix included."""

    def __init__(self, name: str, accounts: Accounts, first: str | None = None) -> None:
        self._name = name
        self._accounts = accounts
        self._permissions: dict[str, frozenset[str] | None] = {}
        self.first = first or f"{name}|01{secrets.token_hex(40)}"
        self._permissions[self.first] = None

    def issue(self, *permissions: str, seed: int | None = None) -> str:
        """A new key that may do only what is named; without names it may do nothing but be recognised."""
        secret = f"{random.Random(seed).getrandbits(320):080x}" if seed is not None else secrets.token_hex(40)
        key = f"{self._name}|01{secret}"
        self._permissions[key] = frozenset(permissions)
        return key

    def revoke(self, key: str) -> None:
        self._permissions.pop(key, None)

    def identify(self, authorization: str | None, *, refuse_all: bool = False) -> Identity:
        """Read an ``Authorization`` header; raises :class:`HeaderRefused`."""
        if authorization is None:
            return ANONYMOUS
        if len(authorization) < 7:
            raise HeaderRefused(400, "InvalidHeaderFailure", "The Authorization header is too short.")
        scheme, _, credential = authorization.partition(" ")
        match scheme.lower():
            case "convex":
                return self._admin(credential.strip(), refuse_all)
            case "bearer":
                user = self._accounts.authenticate(credential.strip())
                if user is None:
                    raise HeaderRefused(401, "InvalidAuthHeader", "The authentication token is not valid.")
                return Identity(user=user)
        raise HeaderRefused(400, "InvalidAdminKey", "The Authorization header is neither 'Convex' nor 'Bearer'.")

    def _admin(self, credential: str, refuse_all: bool) -> Identity:
        if credential in self._permissions and not refuse_all:
            return Identity(admin=True, permissions=self._permissions[credential])
        key, _, encoded = credential.rpartition(":")
        if key in self._permissions and not refuse_all and _is_user(encoded):
            identity = Identity(admin=True, permissions=self._permissions[key])
            if identity.may(ACT_AS_USER):
                return identity
            raise HeaderRefused(403, "OperationNotPermitted", denied(ACT_AS_USER))
        raise HeaderRefused(
            401,
            "BadAdminKey",
            "The provided admin key was invalid for this instance. Check that it is the key of this deployment.",
        )


def denied(permission: str) -> str:
    return f"You do not have permission to perform this operation ({permission})"


def _is_user(encoded: str) -> bool:
    try:
        return isinstance(json.loads(base64.b64decode(encoded, validate=True)), dict)
    except ValueError:
        return False
