"""The address guard: exact origin, checked when dialling, and nothing else dialled (safety.md, R14)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from bot.errors import Refused
from bot.sendcat.dial import Origin, checked_addresses, permitted
from bot.sendcat.wire import GuardedBackend, Wire
from tests.bot.sendcat.wild import Handler, Wild, always

Start = Callable[[Handler], Awaitable[Wild]]

PUBLIC = ["93.184.216.34", "8.8.8.8", "2606:4700:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
FORBIDDEN = [
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "169.254.169.254",
    "169.254.170.2",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.192",
    "198.18.0.1",
    "203.0.113.7",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "fec0::1",
    "::127.0.0.1",
    "3fff::1",
    "64:ff9b:1::a00:1",
    "192.88.99.1",
    "ff02::1",
    "ff0e::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "not an address",
    "",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_R14_a_public_address_may_be_dialled_but_not_for_a_loopback_target(address: str) -> None:
    assert permitted(address, loopback=False)
    assert not permitted(address, loopback=True)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_R14_private_link_local_metadata_and_wrapped_addresses_are_refused(address: str) -> None:
    assert not permitted(address, loopback=False)


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2", "::1"])
def test_R14_a_target_written_as_loopback_reaches_loopback(address: str) -> None:
    assert permitted(address, loopback=True)


async def test_R14_one_forbidden_address_spoils_the_whole_answer() -> None:
    async def resolver(_: str, __: int) -> list[str]:
        return ["8.8.8.8", "10.0.0.1"]

    with pytest.raises(Refused, match="not a public address"):
        await checked_addresses(Origin.parse("https://x.convex.cloud"), resolver)


async def test_R14_plain_http_beyond_this_machine_is_refused_before_resolving() -> None:
    async def resolver(_: str, __: int) -> list[str]:
        raise AssertionError("must not be asked")

    with pytest.raises(Refused, match="plain http"):
        await checked_addresses(Origin.parse("http://x.convex.cloud"), resolver)


async def test_a_name_without_an_address_is_a_network_error() -> None:
    async def resolver(_: str, __: int) -> list[str]:
        return []

    with pytest.raises(OSError, match="no address"):
        await checked_addresses(Origin.parse("https://x.convex.cloud"), resolver)


@pytest.mark.parametrize(
    ("url", "text", "authority"),
    [
        ("https://A.Convex.Cloud/x?y", "https://a.convex.cloud", "a.convex.cloud"),
        ("https://a.convex.cloud:443", "https://a.convex.cloud", "a.convex.cloud"),
        ("https://a.convex.cloud:8443", "https://a.convex.cloud:8443", "a.convex.cloud:8443"),
        ("http://[::1]:3210", "http://[::1]:3210", "[::1]:3210"),
        ("http://127.0.0.1", "http://127.0.0.1", "127.0.0.1"),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, text: str, authority: str) -> None:
    origin = Origin.parse(url)
    assert (str(origin), origin.authority) == (text, authority)


@pytest.mark.parametrize("url", ["ftp://x", "x", "https://", "file:///etc/passwd"])
def test_what_is_no_http_address_is_no_origin(url: str) -> None:
    with pytest.raises(ValueError):
        Origin.parse(url)


async def test_R14_the_checked_address_is_the_one_dialled(wild: Start) -> None:
    """The name is resolved once for each connection; a second answer could lead elsewhere, so there is none."""
    server = await wild(always(200, b"ok"))
    asked: list[str] = []

    async def resolver(host: str, _: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    wire = Wire(f"http://localhost:{server.port}", resolver=resolver)
    assert (await wire.send("GET", "/")).status == 200
    assert asked == ["localhost"]
    assert server.seen[0].headers["host"] == f"localhost:{server.port}"
    await wire.aclose()


async def test_R14_a_name_that_turns_private_after_the_check_is_not_dialled(wild: Start) -> None:
    server = await wild(always(200, b"ok", "Connection: close"))
    answers = [["127.0.0.1"], ["10.0.0.1"]]

    async def resolver(_: str, __: int) -> list[str]:
        return answers.pop(0)

    wire = Wire(f"http://localhost:{server.port}", resolver=resolver)
    await wire.send("GET", "/")
    with pytest.raises(Refused):
        await wire.send("GET", "/")
    await wire.aclose()


async def test_the_next_address_is_tried_when_nobody_listens_at_the_first(wild: Start) -> None:
    server = await wild(always(200, b"ok"))

    async def resolver(_: str, __: int) -> list[str]:
        return ["::1", "127.0.0.1"]

    wire = Wire(f"http://localhost:{server.port}", resolver=resolver)
    assert (await wire.send("GET", "/")).status == 200
    await wire.aclose()


async def test_R14_another_host_or_port_is_never_dialled() -> None:
    backend = GuardedBackend(Origin.parse("http://127.0.0.1:3210"))
    for host, port in (("127.0.0.1", 3211), ("localhost", 3210), ("evil.example", 3210)):
        with pytest.raises(Refused, match="not the target"):
            await backend.connect_tcp(host, port)
    with pytest.raises(Refused):
        await backend.connect_unix_socket("/run/x.sock")


async def test_R14_R15_a_request_for_another_origin_is_held_back(wild: Start) -> None:
    target, other = await wild(always(200)), await wild(always(200))
    wire = Wire(target.url)
    for url in (f"{other.url}/x", "https://127.0.0.1/x", target.url.replace("127.0.0.1", "localhost") + "/x"):
        with pytest.raises(Refused, match="held back"):
            await wire.send("GET", url, headers={"Authorization": "Convex secret"})
    assert other.seen == []
    await wire.aclose()


async def test_R14_a_redirect_is_an_answer_and_the_key_does_not_travel(wild: Start) -> None:
    elsewhere = await wild(always(200))
    target = await wild(always(307, b"", f"Location: {elsewhere.url}/steal"))
    wire = Wire(target.url)
    answer = await wire.send("POST", "/api/query", headers={"Authorization": "Convex secret"}, content=b"{}")
    assert answer.status == 307
    assert elsewhere.seen == []
    await wire.aclose()


async def test_R14_proxies_and_netrc_of_the_environment_are_ignored(
    wild: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    proxy, target = await wild(always(200)), await wild(always(200, b"ok"))
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login thief password thief\n", encoding="utf-8")
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, proxy.url)
    monkeypatch.setenv("NETRC", str(netrc))
    wire = Wire(target.url)
    await wire.send("GET", "/")
    assert proxy.seen == []
    assert "authorization" not in target.seen[0].headers
    await wire.aclose()


async def test_R20_an_answer_is_read_up_to_its_limit_and_not_unpacked(wild: Start) -> None:
    server = await wild(always(200, b"x" * 5000, "Content-Encoding: gzip"))
    wire = Wire(server.url)
    answer = await wire.send("GET", "/", limit=1000)
    assert (len(answer.body), answer.whole) == (1000, False)
    assert server.seen[0].headers["accept-encoding"] == "identity"
    await wire.aclose()


async def test_a_dead_port_is_an_httpx_error() -> None:
    wire = Wire("http://127.0.0.1:1")
    with pytest.raises(httpx.ConnectError):
        await wire.send("GET", "/")
    await wire.aclose()
