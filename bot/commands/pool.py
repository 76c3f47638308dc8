"""``pool``: users for drills of chat, made against the app of a target; ``pool status`` says what there is of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pydantic import Field, field_validator

from bot.command import EXIT, Args, Command, Outcome
from bot.target import origin_of

if TYPE_CHECKING:
    from bot.authpool.maker import Wish
    from bot.authpool.pools import Listed
    from bot.run import Run

MODEL = "moonshotai/kimi-k2.5"
MOST_USERS = 1_000
_WORD = re.compile(r"[a-z0-9][a-z0-9._]{0,39}")
_NAME = re.compile(r"chat-auth-pool-[A-Za-z0-9._-]{1,160}\.json")


class PoolArgs(Args):
    count: int = Field(default=20, ge=1, le=MOST_USERS)
    """How many users; m1_1k needs 20, m2_5k 50, m3_20k 100."""
    start_index: int = Field(default=1, ge=0, le=9_999)
    """Number of the first user."""
    prefix: str = "loadtest"
    """First part of the e-mail addresses: PREFIX-SEED-0001@example.com."""
    seed: str | None = None
    """Second part; today's date as YYYYMMDD without it."""
    model_id: str = Field(default=MODEL, pattern=r"^[\w./:-]{1,100}$")
    """Model of the threads."""
    thread_title_prefix: str = Field(default="Load test", max_length=80)
    """Title of the threads, followed by the user's label."""
    output: str | None = None
    """Another file name inside the artifact directory: chat-auth-pool-....json."""
    app_origin: str | None = None
    """The target's app_url, as the original wants it; another one is refused."""
    convex_url: str | None = None
    """The target's api_url, likewise."""
    renew: bool = False
    """Sign in every user again, also where the token still holds."""
    yes: bool = False
    """On production: yes, make accounts there."""

    @field_validator("prefix", "seed")
    @classmethod
    def _word(cls, value: str | None) -> str | None:
        if value is not None and not _WORD.fullmatch(value):
            raise ValueError("up to 40 small letters, digits, dots and underscores")
        return value

    @field_validator("output")
    @classmethod
    def _output(cls, value: str | None) -> str | None:
        name = value.removeprefix(".output/reliability/") if value is not None else None
        if name is not None and not _NAME.fullmatch(name):
            raise ValueError("a name inside the artifact directory that begins with chat-auth-pool- and ends in .json")
        return name

    @field_validator("app_origin", "convex_url")
    @classmethod
    def _origin(cls, value: str | None) -> str | None:
        return None if value is None else origin_of(value)


class StatusArgs(Args):
    file: str | None = None
    """One pool inside the artifact directory; all of the target without it."""
    milestone: str = "m1_1k"
    """Whose number of chats the coverage is worked out for: m1_1k, m2_5k, m3_20k."""

    @field_validator("milestone")
    @classmethod
    def _known(cls, value: str) -> str:
        from slo.policy import MilestonePolicy, load

        load(MilestonePolicy).milestone(value)
        return value


async def _run(run: Run, args: PoolArgs) -> Outcome:
    import asyncio

    from bot.authpool import maker, shown
    from bot.authpool.entries import looked_at
    from bot.course import Course
    from slo.verdict import Verdict

    password = _checked(run, args)
    wish = _wish(run, args)
    course = Course(run, f"Pool of {wish.count} users", ("Users",))
    async with course.step("Users"):
        made = await maker.make(run, wish, password, course.note)
    found = None
    if made.artifact is not None:
        file = run.world.config.artifact_dir / wish.name
        found = await asyncio.to_thread(looked_at, run.target, file)
    facts = found if not isinstance(found, str) else None
    card = shown.made_card(run, wish, made, facts)
    whole = len(made.users) == wish.count
    data: dict[str, Any] = {
        "artifact": wish.name if made.artifact is not None else None,
        "users": len(made.users),
        "wanted": wish.count,
        "kept": made.kept,
        "signed_in": made.renewed,
        "signed_up": made.signed_up,
        "threads": made.threads,
        "failed": made.failed,
        "not_tried": made.not_tried,
    }
    verdict = None if whole else Verdict.INCOMPLETE
    return Outcome(card=card, exit_status=EXIT[verdict], verdict=verdict, data=data)


