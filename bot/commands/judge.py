"""``judge KIND FILES... --json``: the pure judges applied to files, a door for pipelines and for checking us.

Nothing is measured and nothing is decided: the same files always give the same answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from bot.card import Card, Tone
from bot.command import EXIT, Args, Command, Door, Outcome
from bot.errors import Unknown
from slo.verdict import Verdict

if TYPE_CHECKING:
    from bot.again import Again
    from bot.run import Run
    from playbooks.book import Book

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


def kinds(book: Book) -> Mapping[str, Again]:
    """What judges the files of each kind."""
    from bot import again
    from bot.canary.again import again as canary
    from bot.gate.again import again as gate
    from bot.milestone.again import again as milestone
    from bot.region.again import again as region
    from playbooks.ranking import rank

    return {
        "snapshot": again.snapshot,
        "probe": again.probe,
        "drill": again.drill,
        "gate": gate,
        "canary": canary,
        "region": region,
        "milestone": milestone,
        "signals": lambda files: rank([raw for _, raw in files], book),
    }


async def _run(run: Run, args: JudgeArgs) -> Outcome:
    from bot.history import unproved
    from slo.errors import SloError

    paths = [Path(part.strip()) for word in (args.file, *args.more) for part in word.split(",") if part.strip()]
    if len(paths) > MOST:
        raise Unknown(f"{len(paths)} files are more than {MOST}.", then=f"judge {args.kind} with fewer files")
    files = await asyncio.to_thread(lambda: [(path, unproved(path)) for path in paths])
    if not files:
        raise Unknown("No file was named.", then=f"judge {args.kind} FILE")
    if args.expected_peak_streams is not None:
        if args.kind != "region":
            raise Unknown("--expected-peak-streams goes with region only.", then=f"judge {args.kind} FILE")
        files.append((Path("--expected-peak-streams"), {"expectedPeakStreams": args.expected_peak_streams}))
    try:
        answer = await asyncio.to_thread(kinds(run.world.book)[args.kind], files)
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
