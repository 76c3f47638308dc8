"""The card of a readiness check: TRIGGERED or not, what fired, and what to do (runbook, playbook G)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bot.card import Attachment, Button, Card, Cell, Fact, Table, Tone
from bot.dashboard.files import shown
from bot.redact import inert
from bot.region.made import Gathered, Made
from bot.views import duration
from slo.region import FORECAST, evaluate
from slo.verdict import SNAPSHOT, Check, Verdict

if TYPE_CHECKING:
    from bot.run import Run

_DRILL = re.compile(r"load-drill-([a-z0-9_]{1,30})-\d{4}-(\d\d-\d\d)T(\d\d)-(\d\d)-\d\d-\d{3}Z\.json")
LABELS = {
    "expected_peak_streams": "Forecast streams",
    "load_pressure_breaches": "Drills under pressure",
    "open_circuits": "Circuits opened",
    "queued_tool_jobs": "Jobs queued",
    "rate_limit_alerts_window": "Limit alerts",
}
_WORDS = {Verdict.FAIL: "triggered", Verdict.PASS: "not triggered", Verdict.INCOMPLETE: "not known"}
_TONES = {Verdict.FAIL: Tone.WARN, Verdict.PASS: Tone.OK, Verdict.INCOMPLETE: Tone.UNKNOWN}


def card(run: Run, found: Gathered, made: Made) -> Card:
    """The finished check; the decision on it is drawn around this card."""
    judged, verdict = made.judged, made.verdict
    titles = {
        Verdict.FAIL: f"TRIGGERED: a multi-region programme is due on {run.target.name} ({judged.topology})",
        Verdict.PASS: f"NOT_TRIGGERED: one region is enough on {run.target.name}",
        Verdict.INCOMPLETE: f"INCOMPLETE: nobody knows whether one region is enough on {run.target.name}",
    }
    return Card(
        title=titles[verdict][:140],
        tone=_TONES[verdict],
        context=run.context,
        lead=_lead(found, made),
        table=_table(found, made),
        facts=_facts(found, made),
        to_read=tuple(inert(text, 160) for text in made.warnings[:10]),
        sections=tuple(_sections(found, made)),
        code=found.by_hand,
        next=_then(found, made),
        buttons=_buttons(run, verdict),
        footer=f"took {duration(run.elapsed_s * 1000)} · `{made.artifact}` · sha256 {made.sha256[:8]} · playbook G",
        attachments=(
            Attachment(title="Every drill that was looked at", text=_drills(found) or "none"),
            Attachment(title="Region-readiness report", file=made.artifact),
        ),
        final=True,
    )


def _lead(found: Gathered, made: Made) -> str:
    checks = made.judged.judgement.checks
    fired = [check for check in checks if check.verdict is Verdict.FAIL]
    open_ = [check for check in checks if check.verdict is Verdict.INCOMPLETE]
    said = []
    if fired:
        said.append(f"Fired: {'; '.join(_says(check, found) for check in fired)}.")
    if open_ or (made.judged.judgement.reason and made.verdict is Verdict.INCOMPLETE):
        reasons = dict.fromkeys(inert(check.reason, 160) or LABELS.get(check.name, check.name) for check in open_)
        why = "; ".join(reasons) or inert(made.judged.judgement.reason, 200)
        said.append(f"Not known: {why}.")
    if made.verdict is Verdict.PASS:
        said.append("No trigger of demand, load or health has fired.")
    theirs = made.judged.judgement.original_rule
    if found.drills.stops_at:
        said.append(f"The original stops at {found.drills.stops_at} and answers nothing; ours decides.")
    elif theirs is not None and theirs is not (made.verdict is Verdict.PASS):
        said.append(f"The original rule says {'NOT_TRIGGERED' if theirs else 'TRIGGERED'}; ours decides.")
    return " ".join(said)


def _says(check: Check, found: Gathered) -> str:
    label = LABELS.get(check.name, check.name)
    return f"{label.lower()} {_value(check)}, fires at {_fires(check, found)}"


def _table(found: Gathered, made: Made) -> Table:
    """The triggers; the original's word only where it says something else than ours."""
    checks = made.judged.judgement.checks
    theirs = {Verdict.FAIL: False, Verdict.PASS: True}
    differs = any(check.original is not None and check.original is not theirs.get(check.verdict) for check in checks)
    rows = tuple(
        (
            Cell(text=LABELS.get(check.name, check.name)),
            Cell(text=_value(check), tone=_TONES[check.verdict]),
            Cell(text=_fires(check, found)),
            Cell(text=_WORDS[check.verdict]),
            *((Cell(text=_original(check)),) if differs else ()),
        )
        for check in checks
    )
    columns = ("Trigger", "Value", "Fires at", *(("Ours", "Original") if differs else ("Says",)))
    return Table(columns=columns, rows=rows)


