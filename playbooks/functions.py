"""The Convex functions that operators may call: a closed, typed set.

Source: Sendcat's function catalogue and the ranges it applies to arguments. The server cuts most numbers silently
and accepts 0 or less where it must not; here an argument outside its range is an error that says so. What is not
listed cannot be named by a page, nor asked for by a person.
"""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal["Q", "M", "A"]
ArgValue = int | float | str

PROVIDERS = (
    "openrouter_chat_primary",
    "openrouter_chat_secondary",
    "serper_search",
    "gmail_oauth",
    "ebay_search",
    "global_search",
)
"""Upstream providers that are called; each has a circuit and a bulkhead."""
LEFTOVER_PROVIDER = "openrouter_chat"
"""Configured, reported, and used by no call since routing was split in primary and secondary."""
WORKER = "tool_job_worker"
"""The bulkhead of the tool queue's workers; it has no circuit."""
SCOPES = ("gmail_push_history", "whatsapp_message")
"""Scopes of idempotency keys."""
BUCKETS = (
    "chat_stream",
    "chat_admission",
    "chat_admission_shadow",
    "gmail_push",
    "whatsapp_webhook",
    "gmail_oauth_callback",
)
"""Buckets of rate-limit events."""


class FunctionError(ValueError):
    """A function that is not on the list, or arguments that it does not take; says which are right."""


@dataclass(frozen=True)
class Arg:
    """One argument: a whole number (``int``), a number, or text; ``minimum``..``maximum`` are inclusive."""

    name: str
    type: Literal["int", "number", "text"]
    required: bool = False
    minimum: int | None = None
    maximum: int | None = None
    choices: tuple[str, ...] = ()
    pattern: str = r"[^\x00-\x1f]{1,512}"

    def check(self, function: str, value: object) -> ArgValue:
        """The value as it is sent; raises `FunctionError`."""
        where = f"{function}: `{self.name}`"
        if self.type == "text":
            if not isinstance(value, str):
                raise FunctionError(f"{where} is a text")
            if self.choices and value not in self.choices:
                raise FunctionError(f"{where} is one of {', '.join(self.choices)}")
            if not re.fullmatch(self.pattern, value):
                raise FunctionError(f"{where} does not look like one")
            return value
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise FunctionError(f"{where} is a number")
        if self.type == "int":
            if value != int(value):
                raise FunctionError(f"{where} is a whole number")
            value = int(value)
        low, high = self.minimum, self.maximum
        if (low is not None and value < low) or (high is not None and value > high):
            span = f"{low}..{high}" if high is not None else f"at least {low}"
            raise FunctionError(f"{where} is {span}")
        return value


@dataclass(frozen=True)
class Function:
    """One function: ``kind`` is query, mutation or action; ``mutates`` says that it may change something.

    An action is not a read only because it is called like one: the two monitors store alerts and send warnings.
    """

    name: str
    kind: Kind
    summary: str
    args: tuple[Arg, ...] = ()
    mutates: bool = False
    _by_name: dict[str, Arg] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {arg.name: arg for arg in self.args})

    @property
    def reads(self) -> bool:
        return not self.mutates

    def check(self, args: Mapping[str, object]) -> dict[str, ArgValue]:
        """The arguments as they are sent, in the function's own order; raises `FunctionError`."""
        for name in args:
            if name not in self._by_name:
                near = difflib.get_close_matches(name, self._by_name, 1, 0.4)
                known = f"did you mean `{near[0]}`?" if near else f"it takes {self.takes}"
                raise FunctionError(f"{self.name} has no argument `{name[:40]}`; {known}")
        for arg in self.args:
            if arg.required and arg.name not in args:
                raise FunctionError(f"{self.name} needs `{arg.name}`; it takes {self.takes}")
        return {arg.name: arg.check(self.name, args[arg.name]) for arg in self.args if arg.name in args}

    @property
    def takes(self) -> str:
        """The arguments in words: ``provider, limit?`` or ``no arguments``."""
        return ", ".join(a.name if a.required else f"{a.name}?" for a in self.args) or "no arguments"


