"""GitHub: a ticket with reports attached by digest (Runbook, playbook G, action 3)."""

from __future__ import annotations

from dataclasses import dataclass

from bot.config import GitHub
from bot.errors import Unreachable
from bot.outside.ask import ask


@dataclass(frozen=True)
class Ticket:
    number: int
    url: str


async def open_issue(github: GitHub, title: str, body: str) -> Ticket:
    """Open one issue; never repeated after an unclear answer (safety.md, R26). Raises `Unreachable`.

    Only called when a token is there (`GitHub.ready`).
    """
    assert github.token is not None
    headers = {
        "Authorization": f"Bearer {github.token.get_secret_value()}",
        "X-GitHub-Api-Version": "2022-11-28",
    }
    url = f"{github.api_url}/repos/{github.repository}/issues"
    answer = await ask(
        "GitHub", url, method="POST", headers=headers, body={"title": title[:200], "body": body[:60_000]}
    )
    number, link = answer.get("number"), answer.get("html_url")
    if not isinstance(number, int) or not isinstance(link, str):
        raise Unreachable("GitHub did not say which issue it opened.", ambiguous=True)
    return Ticket(number, link[:300])
