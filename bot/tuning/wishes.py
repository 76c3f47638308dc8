"""What people may do with a change: propose, approve, withdraw, retest, keep, undo. Each is one transaction.

The commands say what is shown; here is what is decided, so that a model of the rules can be tested without a door.
"""

from __future__ import annotations

from bot.authority import LOCAL, Who, resolve
from bot.config import Config
from bot.errors import Refused, Unknown
from bot.redact import inert
from bot.refusing import four_eyes
from bot.store import changes, grants, offers, pauses
from bot.store.change import BEFORE_WRITE, BOT, UNDOABLE, By, Change
from bot.store.grants import Grant
from bot.store.tx import Tx
from bot.tuning.draft import OPEN_MS, Draft
from bot.tuning.hand import draw
from playbooks.lines import Line

BREAK_GLASS_MS = 15 * 60_000
"""A break-glass approval lapses when nothing was written within this time (R12)."""
LEAST_WHY = 10
"""Characters of a reason that says anything."""


def by_of(who: Who) -> By:
    """Who acts, as it is recorded."""
    return By.of(who.actor.account, who.actor.door.value, who.person)


def same_human(config: Config, who: Who, other: By) -> bool:
    """Whether somebody is the human behind an earlier step, by the person then and by the configuration now (R10)."""
    if who.person is not None and who.person == other.person:
        return True
    return who.same_human(resolve(config, other.actor, LOCAL))


def find(tx: Tx, change_id: str, target: str | None = None) -> Change:
    """The change of this id; raises `Unknown`."""
    found = changes.get(tx.db, change_id)
    if found is None or (target is not None and found.target != target):
        where = f" on {target}" if target is not None else ""
        raise Unknown(f"There is no change {change_id[:20]!r}{where}.", then="/sendcat tune")
    return found


def propose(tx: Tx, config: Config, draft: Draft, *, op: str, who: Who, target: str, replaces: str | None) -> Change:
    """Write a draft down as a proposal, in the place of an older one when it ``replaces`` that.

    A proposal that was left lying beyond its time makes way by itself.
    """
    me = by_of(who)
    if replaces is not None:
        old = find(tx, replaces, target)
        gone = changes.move(tx, old.id, "rejected", by=me, frm=("proposed",), note="Replaced by another proposal.")
        _closed(tx, config, gone)
    held = changes.open_on(tx.db, target)
    if held is not None and held.state == "proposed" and tx.now_ms > held.expires_ms:
        expire(tx, config, held)
    for other in changes.open_changes(tx.db):
        if other.deployment == draft.deployment and other.target != target:
            raise changes.locked(other)  # two names of one deployment: still one change set at a time (R17)
    return changes.propose(
        tx,
        draft.change_set,
        op=op,
        by=me,
        target=target,
        deployment=draft.deployment,
        policy=draft.policy,
        expires_ms=tx.now_ms + OPEN_MS,
        notes=(*draft.notes, f"Computed from `{draft.looked.artifact}`; a newer snapshot is taken before the write."),
    )


def expire(tx: Tx, config: Config, change: Change) -> Change:
    """Nobody approved in time."""
    gone = changes.move(tx, change.id, "expired", by=BOT, frm=("proposed",), note="Nobody approved it in time.")
    _closed(tx, config, gone)
    return gone


def approve(tx: Tx, config: Config, change_id: str, *, who: Who) -> Change:
    """Another person approves exactly this change, once, in time (R10, R11). Raises `Refused` otherwise."""
    change = find(tx, change_id)
    _approvable(tx, change)
    if same_human(config, who, change.proposer):
        raise Refused(
            f"You proposed {change.id} yourself: another responder approves it. Nothing was changed.",
            rule="the requester never approves (R10)",
            then="ask in this channel: it needs a second person in any case"
            if change.second
            else f'alone on call? /sendcat break-glass {change.id} --why="..."',
            buttons=four_eyes("tune.approve", Line("tune", ("approve", change.id)), who, config),
        )
    moved = changes.move(
        tx,
        change.id,
        "approved",
        by=by_of(who),
        frm=("proposed",),
        authority="another person than the proposer (R10)",
        approver=by_of(who),
        approved_ms=tx.now_ms,
    )
    _closed(tx, config, moved)
    return moved


def break_glass(tx: Tx, config: Config, change_id: str, *, who: Who, why: str, op: str) -> tuple[Change, Grant]:
    """The lone on-call approves their own change: with a reason, for a short time, left open for review (R12)."""
    change = find(tx, change_id)
    _approvable(tx, change)
    if len(why.strip()) < LEAST_WHY:
        raise Refused(
            "Break-glass needs a reason that somebody can review.",
            rule="break-glass needs a reason (R12)",
            then=f'/sendcat break-glass {change.id} --why="what is burning, and why nobody else can be reached"',
        )
    if change.second:
        raise Refused(
            f"{change.id} needs another person in any case: {inert('; '.join(change.second), 300)}.",
            rule="break-glass does not stretch what only a second person may allow (R22, R23)",
            then=f"wake somebody, or take a smaller step; approve with /sendcat tune approve {change.id}",
        )
    until_ms = tx.now_ms + BREAK_GLASS_MS
    found = grants.grant(tx, change.id, by=by_of(who), why=why.strip(), until_ms=until_ms, target=change.target, op=op)
    moved = changes.move(
        tx,
        change.id,
        "approved",
        by=by_of(who),
        frm=("proposed",),
        why=why.strip(),
        authority=f"break-glass {found.id} (R12)",
        approver=by_of(who),
        approved_ms=tx.now_ms,
        break_glass=found.id,
    )
    _closed(tx, config, moved)
    return moved, found


