"""``python -m bot.practice``: the practice house in a process of its own (see `bot.practice.house`)."""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path

from bot.practice.house import STATE_DIR, keep_house

parser = argparse.ArgumentParser(prog="bot.practice", description=__doc__)
parser.add_argument("--state-dir", type=Path, default=STATE_DIR)
parser.add_argument("--request-url", help="deliver signed HTTP requests there; Socket Mode without it")
parser.add_argument("--page-port", type=int, default=0)
parser.add_argument("--sendcat-only", action="store_true", help="no practice Slack")

if __name__ == "__main__":
    given = parser.parse_args()
    sys.exit(
        asyncio.run(
            keep_house(
                with_slack=not given.sendcat_only,
                state_dir=given.state_dir,
                request_url=given.request_url,
                page_port=given.page_port,
                until_stdin_closes=True,
            )
        )
    )
