"""Which address may be dialled: resolve, check, and dial exactly that checked address (safety.md, R14, R15, R20).

A target is one exact origin (scheme, host, port). Its name is resolved once for each connection, every address of the
answer is checked, and the socket is opened to the checked address, so that a second look at the name cannot lead
elsewhere. The TLS server name stays the target's host. Nothing is taken from the environment: no proxy, no netrc.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import certifi

from bot.errors import Refused

Resolve = Callable[[str, int], Awaitable[list[str]]]
"""From host and port to addresses in text form; raises OSError when there is none."""

_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Origin:
    """Scheme, host and port, exactly; a shared suffix is not enough."""

    scheme: str
    host: str
    port: int

    @classmethod
    def parse(cls, url: str) -> Origin:
        """From any http(s) address; the path is not part of an origin. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("not an http address")
        return cls(parts.scheme, parts.hostname, parts.port or (443 if parts.scheme == "https" else 80))

    @property
    def is_loopback(self) -> bool:
        """Whether the host is written as this very machine (practice and self-hosted targets)."""
        return self.host in _LOOPBACK_NAMES

    @property
    def authority(self) -> str:
        """Host and, where it is not the scheme's own, port: the value of the ``Host`` header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.scheme == "https" else 80) else f"{host}:{self.port}"

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}"


def permitted(address: str, *, loopback: bool) -> bool:
    """Whether one resolved address may be dialled.

    A target that is written as loopback may reach loopback and nothing else; every other target public addresses and
    nothing else: no private, link-local, metadata, shared, multicast or reserved one, also not wrapped in IPv6.
    """
    try:
        ip = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if loopback:
        return ip.is_loopback
    if isinstance(ip, ipaddress.IPv6Address):
        inner = _wrapped(ip)
        if inner is not None:
            ip = inner
    if isinstance(ip, ipaddress.IPv6Address):
        return ip in _GLOBAL_UNICAST and ip.is_global and ip not in _DOCUMENTATION
    return ip.is_global and not ip.is_multicast and ip not in _IETF and ip not in _RELAY


_GLOBAL_UNICAST = ipaddress.ip_network("2000::/3")
_DOCUMENTATION = ipaddress.ip_network("3fff::/20")
_IETF = ipaddress.ip_network("192.0.0.0/24")
"""One cloud's metadata service lives here; the standard library calls most of it public."""
_RELAY = ipaddress.ip_network("192.88.99.0/24")
_NAT64 = ipaddress.ip_network("64:ff9b::/96")


def _wrapped(ip: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside a mapped, 6to4, Teredo or NAT64 address."""
    if ip.ipv4_mapped is not None:
        return ip.ipv4_mapped
    if ip.sixtofour is not None:
        return ip.sixtofour
    if ip.teredo is not None:
        return ip.teredo[1]
    if ip in _NAT64:
        return ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
    return None


async def resolve(host: str, port: int) -> list[str]:
    """Ask the machine's resolver; addresses in its order, each once."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def checked_addresses(origin: Origin, resolver: Resolve = resolve) -> list[str]:
    """The addresses of a target that may be dialled.

    One forbidden address spoils the whole answer: a name that points both outside and inside is not the target's.
    Raises `Refused` (R14), or OSError when the name does not resolve.
    """
    if origin.scheme == "http" and not origin.is_loopback:
        raise Refused(f"{origin} is plain http beyond this machine.", rule="plain http to loopback only (R14)")
    addresses = await resolver(origin.host, origin.port)
    if not addresses:
        raise OSError(f"{origin.host} has no address")
    for address in addresses:
        if not permitted(address, loopback=origin.is_loopback):
            raise Refused(
                f"{origin.host} resolves to {address}, which is not a public address; nothing was sent.",
                rule="the address is checked when dialling (R14)",
                then="correct api_url or site_url of the target in sendcat.toml, or the name's DNS entry",
            )
    return addresses


def tls_context() -> ssl.SSLContext:
    """Verified TLS with the bundled authorities; nothing from the environment."""
    context = ssl.create_default_context(cafile=certifi.where())
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
