"""May this person decide this case now? Every combination of person, moment, verdict and word."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from bot.authority import Role, Standing, Who
from bot.card import Card
from bot.cases.decided import decided
from bot.cases.decisions import MANNERS, may, warnings
from bot.command import Actor, Door
from bot.store.case import Case, Decision, State, digest_of
from slo.verdict import Verdict

NOW, HOUR = 1_790_000_000_000, 3_600_000
CHAT = "chat_stream_http"


def person(account: str, name: str | None) -> Who:
    door = Door.SLACK if account.startswith("slack") else Door.TERMINAL
    return Who(
        actor=Actor(door=door, account=account),
        person=name,
        roles=frozenset({Role.RELEASE_MANAGER}),
        standing=Standing(known=True, kind="member"),
    )


STARTER = person("slack:U0ONCALL", "oncall")
RELMGR = person("slack:U0RELMGR", "relmgr")


def said(verb: str, scenario: str | None = None, *, by: Who = RELMGR, at_ms: int = NOW) -> Decision:
    return Decision(
        id="d-1", case="g-1", verb=verb, by=by.actor.account, person=by.person, reason="because", scenario=scenario,
        at_ms=at_ms, until_ms=at_ms + HOUR if verb in ("approve", "promote") else None, offer=None, audit=1,
    )  # fmt: skip


def case(**changes: Any) -> Case:
    values: dict[str, Any] = {
        "id": "g-1", "kind": "gate", "op": "r-1", "op_state": "done", "target": "production", "subject": "2026.11.23-2",
        "commit": "4c1e9ab", "verdict": Verdict.PASS, "waivable": (), "blocked": "", "needs_reason": False,
        "starter": "slack:U0ONCALL", "starter_person": "oncall", "binding": {}, "digest": digest_of({}), "made_ms": NOW,
        "expires_ms": NOW + 4 * HOUR, "void_ms": None, "void_reason": None, "drawn": None, "card": None,
    }  # fmt: skip
    return Case(**{**values, **changes})


def test_a_release_manager_who_is_not_the_starter_approves_a_pass() -> None:
    assert may(case(), "approve", RELMGR, STARTER, NOW) is None


WARNED = Card(title="PASS", to_read=("chat p95 is near its limit", "stale-open: serper_search"))


@pytest.mark.parametrize(
    ("read", "left"), [("", None), ("all", None), ("1,2", None), ("2 1", None), ("1", 1), ("3", 2), ("none", 2)]
)
def test_a_yes_leaves_no_warning_unread_that_its_form_shows(read: str, left: int | None) -> None:
    """Typed without boxes the reason answers for them; once any is ticked, all are."""
    warned = case(card=WARNED, needs_reason=True)
    denied = may(warned, "approve", RELMGR, STARTER, NOW, reason="backfill", read=read)

    assert warnings(warned) == ("chat p95 is near its limit", "stale-open: serper_search")
    assert (denied is None) == (left is None)
    assert denied is None or denied.reason.startswith(f"{left} of 2 ⚠️ lines of g-1 are not ticked")
    form = next(b for b in decided(warned, NOW).buttons if b.name == "gate.approve").form
    assert form is not None
    assert form.fields[0].options == (("1", "chat p95 is near its limit"), ("2", "stale-open: serper_search"))
    assert may(warned, "reject", RELMGR, STARTER, NOW, reason="no", read="1") is None


STARTERS = [
    (STARTER, STARTER, {}),
    (person("slack:U0SECOND", "oncall"), STARTER, {}),
    (person("os:oncall", "oncall"), STARTER, {}),
    (person("slack:U0ONCALL", None), person("slack:U0ONCALL", None), {"starter_person": None}),
    # Today's configuration knows more, or less, than at the start: both count.
    (person("slack:U0SECOND", "oncall"), person("os:shared", "oncall"), {"starter": "os:shared", "starter_person": None}),
    (person("slack:U0ONCALL", "renamed"), person("slack:U0ONCALL", None), {}),
    (person("slack:U0OTHER", "oncall"), person("slack:U0ONCALL", None), {}),
]  # fmt: skip


@pytest.mark.parametrize("verb", ["approve", "reject", "waive"])
@pytest.mark.parametrize(("who", "starter", "changes"), STARTERS)
def test_R10_the_starter_decides_with_none_of_their_accounts(
    who: Who, starter: Who, changes: dict[str, Any], verb: Any
) -> None:
    denied = may(case(**changes), verb, who, starter, NOW, reason="r", scenario=CHAT)

    assert denied is not None
    assert "R10" in denied.rule


def test_what_is_TRIGGERED_waits_for_somebody_else_than_the_starter() -> None:
    """A region check's FAIL is the trigger that a person decides about; it blocks nothing, and is called by its word."""
    fired = case(kind="region", verdict=Verdict.FAIL, needs_reason=True)

    assert fired.standing(NOW) is State.WAITING
    assert may(fired, "approve", RELMGR, STARTER, NOW, reason="launch confirmed") is None
    denied = may(fired, "approve", STARTER, STARTER, NOW, reason="launch confirmed")
    assert denied is not None
    assert "R10" in denied.rule
    unexplained = may(fired, "approve", RELMGR, STARTER, NOW)
    assert unexplained is not None
    assert "region-readiness approve g-1" in unexplained.then
    assert (fired.said, case(verdict=Verdict.FAIL).said) == ("TRIGGERED", "FAIL")
    assert case(kind="gate", verdict=Verdict.FAIL).standing(NOW) is State.BLOCKED


def test_a_revocation_only_takes_away_so_the_starter_may_too() -> None:
    approved = case(decisions=(said("approve"),))

    assert may(approved, "revoke", STARTER, STARTER, NOW, reason="5xx rising") is None
    assert may(approved, "revoke", RELMGR, STARTER, NOW, reason="5xx rising") is None
    assert may(approved, "revoke", RELMGR, STARTER, NOW) is not None


