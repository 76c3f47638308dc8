"""The API host: Convex's HTTP layer over the function catalogue; what is not a function is `administration`."""

from __future__ import annotations

import base64
import json
import re
import struct
from urllib.parse import unquote

from starlette.types import Receive, Scope, Send

from bot.practice.sendcat.administration import Administration, Handler, Routes
from bot.practice.sendcat.arguments import Arguments, FunctionFailed, check
from bot.practice.sendcat.catalogue import BY_PATH
from bot.practice.sendcat.control import Control
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.environment import VariableRefused
from bot.practice.sendcat.functions import Call, Function, Kind, invoke
from bot.practice.sendcat.keys import ENV_VIEW, RUN, HeaderRefused, Identity, Keys, denied
from bot.practice.sendcat.platform import PlatformError, failure, json_object, must, refusal, text
from bot.practice.sendcat.switches import Script
from bot.practice.sendcat.values import FORMATS, BadValue, Json, decode, encode
from bot.practice.sendcat.wire import Answer, Request, deliver, drop, received

_TYPED: dict[str, Kind] = {"/api/query": "Query", "/api/mutation": "Mutation", "/api/action": "Action"}
_IDENTIFIER = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_./-]*(?::[A-Za-z0-9_]+)?")
_PAUSED = (
    "Cannot run functions while this deployment is paused. Resume the deployment in the dashboard settings to "
    "allow functions to run."
)


