"""The dashboard: the original's files byte for byte, and a page that nothing foreign can break out of."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from bot.card import Tone
from bot.dashboard import files
from bot.dashboard.charts import Series, Wanted, draw
from bot.dashboard.page import page
from bot.dashboard.shown import errors
from bot.dashboard.wanted import of_endpoint
from bot.main import Bot
from bot.redact import inert
from bot.target import Environment, Target
from slo.dashboard import Dashboard, FiledDrill, Point, Trend, build
from slo.policy import Baseline, GatePolicy, Ownership, load
from slo.reports import DrillReport
from slo.scenarios import CHAT, ENDPOINTS
from tests.bot.dashboard.dashboard_kit import API_URL, SAMPLE_URL, SAMPLES, fill
from tests.conftest import carry_out


async def made(bot: Bot, line: str = "dashboard") -> dict[str, Any]:
    reply, outcome = await carry_out(bot, line)
    assert outcome is not None, reply
    assert outcome["exit_status"] == 0, outcome
    return outcome


class Page(HTMLParser):
    """What a browser would see: every tag with its attributes, and the text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())


def harmless(text: str) -> Page:
    """Asserts that a page runs and fetches nothing."""
    seen = Page(text)
    allowed = {"html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section", "div", "h1"}
    allowed |= {"h2", "h3", "small", "p", "ul", "ol", "li", "span", "figure", "figcaption", "details", "summary"}
    allowed |= {"svg", "rect", "line", "polyline", "path", "circle", "text", "code"}
    allowed |= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    assert {tag for tag, _ in seen.tags} <= allowed
    for _, attrs in seen.tags:
        assert not any(name.startswith("on") or name in ("href", "src", "xlink:href", "srcdoc") for name in attrs)
    assert "url(" not in text
    assert "@import" not in text
    assert not re.search(r"https?://", text)
    assert "default-src 'none'" in text
    return seen


async def test_the_originals_files_are_reproduced_byte_for_byte(bot: Bot) -> None:
    folder = bot.world.config.artifact_dir
    fill(folder)
    await made(bot)

    written = json.loads((folder / "slo-dashboard.json").read_text())
    honest = written.pop("honest")
    recorded = (SAMPLES / "dashboard" / "slo-dashboard.json").read_text()
    then = json.loads(recorded)["generatedAt"]
    again = json.dumps({**written, "generatedAt": then}, indent=2, ensure_ascii=False)
    # JavaScript prints a whole number without a point; so do we.
    assert again == recorded
    markdown = (folder / "slo-dashboard.md").read_text()
    assert markdown.replace(written["generatedAt"], then) == (SAMPLES / "dashboard" / "slo-dashboard.md").read_text()
    # Those reports are of another deployment, so that none of them stands in our trends.
    assert honest["ofOtherTargets"] == 19
    assert all(trend["points"] == [] for trend in honest["trends"])


def read_back(folder: Path, max_reports: int = 10) -> tuple[Dashboard, str]:
    """The folder of that deployment as a dashboard, and its page."""
    target = Target(name="staging", environment=Environment.STAGING, api_url=API_URL, site_url=SAMPLE_URL)
    baseline = load(Baseline)
    found = files.read(folder, target, {}, baseline, load(Ownership), max_reports=max_reports)
    board = build(*found.ours, baseline, max_reports=max_reports)
    text = page(board, load(GatePolicy), target="staging", environment="staging", generated_ms=1, others=found.others)
    return board, text


def test_weakness_25_the_newest_by_start_and_files_of_the_original_are_drawn(tmp_path: Path) -> None:
    fill(tmp_path)
    board, text = read_back(tmp_path, 3)

    shown = {point.file for trend in board.trends for point in trend.points}
    # By name the last three are all of profile quick, and today's milestones would be hidden.
    assert shown == {
        "load-drill-m1_1k-2026-11-23T07-48-27-821Z.json",
        "load-drill-m1_1k-2026-11-23T07-49-03-264Z.json",
        "load-drill-quick-2026-11-23T07-49-06-221Z.json",
    }
    seen = harmless(text)
    assert "quick (original)" in seen.text
    assert "1 of 2 passed" in seen.text