VERDICTS: tuple[dict[str, Any], ...] = (
    {"verdict": Verdict.PASS},
    {"verdict": Verdict.FAIL},
    {"verdict": Verdict.FAIL, "waivable": (CHAT,)},
    {"verdict": Verdict.INCOMPLETE},
    {"verdict": Verdict.INCOMPLETE, "waivable": (CHAT,)},
    {"verdict": Verdict.INCOMPLETE, "waivable": (CHAT,), "blocked": "the generator was the bottleneck"},
)
HISTORIES: tuple[tuple[Decision, ...], ...] = (
    (),
    (said("waive", CHAT),),
    (said("approve"),),
    (said("reject"),),
    (said("approve"), said("revoke")),
    (said("waive", CHAT), said("approve")),
)
MOMENTS = (NOW, NOW + HOUR, NOW + 4 * HOUR - 1, NOW + 4 * HOUR)
VOIDS: tuple[dict[str, Any], ...] = ({}, {"void_ms": NOW, "void_reason": "a knob was changed"})
OP_STATES = ("accepted", "running", "done", "failed", "stopped", "interrupted", "refused")


def test_R10_R11_R42_over_every_combination_an_approval_is_only_ever_given_as_the_rules_say() -> None:
    """An oracle written the other way round: all conditions of a yes, spelt out once."""
    tried = yes = 0
    for verdict, history, at_ms, void, op_state, who, reason in itertools.product(
        VERDICTS, HISTORIES, MOMENTS, VOIDS, OP_STATES, (STARTER, RELMGR), ("", "read and accepted")
    ):
        for needs_reason in (False, True):
            one = case(**verdict, **void, op_state=op_state, needs_reason=needs_reason, decisions=history)
            waived = any(item.verb == "waive" for item in history)
            complete = one.verdict is Verdict.PASS or (
                one.verdict is Verdict.INCOMPLETE and one.waivable == (CHAT,) and waived and not one.blocked
            )
            expected = (
                complete
                and who is RELMGR
                and op_state == "done"
                and not void
                and at_ms < one.expires_ms
                and not any(item.verb in ("approve", "reject", "revoke") for item in history)
                and (bool(reason) or not needs_reason)
            )
            allowed = may(one, "approve", who, STARTER, at_ms, reason=reason) is None

            assert allowed is expected, (verdict, history, at_ms, void, op_state, who.person, reason)
            tried, yes = tried + 1, yes + allowed
    assert tried == 6 * 6 * 4 * 2 * 7 * 2 * 2 * 2
    assert yes > 0


def test_a_no_can_be_said_to_everything_that_is_still_open() -> None:
    for verdict in VERDICTS:
        assert may(case(**verdict), "reject", RELMGR, STARTER, NOW, reason="not today") is None
        assert may(case(**verdict), "reject", RELMGR, STARTER, NOW) is not None
        assert may(case(**verdict), "reject", RELMGR, STARTER, NOW + 4 * HOUR, reason="late") is not None


@pytest.mark.parametrize(
    ("verdict", "scenario", "reason", "expected"),
    [
        (VERDICTS[4], CHAT, "no pool this week", True),
        (VERDICTS[4], CHAT, " ", False),
        (VERDICTS[4], "whatsapp_webhook", "not mine", False),
        (VERDICTS[4], "chat_stream", "misspelt", False),
        (VERDICTS[4], None, "all of it", False),
        (VERDICTS[0], CHAT, "needless", False),
        (VERDICTS[1], CHAT, "it ran badly", False),
        (VERDICTS[2], CHAT, "it ran badly elsewhere", False),
        (VERDICTS[3], CHAT, "nothing was shown", False),
        (VERDICTS[5], CHAT, "the generator was slow", False),
    ],
)
def test_R42_only_what_was_not_run_is_waived_by_name_and_with_a_reason(
    verdict: dict[str, Any], scenario: str | None, reason: str, expected: bool
) -> None:
    denied = may(case(**verdict), "waive", RELMGR, STARTER, NOW, reason=reason, scenario=scenario)

    assert (denied is None) is expected


def test_a_second_waiver_of_the_same_scenario_is_refused() -> None:
    once = case(verdict=Verdict.INCOMPLETE, waivable=(CHAT, "whatsapp_webhook"), decisions=(said("waive", CHAT),))

    assert may(once, "waive", RELMGR, STARTER, NOW, reason="again", scenario=CHAT) is not None
    assert may(once, "waive", RELMGR, STARTER, NOW, reason="also", scenario="whatsapp_webhook") is None
    assert once.standing(NOW) is State.WAITING


@pytest.mark.parametrize("kind", list(MANNERS))
def test_each_kind_of_case_is_decided_in_its_own_words(kind: Any) -> None:
    manner = MANNERS[kind]
    one = case(kind=kind)

    assert may(one, manner.yes, RELMGR, STARTER, NOW, reason="r") is None
    assert may(one, manner.no, RELMGR, STARTER, NOW, reason="r") is None
    for verb in {"approve", "reject", "promote", "roll-back"} - {manner.yes, manner.no}:
        assert may(one, verb, RELMGR, STARTER, NOW, reason="r") is not None  # type: ignore[arg-type]


def test_every_denial_names_a_rule() -> None:
    for verdict, history, verb, void in itertools.product(
        VERDICTS, HISTORIES, ("approve", "reject", "revoke", "waive"), VOIDS
    ):
        denied = may(case(**verdict, **void, decisions=history), verb, RELMGR, STARTER, NOW)
        assert denied is None or (denied.rule and denied.reason)
