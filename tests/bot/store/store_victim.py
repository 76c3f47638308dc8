"""A leader that writes pairs (audit record and letter) until it is killed; prints each number that was answered.

python store_victim.py STATE_DIR
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from bot.clock import SystemClock
from bot.store import audit, outbox
from bot.store.database import Store
from bot.store.leader import Leadership
from bot.store.tx import Tx


def pair(tx: Tx) -> int:
    record = audit.AuditRecord(phase="intent", action="pair", actor="system", door="system")
    number = audit.append(tx, record)
    outbox.put(tx, f"pair {number}", channel=f"C{number % 5}", kind="card", text=str(number))
    return number


async def main(state_dir: Path) -> None:
    store = Store.open(Leadership.acquire(state_dir, wait=True), clock=SystemClock())
    os.write(1, f"epoch {store.epoch}\n".encode())

    async def write_on() -> None:
        while True:
            try:
                number = await store.write(pair)
            except Exception as error:
                os.write(1, f"refused {type(error).__name__}\n".encode())
                return
            os.write(1, f"{number}\n".encode())

    await asyncio.gather(*(write_on() for _ in range(20)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