async def test_damaged_files_are_named_and_count_for_nothing(bot: Bot) -> None:
    folder, url = bot.world.config.artifact_dir, bot.world.config.target["practice"].site_url
    fill(folder, url)
    (folder / "load-drill-quick-2026-11-23T09-00-00-000Z.json").write_text('{"startedAt": ')
    (folder / "release-gate-2026-11-23T09-00-00-000Z.json").write_text("[1]")
    (folder / "synthetic-probes-2026-11-23T09-00-00-000Z.json").write_bytes(b"\xff\xfe")
    (folder / "load-drill-<img src=x onerror=alert(1)>.json").write_text("[" * 100_000)
    outcome = await made(bot, "dashboard --max-reports=50")

    text = (folder / "slo-dashboard.html").read_text()
    seen = harmless(text)
    assert "4 damaged files left out" in seen.text
    for name in ("load-drill-quick-2026-11-23T09-00", "release-gate-2026-11-23T09", "synthetic-probes-2026-11-23T09"):
        assert any(name in line for line in outcome["data"]["unreadable"])
        assert name in seen.text
        assert name in json.dumps(outcome["card"])
    # As in the original they stay in the counts.
    assert outcome["data"]["report"]["source"]["gateReports"] == 3


async def test_a_report_that_was_altered_after_it_was_written_is_damaged(bot: Bot) -> None:
    await carry_out(bot, "probe")
    folder = bot.world.config.artifact_dir
    [file] = folder.glob("synthetic-*.json")
    first = await made(bot)
    assert first["data"]["unreadable"] == []
    assert first["card"]["facts"][2]["value"].startswith("1 of 1 passed")
    file.chmod(0o600)
    file.write_text(file.read_text().replace('"passed": true', '"passed": true '))

    assert (await made(bot))["data"]["unreadable"] == [file.name]


def test_R34_what_stands_in_an_artifact_cannot_break_out_of_the_page(tmp_path: Path) -> None:
    fill(tmp_path)
    evil = '"><script>alert(1)</script><svg/onload=alert(2)>\u202e{{ 7*7 }}{% raw %}|`*<!channel>'
    for path in tmp_path.glob("load-drill-quick-*.json"):
        raw = json.loads(path.read_text())
        raw["profile"] = evil
        path.write_text(json.dumps(raw))
    _, text = read_back(tmp_path)
    harmless(text)
    assert "<script" not in text
    assert "\u202e" not in text
    assert f"{inert(evil, 24)} (original)" in Page(text).text


async def test_the_folder_may_be_empty(bot: Bot) -> None:
    outcome = await made(bot)
    assert "There is no report of this target yet" in outcome["card"]["lead"]
    assert outcome["data"]["picture"] is None
    harmless((bot.world.config.artifact_dir / "slo-dashboard.html").read_text())


async def test_max_reports_is_a_number_or_refused(bot: Bot) -> None:
    wanted = {"0": 0, "7.9": 0, "5k": 2, "-1": 2, "nan": 2, "inf": 2, "201": 2}
    for flag, status in wanted.items():
        reply, outcome = await carry_out(bot, f"dashboard --max-reports={flag}")
        assert (outcome["exit_status"] if outcome else reply.exit_status) == status, flag


def point(at: int, **other: Any) -> Point:
    fields: dict[str, Any] = {
        "started_ms": 1_795_400_000_000 + at * 3_600_000,
        "file": f"load-drill-{at}.json",
        "profile": "burst",
        "p95_ms": 100.0,
        "first_token_p95_ms": 50.0,
        "five_xx_rate": 0.0,
        "network_error_rate": 0.0,
        "refused_rate": 0.0,
        "stream_success_rate": 1.0,
        "burn": 0.1,
        "honest": True,
    }
    return Point(**{**fields, **other})


