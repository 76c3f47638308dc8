"""Chat pools: in the making, made, half made, stopped; and how those of a target stand - fresh, ending, old, broken."""

from __future__ import annotations

import base64
import json
import os
from dataclasses import dataclass

from bot.authpool import shown
from bot.authpool.entries import Entry, looked_at
from bot.authpool.maker import Made, Wish
from bot.commands.pool import MODEL
from bot.course import Course
from bot.run import Run
from bot.store import artifacts
from tests.golden.stage import HOUR, MINUTE, T0, Scene, Shown

LINE = "pool --count={} --seed=20261123"
PASSWORD = "0000"


@dataclass(frozen=True)
class File:
    """A pool on the disk: how many users, when their tokens end (ms UTC; 0: they do not say), how old the file is."""

    users: int
    ends_ms: int
    age_ms: int = 12 * MINUTE


FILES = {
    "chat-auth-pool-loadtest-20261123-1-20.json": File(20, T0 + 9 * HOUR),
    "chat-auth-pool-loadtest-20261123-1-50.json": File(50, T0 + 20 * MINUTE, 9 * HOUR),
    "chat-auth-pool-loadtest-20261101-1-20.json": File(20, T0 - HOUR, 22 * 24 * HOUR),
    "chat-auth-pool-silent-20261120-1-20.json": File(20, 0, 3 * 24 * HOUR),
}


async def cards(scene: Scene) -> dict[str, Shown]:
    found: dict[str, Shown] = {
        "pool.running": await _running(scene),
        "pool.made": await _made(scene, 20, made=20),
        "pool.renewed": await _made(scene, 20, made=20, kept=15, renewed=5),
        "pool.some-not-made": await _made(scene, 50, made=44, failing=6),
        "pool.stopped": await _made(scene, 50, made=11, stop="stopped by visitor"),
        "pool.nobody-made": await _made(scene, 20, made=0, failing=20),
    }
    for name, file in FILES.items():
        await _put(scene, name, file)
    found["pool.status"] = await scene.say("pool status --milestone=m2_5k")
    (scene.config.artifact_dir / "chat-auth-pool-broken.json").write_text("{}")
    found["pool.status-of-a-broken-file"] = await scene.say("pool status --file=chat-auth-pool-broken.json")
    found["pool.status-ended"] = await scene.say(f"pool status --file={list(FILES)[2]}")
    return found


async def _running(scene: Scene) -> Shown:
    run = await scene.run(LINE.format(50))
    course = Course(run, "Pool of 50 users", ("Users",))
    run.started -= 8
    async with course.step("Users"):
        await course.note("25 of 50 users")
        return course.card()


async def _made(
    scene: Scene, count: int, *, made: int, kept: int = 0, renewed: int = 0, failing: int = 0, stop: str = ""
) -> Shown:
    """The card of a run that made so many."""
    run = await scene.run(LINE.format(count))
    name = f"chat-auth-pool-loadtest-20261123-1-{count}.json"
    wish = Wish(name, "loadtest", "20261123", 1, count, MODEL, "Load test", keep_ms=6 * HOUR)
    users = {n: Entry(f"u{n}", wish.email(n), f"t-{n}", "token", "sign-up") for n in range(1, made + 1)}
    new = made - kept - renewed
    done = Made(users, kept, renewed, signed_up=new, threads=new)
    done.failed = {f"u{made + n}": "sign-up: HTTP 429 too many sign-ups" for n in range(1, failing + 1)}
    done.not_tried = count - made - failing
    if stop:
        run.brake.stop(stop)
    facts = None
    if made:
        await _put(scene, name, File(made, T0 + 9 * HOUR, 0), run)
        looked = looked_at(run.target, scene.config.artifact_dir / name)
        facts = looked if not isinstance(looked, str) else None
    run.started -= 17
    return shown.made_card(run, wish, done, facts)


async def _put(scene: Scene, name: str, file: File, run: Run | None = None) -> None:
    """Write a pool, and register it as made for the practice target."""
    claims = base64.urlsafe_b64encode(json.dumps({"exp": file.ends_ms // 1000}).encode()).decode().rstrip("=")
    token = f"x.{claims}.y" if file.ends_ms else "token-{:04d}"
    rows = [
        {"authToken": token.format(n) + ("" if not file.ends_ms else f"{n}"), "threadId": f"t-{n}"}
        for n in range(file.users)
    ]
    started_ms = T0 - file.age_ms
    kept = artifacts.write_file(
        scene.config.artifact_dir, name, rows, kind="pool", started_ms=started_ms, target="practice",
        op=run.op.id if run else None,
    )  # fmt: skip
    await scene.world.store.write(lambda tx: artifacts.register(tx, kept))
    os.utime(scene.config.artifact_dir / name, (started_ms / 1000, started_ms / 1000))
