"""Stand-ins for the outside: status pages, OpenRouter, Serper, Sentry and GitHub, on one loopback port.

They tell the truth of one practice Sendcat: a provider that fails there fails here, a fresh search carries its mark,
and Sentry holds the warnings that the deployment sent. They refuse what the real ones refuse: a missing or wrong key.
"""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bot.practice.loopback import LoopbackServer
from bot.practice.sendcat import PracticeSendcat
from bot.practice.sendcat.accounts import SUBJECTS
from bot.practice.sendcat.circuits import EBAY, GLOBAL, GMAIL, PRIMARY, SERPER
from bot.practice.sendcat.workers import search_results

BEHIND = {"openrouter": PRIMARY, "serper": SERPER, "ebay": EBAY, "global": GLOBAL, "google": GMAIL}
REPOSITORY, ORGANIZATION, PROJECT = "sendcat/sendcat", "sendcat", "backend"


KEY = "PRACTICE_OUTSIDE_KEY"
"""Variable that opens each of them."""


def settings(url: str) -> dict[str, Any]:
    """The sections of a configuration that lead to stand-ins at ``url``."""
    providers: dict[str, Any] = {
        name: {"status_url": f"{url}/status/{name}.json", "api_url": url, "key_env": KEY} for name in BEHIND
    }
    providers["serper"]["queries"] = providers["ebay"]["queries"] = SUBJECTS
    return {
        "providers": providers,
        "sentry": {"organization": ORGANIZATION, "project": PROJECT, "api_url": url, "token_env": KEY},
        "github": {"repository": REPOSITORY, "api_url": url, "token_env": KEY},
    }


class Outside:
    """One server for all of them; ``key`` opens each. ``issues`` are the tickets that were opened."""

    def __init__(self, sendcat: PracticeSendcat) -> None:
        self.sendcat = sendcat
        self.key = secrets.token_hex(16)
        self.credits, self.searches = (50.0, 12.5), 2_400
        self.issues: list[dict[str, Any]] = []
        self.url = ""
        self._server: LoopbackServer | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> None:
        self._server = LoopbackServer(self._app(), host, port)
        self.url = self._server.url
        await self._server.start()

    async def stop(self) -> None:
        if self._server is not None:
            await self._server.stop()

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/status/{name}.json", self._status),
                Route("/api/v1/key", self._openrouter_key),
                Route("/api/v1/credits", self._openrouter_credits),
                Route("/account", self._serper_account),
                Route("/search", self._serper_search, methods=["POST"]),
                Route("/buy/browse/v1/item_summary/search", self._ebay_search),
                Route("/api/0/projects/{organization}/{project}/issues/", self._sentry_issues),
                Route("/repos/{owner}/{name}/issues", self._github_issues, methods=["POST"]),
            ]
        )

    async def _status(self, request: Request) -> Response:
        upstream = BEHIND.get(request.path_params["name"])
        if upstream is None:
            return JSONResponse({"message": "not found"}, 404)
        failing = self.sendcat.deployment.upstreams[upstream].health.kind != "ok"
        said = {"indicator": "major", "description": "Partial System Outage"} if failing else _WELL
        return JSONResponse({"page": {"id": upstream}, "status": said})

    async def _openrouter_key(self, request: Request) -> Response:
        if not self._bearer(request):
            return JSONResponse({"error": {"message": "No auth credentials found", "code": 401}}, 401)
        total, used = self.credits
        return JSONResponse(
            {"data": {"label": "sendcat", "usage": used, "limit": total, "limit_remaining": total - used}}
        )

    async def _openrouter_credits(self, request: Request) -> Response:
        if not self._bearer(request):
            return JSONResponse({"error": {"message": "No auth credentials found", "code": 401}}, 401)
        return JSONResponse({"data": {"total_credits": self.credits[0], "total_usage": self.credits[1]}})

    async def _serper_account(self, request: Request) -> Response:
        if request.headers.get("x-api-key") != self.key:
            return JSONResponse({"message": "Unauthorized.", "statusCode": 403}, 403)
        return JSONResponse({"balance": self.searches, "rateLimit": 50})

    async def _serper_search(self, request: Request) -> Response:
        if request.headers.get("x-api-key") != self.key:
            return JSONResponse({"message": "Unauthorized.", "statusCode": 403}, 403)
        upstream = self.sendcat.deployment.upstreams[SERPER]
        if upstream.health.kind != "ok":
            return JSONResponse({"message": "Internal error"}, 500)
        query = str((await request.json()).get("q", ""))
        return JSONResponse({"organic": json.loads(search_results(query, upstream.mark))})

    async def _ebay_search(self, request: Request) -> Response:
        if not self._bearer(request):
            return JSONResponse({"errors": [{"errorId": 1001, "message": "Invalid access token"}]}, 401)
        upstream = self.sendcat.deployment.upstreams[EBAY]
        if upstream.health.kind != "ok":
            return JSONResponse({"errors": [{"errorId": 12000, "message": "internal error"}]}, 500)
        found = json.loads(search_results(request.query_params.get("q", ""), upstream.mark))
        return JSONResponse({"total": len(found), "itemSummaries": [{"title": row["title"]} for row in found]})

    async def _sentry_issues(self, request: Request) -> Response:
        if not self._bearer(request):
            return JSONResponse({"detail": "Authentication credentials were not provided."}, 401)
        wanted = parse_qs(request.url.query).get("query", [""])[0].removeprefix("logger:")
        groups: dict[str, list[int]] = {}
        for warning in self.sendcat.deployment.warnings.sent:
            if warning.logger == wanted:
                groups.setdefault(warning.message, []).append(warning.at_ms)
        rows = [
            {
                "id": str(number),
                "title": title,
                "level": "warning",
                "count": str(len(times)),
                "lastSeen": datetime.fromtimestamp(max(times) / 1000, UTC).isoformat(timespec="seconds"),
                "permalink": f"{self.url}/issues/{number}/",
            }
            for number, (title, times) in enumerate(groups.items(), 1)
        ]
        return JSONResponse(rows)

    async def _github_issues(self, request: Request) -> Response:
        if not self._bearer(request):
            return JSONResponse({"message": "Bad credentials"}, 401)
        if f"{request.path_params['owner']}/{request.path_params['name']}" != REPOSITORY:
            return JSONResponse({"message": "Not Found"}, 404)
        body = await request.json()
        if not body.get("title"):
            return JSONResponse({"message": "Validation Failed"}, 422)
        number = len(self.issues) + 1
        self.issues.append({"number": number, "title": body["title"], "body": body.get("body", "")})
        return JSONResponse({"number": number, "html_url": f"https://github.com/{REPOSITORY}/issues/{number}"}, 201)

    def _bearer(self, request: Request) -> bool:
        return request.headers.get("authorization") == f"Bearer {self.key}"


_WELL = {"indicator": "none", "description": "All Systems Operational"}
