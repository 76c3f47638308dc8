"""The multi-region execution ticket: a GitHub issue where configured, else a Markdown bundle (playbook G, action 3).

It carries the latest region-readiness report, release gate and load drills of the walk's target by digest, "latest" by
start; what is damaged is left out by name. One report opens one ticket, whoever walks.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from bot import history
from bot.card import Attachment
from bot.cases.decisions import MANNERS
from bot.errors import Broken, Refused
from bot.redact import inert
from bot.run import card_key
from bot.store import artifacts, cases, outbox
from bot.store.artifacts import Artifact
from bot.store.case import State
from playbooks.findings import Finding
from slo.artifacts import RegionReport
from slo.errors import SloError
from slo.gate_report import GateReport
from slo.reports import DrillReport, stamp
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.run import Run
    from bot.store.case import Case

KIND = "ticket"
TITLE = "Multi-region execution"
DRILLS = 6
"""So many of the latest drills are attached, as many as the check looks at."""
LOOKED = 20
"""So many reports of a kind are tried until a sound one is found."""
T = TypeVar("T")


@dataclass(frozen=True)
class Opened:
    """What became of it: lines for the card, detail for the record, and what belongs into the thread."""

    lines: tuple[Finding, ...]
    detail: dict[str, Any]
    attachments: tuple[Attachment, ...] = ()


@dataclass(frozen=True)
class _Held:
    """One report that the ticket names; ``url`` is the card of its run, empty when it has none."""

    name: str
    artifact: Artifact
    said: str
    url: str = ""


async def open_for(run: Run) -> Opened:
    """Open the ticket. Raises `Refused` when the newest check did not trigger, `Unreachable` when GitHub is unclear."""
    from bot.outside import github

    damaged: list[str] = []
    found = await _sound(run, "region", 1, RegionReport.parse, damaged)
    if not found:
        raise Refused(
            "There is no readable region-readiness report"
            + (f" ({', '.join(damaged[:3])} cannot be used)." if damaged else "."),
            rule="the ticket carries the newest report (Runbook, playbook G, action 3)",
            then="region-readiness --expected-peak-streams=5k",
        )
    artifact, report = found[0]
    _triggered(artifact, report)
    await _once(run, artifact)
    decision = await _decision(run, artifact)
    held = [await _held(run, "region-readiness report", artifact, _said_region(report))]
    for kept, gate in await _sound(run, "gate", 1, GateReport.parse, damaged):
        verdict = gate.honest.verdict.value if gate.honest else ("PASS" if gate.passed else "FAIL")
        held.append(await _held(run, "release-gate report", kept, verdict))
    for kept, drill in await _sound(run, "drill", DRILLS, DrillReport.parse, damaged):
        held.append(await _held(run, "load-drill artifact", kept, f"profile {drill.profile}"))
    body = _body(run, report, held, damaged, decision)
    settings = run.world.config.github
    detail: dict[str, Any] = {"reports": {item.artifact.name: item.artifact.sha256 for item in held}}
    title = f"{TITLE}: {run.target.name}, {report.expected_peak_streams:,.0f} concurrent streams expected"
    ticket = await github.open_issue(settings, title, body) if settings.ready else None
    first = f"{settings.repository}#{ticket.number} {ticket.url}" if ticket else "not opened elsewhere"
    bundle = await _keep(run, f"# {title}\n\nTicket: {first}\n\n{body}\n")
    detail |= {"bundle": bundle.name, "ticket": ticket.url if ticket else None}
    gaps = [Finding(f"left out, damaged or altered: {', '.join(damaged[:3])}", "warn")] if damaged else []
    if ticket is not None:
        line = Finding(f"ticket {settings.repository}#{ticket.number} is open: {ticket.url}", "ok")
        return Opened((line, *gaps), detail)
    where = run.world.config.artifact_dir / bundle.name
    lines = (
        Finding(f"the ticket is {bundle.name}, {len(held)} reports by digest", "ok"),
        Finding(f"GitHub is not configured ([github] in sendcat.toml): put {where} into your tracker", "warn"),
    )
    files = tuple(Attachment(title=item.name, file=item.artifact.name) for item in held)
    return Opened((*lines, *gaps), detail, (Attachment(title=title, file=bundle.name), *files))


def _triggered(artifact: Artifact, report: RegionReport) -> None:
    """Ours decides; a report of the original has only its own word."""
    ours = report.honest.verdict if report.honest else None
    if ours is Verdict.FAIL or (ours is None and report.decision.activate_multi_region_program):
        return
    word = "INCOMPLETE" if ours is Verdict.INCOMPLETE else "NOT_TRIGGERED"
    theirs = report.decision.activate_multi_region_program
    raise Refused(
        f"The newest region-readiness report says {word} ({artifact.name})"
        + (", although the original's rule says activate." if theirs else "."),
        rule="without a trigger the single-region posture stays (Runbook, playbook G, action 4)",
        then="confirm step 4 instead" if word == "NOT_TRIGGERED" else "region-readiness --expected-peak-streams=5k",
    )


async def _once(run: Run, artifact: Artifact) -> None:
    """A ticket that was opened since this report was made is about this report."""
    known = await run.world.store.read(lambda conn: artifacts.latest(conn, KIND, run.target.name))
    if known is None or known.started_ms < artifact.started_ms:
        return
    raise Refused(
        f"The ticket about {artifact.name} is there already: {await _where(run, known)}.",
        rule="one report opens one ticket",
        then="confirm the step with a link to it, or run region-readiness again first",
    )


async def _where(run: Run, bundle: Artifact) -> str:
    path = run.world.config.artifact_dir / bundle.name

    def first_lines() -> str:
        with path.open(encoding="utf-8") as file:
            return file.read(1_000)

    try:
        text = await asyncio.to_thread(first_lines)
    except (OSError, UnicodeDecodeError):
        return bundle.name
    line = next((line for line in text.splitlines() if line.startswith("Ticket: ")), "")
    return inert(f"{line.removeprefix('Ticket: ')} ({bundle.name})" if "http" in line else bundle.name, 300)


async def _decision(run: Run, artifact: Artifact) -> str:
    """What a release manager said of this report. Raises `Refused` after a no."""

    def about(case: Case) -> bool:
        return bool(case.binding["report"]["name"] == artifact.name)

    known = await run.world.store.read(lambda conn: cases.recent(conn, "region", 50))
    case = next((case for case in known if about(case)), None)
    if case is None:
        return "nobody was asked to decide"
    state = case.standing(run.world.clock.now_ms())
    answer = case.revoked or case.answer
    if state in (State.REJECTED, State.REVOKED) and answer is not None:
        raise Refused(
            f"{case.id} is {state.value}: {inert(answer.reason, 160)}",
            rule="a release manager has decided about this report (R3)",
            then="confirm step 4, or run region-readiness again",
        )
    if state is State.APPROVED and answer is not None:
        return f"{case.id} APPROVED, decision {answer.id} of {_date(answer.at_ms)}: {inert(answer.reason, 300)}"
    return f"{case.id} is {state.value}; a {MANNERS['region'].noun} is made by a release manager"


def _date(at_ms: int) -> str:
    return stamp(at_ms)[:10]


async def _sound(
    run: Run, kind: str, most: int, parse: Callable[[dict[str, Any]], T], damaged: list[str]
) -> list[tuple[Artifact, T]]:
    """The latest reports of a kind that are as they were written; the names of the others go to ``damaged``."""
    rows = await run.world.store.read(lambda conn: artifacts.listing(conn, kind, run.target.name, limit=LOOKED))

    def read() -> list[tuple[Artifact, T]]:
        found: list[tuple[Artifact, T]] = []
        for row in rows:
            if len(found) == most:
                break
            try:
                found.append((row, parse(history.read(run.world.config.artifact_dir, row.name, row.sha256))))
            except (Broken, SloError, ValueError):
                damaged.append(row.name)
        return found

    return await asyncio.to_thread(read)


async def _held(run: Run, name: str, artifact: Artifact, said: str) -> _Held:
    letter = None
    if artifact.op is not None:
        key = card_key(artifact.op)
        letter = await run.world.store.read(lambda conn: outbox.by_key(conn, key))
    url = run.world.messages.address(letter.channel, letter.ts) if letter is not None and letter.ts else ""
    return _Held(name, artifact, said, url)


def _said_region(report: RegionReport) -> str:
    return f"TRIGGERED, {inert(_topology(report), 40)}"


def _topology(report: RegionReport) -> str:
    return report.honest.recommended_topology if report.honest else report.decision.recommended_topology


def _body(run: Run, report: RegionReport, held: Sequence[_Held], damaged: Sequence[str], decision: str) -> str:
    fired = [check for check in report.honest.checks if check.verdict is Verdict.FAIL] if report.honest else []
    theirs = str(report.decision.activate_multi_region_program).lower()
    rows = [f"| {_row(item)} |" for item in held]
    names = {item.name for item in held}
    lacking = [name for name in ("release-gate report", "load-drill artifact") if name not in names]
    lines = [
        f"Target: {run.target.name} ({run.target.environment.value})",
        f"Recommended topology: {inert(_topology(report), 40)} (now {inert(report.current_topology, 40)})",
        f"Decision: {decision}",
        "",
        f"The region-readiness check of playbook G is TRIGGERED (`activateMultiRegionProgram={theirs}`):",
        *(f"- {inert(check.name, 60)}: {check.value:g}, more than {check.limit:g}" for check in fired),
        *([] if fired else [f"- {inert(report.decision.rationale, 200)}"]),
        "",
        "Evidence, the latest of each by when it was started:",
        "",
        "| what | file | says | sha256 | run |",
        "| --- | --- | --- | --- | --- |",
        *rows,
        "",
        *(f"- {name}: there is none that can be read" for name in lacking),
        *(f"- left out, damaged or altered: {inert(name, 120)}" for name in damaged),
        "",
        f"Opened from the runbook, operation {run.op.id}. A digest is that of the file in the artifact directory.",
    ]
    return "\n".join(lines)


def _row(item: _Held) -> str:
    card = f"[{item.artifact.op}]({item.url})" if item.url else (item.artifact.op or "–")
    return " | ".join((item.name, f"`{item.artifact.name}`", item.said, f"`{item.artifact.sha256}`", card))


async def _keep(run: Run, text: str) -> Artifact:
    now_ms = run.world.clock.now_ms()
    kept = await asyncio.to_thread(
        artifacts.write_file,
        run.world.config.artifact_dir,
        f"multi-region-ticket-{stamp(now_ms)}.md",
        text,
        kind=KIND,
        started_ms=now_ms,
        target=run.target.name,
        op=run.op.id,
    )
    await run.world.store.write(lambda tx: artifacts.register(tx, kept))
    return kept