class ConvexHttp:
    """The ASGI application of the API host."""

    def __init__(self, deployment: Deployment, keys: Keys, control: Control) -> None:
        self._deployment = deployment
        self._keys = keys
        self._control = control
        self._requests = 0
        self._routes: Routes = Administration(deployment).routes() | {
            ("POST", "/api/query"): self._typed,
            ("GET", "/api/query"): self._query_by_get,
            ("POST", "/api/mutation"): self._typed,
            ("POST", "/api/action"): self._typed,
            ("POST", "/api/function"): self._any_function,
            ("POST", "/api/query_ts"): self._query_ts,
            ("POST", "/api/query_at_ts"): self._query_at_ts,
            ("POST", "/api/query_batch"): self._query_batch,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        too_large = refusal(413, "RequestTooLarge", "The request body is too large.")
        request = await received(scope, receive, send, self._deployment.counters.peers, too_large=too_large)
        if request is None:
            return
        if request.path.startswith("/_practice/"):
            await deliver(await self._control.answer(request), send)
            return
        self._deployment.counters.requests[f"{request.method} {request.path}"] += 1
        await self._through_traps(request, send)

    async def _through_traps(self, request: Request, send: Send) -> None:
        switches = self._deployment.switches
        script = switches.script_for(request.path, *_function_names(request)) if switches.scripts else None
        trap = script or Script("", None)
        delay_ms = trap.delay_ms + switches.slow_ms
        if delay_ms:
            await self._deployment.clock.sleep(delay_ms)
        if trap.drop:
            drop(send)
            return
        if trap.status is not None or trap.body is not None:
            await deliver(Answer.canned(trap), send, half=trap.half_answer)
            return
        if switches.fail_status is not None:
            await deliver(failure(switches.fail_status), send)
            return
        before = self._effects()
        answer = await self._answer(request)
        if trap.drop_after_commit or (switches.drop_after_commit and self._effects() != before):
            drop(send)
            return
        await deliver(answer, send, half=trap.half_answer or switches.half_answer)

    async def _answer(self, request: Request) -> Answer:
        try:
            client = request.header(b"convex-client")
            if client is not None and "-" not in client:
                raise PlatformError(400, "InvalidClientVersion", f"Invalid Convex-Client header: {client}")
            handler = self._handler(request)
            identity = self._keys.identify(
                request.header(b"authorization"), refuse_all=self._deployment.switches.refuse_key
            )
            return await handler(request, identity)
        except HeaderRefused as refused:
            return refusal(refused.status, refused.code, refused.message)
        except PlatformError as error:
            return refusal(error.status, error.code, error.message)
        except VariableRefused as refused:
            return refusal(400, refused.code, refused.message)

    def _handler(self, request: Request) -> Handler:
        if self._deployment.switches.v1_missing and request.path.startswith("/api/v1/"):
            raise PlatformError(404, "NotFound", "")
        handler = self._routes.get((request.method, request.path))
        if handler is not None:
            return handler
        if request.method == "POST" and request.path.startswith("/api/run/"):
            return self._run
        raise PlatformError(404, "NotFound", "")

    def _effects(self) -> int:
        counters = self._deployment.counters
        return counters.mutations.total() + counters.variable_changes.total()

    async def _typed(self, request: Request, identity: Identity) -> Answer:
        body = json_object(request)
        return await self._one(text(body, "path"), body, identity, expected=_TYPED[request.path])

    async def _query_by_get(self, request: Request, identity: Identity) -> Answer:
        path = request.parameter("path")
        if path is None:
            raise PlatformError(400, "BadQueryArgs", "Missing query parameter `path`")
        try:
            arguments = json.loads(request.parameter("args") or "{}")
        except ValueError as error:
            raise PlatformError(400, "BadQueryArgs", f"args is not JSON: {error}") from error
        body: dict[str, object] = {"args": arguments}
        if (shape := request.parameter("format")) is not None:
            body["format"] = shape
        return await self._one(path, body, identity, expected="Query")

    async def _any_function(self, request: Request, identity: Identity) -> Answer:
        body = json_object(request)
        return await self._one(text(body, "path"), body, identity, expected=None)

    async def _run(self, request: Request, identity: Identity) -> Answer:
        module, _, name = unquote(request.path.removeprefix("/api/run/")).rpartition("/")
        if not module:
            raise PlatformError(400, "BadConvexFunctionIdentifier", "Expected /api/run/<module>/<function>")
        return await self._one(f"{module}:{name}", json_object(request), identity, expected=None)

    async def _query_batch(self, request: Request, identity: Identity) -> Answer:
        queries = json_object(request).get("queries")
        if not isinstance(queries, list):
            raise PlatformError(400, "BadJsonBody", "missing field `queries`")
        results = []
        for query in queries:
            if not isinstance(query, dict):
                raise PlatformError(400, "BadJsonBody", "a query is an object")
            _, result = await self._call(text(query, "path"), query, identity, "Query")
            results.append(result)
        return Answer.json({"results": results})

    async def _query_ts(self, request: Request, identity: Identity) -> Answer:
        stamp = struct.pack("<Q", self._deployment.settle() * 1_000_000)
        return Answer.json({"ts": base64.b64encode(stamp).decode("ascii")})

    async def _query_at_ts(self, request: Request, identity: Identity) -> Answer:
        body = json_object(request)
        text(body, "ts")
        return await self._one(text(body, "path"), body, identity, expected="Query")

    async def _one(self, path: str, body: dict[str, object], identity: Identity, *, expected: Kind | None) -> Answer:
        status, result = await self._call(path, body, identity, expected)
        return Answer.json(result, status)

    async def _call(
        self, path: str, body: dict[str, object], identity: Identity, expected: Kind | None
    ) -> tuple[int, dict[str, object]]:
        shape = body.get("format", "json")
        if not isinstance(shape, str) or shape not in FORMATS:
            raise PlatformError(400, "BadFormat", f"format param must be one of {sorted(FORMATS)}")
        if not _IDENTIFIER.fullmatch(path):
            raise PlatformError(400, "BadConvexFunctionIdentifier", f"{path} is not a path to a function.")
        arguments = body.get("args", {})
        if isinstance(arguments, list) and len(arguments) == 1:
            arguments = arguments[0]
        if not isinstance(arguments, dict):
            raise PlatformError(400, "BadJsonBody", "args must be an object")
        path = path if ":" in path else f"{path}:default"
        try:
            value = await self._execute(path, arguments, identity, expected)
        except FunctionFailed as failed:
            return self._failure(failed, shape)
        switches = self._deployment.switches
        return 200, {
            "status": "success",
            "value": encode(
                value,
                tagged=FORMATS[shape],
                floats=switches.numbers_as_floats,
                skew_ms=switches.skew_ms,
            ),
        }

    async def _execute(self, path: str, raw: dict[str, object], identity: Identity, expected: Kind | None) -> Json:
        try:
            arguments = decode(raw)
        except BadValue as error:
            raise PlatformError(400, "BadJsonBody", str(error)) from error
        assert isinstance(arguments, dict)
        if path.startswith("_system/") and expected == "Query":
            return self._system_query(path, arguments, identity)
        function = BY_PATH.get(path)
        if function is None or not (identity.admin or function.public):
            sort = "public function" if expected else "function"
            raise FunctionFailed(
                f"Could not find {sort} for '{path}'. Did you forget to run `npx convex dev` or `npx convex deploy`?"
            )
        if expected is not None and function.kind != expected:
            raise FunctionFailed(f"Trying to execute {path} as {expected}, but it is defined as {function.kind}.")
        if self._deployment.switches.paused:
            raise FunctionFailed(_PAUSED)
        self._permit(function, identity)
        check(arguments, function.fields)
        deployment = self._deployment
        deployment.counters.calls[path] += 1
        user_id = identity.user.user_id if identity.user else None
        value = await invoke(function, Call(deployment, Arguments(arguments), deployment.settle(), user_id))
        if function.kind != "Query":
            deployment.counters.mutations[path] += 1
        return value

    def _permit(self, function: Function, identity: Identity) -> None:
        permission = RUN[function.kind]
        if function.public or identity.may(permission):
            return
        if function.kind == "Action":
            raise PlatformError(403, "OperationNotPermitted", denied(permission))
        raise FunctionFailed(denied(permission))

    def _failure(self, failed: FunctionFailed, shape: str) -> tuple[int, dict[str, object]]:
        switches = self._deployment.switches
        self._requests += 1
        message = f"[Request ID: {self._requests:016x}] Server Error"
        if not switches.redact_errors:
            message += f"\n{failed.message}"
        result: dict[str, object] = {"status": "error", "errorMessage": message}
        if failed.data is not None:
            result["errorData"] = encode(failed.data, tagged=FORMATS[shape], floats=switches.numbers_as_floats)
        return 560 if switches.http_560 else 200, result

    def _system_query(self, path: str, arguments: dict[str, Json], identity: Identity) -> Json:
        if not identity.admin:
            raise FunctionFailed(f"Could not find public function for '{path}'.")
        texts = self._deployment.environment.texts()
        match path:
            case "_system/cli/queryEnvironmentVariables:default":
                must(identity, ENV_VIEW)
                return [{"name": name, "value": text} for name, text in texts.items()]
            case "_system/cli/queryEnvironmentVariables:get":
                must(identity, ENV_VIEW)
                name = str(arguments.get("name"))
                return {"name": name, "value": texts[name]} if name in texts else None
            case "_system/frontend/backendState:backendState":
                user = "paused" if self._deployment.switches.paused else "none"
                return {"system": "none", "usage_limit": "none", "user": user}
        raise FunctionFailed(f"Could not find public function for '{path}'.")


def _function_names(request: Request) -> list[str]:
    """The functions that a request names, for scripts that wait for one of them."""
    if request.path.startswith("/api/run/"):
        return [":".join(unquote(request.path.removeprefix("/api/run/")).rsplit("/", 1))]
    try:
        body = json.loads(request.body or b"null")
    except ValueError:
        return []
    entries = [body, *body.get("queries", [])] if isinstance(body, dict) else []
    return [entry["path"] for entry in entries if isinstance(entry, dict) and isinstance(entry.get("path"), str)]
