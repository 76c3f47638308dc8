"""``sendcat practice candidate slower``: how a practice Sendcat of the running house behaves, from another terminal."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from bot.errors import Unknown
from bot.practice.faulting import Faulting
from bot.practice.house import STATE_DIR, running_config
from bot.practice.sendcat.conduct import CONDUCTS, HEALTHY

_FAULT = re.compile(r"[A-Ha-h](:[A-Za-z_]{1,40})?")


async def carry_out(deployment: str, wish: str | None, state_dir: Path = STATE_DIR) -> int:
    """Do it and say how the deployment is now; ``healthy`` takes faults out as well.

    Raises `Unknown` with what there is, `Broken` when no house runs.
    """
    known = running_config(state_dir).target
    if deployment not in known:
        raise Unknown(
            f"The house has no Sendcat {deployment[:40]!r}: {', '.join(known)}.",
            then=f"sendcat practice {next(iter(known))} {wish or ''}".rstrip(),
        )
    control = Faulting(known[deployment])
    if wish is not None and wish in CONDUCTS:
        await control.behave(wish)
        if wish == HEALTHY:
            for fault in await control.active():
                await control.take_out(fault)
    elif wish is not None:
        faults = await control.catalogue()
        letter = wish[:1].upper() + wish[1:]
        fit = [name for name in faults if name == letter or (len(letter) == 1 and name.startswith(f"{letter}:"))]
        if not _FAULT.fullmatch(wish) or not fit:
            raise Unknown(
                f"A practice Sendcat cannot be {wish[:40]!r}. Conducts: {', '.join(CONDUCTS)}. "
                f"Faults: {', '.join(faults)}.",
                then=f"sendcat practice {deployment} slower",
            )
        await control.put_in(fit[0])
    conduct, active = await control.conduct(), await control.active()
    summary = f" ({CONDUCTS[conduct].summary})" if conduct in CONDUCTS else ""
    sys.stdout.write(f"{deployment}: {conduct}{summary}; faults: {', '.join(active) or 'none'}\n")
    return 0
