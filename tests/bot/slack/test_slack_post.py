"""The outbox sender against a Slack that loses answers, rate-limits, refuses and goes down: once, in order, all."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import pytest
from slack_kit import make_poster
from slack_sdk.web.async_client import AsyncWebClient

from bot.card import Card, Cell, Table, Tone
from bot.errors import Busy
from bot.practice.slack import PracticeSlack
from bot.practice.slack.faults import LOST_ANSWER, LOST_REQUEST, SERVER_ERROR_AFTER, ApiFault
from bot.slack.post import Poster
from bot.store import outbox
from bot.store.database import Store
from bot.store.outbox import Letter
from tests.conftest import SLOW, until


async def put(store: Store, key: str, card: Card | None = None, **more: Any) -> None:
    await store.write(lambda tx: outbox.put(tx, key, **{"channel": "C0INC", "kind": "card", "card": card, **more}))


async def letter(store: Store, key: str) -> Letter:
    found = await store.read(lambda conn: outbox.by_key(conn, key))
    assert found is not None
    return found


def card(title: str, *, final: bool = False, **more: Any) -> Card:
    return Card(title=title, lead="Because.", final=final, **more)


def titles(slack: PracticeSlack, channel: str = "C0INC") -> list[str]:
    return [message["text"].split(".")[0] for message in slack.messages(channel)]


async def test_a_card_is_posted_once_and_then_edited(store: Store, slack: PracticeSlack, poster: Poster) -> None:
    await put(store, "card:r-1", card("Triage RUNNING"))
    await until(lambda: titles(slack) == ["Triage RUNNING"])
    await put(store, "card:r-1", card("PASS: healthy", final=True))
    await until(lambda: titles(slack) == ["PASS: healthy"])
    assert await poster.flush(5)

    assert slack.count("chat.postMessage") == 1
    assert slack.count("chat.update") == 1
    [message] = slack.messages("C0INC")
    assert message["metadata"] == {"event_type": "sendcat_card", "event_payload": {"key": "card:r-1"}}


async def test_edits_are_coalesced_and_the_final_one_does_not_wait(
    store: Store, slack: PracticeSlack, web: AsyncWebClient, tmp_path: Path
) -> None:
    poster = make_poster(store, web, tmp_path, edit_every_s=0.4)
    poster.start()
    for number in range(20):
        await put(store, "card:r-1", card(f"step {number}"))
        await asyncio.sleep(0.02)
    running = slack.count("chat.update")
    began = time.monotonic()
    await put(store, "card:r-1", card("done", final=True))
    await until(lambda: titles(slack) == ["done"])
    final_s = time.monotonic() - began
    await poster.stop()

    assert running <= 3
    assert final_s < 0.3 * SLOW


async def test_an_urgent_edit_does_not_wait_either(
    store: Store, slack: PracticeSlack, web: AsyncWebClient, tmp_path: Path
) -> None:
    """A click changes the card within a second (ux.md, rule 5)."""
    poster = make_poster(store, web, tmp_path, edit_every_s=30)
    poster.start()
    await put(store, "card:r-1", card("waiting for approval"))
    await until(lambda: titles(slack) == ["waiting for approval"])
    await put(store, "card:r-1", card("Approved by oncall"), urgent=True)
    await until(lambda: titles(slack) == ["Approved by oncall"], 1.0)
    await poster.stop()


async def test_R33_a_lost_answer_is_looked_up_and_not_posted_again(
    store: Store, slack: PracticeSlack, poster: Poster
) -> None:
    slack.faults.fail("chat.postMessage", LOST_ANSWER)
    await put(store, "card:r-1", card("first"))
    assert await poster.flush(5)
    await put(store, "card:r-1", card("second", final=True))
    assert await poster.flush(5)

    assert titles(slack) == ["second"]
    assert slack.count("chat.postMessage") == 1
    assert (await letter(store, "card:r-1")).state == "sent"


@pytest.mark.parametrize("fault", [LOST_REQUEST, ApiFault(apply=False, status=500, error="internal_error")])
async def test_R33_a_lost_request_is_sent_again(
    store: Store, slack: PracticeSlack, poster: Poster, fault: ApiFault
) -> None:
    slack.faults.fail("chat.postMessage", fault, 3)
    await put(store, "card:r-1", card("first", final=True))
    assert await poster.flush(5)

    assert titles(slack) == ["first"]


async def test_R33_in_a_thread_the_same(store: Store, slack: PracticeSlack, poster: Poster) -> None:
    await put(store, "card:r-1", card("parent", final=True))
    assert await poster.flush(5)
    slack.faults.fail("chat.postMessage", LOST_ANSWER)
    await put(store, "note:1", None, kind="reply", text="Raw\nline  1", thread_of="card:r-1")
    slack.faults.fail("chat.postMessage", SERVER_ERROR_AFTER)
    await put(store, "note:2", None, kind="reply", text="Raw\nline  2", thread_of="card:r-1")
    assert await poster.flush(5)

    [parent] = slack.messages("C0INC")
    thread = slack.thread("C0INC", parent["ts"])
    assert [message["blocks"][-1]["elements"][0]["elements"][0]["text"] for message in thread[1:]] == [
        "line  1",
        "line  2",
    ]


async def test_R33_retry_after_holds_back_everybody(
    store: Store, slack: PracticeSlack, web: AsyncWebClient, tmp_path: Path
) -> None:
    slack.faults.rate_limit("chat.postMessage", retry_after_s=1)
    poster = make_poster(store, web, tmp_path)
    poster.start()
    await put(store, "card:r-1", card("one"))
    await until(lambda: slack.count("chat.postMessage", applied=None) == 1)
    await put(store, "card:r-2", card("two"), channel="C0REL")
    await asyncio.sleep(0.5)
    during = slack.count("chat.postMessage", applied=None)
    assert await poster.flush(5)
    await poster.stop()

    assert during == 1
    assert (titles(slack), titles(slack, "C0REL")) == (["one"], ["two"])


async def test_R33_slack_down_the_card_comes_later_once(store: Store, slack: PracticeSlack, poster: Poster) -> None:
    await slack.set_down(True)
    for number in range(3):
        await put(store, "card:r-1", card(f"step {number}"))
        await asyncio.sleep(0.1)
    assert titles(slack) == []
    await slack.set_down(False)
    await until(lambda: titles(slack) == ["step 2"])

    assert slack.count("chat.postMessage") == 1


async def test_R33_killed_between_post_and_record_the_message_is_found_again(
    store: Store, slack: PracticeSlack, web: AsyncWebClient, tmp_path: Path
) -> None:
    """The post reached Slack, the process died before it wrote that down."""
    await put(store, "card:r-1", card("first"))
    await store.write(lambda tx: outbox.claim(tx, 1))
    await web.chat_postMessage(
        channel="C0INC",
        text="first",
        metadata={"event_type": "sendcat_card", "event_payload": {"key": "card:r-1"}},
    )
    await store.write(outbox.recover)
    poster = make_poster(store, web, tmp_path)
    poster.start()
    assert await poster.flush(5)
    await poster.stop()

    [message] = slack.messages("C0INC")
    assert message["blocks"][0]["text"]["text"] == "first"


async def test_R33_killed_before_the_post_it_is_sent(
    store: Store, slack: PracticeSlack, web: AsyncWebClient, tmp_path: Path
) -> None:
    await put(store, "card:r-1", card("first"))
    await store.write(lambda tx: outbox.claim(tx, 1))
    await store.write(outbox.recover)
    poster = make_poster(store, web, tmp_path)
    poster.start()
    assert await poster.flush(5)
    await poster.stop()

    assert titles(slack) == ["first"]


async def test_R33_stopped_in_mid_send_nothing_is_lost_or_doubled(
    store: Store, slack: PracticeSlack, web: AsyncWebClient, tmp_path: Path
) -> None:
    slack.faults.slow_s = 0.05
    for number in range(12):
        await put(store, f"card:r-{number}", card(f"card {number}", final=True))
    for _ in range(8):
        poster = make_poster(store, web, tmp_path)
        poster.start()
        await asyncio.sleep(0.09)
        for task in (poster._loop, *poster._busy.values()):
            assert task is not None
            task.cancel()
        await asyncio.sleep(0)
        await store.write(outbox.recover)
    slack.faults.slow_s = 0.0
    poster = make_poster(store, web, tmp_path)
    poster.start()
    assert await poster.flush(10)
    await poster.stop()

    assert titles(slack) == [f"card {number}" for number in range(12)]


CHANNELS = ("C0INC", "C0REL", "C0OPS", "C0AUD")
UNCLEAR = (LOST_ANSWER, LOST_REQUEST, SERVER_ERROR_AFTER, ApiFault(False, False, 500, "internal_error"))


async def crowd(store: Store, messages: range) -> None:
    """Every fifth a card, four replies between: each into the thread of one of the first eight cards of its channel."""
    for number in messages:
        turn, place = number // 5, CHANNELS[number // 5 % 4]
        if number % 5 == 0:
            await put(store, f"card:{turn}", card(f"card {turn}", final=True), channel=place)
        else:
            told = {"channel": place, "kind": "reply", "text": f"note {number}", "thread_of": f"card:{turn % 8}"}
            await put(store, f"note:{number}", None, **told)


def arrived(slack: PracticeSlack, messages: range) -> None:
    """Each once, and in order: the cards of every channel, the replies of every thread."""
    turns = range(messages.start // 5, messages.stop // 5)
    for index, place in enumerate(CHANNELS):
        assert titles(slack, place) == [f"card {turn}" for turn in turns if turn % 4 == index]
        for parent in slack.messages(place):
            thread = int(parent["text"].split(".")[0].removeprefix("card "))
            notes = [message["text"] for message in slack.thread(place, parent["ts"])[1:]]
            mine = [n for n in messages if n % 5 and n // 5 % 8 == thread and n // 5 % 4 == index]
            assert notes == [f"note {number}" for number in mine]


async def test_R33_sixty_messages_with_three_in_ten_calls_failing(
    store: Store, slack: PracticeSlack, poster: Poster
) -> None:
    """None lost, none doubled, order kept in every channel and thread."""
    slack.faults.fail_share(0.3, seed=7, kinds=UNCLEAR)
    await crowd(store, range(60))
    assert await poster.flush(30)
    slack.faults.clear()

    arrived(slack, range(60))


@pytest.mark.prove
@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_R33_a_thousand_messages_with_three_in_ten_calls_failing(
    store: Store, web: AsyncWebClient, slack: PracticeSlack, tmp_path: Path, seed: int
) -> None:
    """Lost requests, lost answers, errors before and after, 429 with Retry-After, Slack down in between, and the sender
    cut off and begun anew ten times: 1,000 messages, 0 lost, 0 doubled, order kept per thread."""
    slack.faults.fail_share(0.3, seed=seed)
    for part in range(10):
        poster = make_poster(store, web, tmp_path)
        poster.start()
        await crowd(store, range(part * 100, part * 100 + 100))
        if part == 4:
            await slack.set_down(True)
            await asyncio.sleep(0.5)
            await slack.set_down(False)
        await asyncio.sleep(0.4)
        for task in (poster._loop, *poster._busy.values()):
            assert task is not None
            task.cancel()
        await asyncio.sleep(0)
        await store.write(outbox.recover)
    poster = make_poster(store, web, tmp_path)
    poster.start()
    assert await poster.flush(600)
    await poster.stop()
    failed = sum(call.error is not None or not call.answered for call in slack.calls)
    calls = len(slack.calls)

    assert failed / calls > 0.25, f"{failed} of {calls} calls failed"
    arrived(slack, range(1_000))


async def test_a_workspace_without_tables_gets_them_as_text(store: Store, slack: PracticeSlack, poster: Poster) -> None:
    table = Table(columns=("a", "b"), rows=((Cell(text="x"), Cell(text="y", tone=Tone.BAD)),))
    slack.faults.fail("chat.postMessage", ApiFault(False, False, 200, "invalid_blocks"))
    await put(store, "card:r-1", card("first", table=table))
    await until(lambda: titles(slack) == ["first"])
    await put(store, "card:r-2", card("second", table=table))
    await until(lambda: titles(slack) == ["first", "second"])

    for message in slack.messages("C0INC"):
        kinds = [block["type"] for block in message["blocks"]]
        assert "table" not in kinds
        assert "rich_text" in kinds


async def test_blocks_that_slack_refuses_become_plain_words(store: Store, slack: PracticeSlack, poster: Poster) -> None:
    slack.faults.fail("chat.postMessage", ApiFault(False, False, 200, "invalid_blocks"))
    await put(store, "card:r-1", card("FAIL: chat", final=True))
    assert await poster.flush(5)

    [message] = slack.messages("C0INC")
    assert message["text"] == "FAIL: chat. Because."


async def test_a_deleted_card_is_posted_anew(store: Store, slack: PracticeSlack, poster: Poster) -> None:
    await put(store, "card:r-1", card("first"))
    await until(lambda: titles(slack) == ["first"])
    slack.delete_message("C0INC", slack.messages("C0INC")[0]["ts"])
    await put(store, "card:r-1", card("second", final=True))
    assert await poster.flush(5)

    assert titles(slack) == ["second"]
    assert (await letter(store, "card:r-1")).replaced_ts is not None


async def test_a_channel_without_the_bot_fails_that_message_and_no_other(
    store: Store, slack: PracticeSlack, poster: Poster
) -> None:
    await put(store, "card:r-1", card("lost"), channel="C0NOWHERE")
    await put(store, "card:r-2", card("fine"))
    await until(lambda: titles(slack) == ["fine"])
    assert await poster.flush(5)

    failed = await letter(store, "card:r-1")
    assert (failed.state, failed.reason) == ("failed", "channel_not_found")


async def test_a_card_that_names_its_asker_comes_as_a_direct_message_instead(
    store: Store, slack: PracticeSlack, poster: Poster
) -> None:
    await put(store, "card:r-1", card("first"), channel="C0NOWHERE", user="U0ONCALL")
    direct = slack.workspace.dm("U0ONCALL").id
    await until(lambda: titles(slack, direct) == ["first"])
    await put(store, "card:r-1", card("second", final=True), channel="C0NOWHERE", user="U0ONCALL")
    assert await poster.flush(5)

    assert titles(slack, direct) == ["second"]


async def test_an_ephemeral_answer_reaches_one_person(store: Store, slack: PracticeSlack, poster: Poster) -> None:
    await put(store, "eph:1", card("Help"), kind="ephemeral", user="U0ONCALL")
    assert await poster.flush(5)

    assert [note["text"] for note in slack.ephemerals("oncall")] == ["Help. Because."]
    assert slack.ephemerals("lead") == []


async def test_what_a_whisper_cannot_hold_is_whispered_after_it(
    store: Store, slack: PracticeSlack, poster: Poster
) -> None:
    """It has no thread: a table of 109 rows comes whole all the same, for the same eyes only."""
    table = Table(columns=("Knob",), rows=tuple((Cell(text=f"KNOB_{n:03}_{'X' * 80}"),) for n in range(109)))
    await put(store, "eph:1", card("109 knobs", table=table), kind="ephemeral", user="U0ONCALL")
    assert await poster.flush(5)

    said = str(slack.ephemerals("oncall"))
    assert all(f"KNOB_{n:03}_" in said for n in range(109))
    assert "The rest follows" in said
    assert "in the thread" not in said
    assert titles(slack) == []


async def test_where_the_bot_may_not_speak_it_answers_directly(
    store: Store, slack: PracticeSlack, poster: Poster
) -> None:
    await put(store, "eph:1", card("Help"), kind="ephemeral", user="U0ONCALL", channel="C0RAND")
    poster.whisper(card("Refused"), channel="C0RAND", user="U0ONCALL", thread_ts=None)
    direct = slack.workspace.dm("U0ONCALL").id
    await until(lambda: sorted(titles(slack, direct)) == ["Help", "Refused"])


async def test_R4_a_whisper_needs_no_database(
    store: Store, slack: PracticeSlack, web: AsyncWebClient, tmp_path: Path
) -> None:
    poster = make_poster(store, web, tmp_path)
    await store.close()
    slack.faults.rate_limit("chat.postEphemeral", retry_after_s=1)
    poster.whisper(card("NOT accepted"), channel="C0INC", user="U0ONCALL", thread_ts=None)
    await until(lambda: [note["text"] for note in slack.ephemerals("oncall")] == ["NOT accepted. Because."])
    await poster.stop()


@pytest.mark.parametrize("lost", [False, True])
async def test_R33_a_file_stands_once_in_the_thread(
    store: Store, slack: PracticeSlack, poster: Poster, tmp_path: Path, lost: bool
) -> None:
    artifacts = tmp_path / "artifacts"
    artifacts.mkdir()
    (artifacts / "triage-1.json").write_text('{"a": 1}')
    if lost:
        slack.faults.fail("files.completeUploadExternal", LOST_ANSWER)
        slack.faults.fail("files.getUploadURLExternal", LOST_ANSWER)
    await put(store, "card:r-1", card("first", final=True))
    await put(store, "file:1", None, kind="file", file="triage-1.json", text="Snapshot", thread_of="card:r-1")
    assert await poster.flush(5)

    [stored] = slack.files("C0INC")
    assert (stored.name, stored.title, stored.content) == ("triage-1.json", "Snapshot", b'{"a": 1}')
    assert len(slack.thread("C0INC", slack.messages("C0INC")[0]["ts"])) == 2


@pytest.mark.parametrize("name", ["../secret.json", "/etc/hostname", "missing.json"])
async def test_a_file_outside_the_artifacts_is_never_read(
    store: Store, slack: PracticeSlack, poster: Poster, tmp_path: Path, name: str
) -> None:
    (tmp_path / "secret.json").write_text("secret")
    await put(store, "card:r-1", card("first", final=True))
    await put(store, "file:1", None, kind="file", file=name, text="x", thread_of="card:r-1")
    assert await poster.flush(5)

    assert (await letter(store, "file:1")).state == "failed"
    assert slack.files() == []


async def test_what_does_not_fit_a_final_card_goes_into_its_thread(
    store: Store, slack: PracticeSlack, poster: Poster
) -> None:
    rows = tuple((Cell(text=f"row {number}"),) for number in range(40))
    await put(store, "card:r-1", card("running", table=Table(columns=("a",), rows=rows)))
    await put(store, "card:r-1", card("done", final=True, table=Table(columns=("a",), rows=rows)))
    assert await poster.flush(5)

    [message] = slack.messages("C0INC")
    thread = slack.thread("C0INC", message["ts"])
    assert len(thread) == 2
    assert "row 39" in str(thread[1]["blocks"])


async def test_a_revoked_token_keeps_the_messages(
    store: Store, slack: PracticeSlack, web: AsyncWebClient, tmp_path: Path
) -> None:
    slack.faults.revoked = True
    poster = make_poster(store, web, tmp_path)
    poster.start()
    await put(store, "card:r-1", card("first"))
    await until(lambda: slack.count("chat.postMessage", applied=None) == 1)
    await asyncio.sleep(0.05)
    await poster.stop()

    assert (await letter(store, "card:r-1")).state == "due"


class Stumbling:
    """The real store, whose next writes fail as a full queue does."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.fail = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def write(self, step: Any, **more: Any) -> Any:
        if self.fail > 0 and "claim" not in step.__code__.co_names:
            self.fail -= 1
            raise Busy("the queue is full")
        return await self._store.write(step, **more)


async def test_R33_sent_but_not_written_down_it_is_looked_for(
    store: Store, slack: PracticeSlack, web: AsyncWebClient, tmp_path: Path
) -> None:
    stumbling = Stumbling(store)
    poster = make_poster(stumbling, web, tmp_path)  # type: ignore[arg-type]
    stumbling.fail = 2
    poster.start()
    await put(store, "card:r-1", card("first", final=True))
    assert await poster.flush(8)
    await poster.stop()

    assert titles(slack) == ["first"]
    assert stumbling.fail == 0
    assert slack.count("chat.postMessage") == 1
