"""The bench, led on a temporary folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tuning_kit import Bench, Drills, lead

from bot.practice.sendcat import PracticeSendcat
from tests.conftest import config_for
from tests.stories.tuning_stage import JumpClock


@pytest.fixture
async def bench(tmp_path: Path, sendcat: PracticeSendcat) -> AsyncIterator[Bench]:
    clock, drills = JumpClock(sendcat), Drills()
    bot = await lead(config_for(tmp_path, sendcat), clock, drills)
    held = Bench(bot, sendcat, clock, drills)
    yield held
    await held.bot.close()
