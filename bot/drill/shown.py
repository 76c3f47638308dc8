"""How a drill looks to people: what to know beside its table, and each stage in a line (ux.md, rules 1 and 9)."""

from __future__ import annotations

from collections.abc import Iterator

from bot.card import Attachment, Fact
from bot.redact import inert
from bot.views import duration, number
from slo.profiles import PROFILES
from slo.reports import DrillReport, HonestScenario, HonestStage
from slo.scenarios import CHAT, endpoint
from slo.verdict import Judgement, Verdict

REFUSED_MUCH = 0.05
"""From this share of refusals on, a card says that the latency is that of the rest."""


def drill_facts(report: DrillReport) -> tuple[Fact, ...]:
    """Requests planned and sent, streams, first token, and the generator's look at itself."""
    honest = report.honest
    if honest is None:
        return ()
    generator = honest.generator
    late = f"sent late p99 {duration(generator.send_lag_p99_ms)}" if generator.send_lag_p99_ms is not None else "idle"
    processes = f", {generator.processes} processes" if generator.processes > 1 else ""
    facts = [
        Fact(label="Requests", value=f"{generator.sent} of {generator.planned} planned"),
        Fact(label="Generator", value=f"{'too slow' if generator.bottleneck else 'in time'}, {late}{processes}"),
    ]
    chat = honest.scenario(CHAT)
    if chat is not None and chat.pooled is not None:
        counts = ", ".join(f"{n} {end}" for end, n in chat.pooled.streams.items() if n) or "none"
        facts.append(Fact(label="Streams", value=counts))
        facts.append(Fact(label="First token", value=f"p95 {number(chat.pooled.first_token.p95_ms, 'ms')}"))
    return tuple(facts)


def drill_notes(report: DrillReport, judgement: Judgement) -> tuple[str, ...]:
    """What changes how the figures are to be read, most weighty first; at most eight lines."""
    return tuple(_notes(report, judgement))[:8]


def _notes(report: DrillReport, judgement: Judgement) -> Iterator[str]:
    for check in judgement.undecided:
        if check.reason:
            yield f"• `{check.scope}` {check.name.replace('_', ' ')}: {inert(check.reason, 200)}"
    honest = report.honest
    if honest is None:
        yield "• This artifact is of the original program: closed loop, streams not read."
        return
    if honest.generator.bottleneck:
        yield "• The load came late by our own fault: nothing is said of the target. Try `--processes=2`."
    for scenario in honest.scenarios:
        yield from _scenario_notes(scenario)
    if honest.circuits_opened is None and honest.ended.how == "finished":
        yield "• Circuits could not be read, so none was watched during the drill."
    if judgement.original_rule is not None and judgement.original_rule != (judgement.verdict is Verdict.PASS):
        said = "PASS" if judgement.original_rule else "FAIL"
        yield f"• The original rule says {said}; it does not decide."


def _scenario_notes(scenario: HonestScenario) -> Iterator[str]:
    pooled, path = scenario.pooled, endpoint(scenario.name)
    if pooled is None:
        return
    if pooled.refused.n > REFUSED_MUCH * max(1, pooled.answered):
        statuses = ", ".join(f"{status} × {n}" for status, n in pooled.statuses.items() if status[0] in "34")
        yield (
            f"• `{path}` refused {pooled.refused.n} of {pooled.answered} ({statuses});"
            f" the latency is that of the other {pooled.succeeded}."
        )
    if scenario.loop == "closed":
        yield f"• `{path}` ran in a closed loop, as the original: slow answers hold load back; long waits are missing."
    if scenario.held is not None:
        held, soak = scenario.held, duration(scenario.held.documented_soak_ms)
        yield (
            f"• {held.open_p5 if held.open_p5 is not None else 0} of {held.planned} streams held open for"
            f" {duration(held.sustain_ms)}; the milestone's documented soak is {soak}."
        )


def stages_attachment(report: DrillReport, *, only_asked: bool = False) -> Attachment:
    """Each stage in a line: planned, sent, rate, latency, first token, what came back; and what did not run.

    ``only_asked`` leaves out scenarios that nobody asked for, where that goes without saying (a milestone is chat).
    """
    columns = "".join(f"{word:>10}" for word in ("p50", "p95", "p99"))
    lines = [f"{'stage':<28}{'sent/planned':>14}{'per s':>8}{columns}{'token p95':>11}  answers"]
    for scenario in report.honest.scenarios if report.honest else ():
        lines += [_stage_line(scenario.name, stage) for stage in scenario.stages]
        if scenario.state == "skipped" or (scenario.state == "not_asked" and not only_asked):
            lines.append(f"{scenario.name[:27]:<28}{scenario.state.replace('_', ' ')}: {inert(scenario.reason, 160)}")
    return Attachment(title=f"Stages of the {report.profile} drill", text="\n".join(lines), columns=True)


def _stage_line(scenario: str, stage: HonestStage) -> str:
    name = f"{scenario.split('_')[0]} {stage.name}{' (warm-up)' if stage.warmup else ''}"
    latency = stage.latency
    cells = [latency.p50_ms, latency.p95_ms, latency.p99_ms]
    answers = [f"{status} × {n}" for status, n in stage.statuses.items()]
    answers += [f"{inert(error, 30)} × {n}" for error, n in stage.errors.items()]
    answers += [f"{end} × {n}" for end, n in stage.streams.items() if n and end != "done"]
    per_s = stage.sent * 1000 / stage.wall_ms if stage.wall_ms else 0.0
    return (
        f"{name[:27]:<28}{f'{stage.sent}/{stage.planned}':>14}{per_s:>8.1f}"
        + "".join(f"{_ms(value):>10}" for value in cells)
        + f"{_ms(stage.first_token.p95_ms):>11}  {', '.join(answers) or 'no answers'}"
    )


def _ms(value: float | None) -> str:
    return "–" if value is None else duration(value)


def profile_words(profile: str) -> str:
    """``m1_1k: 1,000 open streams for 5 min``: what a profile is, for help and refusals."""
    streams = PROFILES[profile].streams
    if streams is None:
        return profile
    return f"{profile}: {streams.streams:,} open streams for {duration(streams.sustain_ms)}"
