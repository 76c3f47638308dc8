"""``python -m bot.sendcat.load``: the load child; started by `bot.sendcat.load.crew`, not by people."""

from __future__ import annotations

import sys

from bot.sendcat.load.child import main

sys.exit(main())
