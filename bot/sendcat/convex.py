"""The Convex client: a closed, typed set of functions, and the listed knobs (safety.md, R21, R26, R36; decision 8).

What may be asked, and what an answer means; how it is sent is `bot.sendcat.line`. Facts: convex-http-api.md, sections 3
to 6.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from bot.errors import Refused, Unknown
from bot.sendcat.line import Line
from bot.sendcat.trouble import Call, CallFailed, CallKind, Cause, by_hand, function_threw, garbled
from bot.sendcat.wire import Answer
from playbooks.functions import Function, FunctionError, function
from playbooks.knobs import REDACTED, all_knobs

__all__ = ["CallFailed", "Cause", "ConvexClient", "DeploymentInfo"]

_PATHS: Mapping[CallKind, str] = {"query": "/api/query", "mutation": "/api/mutation", "action": "/api/action"}
_KINDS: Mapping[str, CallKind] = {"Q": "query", "M": "mutation", "A": "action"}
_LIST_ENV = "/api/v1/list_environment_variables"
_AUDIT_LOG = "/api/v1/list_audit_log_events"
_UPDATE_ENV = "/api/v1/update_environment_variables"


@dataclass(frozen=True)
class DeploymentInfo:
    """What the deployment says of itself: ``cloud`` or ``selfHosted``, and its type (prod, dev, preview) if told."""

    kind: str
    deployment_type: str | None = None
    project: str | None = None


@dataclass(frozen=True)
class AuditEvent:
    """One line of Convex's audit log: what kind of actor did what, when (ms UTC); ``knob`` when it was about one."""

    action: str
    at_ms: int
    actor: str
    knob: str | None


