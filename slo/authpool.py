"""Is a chat auth pool fit for a run? Size, tokens that outlive it, and how many users would take part (playbook H, 1).

Pure: what stands in the file is counted elsewhere. Limits of size and coverage: the milestone policy, as the original
checks them after the run (operator-commands.md section 10); here they are known before anything is sent.
"""

from __future__ import annotations

from dataclasses import dataclass

from slo.pool import PoolSelector
from slo.scenarios import CHAT, endpoint
from slo.verdict import Check, Owner, Verdict
from slo.verdict import judge as check

SIZE, COVERAGE, FRESH = "chat_auth_pool_size", "chat_pool_unique_coverage", "chat_pool_fresh"
MOST_LOOKED = 5_000
"""Requests whose user is worked out; more do not add users that the first ones did not bring."""


@dataclass(frozen=True, slots=True)
class PoolFacts:
    """What is known of a pool without a secret of it.

    ``ends_ms`` has for each user when the token ends, None where it does not say; ``written_ms`` is when the file was
    written last, None for a pool that is no file. Times in ms UTC.
    """

    name: str
    ends_ms: tuple[int | None, ...]
    written_ms: int | None = None

    @property
    def size(self) -> int:
        return len(self.ends_ms)

    def age_ms(self, now_ms: int) -> int | None:
        return None if self.written_ms is None else max(0, now_ms - self.written_ms)

    def ended(self, at_ms: int) -> int:
        """Users whose token is known to have ended at that moment."""
        return sum(end is not None and end <= at_ms for end in self.ends_ms)

    def silent(self) -> int:
        """Users whose token does not say when it ends."""
        return sum(end is None for end in self.ends_ms)

    def first_end_ms(self) -> int | None:
        """When the first token ends, among those that say."""
        return min((end for end in self.ends_ms if end is not None), default=None)

    def fresh(self, now_ms: int, for_ms: float, max_age_ms: int) -> int:
        """Users whose token outlives a run of ``for_ms``; of one that does not say, the age of the file tells."""
        age = self.age_ms(now_ms)
        old = age is not None and age > max_age_ms
        return sum(not old if end is None else end > now_ms + for_ms for end in self.ends_ms)


def coverage(selector: PoolSelector, requests: int) -> float:
    """Share of the pool's users that so many requests bring in, 0..1."""
    used = {selector.index(i) for i in range(min(requests, MOST_LOOKED))}
    return len(used) / selector.size


def judge(
    facts: PoolFacts | None,
    *,
    min_size: int,
    min_coverage: float,
    selector: PoolSelector | None,
    requests: int,
    now_ms: int,
    for_ms: float,
    max_age_ms: int,
    owner: Owner | None = None,
) -> tuple[Check, ...]:
    """Size, coverage and freshness before a run of ``requests`` chats that lasts ``for_ms``.

    Too few users, or a rotation that leaves too many out, is a FAIL, as it would be after the run. Tokens that will
    have ended are INCOMPLETE: nothing is known of the target. Without a pool (None) everything is INCOMPLETE.
    """
    path = endpoint(CHAT)
    size = facts.size if facts is not None else None
    share = coverage(selector, requests) if selector is not None else None
    lacking = "" if facts is not None else "there is no pool"
    few = ""
    if share is not None and selector is not None and share < min_coverage:
        few = f"{round(share * selector.size)} of {selector.size} users would take part"
        if selector.mode == "stride" and selector.reach < selector.size:
            few += f": stride {selector.stride} shares a factor with {selector.size}"
    made = [
        check(SIZE, size, min_size, scope=path, unit="count", comparison=">=", owner=owner, reason=lacking),
        check(
            COVERAGE, share, min_coverage, scope=path, unit="rate", comparison=">=", owner=owner, reason=lacking or few
        ),
    ]
    if facts is None:
        return tuple(made)
    fresh = facts.fresh(now_ms, for_ms, max_age_ms)
    alive = check(FRESH, fresh, facts.size, scope=path, unit="count", comparison=">=", owner=owner)
    if alive.verdict is Verdict.FAIL:
        why = _stale(facts, now_ms, for_ms, max_age_ms)
        alive = alive.model_copy(update={"verdict": Verdict.INCOMPLETE, "reason": why})
    return (*made, alive)


def _stale(facts: PoolFacts, now_ms: int, for_ms: float, max_age_ms: int) -> str:
    over, later = facts.ended(now_ms), facts.ended(now_ms + round(for_ms))
    parts = [f"{over} of {facts.size} tokens have ended"] if over else []
    if later > over:
        parts.append(f"{later - over} end before the run does")
    age = facts.age_ms(now_ms)
    if facts.silent() and age is not None and age > max_age_ms:
        parts.append(
            f"{facts.silent()} do not say when they end, and the file is {age / 60_000:.0f} min old"
            f" (at most {max_age_ms / 60_000:.0f})"
        )
    return "; ".join(parts)
