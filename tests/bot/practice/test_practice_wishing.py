"""Making a practice Sendcat better or worse: from another terminal, and from the page's switches."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from bot.commands import ALL
from bot.errors import Broken, Unknown
from bot.practice.house import RunFile, write_run_file
from bot.practice.sendcat import PracticeSendcat
from bot.practice.slack import PracticeSlack
from bot.practice.wishing import carry_out
from bot.slack.manifest import manifest
from tests.stories.canary_kit import place


@pytest.fixture
def house(tmp_path: Path, sendcat: PracticeSendcat) -> Path:
    """The run file of a house with one deployment."""
    import os

    write_run_file(tmp_path, RunFile(pid=os.getpid(), deployments={"practice": place(sendcat, tmp_path)}))
    return tmp_path


async def _posts(sendcat: PracticeSendcat, times: int = 1) -> list[int]:
    address = f"{sendcat.site_url}/api/gmail/push?token={sendcat.gmail_token}"
    async with httpx.AsyncClient(trust_env=False) as client:
        return [(await client.post(address)).status_code for _ in range(times)]


async def test_from_a_terminal(house: Path, sendcat: PracticeSendcat, capsys: pytest.CaptureFixture[str]) -> None:
    assert await carry_out("practice", "broken", house) == 0
    assert await _posts(sendcat) == [503]
    assert await carry_out("practice", "f:caps", house) == 0
    assert await carry_out("practice", None, house) == 0
    assert "practice: broken (every answer is a 503); faults: F:caps" in capsys.readouterr().out
    assert await carry_out("practice", "healthy", house) == 0

    assert (sendcat.conduct, sendcat.active_faults()) == ("healthy", [])
    assert await _posts(sendcat) == [415]
    for words in (("practice", "slowish"), ("practice", "Z"), ("nobody", "slower")):
        with pytest.raises(Unknown, match=r"Conducts|no Sendcat"):
            await carry_out(*words, house)
    with pytest.raises(Broken, match="No practice house"):
        await carry_out("practice", "slower", house / "elsewhere")


async def test_a_share_of_answers_and_of_chats_goes_wrong(sendcat: PracticeSendcat) -> None:
    sendcat.switches.site_fail_share = 0.5
    seen = await _posts(sendcat, 60)
    assert 10 < seen.count(503) < 50
    assert set(seen) == {503, 415}

    sendcat.switches.site_fail_share, sendcat.switches.stream_break_share = 0.0, 1.0
    user = sendcat.pool[0]
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{sendcat.site_url}/api/chat",
            json={"threadId": user["threadId"]},
            headers={"Authorization": f"Bearer {user['authToken']}"},
        )
    assert answer.status_code == 200
    assert '"type":"content"' in answer.text
    assert '"done"' not in answer.text
    assert sendcat.counters.chats["cut"] == 1


async def test_from_the_page(sendcat: PracticeSendcat) -> None:
    slack = PracticeSlack(manifest=manifest(ALL), sendcats={"candidate": sendcat})
    await slack.start()
    try:
        async with httpx.AsyncClient(base_url=slack.url, trust_env=False) as client:
            before = (await client.get("/page/state", params={"as": "oncall"})).json()
            done = await client.post("/page/conduct", json={"deployment": "candidate", "conduct": "slower"})
            after = (await client.get("/page/state", params={"as": "oncall"})).json()
            wrong = await client.post("/page/conduct", json={"deployment": "candidate", "conduct": "slow"})
    finally:
        await slack.stop()

    assert done.json() == {"ok": True}
    assert [state["deployments"][0]["conduct"] for state in (before, after)] == ["healthy", "slower"]
    assert [each["name"] for each in after["deployments"][0]["conducts"]] == ["healthy", "slower", "flaky", "broken"]
    assert after["revision"] > before["revision"]
    assert wrong.json()["ok"] is False
    assert sendcat.conduct == "slower"
