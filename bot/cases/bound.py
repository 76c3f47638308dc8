"""What a decision is bound to, and whether all of it still holds: one way for every kind of case (safety.md, R10).

A case rests on its report, on policies, and on one or more deployments as they were configured when it was judged. When
any of these changes, the case is void; the comparison names what changed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import rfc8785

from bot import history, measure
from bot.config import Config
from bot.errors import Broken, Refused, Unknown
from bot.measure import Looked
from bot.redact import inert
from bot.run import Run
from bot.store.artifacts import Artifact
from bot.store.case import Case
from bot.target import Target
from slo.artifacts import FileRef
from slo.diff import diff
from slo.errors import BadPolicy, SloError
from slo.policy import FILES, Policy, load
from slo.snapshot import Snapshot

P = TypeVar("P", bound=Policy)


class Policies:
    """The policy files of one kind of judgement: Sendcat's own, or texts that replace them for one run."""

    KINDS: ClassVar[Mapping[str, type[Policy]]] = {}
    """Which policies there are, by the flag that replaces them."""

    def __init__(self, config: Config, files: Mapping[str, str | None], *, anywhere: bool) -> None:
        """``files`` maps keys of `KINDS` to files; raises `Refused`, `Unknown`, or `Broken`.

        ``anywhere`` lets a path be any (the terminal door, and what was recorded); else it is a name in artifact_dir.
        """
        given = {key: value for key, value in files.items() if value}
        self.files = {key: str(policy_file(config, value, anywhere=anywhere)) for key, value in given.items()}
        self._held = {key: self._load(key, kind) for key, kind in self.KINDS.items()}

    def _load(self, key: str, kind: type[P]) -> P:
        name = self.files.get(key)
        try:
            return load(kind, Path(name).read_text(encoding="utf-8") if name else None)
        except (OSError, UnicodeDecodeError) as error:
            raise Unknown(f"The policy file {inert(name, 80)} cannot be read: {type(error).__name__}.") from None
        except BadPolicy as error:
            raise Broken(
                f"A policy is missing or wrong: {error}", rule="no verdict without a known policy (R42)"
            ) from None

    def of(self, kind: type[P]) -> P:
        """The one policy of a kind."""
        return next(policy for policy in self._held.values() if isinstance(policy, kind))

    @property
    def digests(self) -> dict[str, str]:
        """By file name, what each says."""
        return {FILES[type(policy)]: policy.digest for policy in self._held.values()}

    @property
    def foreign(self) -> tuple[str, ...]:
        """A warning for each file that says something else than Sendcat's own; read before anybody approves (R42)."""
        own = {FILES[kind]: load(kind).digest for kind in self.KINDS.values()}
        return tuple(judged_by_another(name) for name, digest in self.digests.items() if own[name] != digest)

    def path(self, key: str) -> str:
        """As an artifact names the file behind a key."""
        return self.files.get(key) or f"slo/policies/{FILES[self.KINDS[key]]}"


def judged_by_another(name: str) -> str:
    """The warning about a policy file that replaced Sendcat's own."""
    return f"judged by another {name} than Sendcat's own"


def policy_file(config: Config, name: str, *, anywhere: bool) -> Path:
    """A file flag: from Slack a name inside the artifact directory (INTERFACES.md, section 1). Raises `Refused`."""
    path = (config.artifact_dir / name).resolve()
    if anywhere:
        return path if path.is_file() else Path(name).resolve()
    if path.parent != config.artifact_dir.resolve():
        raise Refused(
            f"{inert(name, 80)} is not a file of the artifact directory.",
            rule="file flags are names inside artifact_dir only",
            then=f"put it into {config.artifact_dir} and name it alone",
        )
    return path


def identity(target: Target) -> dict[str, str]:
    """Which deployment a target means."""
    return {
        "name": target.name,
        "environment": target.environment.value,
        "api_url": target.api_url,
        "site_url": target.site_url,
    }


def configuration(snapshot: Snapshot) -> str:
    """Digest of the deployment's effective configuration: every knob as the application uses it."""
    said = snapshot.config.model_dump(mode="json", by_alias=True)
    return hashlib.sha256(rfc8785.dumps(said)).hexdigest()


