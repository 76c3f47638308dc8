"""The card of a release gate as it was judged, before anybody decides (ux.md, sketch 2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from bot.card import Attachment, Button, Card, Tone
from bot.gate import checks
from bot.redact import inert
from bot.views import duration, red_text, verdict_tone
from slo.verdict import Judgement, Verdict

if TYPE_CHECKING:
    from bot.gate.made import Asked, Made
    from bot.run import Run


def card(run: Run, asked: Asked, made: Made, missing: Sequence[str], by_hand: Sequence[str]) -> Card:
    """The verdict, why, what is missing, and the lines to do that by hand."""
    every = checks.rows(made.judged, made.last)
    last = made.last.honest.release if made.last is not None and made.last.honest is not None else None
    verdict = made.judged.verdict
    name = inert(asked.release, 60) if asked.release else "without a release"
    commit = f" (`{asked.commit}`)" if asked.commit else ""
    cut = made.report.honest.effective_limit if made.report.honest is not None else asked.limit
    given = f" (the server gives {cut})" if cut < asked.limit else ""
    about = (
        f"*Release* {name}{commit} · risk *{asked.risk}* → *{asked.profile}*, {asked.minutes} min,"
        f" limit {asked.limit}{given}"
    )
    sections = [about]
    if made.judged.already:
        sections.append(f"*There before the drill:* {', '.join(made.judged.already)}")
    lacking = [*missing, *([made.gaps.blocked] if made.gaps.blocked else [])]
    if lacking:
        sections.append(f"*Not known:* {inert('; '.join(lacking), 300)}")
    owners = _owners(made)
    if owners:
        sections.append(f"*Owners of what is red:* {owners}")
    letter = made.playbook
    buttons = [Button(label="Run again", line=run.op.line, name="gate.rerun")]
    if verdict is Verdict.FAIL:
        line = f"playbook {letter}" if letter else "triage"
        label = f"Open playbook {letter}" if letter else "Run triage"
        buttons.insert(0, Button(label=label, line=line, name="playbook.open", style="primary"))
    rule = "" if made.judged.original_rule is (verdict is Verdict.PASS) else _original(made)
    return Card(
        title=f"{verdict}: release gate {name}"[:120],
        tone=verdict_tone(verdict) if verdict is not Verdict.PASS else Tone.OK,
        context=run.context,
        lead=". ".join(filter(None, (_red(made), rule))),
        table=checks.table(every, last),
        to_read=tuple(inert(text, 160) for text in made.warnings[:10]),
        sections=tuple(sections),
        code="\n".join(by_hand),
        next=_then(asked, verdict, letter),
        buttons=tuple(buttons),
        footer=f"took {duration(run.elapsed_s * 1000)} · `{made.kept.name}` · sha256 {made.kept.sha256[:8]}",
        attachments=(
            Attachment(title="Every check", text=checks.every_check(every)),
            Attachment(title="Gate report", file=made.kept.name),
        ),
        final=True,
    )


def _owners(made: Made) -> str:
    red = [check for _, step in made.judged.steps for check in step.failed]
    names = {check.owner.owner: check for check in red if check.owner is not None}
    return "; ".join(f"{owner} ({check.name.replace('_', ' ')} of {check.scope})" for owner, check in names.items())


def _red(made: Made) -> str:
    """What failed by how much, for the lock screen; a number stands there, since the table is not seen."""
    failed = tuple(check for _, step in made.judged.steps for check in step.failed)
    return red_text(Judgement(verdict=Verdict.FAIL, checks=failed)) if failed else ""


def _original(made: Made) -> str:
    word = "passes" if made.judged.original_rule else "fails"
    return f"The original rule {word} this gate; ours decides."


def _then(asked: Asked, verdict: Verdict, letter: str | None) -> str:
    if verdict is Verdict.FAIL:
        return (
            f"mitigate by playbook {letter}, then run the gate again" if letter else "triage, then run the gate again"
        )
    if asked.release is None:
        return "nothing can be approved without a name: `/sendcat gate --release=NAME@COMMIT`"
    return ""
