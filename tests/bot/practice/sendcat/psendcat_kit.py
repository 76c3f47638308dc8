"""A stepped practice deployment behind the wire, for tests of its rules."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from bot.practice.sendcat import PracticeClock, PracticeSendcat
from slo.snapshot import Snapshot


class Deployment:
    """Calls like the operators': functions, variables, endpoints; time moves only by `pass_ms`."""

    def __init__(self, practice: PracticeSendcat, api: httpx.AsyncClient, site: httpx.AsyncClient) -> None:
        self.practice, self.api, self.site = practice, api, site

    async def call(self, path: str, kind: str = "query", **args: Any) -> Any:
        """The value of a function; fails on an error answer."""
        answer = await self.answer(path, kind, **args)
        assert answer["status"] == "success", answer
        return answer["value"]

    async def answer(self, path: str, kind: str = "query", **args: Any) -> dict[str, Any]:
        response = await self.api.post(f"/api/{kind}", json={"path": path, "args": args, "format": "json"})
        found: dict[str, Any] = response.json()
        return found

    async def snapshot(self, **args: Any) -> Snapshot:
        return Snapshot.parse(await self.call("ops:getReliabilitySnapshot", **args))

    async def set(self, **values: str | None) -> httpx.Response:
        """Change variables in one request, as tuning does."""
        changes = [{"name": name, "value": value} for name, value in values.items()]
        response = await self.api.post("/api/v1/update_environment_variables", json={"changes": changes})
        assert response.status_code == 200, response.text
        return response

    async def drain(self) -> Any:
        """``toolJobs:processQueue`` with time passing while it works."""
        import asyncio

        running = asyncio.create_task(self.call("toolJobs:processQueue", "action"))
        for _ in range(400):
            await asyncio.sleep(0)
            if running.done():
                break
            self.practice.clock.advance(100)
        return await running

    async def chat(self, **body: Any) -> list[dict[str, Any]]:
        """The events of one chat of the pool's first user; its own time passes while it streams."""
        user = self.practice.pool[0]
        answer = await self.site.post(
            "/api/chat",
            json={"threadId": user["threadId"]} | body,
            headers={"Authorization": f"Bearer {user['authToken']}"},
        )
        assert answer.status_code == 200
        return [json.loads(block.removeprefix("data: ")) for block in answer.text.split("\n\n") if block]

    async def searched(self) -> str:
        """The version mark of what a chat with web search gets."""
        found = await self.chat(webSearch=True)
        output = next(event["output"] for event in found if event["type"] == "tool-output-partially-available")
        return str(output[0]["title"].split()[-1])

    def pass_ms(self, ms: int) -> None:
        self.practice.clock.advance(ms)


@asynccontextmanager
async def deployed(**options: Any) -> AsyncIterator[Deployment]:
    """A fresh healthy deployment on a stepped clock."""
    practice = PracticeSendcat(clock=PracticeClock.at(), seed=1, **options)
    headers = {"Authorization": f"Convex {practice.deploy_key}"}
    async with (
        httpx.AsyncClient(
            transport=httpx.ASGITransport(app=practice.api_app), base_url="http://api", headers=headers
        ) as api,
        httpx.AsyncClient(transport=httpx.ASGITransport(app=practice.site_app), base_url="http://site") as site,
    ):
        yield Deployment(practice, api, site)