def _original(check: Check) -> str:
    return "–" if check.original is None else "not triggered" if check.original else "triggered"


def _value(check: Check) -> str:
    return "not known" if check.value is None else f"{check.value:,.0f}"


def _fires(check: Check, found: Gathered) -> str:
    least = f"{(check.limit or 0) + 1:,.0f}"
    if check.scope == FORECAST:
        return least
    if check.scope == SNAPSHOT:
        minutes = found.policy.ops_snapshot.window_minutes
        return f"{least} in {minutes:g} min" if check.name == "open_circuits" else least
    return f"{least} of {found.policy.load_pressure.lookback_reports}"


def _facts(found: Gathered, made: Made) -> tuple[Fact, ...]:
    ready = " (readiness only)" if made.report.readiness_only else ""
    now = "not known" if found.look is None else inert(f"{made.report.current_topology}{ready}", 60)
    advice = "not known" if made.verdict is Verdict.INCOMPLETE else made.judged.topology
    return (Fact(label="Topology now", value=now), Fact(label="Recommended", value=advice))


def _sections(found: Gathered, made: Made) -> list[str]:
    said = []
    breaches = [f"{_brief(file)} {inert(why, 80)}" for file, why in evaluate(found.drills.ours, found.policy) if why]
    if breaches:
        more = f" and {len(breaches) - 3} more" if len(breaches) > 3 else ""
        said.append(f"*Under pressure:* {'; '.join(breaches[:3])}{more}")
    if found.drills.unread:
        names, left = found.drills.unread[:3], len(found.drills.unread) - 3
        tail = f" and {left} more" if left > 0 else ""
        said.append(f"*Left out*, damaged or altered: {', '.join(names)}{tail}")
    if found.missing:
        said.append(f"*No snapshot:* {inert(found.missing, 200)}")
    return said


def _brief(file: str) -> str:
    """``quick of 11-23 07:37``: profile and start of a drill; the thread has the names of the files."""
    named = _DRILL.fullmatch(file)
    return f"{named[1]} of {named[2]} {named[3]}:{named[4]}" if named else shown(file)


def _drills(found: Gathered) -> str:
    lines = [
        f"{shown(file)}: {inert(why, 120) if why else 'no pressure'}"
        for file, why in evaluate(found.drills.ours, found.policy)
    ]
    return "\n".join((*lines, *(f"{name}: left out, damaged or altered" for name in found.drills.unread)))


def _then(found: Gathered, made: Made) -> str:
    if made.verdict is Verdict.FAIL:
        return "`/sendcat playbook G`: step 3 opens the ticket once it is approved, step 4 keeps the single region"
    if made.verdict is Verdict.PASS:
        return "keep the single region; go on tuning capacity on the current phase gates (playbook G, step 4)"
    if found.streams is None:
        return "give the forecast of concurrent streams at peak: `/sendcat region-readiness --expected-peak-streams=5k`"
    if found.look is None:
        return "read the snapshot by hand, or name a saved one with --snapshot-file"
    return "measure chat first: `/sendcat drill --quick=true`, then check again"


def _buttons(run: Run, verdict: Verdict) -> tuple[Button, ...]:
    again = Button(label="Check again", line=run.op.line, name="region.rerun")
    page = Button(label="Open playbook G", line="playbook G", name="playbook.open")
    if verdict is Verdict.INCOMPLETE:
        return (again.model_copy(update={"style": "primary"}), page)
    return (page.model_copy(update={"style": "primary" if verdict is Verdict.FAIL else None}), again)
