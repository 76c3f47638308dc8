"""``audit verify``, ``backup`` and ``restore``: is the record whole, is it kept, and how it comes back (R39-R41)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bot.card import Button, Card, Tone
from bot.command import Args, Command, Door, Offline, Outcome

if TYPE_CHECKING:
    from pathlib import Path

    from bot.run import Run


class VerifyArgs(Args):
    backup: str = ""
    """A backup by name, or newest; without it the trail as it is now."""
    anchors: str = ""
    """Anchor lines kept elsewhere: a file in the artifact folder, or at a terminal an absolute path."""


async def _verify(run: Run, args: VerifyArgs) -> Outcome:
    """Copies, checks, says; the copy goes away with the run."""
    import asyncio

    from bot.audit import verifier
    from bot.store import backups

    state_dir = run.world.config.state_dir
    anchors = _file(run, args.anchors) if args.anchors else None
    backup = await asyncio.to_thread(backups.named, state_dir, args.backup) if args.backup else None
    checked = await asyncio.to_thread(verifier.trail, state_dir, backup=backup, anchors=anchors)
    about = f"The backup `{backup.name}`." if backup else "A copy of the trail as it is now."
    if anchors is not None:
        about += " Judged by the anchors that were handed in."
    buttons = _after(checked.first_bad, now=backup is None) if checked.status == 1 else ()
    card = verifier.card(checked, about).model_copy(update={"context": run.context, "buttons": buttons})
    data = {
        "status": checked.status,
        "sentence": checked.sentence,
        "records": checked.records,
        "verified": checked.anchored if checked.status == 0 else 0,
        "notYetAnchored": checked.fresh,
        "firstBad": checked.first_bad,
        "problems": list(checked.problems),
        "notes": list(checked.notes),
    }
    return Outcome(card=card, exit_status=checked.status, data=data)


def _after(first_bad: int | None, *, now: bool) -> tuple[Button, ...]:
    """What is looked at next when something was changed: the record, and the newest backup; both only read."""
    found = []
    if first_bad is not None and now:
        found.append(Button(label=f"Show record {first_bad}", line=f"audit show {first_bad}", name="audit.story"))
    backup = Button(
        label="Verify the newest backup", line="audit verify --backup=newest", name="audit.verify", style="primary"
    )
    return (backup, *found) if now else ()


def _file(run: Run, name: str) -> Path:
    """A file that a person named: inside the artifact folder, or at a terminal anywhere by its whole path."""
    from pathlib import Path

    from bot.errors import Unknown
    from bot.redact import inert

    path = Path(name)
    if path.is_absolute() and run.op.by.door is Door.TERMINAL:
        found = path
    elif name == path.name:
        found = run.world.config.artifact_dir / name
    else:
        raise Unknown(
            f"{inert(name, 60)} is no name inside the artifact folder.",
            rule="file flags from Slack are names inside the artifact folder (INTERFACES.md, section 1)",
            then="a plain name; at a terminal an absolute path",
            fields={"anchors": "a plain name"},
        )
    if not found.is_file():
        raise Unknown(f"There is no file {inert(name, 60)}.", then="check the name", fields={"anchors": "no such file"})
    return found


class BackupArgs(Args):
    pass


async def _backup(run: Run, args: BackupArgs) -> Outcome:
    from bot.audit import backing
    from bot.run import done

    made, gone = await backing.make(
        run.world.store,
        run.world.notary,
        run.world.clock,
        run.world.config,
        actor=run.who.actor.account,
        door=run.op.by.door.value,
        person=run.who.person,
        op=run.op.id,
    )
    card = Card(
        title=f"Backup made: {made.records} records",
        tone=Tone.OK,
        context=run.context,
        lead=f"`{made.name}`, {made.size / 1e6:.1f} MB, looked at and whole. An anchor vouches for what it holds.",
        sections=(f"Older ones removed: {', '.join(gone)}.",) if gone else (),
        next="carry it off this host, with anchors.txt, audit.pub, audit.key and masking.key",
    )
    return done(card, backup=made.name, records=made.records, path=str(made.path), removed=list(gone))


class RestoreArgs(Args):
    backup: str = ""
    """Which backup, by name, or newest; without it they are listed."""
    why: str = ""
    """The reason; it stands in the first record after the backup's."""


async def _restore(run: Run, args: RestoreArgs) -> Outcome:
    """Only what a running bot may do of it: list them."""
    import asyncio

    from bot.audit import restoring
    from bot.errors import Refused

    if not args.backup:
        return await asyncio.to_thread(restoring.listing, run.world.config.state_dir)
    raise Refused(
        "A backup is put back while no bot runs.",
        rule="nothing is replaced under a running bot (R41)",
        then=f"on the host: end the bot, then sendcat audit restore {args.backup}",
    )


def _offline(args: RestoreArgs, place: Offline) -> Outcome:
    from bot.audit import restoring

    return restoring.carry_out(place, args.backup, args.why)


COMMANDS = (
    Command(
        name="audit verify",
        summary="Check the whole record against its anchors with the independent verifier; names the first bad record.",
        action="audit.verify",
        args=VerifyArgs,
        run=_verify,
        examples=("audit verify", "audit verify --backup=newest"),
        group="Keep",
        targeted=False,
    ),
    Command(
        name="audit backup",
        summary="Make a backup now; they are also made by the clock.",
        action="restore",
        args=BackupArgs,
        run=_backup,
        examples=("audit backup",),
        group="Keep",
        targeted=False,
    ),
    Command(
        name="audit restore",
        summary="Put a backup back, at a terminal of the host while no bot runs; alone: list them.",
        action="restore",
        args=RestoreArgs,
        run=_restore,
        positional=("backup",),
        examples=("audit restore", 'audit restore newest --why="the disk failed"'),
        group="Keep",
        doors=frozenset({Door.TERMINAL}),
        targeted=False,
        quiet=True,
        offline=_offline,
    ),
)
