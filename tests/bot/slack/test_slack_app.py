"""The listeners: each delivery becomes one Ask of verified ids, and every answer reaches the person who asked."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from slack_kit import OFFER, Door, TinyDesk, click, form, mention, slash

from bot.card import Card, Tone
from bot.command import Ask, Place, Reply
from bot.command import Door as Origin
from bot.slack.ingress import Delivery
from bot.slack.payload import mentioned, parse, read
from tests.conftest import SLOW


def answering(card: Card | None, exit_status: int = 0) -> Door:
    async def answer(_: Ask) -> Reply:
        return Reply(op=None if card else "r-1", card=card, exit_status=exit_status)

    return Door(TinyDesk(answer=answer))


NO = Card(title="Refused: gate needs release manager", tone=Tone.REFUSED, lead="Ask <!channel> & co.")


async def test_R8_an_ask_holds_verified_ids_only(door: Door) -> None:
    await door.post(slash("triage --quick=true"))
    [ask] = door.desk.asks

    assert ask.line == "triage --quick=true"
    assert (ask.by.door, ask.by.account, ask.by.team, ask.by.app) == (
        Origin.SLACK,
        "slack:U0ONCALL",
        "T0PRACTICE",
        "A0SENDCAT",
    )
    assert ask.place == Place(kind="channel", channel="C0INC")


async def test_an_accepted_command_is_acknowledged_without_words(door: Door) -> None:
    response = await door.post(slash())

    assert (response.status_code, response.text) == (200, "")


async def test_an_empty_command_asks_for_help(door: Door) -> None:
    await door.post(slash("  "))

    assert door.desk.asks[0].line == "help"


async def test_a_refused_command_is_told_to_the_asker_only() -> None:
    response = await answering(NO, 4).post(slash())
    body = response.json()

    assert body["response_type"] == "ephemeral"
    assert body["text"].startswith("🚫 Refused: gate needs release manager.")
    assert "<!channel>" not in response.text
    assert body["blocks"][0]["type"] == "header"


async def test_a_command_in_a_direct_message_says_so(door: Door) -> None:
    await door.post(slash(channel_id="D0123"))

    assert door.desk.asks[0].place == Place(kind="dm", channel="D0123")


async def test_R11_a_click_carries_its_offer_and_nothing_else(door: Door) -> None:
    response = await door.post(click())
    [ask] = door.desk.asks

    assert (response.status_code, response.text) == (200, "")
    assert (ask.line, ask.offer, ask.key) == ("", OFFER, "click:t2")
    assert ask.place == Place(kind="channel", channel="C0INC")


async def test_an_option_of_the_menu_is_a_button(door: Door) -> None:
    chosen = {"action_id": "card.more", "type": "overflow", "selected_option": {"value": OFFER}}
    await door.post(click(actions=[chosen]))

    assert door.desk.asks[0].offer == OFFER


@pytest.mark.parametrize("value", [None, "", "triage", OFFER.upper(), OFFER + "0", "drill --profile=m3"])
async def test_R11_a_button_of_an_old_card_explains_itself(door: Door, value: str | None) -> None:
    response = await door.post(click(value))
    [(card, channel, user, _)] = door.whispers.said

    assert response.status_code == 200
    assert door.desk.asks == []
    assert (card.title, channel, user) == ("This card is out of date", "C0INC", "U0ONCALL")


async def test_a_click_in_a_thread_is_answered_there() -> None:
    door = answering(NO, 4)
    await door.post(click(message={"ts": "2.000100", "thread_ts": "1.000100"}))
    await door.post(click(trigger="t3", message={"ts": "1.000100", "thread_ts": "1.000100"}))

    assert [(said[0], said[3]) for said in door.whispers.said] == [(NO, "1.000100"), (NO, None)]


async def test_a_form_becomes_an_ask_with_its_fields(door: Door) -> None:
    response = await door.post(form(reason="because", minutes="20"))
    [ask] = door.desk.asks

    assert (response.status_code, response.text) == (200, "")
    assert (ask.offer, ask.key) == (OFFER, "form:V1:h1")
    assert ask.fields == {"reason": "because", "minutes": "20"}


async def test_a_mistake_in_a_form_is_marked_in_the_form() -> None:
    body = (await answering(NO, 2).post(form(reason="x"))).json()

    assert body["response_action"] == "errors"
    assert body["errors"]["b-reason"].startswith("🚫 Refused")


async def test_a_refused_form_shows_why_in_its_place() -> None:
    body = (await answering(NO, 4).post(form(reason="x"))).json()

    assert body["response_action"] == "update"
    assert body["view"]["blocks"][0]["text"]["text"].endswith("gate needs release manager")


async def test_R11_a_form_that_was_not_minted_is_out_of_date(door: Door) -> None:
    body = (await door.post(form(private="triage"))).json()

    assert "out of date" in body["view"]["blocks"][0]["text"]["text"]
    assert door.desk.asks == []


async def test_a_mention_is_a_command_in_its_thread(door: Door) -> None:
    await door.post(mention("<@U0SENDCAT> triage --note=a&amp;b", ts="5.000100", thread_ts="1.000100"), _JSON)
    [ask] = door.desk.asks

    assert ask.line == "triage --note=a&b"
    assert ask.place == Place(kind="channel", channel="C0INC", thread_ts="1.000100")


async def test_R3_one_message_under_two_event_ids_is_one_wish(door: Door) -> None:
    for event_id in ("Ev1", "Ev2"):
        await door.post(mention(event_id=event_id), _JSON)

    assert len(door.desk.effects) == 1
    assert door.whispers.said == []


@pytest.mark.parametrize(
    "changed",
    [{"bot_id": "B1"}, {"user": None}, {"subtype": "bot_message"}, {"user": "U0SENDCAT"}],
)
async def test_R8_messages_of_bots_are_ignored(door: Door, changed: dict[str, str | None]) -> None:
    response = await door.post(mention(**changed), _JSON)

    assert response.status_code == 200
    assert door.desk.asks == []


async def test_R8_another_app_is_refused(door: Door) -> None:
    slashed = await door.post(slash(api_app_id="A0OTHER"))
    await door.post(click(api_app_id="A0OTHER"))
    await door.post(mention().replace(b"A0SENDCAT", b"A0OTHER"), _JSON)

    assert "another app" in slashed.json()["text"]
    assert [said[0].title for said in door.whispers.said] == ["Refused: another app"]
    assert door.desk.asks == []


async def test_R8_an_event_of_another_workspace_is_ignored(door: Door) -> None:
    await door.post(mention().replace(b"T0PRACTICE", b"T0OTHER"), _JSON)

    assert door.desk.asks == []


async def test_R8_a_stranger_reaches_the_desk_as_a_stranger(door: Door) -> None:
    """The desk lets them stop, and nothing else; so it must know where they come from."""
    user = {"id": "U0STRANGER", "team_id": "T0ELSEWHERE"}
    await door.post(click(user=user))
    await door.post(slash("stop", trigger="s", user_id="U0STRANGER", team_id="T0ELSEWHERE"))

    assert [ask.by.team for ask in door.desk.asks] == ["T0ELSEWHERE", "T0ELSEWHERE"]


async def test_R4_what_cannot_be_written_in_time_is_not_accepted() -> None:
    async def stuck(_: Ask) -> Reply:
        await asyncio.sleep(60)
        return Reply()

    door = Door(TinyDesk(answer=stuck))
    began = time.monotonic()
    slashed, _ = await asyncio.gather(door.post(slash()), door.post(click()))

    assert time.monotonic() - began < 3.0  # what Slack waits
    assert "NOT accepted" in slashed.json()["text"]
    assert [said[0].title for said in door.whispers.said] == ["NOT accepted: it could not be written down in time"]


async def test_R4_time_spent_waiting_counts() -> None:
    async def stuck(_: Ask) -> Reply:
        await asyncio.sleep(60)
        return Reply()

    door = Door(TinyDesk(answer=stuck))
    body = slash()
    raw = parse(body, "application/x-www-form-urlencoded")
    began = door.clock.monotonic()
    from slack_kit import signed

    delivery = Delivery(body.decode(), signed(body), raw, read(raw), began - 2.2)
    answer = await door.ingress._inner(delivery)

    assert door.clock.monotonic() - began < 0.5 * SLOW
    assert "NOT accepted" in answer.body


async def test_an_exception_of_the_desk_never_reaches_bolt(caplog: pytest.LogCaptureFixture) -> None:
    async def broken(_: Ask) -> Reply:
        raise RuntimeError("planted-secret-text")

    door = Door(TinyDesk(answer=broken))
    statuses = [
        (await door.post(slash())).status_code,
        (await door.post(click())).status_code,
        (await door.post(form(reason="x"))).status_code,
        (await door.post(mention(), _JSON)).status_code,
    ]

    assert statuses == [200, 200, 200, 200]
    assert len(door.whispers.said) == 2
    assert "planted-secret-text" not in caplog.text


async def test_an_unknown_slash_command_is_answered(door: Door) -> None:
    response = await door.post(slash(command="/other"))

    assert response.status_code == 200
    assert "/sendcat help" in response.json()["text"]


@pytest.mark.parametrize("kind", ["shortcut", "message_action", "view_closed", "block_suggestion", "new_thing"])
async def test_kinds_without_a_listener_do_nothing(door: Door, kind: str) -> None:
    body = f'{{"type": "{kind}", "callback_id": "x", "user": {{"id": "U1A"}}, "view": {{}}, "action_id": "a"}}'
    response = await door.post(body.encode(), _JSON)

    assert response.status_code < 500
    assert door.desk.asks == []


async def test_slack_may_verify_the_address(door: Door) -> None:
    response = await door.post(b'{"type": "url_verification", "challenge": "abc"}', _JSON)

    assert (response.status_code, response.json()) == (200, {"challenge": "abc"})
    assert (await door.post(b"ssl_check=1&token=x")).status_code == 200


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("<@U0SENDCAT> triage", "triage"),
        ("  <@U0SENDCAT|sendcat>   drill --quick=true ", "drill --quick=true"),
        ("triage <@U0SENDCAT>", "triage"),
        ("<@U0SENDCAT>", ""),
        ("<@U0SENDCAT> note &amp;lt; &lt;b&gt;", "note &lt; <b>"),
    ],
)
def test_the_words_of_a_mention(said: str, words: str) -> None:
    assert mentioned(said) == words


_JSON = "application/json"


async def test_R8_in_a_shared_channel_a_stranger_is_heard_as_a_stranger(door: Door) -> None:
    """Slack names the person's workspace first, and ours as the one the app is installed through."""
    body = json.loads(mention("<@U0SENDCAT> stop"))
    body |= {"team_id": "T0ELSEWHERE", "context_team_id": "T0PRACTICE"}
    await door.post(json.dumps(body).encode(), _JSON)

    [ask] = door.desk.asks
    assert (ask.line, ask.by.team) == ("stop", "T0ELSEWHERE")
