"""The practice Sendcat put together: one deployment, its three hosts on loopback, its keys, and its faults."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping

from bot.practice.loopback import LoopbackServer
from bot.practice.sendcat.app import App
from bot.practice.sendcat.clock import PracticeClock
from bot.practice.sendcat.conduct import CONDUCTS, behave, conduct_of
from bot.practice.sendcat.control import Control, Option
from bot.practice.sendcat.convex_http import ConvexHttp
from bot.practice.sendcat.counters import Counters
from bot.practice.sendcat.deployment import Deployment
from bot.practice.sendcat.faults.shelf import Faults
from bot.practice.sendcat.keys import Keys
from bot.practice.sendcat.site import Site
from bot.practice.sendcat.switches import Script, Switches


class PracticeSendcat:
    """A Sendcat that behaves as the real one, and breaks on request.

    ``environment`` is laid over the practice defaults (secrets set, the probe's origin allowed), with which everything
    is healthy. ``deploy_key`` and ``control_key`` are random when not given. Without `start`, ``api_app``, ``site_app``
    and ``app_app`` can be used in process.
    """

    def __init__(
        self,
        *,
        name: str = "practice-heron-101",
        deploy_key: str | None = None,
        control_key: str | None = None,
        clock: PracticeClock | None = None,
        seed: int = 0,
        environment: Mapping[str, str] | None = None,
        pool_users: int = 20,
        app_origin: str = "https://www.sendcat.app",
    ) -> None:
        self.name = name
        self.clock = clock or PracticeClock.real()
        self.gmail_token = secrets.token_hex(16)
        self.whatsapp_secret = secrets.token_hex(16)
        self.loadtest_password = secrets.token_urlsafe(18)
        """Password of the pool's users, with which the app lets them in."""
        variables = {
            "ALLOWED_ORIGINS": app_origin,
            "GMAIL_PUBSUB_VERIFY_TOKEN": self.gmail_token,
            "WHATSAPP_APP_SECRET": self.whatsapp_secret,
            "WHATSAPP_VERIFY_TOKEN": secrets.token_hex(16),
            "OPENROUTER_API_KEY": f"sk-or-{secrets.token_hex(16)}",
            "SERPER_API_KEY": secrets.token_hex(20),
            "EBAY_CLIENT_SECRET": secrets.token_hex(20),
            "BETTER_AUTH_SECRET": secrets.token_hex(32),
            "SENTRY_DSN": f"https://{secrets.token_hex(16)}@sentry.invalid/1",
        }
        self.deployment = Deployment(name, self.clock, {**variables, **(environment or {})}, seed=seed)
        self._faults = Faults(self.deployment)
        self.deployment.settle()  # the quiet minutes before now are history, whatever is broken next
        keys = Keys(name, self.deployment.accounts, deploy_key)
        self.keys = keys
        self.deploy_key = keys.first
        control = Control(self.deployment, self._faults, control_key)
        self.control_key = control.key
        self.api_app = ConvexHttp(self.deployment, keys, control)
        self.site_app = Site(self.deployment)
        self.app_app = App(self.deployment)
        now_ms = self.clock.now_ms()
        users = [
            self.deployment.accounts.sign_up(
                f"u{number}",
                f"loadtest-practice-{number:04d}@example.com",
                now_ms,
                password=self.loadtest_password,
            )
            for number in range(1, pool_users + 1)
        ]
        self.pool = [
            {
                "userLabel": user.label,
                "email": user.email,
                "threadId": user.thread_id,
                "authToken": user.token,
                "source": "sign-up",
            }
            for user in users
        ]
        """Entries of a chat auth pool file."""
        self.api_url = self.site_url = self.app_url = ""
        self._app_origin = app_origin
        self._servers: list[LoopbackServer] = []

    async def start(self, host: str = "127.0.0.1", api_port: int = 0, site_port: int = 0) -> None:
        """Serve the hosts; ``api_url``, ``site_url`` and ``app_url`` say where. Port 0 takes a free one.

        The app's address becomes an allowed origin, as that of the real one is.
        """
        api, site = LoopbackServer(self.api_app, host, api_port), LoopbackServer(self.site_app, host, site_port)
        app = LoopbackServer(self.app_app, host, 0)
        self.api_url, self.site_url, self.app_url = api.url, site.url, app.url
        self.deployment.environment.set("ALLOWED_ORIGINS", f"{self._app_origin},{app.url}")
        self._servers = [api, site, app]
        for server in self._servers:
            await server.start()

    async def stop(self) -> None:
        """Stop serving."""
        await asyncio.gather(*(server.stop() for server in self._servers))
        self._servers = []

    @property
    def switches(self) -> Switches:
        """Traps that can be switched on: slow answers, wrong statuses, half an answer, a paused deployment."""
        return self.deployment.switches

    @property
    def conduct(self) -> str:
        """How it behaves as a whole: ``healthy``, ``slower``, ``flaky``, ``broken``, or ``other``."""
        return conduct_of(self.switches)

    @property
    def conducts(self) -> Mapping[str, str]:
        """Every way it can behave, with what that is."""
        return {name: each.summary for name, each in CONDUCTS.items()}

    def behave(self, conduct: str) -> None:
        """Behave as a whole like this from now on; raises ValueError naming what exists."""
        behave(self.switches, conduct)

    def script(self, script: Script) -> None:
        """Add a trap for the next requests on one address or function."""
        self.switches.scripts.append(script)

    def issue_key(self, *permissions: str) -> str:
        """A further deploy key that may do only what is named (Convex over HTTP, section 2.4)."""
        return self.keys.issue(*permissions)

    @property
    def counters(self) -> Counters:
        """What was received, and what took effect."""
        return self.deployment.counters

    @property
    def faults(self) -> list[Mapping[str, str]]:
        """Every fault that can be injected: letter, variant, and what it is."""
        return self._faults.catalogue()

    def inject(self, fault: str, *, variant: str | None = None, for_ms: int | None = None, **options: Option) -> None:
        """Put a fault in, for ``for_ms`` at most; raises ValueError listing what exists."""
        self._faults.inject(fault, variant=variant, for_ms=for_ms, **options)

    def active_faults(self) -> list[str]:
        """Faults that are in now, as ``F:caps``."""
        return self._faults.active()

    def clear_faults(self) -> None:
        """Take every fault out: the cause goes, what it left behind stays until it heals by the product's own rules."""
        self._faults.clear()