def _checked(run: Run, args: PoolArgs) -> str:
    """The password, once everything that may refuse was asked. Raises `Refused` and `Broken`."""
    from bot.errors import Broken, Refused
    from bot.target import Environment

    target = run.target
    for flag, given, own in (
        ("app-origin", args.app_origin, target.app_url),
        ("convex-url", args.convex_url, target.api_url),
    ):
        if given is not None and given != own:
            raise Refused(
                f"--{flag} is {given}, but target {target.name} has {own}.",
                rule="people pick a configured target by name, and credentials stay with it (R14, R15)",
                then=_elsewhere(run, flag, given),
            )
    if target.loadtest_password is None:
        name = target.loadtest_password_env
        raise Broken(
            f"The password of the load-test users of {target.name} is not set"
            + (f": {name} is empty." if name else ": no variable is named for it."),
            rule="secrets are named by their variable, never typed (R36)",
            then=f'loadtest_password_env = "SENDCAT_LOADTEST_PASSWORD" under [target.{target.name}], and export it',
        )
    if target.environment is Environment.PRODUCTION and not args.yes:
        raise Refused(
            f"This makes up to {args.count} accounts at {target.app_url} (production), with a thread for each.",
            rule="a change is confirmed by who asks for it",
            then="the same line with --yes=true",
        )
    return target.loadtest_password.get_secret_value()


def _elsewhere(run: Run, flag: str, given: str) -> str:
    field = "app_url" if flag == "app-origin" else "api_url"
    for name, target in run.world.config.target.items():
        if getattr(target, field) == given:
            return f"--target={name}"
    return f'{field} = "{given}" under a [target.NAME] of sendcat.toml'


def _wish(run: Run, args: PoolArgs) -> Wish:
    from bot.authpool.maker import Wish
    from slo.stamps import stamp

    seed = args.seed or stamp(run.world.clock.now_ms())[:10].replace("-", "")
    name = args.output or f"chat-auth-pool-{args.prefix}-{seed}-{args.start_index}-{args.count}.json"
    return Wish(
        name=name,
        prefix=args.prefix,
        seed=seed,
        start=args.start_index,
        count=args.count,
        model_id=args.model_id,
        title=args.thread_title_prefix,
        keep_ms=run.world.book.thresholds.h.pool_max_age_ms // 2,
        renew=args.renew,
    )


async def _status(run: Run, args: StatusArgs) -> Outcome:
    import asyncio

    from bot.authpool import shown
    from bot.run import done

    pools = await _pools(run, args.file)
    requests = shown.streams_of(args.milestone)
    card = await asyncio.to_thread(shown.status_card, run, pools, requests)
    now_ms = run.world.clock.now_ms()
    return done(card, pools={each.name: shown.data_of(each.facts, now_ms) for each in pools})


async def _pools(run: Run, name: str | None) -> list[Listed]:
    """The named pool; else all of the target."""
    import asyncio

    from bot.authpool.entries import looked_at
    from bot.authpool.maker import own
    from bot.authpool.pools import Listed, of_target
    from bot.drill.flags import inside_artifacts

    if name is None:
        return await of_target(run)
    file = inside_artifacts(run.world.config, name)
    await own(run, file.name)
    found = await asyncio.to_thread(looked_at, run.target, file)
    return [Listed(file.name, found)] if found is not None else []


COMMANDS = (
    Command(
        name="pool",
        summary="Make or renew a pool of chat users for drills; those that are there are kept.",
        action="pool",
        args=PoolArgs,
        run=_run,
        examples=("pool --count=20", "pool --count=50 --prefix=loadtest --seed=20260310"),
        group="Check",
        effects=True,
        single=True,
        variables={
            "app-origin": ("RELIABILITY_APP_ORIGIN",),
            "convex-url": ("RELIABILITY_CONVEX_URL", "VITE_CONVEX_URL"),
        },
    ),
    Command(
        name="pool status",
        summary="Chat pools of a target: size, age, tokens that end, and for which milestones they are enough.",
        action="read",
        args=StatusArgs,
        run=_status,
        examples=("pool status", "pool status --file=chat-auth-pool-loadtest-20260310-1-20.json"),
        group="Check",
        quiet=True,
    ),
)
