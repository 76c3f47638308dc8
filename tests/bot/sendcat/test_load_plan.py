"""From a wish to a plan: nothing unknown becomes a default, every ceiling is named (R16; VERDICTS, Profiles)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.errors import Broken, Refused, Unknown
from bot.sendcat.load.bodies import builder
from bot.sendcat.load.credentials import drill_secrets
from bot.sendcat.load.plan import DrillPlan, DrillSecrets
from bot.sendcat.load.planning import plan_drill
from bot.sendcat.load.stream import ChatStream
from bot.target import Ceilings, Target
from slo.profiles import Scale
from tests.bot.sendcat.conftest import CHAT_TOKEN, GMAIL_TOKEN, WHATSAPP_SECRET, make_target

SITE = "https://x.convex.site"


def production(**more: Any) -> Target:
    return make_target(SITE, api_url="https://x.convex.cloud", environment="production", name="production", **more)


def pool_file(folder: Path, users: int = 3) -> Path:
    file = folder / "pool.json"
    entries = [
        {"authToken": f"token-{n}-SECRET", "threadId": f"t{n}", "email": f"u{n}@example.com"} for n in range(users)
    ]
    file.write_text(json.dumps(entries), encoding="utf-8")
    return file


def test_the_quick_plan_is_the_runbooks() -> None:
    plan = plan_drill(make_target("http://127.0.0.1:1"))
    assert [(item.name, item.requests) for item in plan.scenarios] == [
        ("gmail_push_webhook", 30),
        ("whatsapp_webhook", 30),
        ("chat_stream_http", 3),
    ]
    assert (plan.requests, plan.duration_ms, plan.beyond_quick) == (63, 6000, False)
    assert plan.only is None
    assert plan.pool_size == 0


def test_R36_a_plan_holds_no_secret_and_survives_json() -> None:
    plan = plan_drill(make_target("http://127.0.0.1:1"), "standard")
    text = plan.model_dump_json(by_alias=True)
    for secret in (CHAT_TOKEN, GMAIL_TOKEN, WHATSAPP_SECRET):
        assert secret not in text
        assert secret not in repr(drill_secrets(make_target("http://127.0.0.1:1")))
    assert DrillPlan.model_validate(json.loads(text)) == plan


@pytest.mark.parametrize(
    ("profile", "scenarios", "near"),
    [
        ("standart", None, "--profile=standard"),
        ("", None, None),
        ("quick", ("gmail_push_webhok",), "--scenarios=gmail_push_webhook"),
        ("quick", (), None),
    ],
)
def test_R16_unknown_names_are_errors_with_the_nearest_one(
    profile: str, scenarios: tuple[str, ...] | None, near: str | None
) -> None:
    with pytest.raises(Unknown) as caught:
        plan_drill(make_target("http://127.0.0.1:1"), profile, scenarios)
    assert near is None or caught.value.then == near


def test_R16_an_unknown_rotation_is_an_error() -> None:
    with pytest.raises(Unknown, match="rotation mode"):
        plan_drill(make_target("http://127.0.0.1:1"), rotation_mode="strides")


def test_chat_without_credentials_is_planned_as_skipped_with_what_to_set() -> None:
    plan = plan_drill(make_target("http://127.0.0.1:1", chat_token=None))
    chat = plan.scenarios[2]
    assert chat.skipped is not None
    assert "chat_pool_file" in chat.skipped
    assert "chat_stream_http" in plan.required, "skipped is not the same as not required"
    assert plan.requests == 60


def test_the_pool_wins_over_the_single_token(tmp_path: Path) -> None:
    target = make_target("http://127.0.0.1:1", chat_pool_file=pool_file(tmp_path))
    secrets = drill_secrets(target)
    assert [user.thread_id for user in secrets.chat_users] == ["t0", "t1", "t2"]
    assert plan_drill(target).pool_size == 3
    assert "SECRET" not in repr(secrets)
    assert DrillSecrets.from_wire(json.loads(json.dumps(secrets.to_wire()))) == secrets


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", '[{"authToken":"x"}]', '[{"threadId":"t"}]', "[" * 100_000])
def test_a_broken_pool_says_so_without_showing_it(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pool.json"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(Broken, match="cannot be used"):
        drill_secrets(make_target("http://127.0.0.1:1", chat_pool_file=file))
    with pytest.raises(Broken):
        drill_secrets(make_target("http://127.0.0.1:1", chat_pool_file=tmp_path / "none.json"))


@pytest.mark.parametrize("profile", ["quick", "standard", "burst", "soak"])
def test_R16_every_runbook_line_as_typed_fits_production(profile: str) -> None:
    plan = plan_drill(production(), profile)
    for scenario in plan.scenarios:
        for stage in scenario.stages:
            assert plan.cap(scenario.name, stage) <= 160


def test_R16_true_scale_milestones_need_approval_and_the_original_scale_does_not() -> None:
    with pytest.raises(Refused, match=r"1000 open streams.*160"):
        plan_drill(production(), "m1_1k")
    assert plan_drill(production(), "m1_1k", original_scale=True).scenarios[2].stages[2].workers == 40
    approved = Ceilings(in_flight=160, streams=1000, requests=50_000, minutes=30)
    streams = plan_drill(production(), "m1_1k", ceilings=approved).scenarios[2].streams
    assert streams is not None
    assert streams.streams == 1000


@pytest.mark.parametrize(
    ("ceilings", "word"),
    [
        ({"requests": 62}, "requests"),
        ({"in_flight": 5}, "in flight"),
        ({"minutes": 1}, "minutes"),
    ],
)
def test_R16_a_broken_ceiling_is_named(ceilings: dict[str, int], word: str) -> None:
    profile = "soak" if "minutes" in ceilings else "quick"
    with pytest.raises(Refused, match=word) as caught:
        plan_drill(make_target("http://127.0.0.1:1", ceilings=ceilings), profile)
    assert next(iter(ceilings)) in (caught.value.rule or "")


def test_scales_touch_chat_only() -> None:
    plan = plan_drill(make_target("http://127.0.0.1:1"), "standard", scale=Scale.of(load=2))
    assert [item.requests for item in plan.scenarios] == [820, 820, 36]


# The requests' bytes


def request_of(scenario: str, secrets: DrillSecrets, i: int = 5) -> tuple[str, dict[str, str], bytes, int | None]:
    target = make_target("http://127.0.0.1:9")
    plan = plan_drill(target, secrets=secrets)
    raw, user = builder(scenario, plan, secrets)(i, 1_795_420_000_123)
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    assert int(headers["content-length"]) == len(body)
    assert headers["host"] == "127.0.0.1:9"
    assert headers["accept-encoding"] == "identity"
    return first, headers, body, user


def test_a_gmail_push_is_the_originals() -> None:
    import base64

    first, _, body, _ = request_of("gmail_push_webhook", DrillSecrets(gmail_token="a b&c"))
    assert first == "POST /api/gmail/push?token=a%20b%26c HTTP/1.1"
    push = json.loads(base64.b64decode(json.loads(body)["message"]["data"]))
    assert push == {"emailAddress": "loadtest+5@example.com", "historyId": "1795420000123-5"}
    first, *_ = request_of("gmail_push_webhook", DrillSecrets())
    assert first == "POST /api/gmail/push HTTP/1.1"


def test_a_whatsapp_message_is_signed_when_the_secret_is_known() -> None:
    import hashlib
    import hmac

    _, headers, body, _ = request_of("whatsapp_webhook", DrillSecrets(whatsapp_secret="s"))
    assert headers["x-hub-signature-256"] == "sha256=" + hmac.new(b"s", body, hashlib.sha256).hexdigest()
    message = json.loads(body)["entry"][0]["changes"][0]["value"]["messages"][0]
    assert (message["id"], message["type"]) == ("wamid.load.1795420000123.5", "text")
    _, headers, _, _ = request_of("whatsapp_webhook", DrillSecrets())
    assert "x-hub-signature-256" not in headers


def test_a_chat_rotates_through_the_pool(tmp_path: Path) -> None:
    secrets = drill_secrets(make_target("http://127.0.0.1:9", chat_pool_file=pool_file(tmp_path)))
    first, headers, body, user = request_of("chat_stream_http", secrets, i=5)
    assert first == "POST /api/chat HTTP/1.1"
    assert user == 2
    assert headers["authorization"] == "Bearer token-2-SECRET"
    assert json.loads(body) == {"threadId": "t2", "modelId": "moonshotai/kimi-k2.5", "webSearch": False}


# The stream


def fed(*parts: bytes) -> ChatStream:
    stream = ChatStream()
    for part in parts:
        stream.feed(part)
    return stream


def test_the_first_token_is_the_first_content_and_not_the_first_byte() -> None:
    stream = fed(b'data: {"type":"start","messageId":"m"}\n\ndata: {"type":"provider-route"}\n\n')
    assert not stream.first_token
    stream.feed(b'data: {"type": "reasoning", "content": "hm"}\n\n')
    assert stream.first_token
    assert stream.end is None


def test_done_and_error_end_a_stream_and_the_first_end_counts() -> None:
    assert fed(b'data: {"type":"done"}\n\n').end == "done"
    stream = fed(b'data: {"type":"usage_error","code":"x"}\n\ndata: {"type":"error","code":"upstream_timeout"}\n\n')
    assert (stream.end, stream.error_code) == ("error", "upstream_timeout")
    stream.feed(b'data: {"type":"done"}\n\n')
    assert stream.end == "error"


def test_an_answer_that_talks_about_done_is_not_done() -> None:
    stream = fed(b'data: {"type":"content","content":"a"}\n\ndata: {"type":"content","content":"say \\"done\\" {"}\n\n')
    stream.feed(b'data: {"type":"content","content":"\\"type\\":\\"error\\""}\n\n')
    assert stream.end is None


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
def test_events_may_be_cut_anywhere(size: int) -> None:
    whole = b'data: {"type":"start"}\r\n\r\ndata: {"type":"content","content":"\xc3\xa4"}\n\ndata: {"type":"done"}\n\n'
    stream = fed(*(whole[i : i + size] for i in range(0, len(whole), size)))
    assert (stream.first_token, stream.end) == (True, "done")


def test_R20_rubbish_and_endless_lines_are_skipped() -> None:
    stream = fed(b"data: {half\n\n", b"data: [1]\n", b": comment\n", b"data: " + b"[" * 100_000 + b"\n")
    for _ in range(100):
        stream.feed(b"data: " + b"x" * 10_000)
    assert len(stream._line) <= 300_000
    stream.feed(b'\ndata: {"type":"done"}\n\n')
    assert stream.end == "done"
