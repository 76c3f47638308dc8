"""The whole product with both practice Sendcats: control ``practice`` and ``candidate``, each with its own keys."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bot.config import Config
from bot.practice.house import Deployment, RunFile, Workspace, practice_config
from bot.practice.sendcat import PracticeSendcat
from bot.practice.slack import PracticeSlack
from slo.scenarios import WHATSAPP

LINE = f"canary --candidate=candidate --scenarios={WHATSAPP}"
"""The shortest canary that can pass where nothing but the WhatsApp webhook is required."""


def place(sendcat: PracticeSendcat, folder: Path) -> Deployment:
    pool = folder / f"pool-{sendcat.name}.json"
    pool.write_text(json.dumps(sendcat.pool))
    return Deployment(
        api_url=sendcat.api_url,
        site_url=sendcat.site_url,
        deploy_key=sendcat.deploy_key,
        control_key=sendcat.control_key,
        gmail_token=sendcat.gmail_token,
        whatsapp_secret=sendcat.whatsapp_secret,
        pool_file=pool,
    )


def config_for_both(
    folder: Path,
    control: PracticeSendcat,
    candidate: PracticeSendcat,
    slack: PracticeSlack | None = None,
    required: tuple[str, ...] = (WHATSAPP,),
) -> Config:
    """The practice configuration of the demo's house; ``required`` is little, so that a canary takes seconds."""
    workspace = None
    if slack is not None:
        workspace = Workspace(
            url=slack.url,
            api_url=slack.api_url,
            bot_token=slack.bot_token,
            app_token=slack.app_token,
            signing_secret=slack.signing_secret,
            team_id=slack.team_id,
        )
    places = {"practice": place(control, folder), "candidate": place(candidate, folder)}
    made = practice_config(RunFile(pid=1, deployments=places, workspace=workspace), folder / "state")
    targets = {name: target.model_copy(update={"required_scenarios": required}) for name, target in made.target.items()}
    return made.model_copy(update={"target": targets})


@asynccontextmanager
async def running_candidate() -> AsyncIterator[PracticeSendcat]:
    """The second practice Sendcat, healthy, on loopback."""
    practice = PracticeSendcat(name="candidate-heron-102", seed=2)
    await practice.start()
    yield practice
    await practice.stop()
