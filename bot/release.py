"""What a gate's approval is bound to, and whether it still holds (VERDICTS, "Gate"; safety.md, R10).

Report, policies, target, the deployment's own configuration, release and commit: when any of these changes, the case is
void. The comparison names what changed.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import rfc8785

from bot import history, measure
from bot.config import Config, Target
from bot.errors import Broken, Refused, Unknown
from bot.redact import inert
from bot.run import Run
from bot.store.cases import Case
from slo.diff import diff
from slo.errors import BadPolicy, SloError
from slo.gate_report import GateReport
from slo.policy import FILES, Baseline, GatePolicy, Ownership, Policy, load
from slo.snapshot import Snapshot

NAME = r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}"
COMMIT = r"[0-9a-fA-F]{7,40}"

P = TypeVar("P", bound=Policy)


class Policies:
    """The three policy files of a gate: Sendcat's own, or texts that replace them for one run."""

    def __init__(self, config: Config, files: Mapping[str, str | None], *, anywhere: bool) -> None:
        """``files`` maps gate, ownership, baseline to files; raises `Refused`, `Unknown`, or `Broken`.

        ``anywhere`` lets a path be any (the terminal door, and what was recorded); else it is a name in artifact_dir.
        """
        given = {key: value for key, value in files.items() if value}
        self.files = {key: str(policy_file(config, value, anywhere=anywhere)) for key, value in given.items()}
        self.gate = self._load("gate", GatePolicy)
        self.ownership = self._load("ownership", Ownership)
        self.baseline = self._load("baseline", Baseline)

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

    @property
    def digests(self) -> dict[str, str]:
        """By file name, what each says."""
        return {FILES[type(policy)]: policy.digest for policy in (self.gate, self.ownership, self.baseline)}

    @property
    def foreign(self) -> tuple[str, ...]:
        """Files that say something else than Sendcat's own."""
        own = {FILES[kind]: load(kind).digest for kind in (GatePolicy, Ownership, Baseline)}
        return tuple(name for name, digest in self.digests.items() if own[name] != digest)

    def paths(self) -> tuple[str, str, str]:
        """As the artifact names them: gate policy, ownership, baseline."""
        kinds: tuple[tuple[str, type[Policy]], ...] = (
            ("gate", GatePolicy),
            ("ownership", Ownership),
            ("baseline", Baseline),
        )
        first, second, third = (self.files.get(key) or f"slo/policies/{FILES[kind]}" for key, kind in kinds)
        return first, second, third


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


def binding(
    *, target: Target, report: str, sha256: str, policies: Policies, after: Snapshot | None, args: dict[str, Any]
) -> dict[str, Any]:
    """What an approval is bound to; ``report`` names the artifact, ``args`` are the gate's own (release, commit)."""
    return {
        "version": 1,
        "report": {"name": report, "sha256": sha256},
        "policies": policies.digests,
        "policy_files": policies.files,
        "target": identity(target),
        "configuration": configuration(after) if after is not None else None,
        **args,
    }


async def changed(run: Run, case: Case, *, circuits: bool) -> str | None:
    """What of the binding has changed, in a sentence; None when all of it still holds.

    Takes one snapshot of the case's own target; with ``circuits`` an open circuit counts as well. Raises `Unreachable`
    when the deployment does not answer: then nothing is known, and nothing is decided.
    """
    bound = case.binding
    config = run.world.config
    target = config.target.get(case.target or "")
    if target is None or identity(target) != bound["target"]:
        return f"the target {case.target} is another one than was judged"
    try:
        policies = await asyncio.to_thread(Policies, config, bound["policy_files"], anywhere=True)
        now = policies.digests
    except (Broken, Refused, Unknown):
        return "a policy that it was judged by is missing or wrong"
    if now != bound["policies"]:
        names = [name for name, digest in now.items() if bound["policies"].get(name) != digest]
        return f"the policy changed ({', '.join(names)})"
    report = await _report(run, bound)
    if isinstance(report, str):
        return report
    looked = await measure.snapshot(replace(run, on=target), minutes=bound["minutes"], limit=bound["limit"])
    if configuration(looked.snapshot) != bound["configuration"]:
        return f"the deployment's configuration changed{await _knobs(run, report, looked.snapshot)}"
    open_now = [row.provider for row in looked.snapshot.circuits_counted_open]
    if circuits and open_now:
        return f"a circuit is open: {', '.join(inert(name, 60) for name in open_now)}"
    return None


async def _report(run: Run, bound: dict[str, Any]) -> GateReport | str:
    """The report that was judged, or why it is of no use any more."""
    folder, named = run.world.config.artifact_dir, bound["report"]
    try:
        return GateReport.parse(await asyncio.to_thread(history.read, folder, named["name"], named["sha256"]))
    except (Broken, SloError, ValueError):
        return f"the report {named['name']} is not as it was judged"


async def _knobs(run: Run, report: GateReport, now: Snapshot) -> str:
    """Which settings are not as they were, as far as the judged snapshot is still there."""
    ref = report.honest.evidence.get("after") if report.honest else None
    if ref is None:
        return ""
    try:
        raw = await asyncio.to_thread(history.read, run.world.config.artifact_dir, ref.name, ref.sha256)
        deltas = [str(item) for item in diff(Snapshot.parse(raw), now) if item.path.startswith("config.")]
    except (Broken, SloError, ValueError):
        return ""
    return f" ({inert('; '.join(deltas[:3]), 200)})" if deltas else ""
