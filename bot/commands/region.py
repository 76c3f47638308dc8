"""``region-readiness``: is one region still enough? Demand, load pressure, snapshot health (runbook, playbook G).

Reads only: one snapshot and the saved drill reports. What is TRIGGERED waits for a release manager who is not the
starter; the decision is about the programme, not about a deployment.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydantic import Field as Limit
from pydantic import field_validator

from bot.asking import target_field
from bot.card import Field, Form
from bot.cases.asking import decisions
from bot.command import EXIT, Args, Command, Outcome
from bot.config import Config

if TYPE_CHECKING:
    from bot.region.made import Gathered, Look
    from bot.run import Run
    from bot.store.case import Case
    from slo.policy import RegionPolicy

STREAMS = "expected-peak-streams"


class RegionArgs(Args):
    expected_peak_streams: int | None = None
    """Forecast of concurrent streams at peak: 5000, 5k, 20_000, 1.5m; without it demand is not known.

    In a terminal the variable RELIABILITY_EXPECTED_PEAK_STREAMS stands for it.
    """
    snapshot_file: str | None = None
    """A saved snapshot instead of a fresh one; a file name in the artifact directory."""
    snapshot_minutes: int | None = Limit(default=None, ge=1, le=1440)
    """Window of the fresh snapshot in minutes; the policy says 30."""
    snapshot_limit: int = Limit(default=50, ge=1, le=1000)
    """Rows of each snapshot section; the server cuts it to 50."""
    lookback_reports: int | None = Limit(default=None, ge=1, le=50)
    """How many of the latest drill reports count, by when they were started; the policy says 6."""
    policy: str | None = None
    """Another region-rollout policy; a file name in the artifact directory."""

    @field_validator("expected_peak_streams", mode="before")
    @classmethod
    def _streams(cls, value: Any) -> Any:
        from slo.region import BadForecast, parse_streams

        if not isinstance(value, str):
            return value
        try:
            return parse_streams(value)
        except BadForecast as error:
            raise ValueError(str(error)) from None


async def _run(run: Run, args: RegionArgs) -> Outcome:
    import asyncio

    from bot.command import Door
    from bot.region import made, sources

    local = run.op.by.door is Door.TERMINAL
    policy, path = await asyncio.to_thread(sources.policy, run.world.config, args.policy, anywhere=local)
    policy = sources.with_lookback(policy, args.lookback_reports)
    look, missing, by_hand = await _look(run, args, policy, anywhere=local)
    drills = await sources.drills(run, policy.load_pressure.lookback_reports)
    return await conclude(run, made.Gathered(args.expected_peak_streams, policy, path, drills, look, missing, by_hand))


async def conclude(run: Run, found: Gathered) -> Outcome:
    """What was gathered, judged, kept and drawn; what is TRIGGERED becomes a case for a release manager."""
    from bot.region import made
    from bot.region.card import card as draw
    from slo.verdict import Verdict

    drills = found.drills
    result = await made.judge_and_keep(run, found)
    card, verdict = draw(run, found, result), result.verdict
    data: dict[str, Any] = {
        "verdict": verdict.value,
        "decision": result.judged.word,
        "triggered": verdict is Verdict.FAIL,
        "recommended_topology": result.judged.topology,
        "original_rule": result.judged.judgement.original_rule,
        "artifact": result.artifact,
        "not_looked_at": list(drills.unread),
        "warnings": list(result.warnings),
        "report": result.report.to_artifact(),
    }
    if verdict is Verdict.FAIL:
        opened = await made.opened(run, found, result, card)
        card, data = opened.card, data | opened.data
    return Outcome(card=card, exit_status=EXIT[verdict], verdict=verdict, data=data)


async def _look(run: Run, args: RegionArgs, policy: RegionPolicy, *, anywhere: bool) -> tuple[Look | None, str, str]:
    """The snapshot, or why there is none and the line to read it by hand: demand and load decide without it."""
    from bot import measure
    from bot.errors import Unreachable
    from bot.region import sources
    from bot.region.made import Look
    from slo.snapshot import SERVER_MAX_LIMIT

    if args.snapshot_file is not None:
        ref, saved = await sources.saved_snapshot(run, args.snapshot_file, anywhere=anywhere)
        return Look(saved, ref, fresh=False), "", ""
    minutes = args.snapshot_minutes or policy.ops_snapshot.window_minutes
    try:
        looked = await measure.snapshot(run, minutes=minutes, limit=args.snapshot_limit)
    except Unreachable as error:
        return None, error.what, error.then or "npm run reliability:snapshot"
    look = Look(
        looked.snapshot,
        run.ref(looked.artifact),
        fresh=True,
        limit=looked.read.effective_limit or SERVER_MAX_LIMIT,
        skew_ms=looked.read.skew_ms,
        note=looked.read.note,
    )
    return look, "", ""


async def _last_look(run: Run, case: Case) -> str | None:
    from bot.region.bound import changed

    return await changed(run, case)


def _form(config: Config) -> Form:
    return Form(
        title="Region readiness",
        fields=(
            Field(flag=STREAMS, label="Forecast: concurrent streams at peak", hint="5000, 5k or 20_000"),
            target_field(config),
        ),
        submit="Check",
        note="20,000 streams call for a standby region, 60,000 for two active ones. Nothing is sent but one read.",
    )


COMMANDS: tuple[Command[Any], ...] = (
    Command(
        name="region-readiness",
        summary="Is one region still enough? Forecast, load pressure of the latest drills, snapshot health.",
        action="region",
        args=RegionArgs,
        run=_run,
        examples=(
            "region-readiness --expected-peak-streams=5000",
            "region-readiness --expected-peak-streams=20k --lookback-reports=10",
        ),
        group="Release",
        form=_form,
        variables={STREAMS: ("RELIABILITY_EXPECTED_PEAK_STREAMS",)},
    ),
    *decisions(
        "region",
        "region-readiness",
        {
            "approve": (
                "Approve the multi-region programme on a TRIGGERED check; by a release manager who did not start it.",
                "rg-3 --reason='launch forecast confirmed'",
            ),
            "reject": (
                "Keep the single region although a check was TRIGGERED, with the reason.",
                "rg-3 --reason='forecast withdrawn'",
            ),
            "revoke": ("Take the approval of the multi-region programme back.", "rg-3 --reason='launch postponed'"),
        },
        action="region.decide",
        last_look=_last_look,
    ),
)