@dataclass(frozen=True)
class Deployed:
    """One deployment that a case rests on; ``snapshot`` is the look that decided, None when there was none."""

    target: Target
    snapshot: Snapshot | None
    kept: FileRef | None
    """The artifact of that look."""

    @classmethod
    def at(cls, run: Run, target: Target, look: Looked | None) -> Deployed:
        """The deployment as this run looked at it."""
        return cls(target, look.snapshot, run.ref(look.artifact)) if look is not None else cls(target, None, None)

    def bound(self) -> dict[str, Any]:
        return {
            "target": identity(self.target),
            "configuration": configuration(self.snapshot) if self.snapshot is not None else None,
            "snapshot": self.kept.model_dump() if self.kept is not None else None,
        }


def binding(
    *,
    report: Artifact,
    policies: Policies,
    deployed: Deployed,
    also: Sequence[Deployed] = (),
    minutes: int,
    limit: int,
    args: Mapping[str, Any],
) -> dict[str, Any]:
    """What a decision is bound to.

    ``minutes`` and ``limit`` are those of the fresh look; ``also`` are further deployments that were compared with;
    ``args`` are the kind's own (a release, a commit).
    """
    return {
        "version": 1,
        "report": {"name": report.name, "sha256": report.sha256},
        "policies": policies.digests,
        "policy_files": policies.files,
        **deployed.bound(),
        **({"also": [each.bound() for each in also]} if also else {}),
        "minutes": minutes,
        "limit": limit,
        **args,
    }


async def changed(run: Run, case: Case, policies: type[Policies], *, circuits: bool) -> str | None:
    """What of the binding has changed, in a sentence; None when all of it still holds.

    Takes one snapshot of each deployment of the case; with ``circuits`` an open circuit counts as well. Raises
    `Unreachable` when one does not answer: then nothing is known, and nothing is decided.
    """
    bound, config = case.binding, run.world.config
    places = [bound, *bound.get("also", ())]
    targets = []
    for place in places:
        name = str(place["target"]["name"])
        target = config.target.get(name)
        if target is None or identity(target) != place["target"]:
            return f"the target {name} is another one than was judged"
        targets.append(target)
    try:
        read = await asyncio.to_thread(lambda: policies(config, bound["policy_files"], anywhere=True))
        now = read.digests
    except (Broken, Refused, Unknown):
        return "a policy that it was judged by is missing or wrong"
    if now != bound["policies"]:
        names = [name for name, digest in now.items() if bound["policies"].get(name) != digest]
        return f"the policy changed ({', '.join(names)})"
    report = bound["report"]
    try:
        await asyncio.to_thread(history.read, config.artifact_dir, report["name"], report["sha256"])
    except (Broken, ValueError):
        return f"the report {report['name']} is not as it was judged"
    for place, target in zip(places, targets, strict=True):
        found = await _deployment(run, bound, place, target, circuits=circuits, several=len(places) > 1)
        if found is not None:
            return found
    return None


async def _deployment(
    run: Run, bound: Mapping[str, Any], place: Mapping[str, Any], target: Target, *, circuits: bool, several: bool
) -> str | None:
    looked = await measure.snapshot(replace(run, on=target), minutes=bound["minutes"], limit=bound["limit"])
    whose = f"{target.name}'s" if several else "the deployment's"
    if configuration(looked.snapshot) != place["configuration"]:
        return f"{whose} configuration changed{await _knobs(run, place.get('snapshot'), looked.snapshot)}"
    open_now = [row.provider for row in looked.snapshot.circuits_counted_open]
    if circuits and open_now:
        where = f" on {target.name}" if several else ""
        return f"a circuit is open{where}: {', '.join(inert(name, 60) for name in open_now)}"
    return None


async def _knobs(run: Run, ref: Mapping[str, str] | None, now: Snapshot) -> str:
    """Which settings are not as they were, as far as the judged snapshot is still there."""
    if ref is None:
        return ""
    try:
        raw = await asyncio.to_thread(history.read, run.world.config.artifact_dir, ref["name"], ref["sha256"])
        deltas = [str(item) for item in diff(Snapshot.parse(raw), now) if item.path.startswith("config.")]
    except (Broken, SloError, ValueError):
        return ""
    return f" ({inert('; '.join(deltas[:3]), 200)})" if deltas else ""
