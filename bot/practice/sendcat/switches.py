"""Traps to set: how the wire of a practice deployment misbehaves."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field


@dataclass(slots=True)
class Script:
    """What happens to the next ``times`` requests on one path (None = until removed).

    ``path`` is a function (``ops:getReliabilitySnapshot``), an address (``/api/gmail/push``) or ``*``.
    With ``status`` or ``body`` the request never reaches the deployment; ``drop`` closes the connection
    before the request is looked at, ``drop_after_commit`` after it has taken effect but before any answer,
    ``half_answer`` after half of the answer.
    """

    path: str
    times: int | None = 1
    delay_ms: int = 0
    status: int | None = None
    body: str | None = None
    content_type: str = "application/json"
    drop: bool = False
    drop_after_commit: bool = False
    half_answer: bool = False


@dataclass(slots=True)
class Switches:
    """Standing traps of the whole deployment; all off (but ``numbers_as_floats``) is a healthy wire."""

    numbers_as_floats: bool = True
    """Whole numbers are printed as ``15.0``, as the backend does; off prints ``15``."""
    slow_ms: int = 0
    """Every answer of the API host comes later by this."""
    fail_status: int | None = None
    """Every request on the API host gets this platform error instead of an answer."""
    http_560: bool = False
    """A function that fails answers with HTTP 560 instead of 200."""
    half_answer: bool = False
    """API answers break off in the middle."""
    drop_after_commit: bool = False
    """Mutations and actions take effect, then the connection closes without an answer."""
    paused: bool = False
    """The deployment is paused: every function of the app fails."""
    refuse_key: bool = False
    """The deploy key is treated as revoked (401 ``BadAdminKey``)."""
    redact_errors: bool = False
    """Error texts are hidden behind ``[Request ID: ...] Server Error``."""
    audit_log: bool = False
    """The plan includes the audit log; off answers 403 ``AuditLogsDisabled``."""
    skew_ms: int = 0
    """How far the deployment's clock is ahead, as seen in every answer."""
    v1_missing: bool = False
    """An older server: the ``/api/v1`` addresses do not exist (404)."""
    site_slow_ms: int = 0
    """Every answer of the site host comes later by this."""
    site_fail_status: int | None = None
    """Every request on the site host gets this platform error, without an error code of Sendcat."""
    site_fail_share: float = 0.0
    """This share of the requests on the site host, 0 to 1, gets a 503 of the platform instead of an answer."""
    stream_break_share: float = 0.0
    """This share of the chats, 0 to 1, breaks off after its first words, without ``done`` and without an error."""
    slower: float = 1.0
    """The work behind webhooks and chats takes this many times as long."""
    webhook_ms: float = 2.0
    """Usual work of a webhook before its answer."""
    deployment_kind: str = "selfHosted"
    """``kind`` of ``deployment_info``: ``selfHosted`` or ``cloud``."""
    deployment_type: str = "dev"
    """``deploymentType`` of ``deployment_info`` when the kind is ``cloud``: ``prod``, ``dev``, ..."""
    scripts: list[Script] = field(default_factory=list)

    def update(self, **changes: bool | int | float | str | None) -> None:
        """Set switches by name; a name that does not exist raises ``ValueError`` with the list."""
        known = [item.name for item in dataclasses.fields(self) if item.name != "scripts"]
        for name in changes:
            if name not in known:
                raise ValueError(f"unknown switch {name!r}; there are: {', '.join(known)}")
        for name, value in changes.items():
            setattr(self, name, value)

    def reset(self) -> None:
        """All switches and scripts back to a healthy wire."""
        fresh = Switches()
        for item in dataclasses.fields(self):
            setattr(self, item.name, getattr(fresh, item.name))

    def script_for(self, *paths: str) -> Script | None:
        """The first script that fits one of ``paths``; a script with a count is used up by one."""
        for script in self.scripts:
            if script.path == "*" or script.path in paths:
                if script.times is not None:
                    script.times -= 1
                    if script.times <= 0:
                        self.scripts.remove(script)
                return script
        return None