class ConvexClient:
    """Calls functions and reads or sets knobs of one target. Close it, or use it as an async context manager.

    Every failure is a `CallFailed` (an `Unreachable`) that names the call, the plain cause, the request id, and the
    line to run by hand. A function that is not on the list raises `Unknown`, wrong arguments too.
    """

    def __init__(self, line: Line) -> None:
        self.target = line.target
        self._line = line

    async def __aenter__(self) -> ConvexClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        await self._line.aclose()

    @property
    def skew_ms(self) -> int | None:
        """Server's clock minus ours by the last answer's ``Date`` header, to a second; None before one came (R31)."""
        return self._line.skew_ms

    # Functions

    async def query(self, name: str, args: Mapping[str, object] | None = None) -> Any:
        """The value of one listed query, whole numbers as int. Tried up to three times within 30 s."""
        return await self._run("Q", name, args or {})

    async def mutate(self, name: str, args: Mapping[str, object] | None = None) -> Any:
        """Run one listed mutation, once. ``ambiguous`` on the error means that it may have happened."""
        return await self._run("M", name, args or {})

    async def action(self, name: str, args: Mapping[str, object] | None = None) -> Any:
        """Run one listed action, once; it may take minutes. ``ambiguous`` as with `mutate`."""
        return await self._run("A", name, args or {})

    async def _run(self, kind: str, name: str, args: Mapping[str, object]) -> Any:
        listed = _listed(name, kind)
        try:
            checked = listed.check(args)
        except FunctionError as error:
            raise Unknown(str(error)) from None
        call = Call(self.target.name, _KINDS[kind], name, by_hand(name, checked))
        body = {"path": name, "args": checked, "format": "json"}
        content = json.dumps(body, allow_nan=False, ensure_ascii=False).encode()

        async def once() -> Any:
            answer = await self._line.send(call, "POST", _PATHS[call.kind], content)
            return self._value(call, answer)

        return await self._line.read(call, once) if call.reads else await self._line.write(call, once)

    def _value(self, call: Call, answer: Answer) -> Any:
        """The value inside the envelope; 560 is a function error of older backends, parsed like 200."""
        if answer.status not in (200, 560):
            raise self._line.refusal(call, answer)
        envelope = self._line.json(call, answer)
        status = envelope.get("status") if isinstance(envelope, dict) else None
        if status == "success" and "value" in envelope and answer.status == 200:
            return envelope["value"]
        if status == "error":
            message = self._line.clean(envelope.get("errorMessage"))
            data = envelope.get("errorData")
            told = self._line.clean(json.dumps(data)) if data is not None else None
            raise function_threw(call, message, told, self.target.deploy_key_env)
        raise garbled(call, answer.status, "without the members of Convex's answer")

    # Deployment

    async def environment(self) -> dict[str, str]:
        """The stored values of the listed knobs, and of nothing else; secret knobs show only that they are set (R36).

        The answer of the deployment holds all its secrets; what is not listed is dropped here. A knob that is not
        listed is unset, or hidden by the backend.
        """
        call = Call(self.target.name, "admin read", "the list of environment variables", "npx convex env list")

        async def once() -> dict[str, str]:
            answer = await self._line.send(call, "GET", _LIST_ENV)
            if answer.status == 404:
                answer = await self._line.send(call, "GET", _LIST_ENV.replace("/v1", ""))
            if answer.status != 200:
                raise self._line.refusal(call, answer)
            document = self._line.json(call, answer)
            listed = document.get("environmentVariables") if isinstance(document, dict) else None
            if not isinstance(listed, dict):
                raise garbled(call, answer.status, "without the list of variables")
            return {
                name: REDACTED if knob.secret else listed[name]
                for name, knob in all_knobs().items()
                if isinstance(listed.get(name), str)
            }

        return await self._line.read(call, once)

    async def set_environment(self, changes: Mapping[str, str | None]) -> None:
        """Set (or with None remove) listed knobs, all together, once. Raises `Refused` for anything else.

        There is no compare-and-set: the caller reads before and after (R24, R25).
        """
        knobs = all_knobs()
        if not changes:
            raise Refused("No change was named.")
        for name, value in changes.items():
            if name not in knobs or knobs[name].secret:
                raise Refused(f"{name[:60]} is not a knob that may be set.", rule="only listed knobs exist (R21)")
            if value is not None and len(value.encode()) > 8192:
                raise Refused(f"The value for {name} is longer than 8 KiB.", rule="convex-http-api.md, section 6.3")
        lines = [
            f"npx convex env remove {name}" if value is None else f"npx convex env set {name} '{value}'"
            for name, value in sorted(changes.items())
        ]
        call = Call(self.target.name, "admin write", f"setting {', '.join(sorted(changes))}", " && ".join(lines))
        body = {"changes": [{"name": name, "value": value} for name, value in sorted(changes.items())]}

        async def once() -> None:
            content = json.dumps(body, ensure_ascii=False).encode()
            answer = await self._line.send(call, "POST", _UPDATE_ENV, content)
            if answer.status == 404:
                answer = await self._line.send(call, "POST", _UPDATE_ENV.replace("/v1", ""), content)
            if answer.status != 200:
                raise self._line.refusal(call, answer)

        await self._line.write(call, once)

    async def audit_events(self, since_ms: int, *, pages: int = 10) -> tuple[AuditEvent, ...]:
        """What Convex's own audit log says since a moment, oldest first, at most 100 events a page.

        Needs ``deployment:auditLog:view`` and a plan that has the log: else `CallFailed` with the code
        ``AuditLogsDisabled`` or ``AuditLogsTooOld``. Names of variables that are no listed knobs are dropped here, and
        so are addresses of people (R36, R37).
        """
        call = Call(self.target.name, "admin read", "the audit log of the deployment", "npx convex dashboard")
        found: list[AuditEvent] = []
        cursor = ""
        for _ in range(pages):
            path = f"{_AUDIT_LOG}?from={max(0, since_ms)}&limit=100"
            if cursor:
                path += f"&cursor={quote(cursor, safe='')}"

            async def once(path: str = path) -> Any:
                return await self._line.document(call, "GET", path)

            document = await self._line.read(call, once)
            items = document.get("items") if isinstance(document, dict) else None
            if not isinstance(items, list):
                raise garbled(call, 200, "without the list of events")
            found += [event for item in items if (event := self._event(item)) is not None]
            paging = document.get("pagination")
            cursor = str(paging.get("nextCursor") or "") if isinstance(paging, dict) and paging.get("hasMore") else ""
            if not cursor:
                break
        return tuple(found)

    def _event(self, item: object) -> AuditEvent | None:
        if not isinstance(item, dict) or not isinstance(item.get("action"), str):
            return None
        at_ms, actor, metadata = item.get("createTime"), item.get("actor"), item.get("metadata")
        if not isinstance(at_ms, int) or isinstance(at_ms, bool):
            return None
        name = metadata.get("variable_name") if isinstance(metadata, dict) else None
        kind = actor.get("type") if isinstance(actor, dict) else actor
        return AuditEvent(
            action=self._line.clean(item["action"])[:60],
            at_ms=at_ms,
            actor=self._line.clean(kind)[:40] or "unknown",
            knob=name if isinstance(name, str) and name in all_knobs() else None,
        )

    async def deployment_info(self) -> DeploymentInfo:
        """What kind of deployment answers: the check "is this really production?". Needs ``deployment:data:view``."""
        call = Call(self.target.name, "admin read", "deployment_info", "npx convex dashboard")

        async def once() -> DeploymentInfo:
            told = await self._line.document(call, "GET", "/api/v1/deployment_info")
            if not isinstance(told, dict) or not isinstance(told.get("kind"), str):
                raise garbled(call, 200, "without the kind of the deployment")
            return DeploymentInfo(told["kind"][:40], _text(told.get("deploymentType")), _text(told.get("projectSlug")))

        return await self._line.read(call, once)

    async def instance_name(self) -> str | None:
        """The deployment's own name, asked without a key; None where the path does not exist (behind proxies)."""
        call = Call(self.target.name, "admin read", "instance_name", f"curl {self.target.api_url}/instance_name")

        async def once() -> str | None:
            answer = await self._line.send(call, "GET", "/instance_name", anonymous=True)
            if answer.status == 404:
                return None
            if answer.status != 200:
                raise self._line.refusal(call, answer)
            name = answer.body.decode("utf-8", "replace").strip()
            return name if name and len(name) <= 100 and name.isprintable() and "<" not in name else None

        return await self._line.read(call, once)

    async def server_time(self) -> int:
        """The server's clock in milliseconds UTC, from its newest timestamp (``POST /api/query_ts``)."""
        call = Call(self.target.name, "admin read", "query_ts", f"curl -X POST {self.target.api_url}/api/query_ts")

        async def once() -> int:
            told = await self._line.document(call, "POST", "/api/query_ts", b"")
            try:
                nanoseconds = int.from_bytes(base64.b64decode(told["ts"], validate=True), "little")
            except (KeyError, TypeError, ValueError):
                raise garbled(call, 200, "without a timestamp") from None
            return nanoseconds // 1_000_000

        return await self._line.read(call, once)


def _listed(name: str, kind: str) -> Function:
    try:
        found = function(name)
    except FunctionError as error:
        raise Unknown(str(error)) from None
    if found.kind != kind:
        word = {"Q": "query", "M": "mutation", "A": "action"}
        raise Refused(f"{name} is a {word[found.kind]}, not a {word[kind]}.", rule="reads and changes never mix (R21)")
    return found


def _text(value: object) -> str | None:
    return value[:100] if isinstance(value, str) else None
