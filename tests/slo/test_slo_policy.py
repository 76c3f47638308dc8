"""Policy files are read strictly: all faults at once, by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from slo.errors import BadPolicy, UnknownMilestone
from slo.policy import FILES, Baseline, GatePolicy, MilestonePolicy, Ownership, Policy, RegionPolicy, load

POLICIES = Path(__file__).parents[2] / "slo" / "policies"


def _text(kind: type[Policy]) -> str:
    return (POLICIES / FILES[kind]).read_text()


def test_every_policy_file_has_a_reader() -> None:
    assert sorted(FILES.values()) == sorted(path.name for path in POLICIES.glob("*.json"))


@pytest.mark.parametrize("kind", list(FILES))
def test_a_policy_says_what_its_file_says(kind: type[Policy]) -> None:
    said = load(kind).model_dump(mode="json", by_alias=True, exclude_unset=True)

    assert said == json.loads(_text(kind))


@pytest.mark.parametrize("kind", list(FILES))
def test_the_digest_follows_the_meaning_and_not_the_spelling(kind: type[Policy]) -> None:
    document = json.loads(_text(kind))
    shuffled = json.dumps(dict(reversed(document.items())), indent=7)

    assert load(kind, shuffled).digest == load(kind).digest
    assert len(load(kind).digest) == 64


def test_the_digest_changes_with_a_limit() -> None:
    document = json.loads(_text(Baseline))
    document["endpoints"]["/api/chat"]["maxP95Ms"] = 12001

    assert load(Baseline, json.dumps(document)).digest != load(Baseline).digest


def test_all_faults_are_named_at_once() -> None:
    document: dict[str, Any] = json.loads(_text(GatePolicy))
    del document["snapshot"]["maxOpenCircuits"]
    document["snapshot"]["maxOpenCircuit"] = 3
    document["burnRate"]["enabled"] = "often"
    document["extra"] = {}

    with pytest.raises(BadPolicy) as refused:
        load(GatePolicy, json.dumps(document))

    text = str(refused.value)
    assert text.startswith("release-gate-policy.json: ")
    for fault in (
        "snapshot.maxOpenCircuits: missing",
        "snapshot.maxOpenCircuit: unknown key",
        "burnRate.enabled: wrong",
        "extra: unknown key",
    ):
        assert fault in text


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"version": NaN}', '{"version": "a", "version": "b"}', "\ufeff{}"]
)
def test_what_is_not_a_policy_is_refused(text: str) -> None:
    with pytest.raises(BadPolicy):
        load(Baseline, text)


@pytest.mark.parametrize("rate", [-0.01, 1.01, 1e400, True, "0.05"])
def test_a_rate_is_between_0_and_1(rate: Any) -> None:
    document = json.loads(_text(Baseline))
    document["endpoints"]["/api/chat"]["maxFiveXxRate"] = rate

    with pytest.raises(BadPolicy):
        load(Baseline, json.dumps(document))


def test_owners_fall_back_to_the_defaults() -> None:
    owners = load(Ownership)

    assert owners.owner_of("/api/chat").owner == "chat-runtime"
    assert owners.owner_of("snapshot:tool_jobs_failed").owner == "chat-runtime"
    assert owners.owner_of("snapshot:bulkhead_active_leases") == owners.defaults


def test_an_unknown_milestone_is_refused_with_the_nearest() -> None:
    policy = load(MilestonePolicy)

    assert policy.milestone("m1_1k").slo.max_429_rate == 0.04
    with pytest.raises(UnknownMilestone, match="m2_5k"):
        policy.milestone("m2")


def test_numbers_of_every_policy_arrive_under_their_own_names() -> None:
    assert load(RegionPolicy).load_pressure.max_5xx_rate == 0.02
    assert load(RegionPolicy).load_pressure.max_429_rate == 0.15
    assert load(Baseline).endpoints["/api/chat"].min_two_xx_rate == 0.95
    assert load(Baseline).endpoints["/api/gmail/push"].min_two_xx_rate is None


def test_evidence_is_advice_unless_the_file_requires_it() -> None:
    document = json.loads(_text(Baseline)) | {"evidence": {"burst": "required"}}
    strict = load(Baseline, json.dumps(document))

    assert not load(Baseline).evidence_required("burst")
    assert strict.evidence_required("burst")
    assert not strict.evidence_required("quick")