def test_every_chart_says_in_words_what_it_shows_and_has_its_table() -> None:
    known = load(Baseline)
    bad = point(1, p95_ms=20_000.0, five_xx_rate=0.2, stream_success_rate=0.5, burn=4.0)
    trends = tuple(
        Trend(path, name, known.endpoint(path), (point(0), bad, point(2, p95_ms=None)))
        for name, path in ENDPOINTS.items()
    )
    text = page(
        Dashboard(trends, (), (), (), ()),
        load(GatePolicy),
        target="practice",
        environment="practice",
        generated_ms=1_795_400_000_000,
        others=0,
    )
    seen = harmless(text)
    drawn = [attrs for tag, attrs in seen.tags if tag == "svg"]
    tables = sum(tag == "table" for tag, _ in seen.tags)
    assert len(drawn) == 10  # p95, errors and streams of three endpoints, and the burn
    assert tables == len(drawn)
    assert all(attrs["role"] == "img" and attrs["aria-labelledby"] for attrs in drawn)
    assert "3 runs: p95 latency from 100 ms to 20.0 s, last measured 20.0 s;" in seen.text
    assert "limit 1500 ms, 1 over it." in seen.text
    assert "✕ over" in seen.text
    assert "✕ under" in seen.text


def test_5xx_and_network_errors_are_held_each_against_its_own_limit() -> None:
    """1.5% of 5xx breaks a webhook's 1%, although its network errors may be 2%; 0.8% and 1.5% break nothing."""
    known = load(Baseline)
    path, name = ENDPOINTS["gmail_push_webhook"], "gmail_push_webhook"

    def of(*points: Point) -> tuple[Trend, Any]:
        trend = Trend(path, name, known.endpoint(path), points)
        return trend, next(chart for chart in of_endpoint(trend) if chart.id.endswith("-errors"))

    broken, red = of(point(0, five_xx_rate=0.015))
    within, fine = of(point(0, five_xx_rate=0.008, network_error_rate=0.015))

    assert ([row.word for row in red.rows], [row.word for row in fine.rows]) == (["over"], ["ok"])
    assert [dot.over for dot in red.dots] == [True, False]
    assert len(red.limit_ys) == 2
    assert red.limit_label == "limit of 5xx 1 %, of network errors 2 %"
    assert "1 over it" in red.said
    assert (errors(broken).text, errors(broken).tone) == ("5xx 1.5 % of 1 %", Tone.BAD)
    assert (errors(within).text, errors(within).tone) == ("2.3 %", Tone.OK)
    [shared] = [
        chart.limit_label
        for chart in of_endpoint(Trend("/api/chat", CHAT, known.endpoint("/api/chat"), (point(0),)))
        if chart.id.endswith("-errors")
    ]
    assert shared == "limit 5 %"


def test_one_point_none_and_the_same_ones_are_drawn_inside_the_canvas() -> None:
    for values in ((), (0.0,), (5.0, 5.0), (None, 3.0, None), (1e-9, 1e12)):
        for scale in ("linear", "log", "share"):
            chart = draw(
                Wanted(
                    id="x",
                    title="x",
                    series=(Series("x", values, 1.0),),
                    labels=tuple(map(str, values)),
                    ticks=tuple(map(str, values)),
                    notes=tuple(map(str, values)),
                    limit=1.0,
                    say=str,
                    scale=scale,  # type: ignore[arg-type]
                )
            )
            places = [(dot.x, dot.y) for dot in chart.dots]
            assert len(places) == sum(value is not None for value in values)
            assert all(chart.left <= x <= chart.right and chart.top <= y <= chart.bottom for x, y in places)
            assert 1 <= len(chart.y_ticks) <= 8, (values, scale, chart.y_ticks)


def test_weakness_11_time_to_headers_is_marked_as_the_originals() -> None:
    drills = [json.loads(path.read_text()) for path in SAMPLES.glob("drill-quick-pass/load-drill-*.json")]
    board = build([FiledDrill("load-drill-a.json", DrillReport.parse(raw)) for raw in drills], [], [], load(Baseline))
    chat = next(trend for trend in board.trends if trend.scenario == CHAT)
    assert [(p.honest, p.stream_success_rate) for p in chat.points] == [(False, None)]
