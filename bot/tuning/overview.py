"""How the knobs stand: what is off its default, what was stored and is not in force, which changes there were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bot.card import Card, Cell, Table, Tone, when
from bot.redact import inert
from bot.store.change import Change
from bot.store.grants import Grant
from bot.tuning.proposal import by
from playbooks.change_set import Standing, shown
from playbooks.knobs import Knob, KnobType, Value, all_knobs, effective, parse_value
from playbooks.tuning import fixed, legal, rejected
from slo.snapshot import Snapshot

_TONES = {
    "kept": Tone.OK,
    "undone": Tone.WARN,
    "unknown": Tone.UNKNOWN,
    "failed": Tone.BAD,
    "void": Tone.REFUSED,
    "proposed": Tone.WARN,
}


def overview_card(
    held: Change | None,
    recent: Sequence[Change],
    stored: Mapping[str, str],
    now: Snapshot,
    unreviewed: Sequence[Grant],
    *,
    now_ms: int,
    context: str,
) -> tuple[Card, dict[str, Any]]:
    """The card of ``tune`` alone, and its data."""
    off = off_default(stored, now)
    bad = [one for one in all_knobs().values() if rejected(one, stored.get(one.name))]
    sections = []
    if held is not None:
        sections.append(f"*Open:* {inert(held.words, 200)} · {held.state} · proposed by {by(held.proposer)}")
    if bad:
        lines = [
            f"• `{one.name}` holds {inert(repr(stored[one.name][:40]), 60)}, so {_value(one, now)} is in force"
            f"{_mend(one, now)}"
            for one in bad
        ]
        sections.append("🔴 *Stored, but rejected by Sendcat:*\n" + "\n".join(lines[:8]))
    same = [one.name for one in all_knobs().values() if redundant(one, stored.get(one.name))]
    if off:
        lines = [f"• `{name}` {value} (default {default})" for name, value, default in off]
        more = f"\n… and {len(lines) - 12} more: /sendcat knobs" if len(lines) > 12 else ""
        sections.append("*Off their default:*\n" + "\n".join(lines[:12]) + more)
    if same:
        sections.append(f"*Stored, but no more than the default:* {', '.join(f'`{name}`' for name in same[:12])}")
    if unreviewed:
        lines = [f"• {grant.id} for {grant.change}, by {by(grant.by)} {when(grant.at_ms)}" for grant in unreviewed]
        sections.append("*Break-glass to review:*\n" + "\n".join(lines[:5]))
    rows = tuple(
        (
            Cell(text=change.id),
            Cell(text=inert(", ".join(f"{s.knob} {s.change}" for s in change.steps), 80)),
            Cell(text=change.state, tone=_TONES.get(change.state, Tone.PLAIN)),
            Cell(text=change.verdict or "–"),
            Cell(text=_age(now_ms - change.created_ms)),
        )
        for change in recent
    )
    title = f"{held.id} is open" if held else "No change is open"
    if bad:
        title = f"{len(bad)} stored value{'' if len(bad) == 1 else 's'} rejected · {title}"
    card = Card(
        title=title,
        tone=Tone.BAD if bad else Tone.WARN if held else Tone.PLAIN,
        context=context,
        sections=tuple(sections) or ("Every knob has its default.",),
        table=Table(columns=("Change", "Knobs", "State", "Retest", "Age"), rows=rows) if rows else None,
        next="/sendcat tune KNOB +20% proposes a change; /sendcat knobs lists them all",
        final=True,
    )
    data = {
        "open": held.id if held else None,
        "recent": [{"change": c.id, "line": c.line, "state": c.state, "verdict": c.verdict} for c in recent],
        "offDefault": [{"knob": name, "value": value, "default": default} for name, value, default in off],
        "rejected": [one.name for one in bad],
        "redundant": same,
        "unreviewed": [grant.id for grant in unreviewed],
    }
    return card, data


def off_default(stored: Mapping[str, str], now: Snapshot) -> list[tuple[str, str, str]]:
    """Knobs whose effective value is not the default, as the snapshot shows it; secrets show only that they are set."""
    found = []
    for one in all_knobs().values():
        value = effective(now, one)
        if value is not None and value != one.shown(one.default):
            word = "is set" if one.secret else inert(shown(value), 60)
            found.append((one.name, word, inert(shown(one.default), 60) or "empty"))
        elif value is None and one.snapshot_path is None and one.name in stored and one.accepts(stored[one.name]):
            found.append((one.name, f"stored {inert(stored[one.name], 40)}", shown(one.default)))
    return found


def knobs_card(
    group: str | None,
    stored: Mapping[str, str],
    now: Snapshot,
    day_ago: Mapping[str, Value],
    *,
    context: str,
) -> tuple[Card, dict[str, Any]]:
    """The knobs of a group (a family, a playbook's letter, None for all): effective value, range, what is legal now.

    ``day_ago`` has the effective values 24 h ago of those that moved since, from which creep counts (R23).
    """
    chosen = [one for one in all_knobs().values() if group in (None, one.family, *one.playbooks)]
    listed = [_listing(one, stored, now, day_ago.get(one.name)) for one in chosen]
    bad, off = [row for row in listed if row["rejected"]], [row for row in listed if row["off"]]
    # What is not as it should be comes first: a card shows ten rows, the thread all of them.
    ordered = sorted(listed, key=lambda row: (not row["rejected"], not row["off"]))
    begins = f"{group.upper()}_" if group else ""
    prefix = begins if begins and all(row["knob"].startswith(begins) for row in listed) else ""
    columns: tuple[str, ...] = ("Effective", "Knob", "Next step", "Allowed", "Playbook")
    # Where every row would say the same, the title says it, and the lines are short enough for the thread.
    if all(row["playbooks"] == group for row in listed):
        columns = columns[:-1]
    rows = tuple(
        (
            Cell(text=row["value"], tone=Tone.BAD if row["rejected"] else Tone.WARN if row["off"] else Tone.PLAIN),
            Cell(text=row["knob"].removeprefix(prefix)),
            Cell(text=row["legal"]),
            Cell(text=row["range"]),
            Cell(text=row["playbooks"] or "–"),
        )[: len(columns)]
        for row in ordered
    )
    families = list(dict.fromkeys(one.family for one in all_knobs().values()))
    named = group if group is None or group in families else f"playbook {group}"
    count = f"{len(chosen)} knobs{f' of {named}' if named else ''}"
    said = [f"{len(bad)} stored value{'' if len(bad) == 1 else 's'} rejected"] if bad else []
    said += [f"{len(off)} off {'its' if len(off) == 1 else 'their'} default"] if off else []
    card = Card(
        title=f"{count}: {', '.join(said) or 'all at their defaults'}",
        tone=Tone.BAD if bad else Tone.WARN if off else Tone.PLAIN,
        context=context,
        lead="\n".join(_stands(row) for row in (*bad, *(row for row in off if not row["rejected"]))[:6]),
        # A phone shows the first columns only, and the names are long.
        table=Table(
            columns=columns,
            rows=rows,
            caption=f"every name begins with {prefix}" if prefix else "",
        ),
        sections=(f"*Families:* {', '.join(families)}",) if group is None else (),
        next="`/sendcat tune KNOB VALUE` proposes a change"
        + ("" if group else "; `/sendcat knobs bulkhead` shows one family"),
        final=True,
    )
    return card, {"knobs": listed}


def _stands(row: Mapping[str, Any]) -> str:
    """What is odd about a knob, in one line."""
    if row["rejected"]:
        stored = row["stored"] if row["stored"] is not None else "something"
        return f"🔴 `{row['knob']}` holds {stored or 'nothing'}, which Sendcat rejects: {row['value']} is in force"
    return f"⚠️ `{row['knob']}` is {row['value']}, default {row['default'] or 'empty'}"


def _listing(one: Knob, stored: Mapping[str, str], now: Snapshot, day_ago: Value | None) -> dict[str, Any]:
    value, text = effective(now, one), stored.get(one.name)
    bounds = legal(one.name, Standing(text, value, day_ago))
    span = f"{one.minimum}–{one.maximum}" if one.type is KnobType.INT else " / ".join(one.choices) or one.type.value
    step = f"{bounds.low}–{bounds.high}" if bounds else ("no" if fixed(one) else "a switch")
    return {
        "knob": one.name,
        "family": one.family,
        "value": "not shown"
        if value is None
        else "set"
        if one.secret and value
        else inert(shown(value), 60) or "empty",
        "stored": None if text is None or one.secret else inert(text, 60),
        "default": inert(shown(one.default), 60),
        "off": value is not None and value != one.shown(one.default),
        "rejected": rejected(one, text),
        "range": span,
        "legal": step,
        "playbooks": " ".join(one.playbooks),
    }


def redundant(one: Knob, text: str | None) -> bool:
    """Whether a stored text says no more than the default: it is taken, and nothing is tuned (contract, knobs)."""
    return text is not None and text != "" and not one.secret and one.accepts(text) and _same(one, text)


def _same(one: Knob, text: str) -> bool:
    return parse_value(one, text) == one.shown(one.default)


def _mend(one: Knob, now: Snapshot) -> str:
    """The line that stores plainly what is in force, where a change may do that."""
    value = effective(now, one)
    if value is None or fixed(one) or one.type is not KnobType.INT:
        return ""
    return f"; `/sendcat tune {one.name} {shown(value)}` stores that"


def _value(one: Knob, now: Snapshot) -> str:
    value = effective(now, one)
    return "the default" if value is None else inert(shown(value), 40)


def _age(ms: int) -> str:
    minutes = max(0, ms) // 60_000
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} d"
