"""How many rounds a canary needs: enough to see the smallest break that must not pass (VERDICTS, "Canary")."""

from __future__ import annotations

import math

from slo.profiles import profile as find_profile
from slo.scenarios import CHAT

MAX_DROP = 0.02
"""2xx may drop, 429 rise, and whole streams drop by this much (0..1); the policy file knows neither."""
SEEN_SHARE, SEEN_SURELY = 0.05, 0.95
_MOST_BLOCKS = 4


def power(n: int, share: float = SEEN_SHARE, limit: float = MAX_DROP) -> float:
    """How probably a candidate that breaks `share` of `n` requests is over `limit`, beside a clean control."""
    if n < 1:
        return 0.0
    most = math.floor(n * limit + 1e-9)
    log_terms = (
        math.lgamma(n + 1)
        - math.lgamma(k + 1)
        - math.lgamma(n - k + 1)
        + k * math.log(share)
        + (n - k) * math.log1p(-share)
        for k in range(most + 1)
    )
    return max(0.0, 1 - sum(math.exp(term) for term in log_terms))


def chats(profile: str, blocks: int) -> int:
    """Chats of one side that count (no warm-up) in so many blocks of rounds. Raises `UnknownProfile`."""
    stages = find_profile(profile).stages(CHAT)
    return 2 * blocks * sum(stage.planned_requests or 0 for stage in stages if not stage.warmup)


def blocks_for(profile: str) -> int:
    """How many blocks (control, candidate, candidate, control) a profile runs when nobody says.

    As many as it takes to see 5% of broken chats in 95 of 100 canaries, at most four; quick stays quick, and
    says how much it can see. Raises `UnknownProfile`.
    """
    if profile == "quick":
        return 1
    enough = (n for n in range(1, _MOST_BLOCKS) if power(chats(profile, n)) >= SEEN_SURELY)
    return next(enough, _MOST_BLOCKS)