def _limit(minimum: int, maximum: int) -> Arg:
    return Arg("limit", "int", minimum=minimum, maximum=maximum)


_MINUTES = Arg("minutes", "number", minimum=1, maximum=1440)
_PROVIDER = Arg("provider", "text", required=True, choices=(*PROVIDERS, LEFTOVER_PROVIDER, WORKER))
_NAMESPACE = Arg("namespace", "text", required=True, pattern=r"[a-z0-9_-]{1,64}")
_JOB = Arg("jobId", "text", required=True, pattern=r"[A-Za-z0-9_|-]{1,64}")

_ALL = (
    Function(
        "ops:getReliabilitySnapshot",
        "Q",
        "the reliability snapshot",
        (Arg("minutes", "int", minimum=1, maximum=1440), _limit(5, 500)),
    ),
    Function("rateLimit:getEventSummary", "Q", "rate-limit events by bucket and outcome", (_MINUTES,)),
    Function("rateLimit:listRecentAlerts", "Q", "rate-limit alerts, newest first", (_limit(1, 200),)),
    Function(
        "rateLimit:listRecentEvents",
        "Q",
        "rate-limit events, newest first; with a bucket it may show fewer than there are",
        (_limit(1, 200), Arg("bucket", "text", choices=BUCKETS)),
    ),
    Function("rateLimit:monitorAndAlert", "A", "checks the alert rules now; may store and send alerts", mutates=True),
    Function("circuitBreaker:listStatuses", "Q", "circuits, last updated first", (_limit(1, 100),)),
    Function(
        "bulkhead:listInFlightByProvider",
        "Q",
        "active leases of one provider, soonest expiry first",
        (_PROVIDER, _limit(1, 500)),
    ),
    Function(
        "idempotency:listRecentByScope",
        "Q",
        "idempotency keys of one scope, newest first-seen first",
        (Arg("scope", "text", required=True, choices=SCOPES), _limit(1, 200)),
    ),
    Function("toolCache:listNamespaceStats", "Q", "active cache entries by namespace", (_limit(100, 20_000),)),
    Function(
        "toolCache:get",
        "Q",
        "one cached value",
        (_NAMESPACE, Arg("key", "text", required=True)),
    ),
    Function(
        "toolCache:clearNamespace",
        "M",
        "removes the entries of one namespace; repeat while hasMore",
        (_NAMESPACE, Arg("maxDeletes", "int", minimum=1, maximum=10_000)),
        mutates=True,
    ),
    Function("toolJobs:getQueueStats", "Q", "tool jobs by state and tool", (_limit(100, 20_000),)),
    Function("toolJobs:get", "Q", "one tool job", (_JOB,)),
    Function("toolJobs:listDeadLetters", "Q", "dead letters, last updated first", (_limit(1, 500),)),
    Function("toolJobs:listRecentQueueAlerts", "Q", "queue alerts, newest first", (_limit(1, 200),)),
    Function("toolJobs:monitorQueueHealth", "A", "checks the queue now; may store and send alerts", mutates=True),
    Function("toolJobs:requeueDeadLetter", "M", "puts one dead letter back; nothing runs it", (_JOB,), mutates=True),
    Function(
        "toolJobs:processQueue",
        "A",
        "runs queued jobs, some at a time",
        (Arg("maxJobs", "int", minimum=1, maximum=20),),
        mutates=True,
    ),
)

FUNCTIONS: Mapping[str, Function] = {function.name: function for function in _ALL}
"""By name, in the order of the catalogue."""


def function(name: str) -> Function:
    """The function of that name; raises `FunctionError` with the nearest one."""
    found = FUNCTIONS.get(name)
    if found is not None:
        return found
    near = difflib.get_close_matches(name, FUNCTIONS, 1, 0.5)
    hint = f"did you mean `{near[0]}`?" if near else f"known: {', '.join(FUNCTIONS)}"
    raise FunctionError(f"no function `{name[:80]}` that operators call; {hint}")
