"""The only place that speaks to Sendcat: its functions, its endpoints, and load upon them."""

from __future__ import annotations

VERSION = "0.1.0"
CLIENT = f"sendcat-chatops-{VERSION}"
"""``Convex-Client`` and ``User-Agent``: changes are attributable in the deployment's audit log."""
