"""The multi-region execution ticket: a GitHub issue where configured, else a Markdown bundle (playbook G, action 3)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bot.card import Attachment
from bot.errors import Refused
from bot.store.artifacts import Artifact
from bot.walk.artifacts import content, latest
from playbooks.findings import Finding

if TYPE_CHECKING:
    from bot.run import Run

ATTACHED = {"region": "region-readiness report", "gate": "release-gate report", "drill": "load-drill artifact"}
TITLE = "Multi-region execution: the trigger check says activate"


@dataclass(frozen=True)
class Opened:
    """What became of it: lines for the card, detail for the record, and what belongs into the thread."""

    lines: tuple[Finding, ...]
    detail: dict[str, Any]
    attachments: tuple[Attachment, ...] = ()


async def open_for(run: Run) -> Opened:
    """Open the ticket. Raises `Refused` when the newest check did not trigger, `Unreachable` when GitHub is unclear."""
    from bot.outside import github

    region = await latest(run, "region")
    report = content(run, region) if region is not None else None
    if region is None or report is None:
        raise Refused(
            "There is no readable region-readiness report.",
            rule="the ticket carries the newest report (Runbook, playbook G, action 3)",
            then="region-readiness --expected-peak-streams=5000",
        )
    if report.get("activateMultiRegionProgram") is not True:
        raise Refused(
            "The newest region-readiness report does not say activateMultiRegionProgram=true.",
            rule="not triggered: keep the single-region posture (Runbook, playbook G, action 4)",
            then="confirm step 4 instead",
        )
    held = [(name, await latest(run, kind)) for kind, name in ATTACHED.items()]
    body = _body(run, held)
    settings = run.world.config.github
    detail = {"reports": {artifact.name: artifact.sha256 for _, artifact in held if artifact is not None}}
    if settings.ready:
        ticket = await github.open_issue(settings, TITLE, body)
        line = Finding(f"ticket {settings.repository}#{ticket.number} is open: {ticket.url}", "ok")
        return Opened((line,), detail | {"ticket": ticket.url})
    hint = "GitHub is not configured ([github] in sendcat.toml): the ticket's text and reports are in the thread"
    files = tuple(Attachment(title=name, file=artifact.name) for name, artifact in held if artifact is not None)
    return Opened((Finding(hint, "warn"),), detail, (Attachment(title=TITLE, text=body), *files))


def _body(run: Run, held: list[tuple[str, Artifact | None]]) -> str:
    rows = [
        f"- {name}: `{artifact.name}`, sha256 `{artifact.sha256}`" if artifact else f"- {name}: there is none yet"
        for name, artifact in held
    ]
    return "\n".join(
        (
            f"Target: {run.target.name} ({run.target.environment.value})",
            "",
            "The region-readiness check of playbook G answered `activateMultiRegionProgram=true`.",
            "",
            "Evidence, the latest of each by when it was started:",
            *rows,
            "",
            f"Opened from the runbook, operation {run.op.id}.",
        )
    )
