"""The platform's addresses beside the functions: variables, what kind of deployment it is, its audit log, its pause."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.keys import AUDIT_VIEW, DATA_VIEW, ENV_VIEW, ENV_WRITE, PAUSE, UNPAUSE, Identity
from bot.practice.sendcat.platform import PlatformError, json_object, must
from bot.practice.sendcat.values import Document
from bot.practice.sendcat.wire import Answer, Request

VERSION = "practice"
Handler = Callable[[Request, Identity], Awaitable[Answer]]
Routes = dict[tuple[str, str], Handler]


class Administration:
    """Who asks what runs here, and under which name, needs no key; everything else needs one with its permission."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment

    def routes(self) -> Routes:
        """Handlers by method and path."""
        found: Routes = {
            ("GET", "/"): self._running,
            ("GET", "/version"): self._version,
            ("GET", "/instance_version"): self._version,
            ("GET", "/instance_name"): self._instance_name,
            ("GET", "/api/v1/deployment_info"): self._deployment_info,
            ("GET", "/api/v1/list_audit_log_events"): self._audit_log,
            ("POST", "/api/v1/pause_deployment"): self._pause,
            ("POST", "/api/v1/unpause_deployment"): self._unpause,
        }
        for prefix in ("/api", "/api/v1"):
            found["GET", f"{prefix}/list_environment_variables"] = self._list_variables
            found["POST", f"{prefix}/update_environment_variables"] = self._update_variables
        return found

    async def _running(self, request: Request, identity: Identity) -> Answer:
        return Answer.text("This Convex deployment is running. See https://docs.convex.dev/.")

    async def _version(self, request: Request, identity: Identity) -> Answer:
        return Answer.text(VERSION)

    async def _instance_name(self, request: Request, identity: Identity) -> Answer:
        return Answer.text(self._deployment.name)

    async def _list_variables(self, request: Request, identity: Identity) -> Answer:
        must(identity, ENV_VIEW)
        return Answer.json({"environmentVariables": self._deployment.environment.texts()})

    async def _update_variables(self, request: Request, identity: Identity) -> Answer:
        must(identity, ENV_WRITE)
        changes = json_object(request).get("changes")
        if not isinstance(changes, list):
            raise PlatformError(400, "BadJsonBody", "missing field `changes`")
        wanted: list[tuple[str, str | None]] = []
        for change in changes:
            name, text = (change.get("name"), change.get("value")) if isinstance(change, dict) else (None, None)
            if not isinstance(name, str) or not (text is None or isinstance(text, str)):
                raise PlatformError(400, "BadJsonBody", "a change has a name and a value (text or null)")
            wanted.append((name, text))
        deployment = self._deployment
        now_ms = deployment.settle()
        known = deployment.environment.texts()
        deployment.environment.change(wanted)
        for name, text in wanted:
            if text is None and name not in known:
                continue
            verb = "delete" if text is None else "update" if name in known else "create"
            deployment.counters.variable_changes[name] += 1
            self._record(request, f"{verb}_environment_variable", now_ms, {"variable_name": name})
        return Answer(200)

    async def _deployment_info(self, request: Request, identity: Identity) -> Answer:
        must(identity, DATA_VIEW)
        switches = self._deployment.switches
        if switches.deployment_kind != "cloud":
            return Answer.json({"kind": switches.deployment_kind})
        return Answer.json({"kind": "cloud", "deploymentType": switches.deployment_type, "projectSlug": "sendcat"})

    async def _audit_log(self, request: Request, identity: Identity) -> Answer:
        must(identity, AUDIT_VIEW)
        if not self._deployment.switches.audit_log:
            raise PlatformError(403, "AuditLogsDisabled", "Audit logs are not available on this plan.")
        since, size = request.parameter("from"), request.parameter("limit")
        start = int(request.parameter("cursor") or 0)
        count = int(size) if size and size.isdigit() and 1 <= int(size) <= 100 else 100
        lowest = int(since) if since and since.isdigit() else 0
        events = [event for event in self._deployment.audit if int(str(event["createTime"])) >= lowest]
        page = events[start : start + count]
        more = start + count < len(events)
        return Answer.json(
            {
                "items": page,
                "pagination": {"hasMore": more} | ({"nextCursor": str(start + count)} if more else {}),
            }
        )

    async def _pause(self, request: Request, identity: Identity) -> Answer:
        must(identity, PAUSE)
        self._deployment.switches.paused = True
        self._record(request, "pause_deployment", self._deployment.settle(), {})
        return Answer(200)

    async def _unpause(self, request: Request, identity: Identity) -> Answer:
        must(identity, UNPAUSE)
        if not self._deployment.switches.paused:
            raise PlatformError(400, "UnpauseDeploymentFailed", "The deployment is not paused.")
        self._deployment.switches.paused = False
        self._record(request, "unpause_deployment", self._deployment.settle(), {})
        return Answer(200)

    def _record(self, request: Request, action: str, now_ms: int, metadata: Document) -> None:
        self._deployment.audit.append(
            {
                "actor": {"type": "token"},
                "action": action,
                "createTime": now_ms,
                "metadata": metadata,
                "clientIp": request.peer,
                "clientUserAgent": request.header(b"user-agent") or "",
            }
        )