def withdraw(tx: Tx, config: Config, change_id: str, *, who: Who, why: str = "") -> Change:
    """Take a change back before anything was written; anyone who may propose may do it."""
    change = find(tx, change_id)
    note = f"By {who.person or 'somebody'}{': ' + inert(why.strip(), 300) if why.strip() else ''}."
    moved = changes.move(tx, change.id, "rejected", by=by_of(who), frm=BEFORE_WRITE, why=why or None, note=note)
    _closed(tx, config, moved)
    return moved


def retest(tx: Tx, config: Config, change_id: str, *, who: Who) -> Change:
    """Judge a kept change once more. It takes the target's lock again, so nothing else may be open."""
    change = find(tx, change_id)
    _free(tx, change)
    if change.state == "kept":
        _newest(tx, change, "only the newest change of a knob can be judged, and undone (R25)", "tune retest")
    moved = changes.move(tx, change.id, "settling", by=by_of(who), frm=("kept",), due_ms=tx.now_ms)
    draw(tx, config, moved)
    return moved


def keep(tx: Tx, config: Config, change_id: str, *, who: Who, why: str) -> Change:
    """A person ends a story that the bot cannot: all values stay as they are."""
    change = find(tx, change_id)
    if len(why.strip()) < LEAST_WHY:
        raise Refused(
            "Say why it may stay as it is.",
            rule="an unknown change is closed by a person, with a reason (R26)",
            then=f'/sendcat tune keep {change.id} --why="..."',
        )
    note = f"{change.note} Left as it is by {who.person or 'somebody'}: {inert(why.strip(), 300)}".strip()
    moved = changes.move(tx, change.id, "kept", by=by_of(who), frm=("unknown",), why=why.strip(), note=note)
    draw(tx, config, moved)
    return moved


def undo(
    tx: Tx, config: Config, change_id: str, *, who: Who, why: str = "", leave: tuple[str, ...] | None = None
) -> Change:
    """Put back what was there before: needs nobody, for ever (R25). Before the write it is a withdrawal.

    ``leave`` are knobs that a stranger has changed meanwhile and that stay as they are. Raises `Refused` while a write
    is in doubt, and when a newer change of ours moved the same knob.
    """
    change = find(tx, change_id)
    if change.state in BEFORE_WRITE:
        return withdraw(tx, config, change_id, who=who, why=why or "undone before it was written")
    if change.state in ("intent", "ambiguous", "doubtful", "reverting"):
        raise Refused(
            f"What became of the last write of {change.id} is not known yet; it is looked for within a minute.",
            rule="an unclear write is not written over (R26)",
            then=f"/sendcat undo {change.id}, after that",
        )
    if change.state == "kept":
        _make_way(tx, config, change, who)
        _newest(tx, change, "changes are undone in the reverse of their order (R25)", "undo")
    moved = changes.move(
        tx,
        change.id,
        "undoing",
        by=by_of(who),
        frm=UNDOABLE,
        why=why or None,
        authority="undoing an own change needs nobody (R25)",
        undo_by=by_of(who),
        undo_why=why.strip() or "asked for",
        undo_knobs=leave,
        attempts=0,
    )
    draw(tx, config, moved)
    return moved


def _approvable(tx: Tx, change: Change) -> None:
    if pauses.paused(tx.db) is not None:
        raise Refused("Everything is paused.", rule="while paused, everything that changes is refused")
    if change.state != "proposed":
        raise Refused(
            f"{change.id} is {change.state} already.",
            rule="a decision is made once (R11)",
            then=f"/sendcat tune show {change.id}",
        )
    if tx.now_ms > change.expires_ms:
        raise Refused(
            f"{change.id} could be approved for 30 minutes; its time is over.",
            rule="decisions expire (R11)",
            then=f"/sendcat {change.line}",
        )


def _newest(tx: Tx, change: Change, rule: str, instead: str) -> None:
    """Raise `Refused` when a later change of ours, not undone, has moved one of its knobs."""
    for step in change.steps:
        newer = changes.last_of(tx.db, change.target, step.knob)
        if newer is not None and newer.id != change.id:
            raise Refused(
                f"{newer.id} has changed {step.knob} since.", rule=rule, then=f"/sendcat {instead} {newer.id}"
            )


def _free(tx: Tx, change: Change) -> None:
    """Nothing else may be open on the target; a mere proposal makes way for what is already in force."""
    held = changes.open_on(tx.db, change.target)
    if held is None or held.id == change.id:
        return
    raise changes.locked(held)


def _make_way(tx: Tx, config: Config, change: Change, who: Who) -> None:
    """An undo goes before a mere proposal, which was computed from values that will be gone."""
    held = changes.open_on(tx.db, change.target)
    if held is None or held.state != "proposed":
        _free(tx, change)
        return
    gone = changes.move(
        tx, held.id, "rejected", by=by_of(who), frm=("proposed",), note=f"{change.id} was undone meanwhile."
    )
    _closed(tx, config, gone)


def _closed(tx: Tx, config: Config, change: Change) -> None:
    """Other buttons of its card that still offer a decision are dead from now on (R11), and it says how it stands."""
    offers.supersede(tx, change.op, f"{change.id} is {change.state}.")
    draw(tx, config, change)
