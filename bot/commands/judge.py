"""``judge KIND FILES... --json``: the pure judges applied to files, a door for pipelines and for checking us.

Nothing is measured and nothing is decided: the same files always give the same answer.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from bot.card import Card, Tone
from bot.command import EXIT, Args, Command, Door, Outcome
from bot.errors import Unknown
from slo.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from bot.run import Run
    from playbooks.book import Book
    from slo.gate_report import GateHonest

Files = list[tuple[Path, dict[str, Any]]]
MOST = 50


class JudgeArgs(Args):
    kind: Literal["snapshot", "probe", "drill", "gate", "canary", "region", "milestone", "signals"]
    """What the files are."""
    file: str
    """A report; several may be given, one after the other or separated by commas: looks for signals, in any order."""
    more: tuple[str, ...] = ()
    """Further files."""
    expected_peak_streams: str | None = None
    """region only: the forecast of concurrent streams that goes with drills and a snapshot."""


def _snapshot(files: Files, book: Book) -> dict[str, Any]:
    """Posture of the newest snapshot at the moment it was taken, with the one before it when there are two."""
    from slo import posture
    from slo.policy import GatePolicy, Ownership, load
    from slo.snapshot import Snapshot

    looks = sorted((Snapshot.parse(raw) for _, raw in files), key=lambda look: look.generated_at)
    before = looks[-2] if len(looks) > 1 else None
    now = looks[-1]
    return _judged(posture.judge(now, load(GatePolicy), load(Ownership), before=before, now_ms=now.generated_at))


def _probe(files: Files, book: Book) -> dict[str, Any]:
    from slo import probe
    from slo.policy import Ownership, load
    from slo.reports import ProbeReport

    return _judged(probe.judge(ProbeReport.parse(files[-1][1]), load(Ownership)))


def _drill(files: Files, book: Book) -> dict[str, Any]:
    from slo import drill
    from slo.policy import Baseline, Ownership, load
    from slo.reports import DrillReport

    return _judged(drill.judge(DrillReport.parse(files[-1][1]), load(Baseline), load(Ownership)))


def _gate(files: Files, book: Book) -> dict[str, Any]:
    """The verdict of a gate reached again from the files that its report names, which lie beside it."""
    from slo import gate
    from slo.artifacts import FileRef
    from slo.gate_report import GateReport
    from slo.policy import Baseline, GatePolicy, Ownership, load
    from slo.reports import DrillReport, ProbeReport
    from slo.snapshot import Snapshot

    path, raw = files[-1]
    report = GateReport.parse(raw)
    honest = report.honest
    if honest is None:
        return {
            "verdict": Verdict.INCOMPLETE.value,
            "original_rule": report.passed,
            "reason": "a report of the original names no evidence to judge again",
        }

    def held(ref: FileRef | None) -> dict[str, Any] | None:
        from bot import history

        return None if ref is None else history.read(path.parent, ref.name, ref.sha256)

    evidence = {key: held(honest.evidence.get(key)) for key in ("before", "after", "probe", "drill")}
    past = [held(ref) for ref in honest.history]
    before, after, probe, drill = (evidence[key] for key in ("before", "after", "probe", "drill"))
    again = gate.judge(
        before=Snapshot.parse(before) if before else None,
        after=Snapshot.parse(after) if after else None,
        probe=ProbeReport.parse(probe) if probe else None,
        drill=DrillReport.parse(drill) if drill else None,
        history=[DrillReport.parse(item) for item in past if item is not None],
        policy=load(GatePolicy),
        baseline=load(Baseline),
        ownership=load(Ownership),
        required=honest.required_scenarios,
        now_ms=honest.judged_at,
        limit=honest.effective_limit,
        failed_in_window=honest.failed_in_window,
    )
    return {
        "verdict": again.verdict.value,
        "recorded": honest.verdict.value,
        "original_rule": again.original_rule,
        "reason": _unlike(honest, again.verdict),
        "steps": {name: _judged(step) for name, step in again.steps},
    }


def _canary(files: Files, book: Book) -> dict[str, Any]:
    """The verdict of a canary reached again from the reports that its artifact names, which lie beside it."""
    from bot import history
    from slo.artifacts import CanaryReport
    from slo.canary_report import judge_again

    path, raw = files[-1]
    report = CanaryReport.parse(raw)

    def held(name: str, sha256: str | None) -> dict[str, Any]:
        return history.read(path.parent, name, sha256) if sha256 else _read(path.parent / name)

    answer = _judged(judge_again(report, held))
    if report.honest is None:
        return answer
    return {**answer, "recorded": report.honest.verdict.value}


def _region(files: Files, book: Book) -> dict[str, Any]:
    """A readiness report with the evidence beside it, or drills with a snapshot and a forecast."""
    from bot.region import again

    return again.judge(files)


def _milestone(files: Files, book: Book) -> dict[str, Any]:
    """A milestone-gate report with the files that it names; or a drill report and the snapshots around it."""
    from bot.milestone.again import again

    return again(files)


def _unlike(honest: GateHonest, again: Verdict) -> str:
    """What a reader must know of a verdict that was reached again: another one then, or by other policies."""
    from slo.policy import FILES, Baseline, GatePolicy, Ownership, load

    today = {FILES[kind]: load(kind).digest for kind in (GatePolicy, Ownership, Baseline)}
    other = sorted(name for name, digest in honest.policies.items() if today.get(name) != digest)
    said = [f"recorded as {honest.verdict}"] if honest.verdict is not again else []
    said += [f"judged now by another {' and '.join(other)} than then"] if other else []
    return "; ".join(said)


def _signals(files: Files, book: Book) -> dict[str, Any]:
    from playbooks.ranking import rank

    return rank([raw for _, raw in files], book)


KINDS: Mapping[str, Callable[[Files, Book], dict[str, Any]]] = {
    "snapshot": _snapshot,
    "probe": _probe,
    "drill": _drill,
    "gate": _gate,
    "canary": _canary,
    "region": _region,
    "milestone": _milestone,
    "signals": _signals,
}


def _judged(judgement: Judgement) -> dict[str, Any]:
    return judgement.model_dump(mode="json")


async def _run(run: Run, args: JudgeArgs) -> Outcome:
    from slo.errors import SloError

    paths = [Path(part.strip()) for word in (args.file, *args.more) for part in word.split(",") if part.strip()]
    if len(paths) > MOST:
        raise Unknown(f"{len(paths)} files are more than {MOST}.", then=f"judge {args.kind} with fewer files")
    files = await asyncio.to_thread(lambda: [(path, _read(path)) for path in paths])
    if not files:
        raise Unknown("No file was named.", then=f"judge {args.kind} FILE")
    if args.expected_peak_streams is not None:
        if args.kind != "region":
            raise Unknown("--expected-peak-streams goes with region only.", then=f"judge {args.kind} FILE")
        files.append((Path("--expected-peak-streams"), {"expectedPeakStreams": args.expected_peak_streams}))
    try:
        answer = await asyncio.to_thread(KINDS[args.kind], files, run.world.book)
    except SloError as error:
        raise Unknown(f"{files[-1][0].name} is no {args.kind}: {error}", then=f"judge {args.kind} FILE") from None
    verdict = Verdict(answer["verdict"]) if "verdict" in answer else None
    title = str(verdict) if verdict else ", ".join(answer["suggestions"]) or "no playbook fired"
    lines = [f"{s['letter']} {s['state']}: {s['why']}" for s in answer.get("signals", ())]
    tone = {Verdict.PASS: Tone.OK, Verdict.FAIL: Tone.BAD}.get(verdict, Tone.UNKNOWN) if verdict else Tone.PLAIN
    card = Card(
        title=f"{title}: {args.kind} of {', '.join(path.name for path, _ in files)}"[:140],
        tone=tone,
        lead=str(answer.get("reason", "")),
        code="\n".join(lines),
        footer="judged from files alone; nothing was measured",
        final=True,
    )
    return Outcome(card=card, exit_status=EXIT[verdict], verdict=verdict, data=answer)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Unknown(f"{path.name} cannot be read: {error.strerror}.") from None
    except ValueError:
        raise Unknown(f"{path.name} is not JSON.") from None
    if not isinstance(found, dict):
        raise Unknown(f"{path.name} holds no report.")
    return found


COMMAND = Command(
    name="judge",
    summary="Judge saved reports by our rules, from the files alone.",
    action="read",
    args=JudgeArgs,
    run=_run,
    positional=("kind", "file"),
    rest="more",
    examples=(
        "judge gate .output/reliability/release-gate-2026-11-23T14-00-00-000Z.json",
        "judge signals first-snapshot.json second-snapshot.json",
    ),
    group="Look",
    doors=frozenset({Door.TERMINAL}),
    quiet=True,
    targeted=False,
)
