"""A mistake on a page is reported like a compiler does: file, line, the text, a mark under it; all at once."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import playbooks
from playbooks.book import Book
from playbooks.page import PageErrors, parse_page
from tests.playbooks.conftest import COMMANDS

PAGES = Path(playbooks.__file__).parent


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for page in PAGES.glob("*.md"):
        shutil.copy(page, tmp_path / page.name)
    return tmp_path


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), "utf-8")


def _broken(folder: Path) -> PageErrors:
    with pytest.raises(PageErrors) as caught:
        Book.load(COMMANDS, folder)
    return caught.value


def test_a_misspelt_knob_is_marked(folder: Path) -> None:
    _edit(folder / "f-tool-queue.md", "   - `TOOL_JOB_QMAX_WEB`", "   - `TOOL_JOB_QMAX_WBE`")

    (error,) = _broken(folder).errors

    where, text, mark = str(error).splitlines()
    assert where.startswith("f-tool-queue.md:")
    assert "no knob `TOOL_JOB_QMAX_WBE`; did you mean `TOOL_JOB_QMAX_WEB`?" in where
    assert text.endswith("- `TOOL_JOB_QMAX_WBE`")
    assert mark.index("^") == text.index("TOOL_JOB_QMAX_WBE")
    assert mark.count("^") == len("TOOL_JOB_QMAX_WBE")


def test_all_mistakes_of_all_pages_are_reported_at_once(folder: Path) -> None:
    _edit(folder / "a-rate-limit.md", "`contention_fallback`", "`contention`")
    _edit(folder / "a-rate-limit.md", "1. **read:**", "1. **look:**")
    _edit(folder / "canary.md", "reliability:canary --", "reliability:canry --")
    _edit(folder / "c-bulkhead.md", "full = 0.9", 'full = "much"')

    errors = _broken(folder).errors

    assert [(error.file, error.line > 0) for error in errors] == [
        ("a-rate-limit.md", True),
        ("a-rate-limit.md", True),
        ("canary.md", True),
        ("c-bulkhead.md", True),
    ]


@pytest.mark.parametrize(
    ("page", "old", "new", "says"),
    [
        ("b-circuit.md", "circuitBreaker:listStatuses '{\"limit\":20}'", "circuitBreaker:listStatus", "did you mean"),
        ("b-circuit.md", '{"limit":20}', '{"limit":0}', r"`limit` is 1\.\.100"),
        ("b-circuit.md", '{"limit":20}', '{"limit":', "not JSON"),
        ("b-circuit.md", '{"limit":20}', "[20]", "JSON object"),
        ("b-circuit.md", "FF_PROVIDER_FAILOVER_ENABLED=true", "FF_PROVIDER_FAILOVER_ENABLED=on", "does not take `on`"),
        ("b-circuit.md", "`CIRCUIT_*_COOLDOWN_MS`", "`CIRCUIT_*_COOLDOWNS`", "no knob"),
        ("triage.md", "`/sendcat triage`", "`/sendcat triag`", "no command `triag`; did you mean `triage`"),
        ("triage.md", "`config.regionTopology`", "`config.regionTopolgy`", "nothing is called"),
        ("triage.md", "`npm run reliability:probe`", "`npm run probe`", "npm run reliability"),
        ("triage.md", "`npm run reliability:probe`", "`npm run reliability:probe", "never closed"),
        ("triage.md", "2. **run:**", "3. **run:**", "step 2 is numbered 3"),
        ("triage.md", "2. **run:** Run", "2. Run", "a step starts with its kind"),
        ("triage.md", "2. **run:**", "- **run:**", "numbered steps"),
        ("triage.md", "# Triage: the first 5 minutes", "Triage", "a page starts with"),
        ("tuning-rules.md", "- Apply", "1. Apply", "holds bullets"),
        ("core-commands.md", "```bash\ncat", "```sh\ncat", "a fenced block is"),
        ("core-commands.md", "npm run reliability:probe\n", "curl http://x\n", "nothing is called"),
        ("core-commands.md", "npm run reliability:probe\n", "toolJobs:processQueue\n", "is a command line"),
        ("e-tool-cache.md", "stale_share = 0.5\n```", "stale_share = 0.5", "never closed"),
        ("e-tool-cache.md", "stale_share = 0.5\n```", "stale_share = 0.5\n```\nMore.", "last thing on a page"),
        ("e-tool-cache.md", "stale_share = 0.5", "stale_share = ", "settings: "),
        ("e-tool-cache.md", "stale_share = 0.5", "stale_shares = 0.5", "`stale_share` is missing"),
        ("e-tool-cache.md", "stale_share = 0.5", "stale_share = 5", "less than or equal to 1"),
        ("g-region.md", "# G. ", "# F. ", "playbook F is already f-tool-queue.md"),
    ],
)
def test_each_kind_of_mistake_says_what_is_wrong(folder: Path, page: str, old: str, new: str, says: str) -> None:
    _edit(folder / page, old, new)

    error = _broken(folder)

    with pytest.raises(PageErrors, match=says):
        raise error
    assert {found.file for found in error.errors} == {page}


def test_a_wrong_setting_is_marked_at_its_own_line(folder: Path) -> None:
    _edit(folder / "a-rate-limit.md", "chat_stream = { blocked = 25,", "chat_stream = { blocked = 0,")

    (error,) = _broken(folder).errors

    assert error.text.startswith("chat_stream = ")
    assert "alert_events.chat_stream.blocked" in error.what


def test_a_missing_playbook_is_reported(folder: Path) -> None:
    (folder / "d-replay.md").unlink()

    (error,) = _broken(folder).errors

    assert error.what == "no page for playbook D"


def test_a_page_that_is_no_text_is_reported(folder: Path) -> None:
    (folder / "canary.md").write_bytes(b"# \xff\xfe")

    (error,) = _broken(folder).errors

    assert "UTF-8" in error.what


def test_a_new_page_is_a_new_playbook(folder: Path) -> None:
    """Adding a playbook is adding a page; its settings are free until something judges them."""
    text = "# I. Redis outage\n\n## Actions\n\n1. **read:** Look: `npm run reliability:snapshot`\n\n```toml\nshare = 1\n```\n"
    (folder / "i-redis.md").write_text(text, "utf-8")

    page = Book.load(COMMANDS, folder).playbook("I")

    assert page.step(1).text == "Look: `npm run reliability:snapshot`"
    assert page.settings == {"share": 1}
    with pytest.raises(KeyError):
        page.step(2)


def test_a_command_of_a_later_day_is_not_known_by_chance() -> None:
    with pytest.raises(PageErrors, match="no command `reboot`"):
        parse_page("# X\n\n`/sendcat reboot`\n", "x.md", COMMANDS)


def test_two_blocks_of_settings_are_one_too_many() -> None:
    block = "```toml\na = 1\n```\n"
    with pytest.raises(PageErrors, match="one block of settings"):
        parse_page(f"# X\n\n{block}{block}", "x.md", COMMANDS)


def test_a_step_keeps_its_lines_and_its_notes_apart() -> None:
    source = "# X\n\n## Steps\n\n1. **read:** One\n   goes on:\n   - two\n     more\n   > A note\n   > on two rows.\n   - three\n   > Another.\n"

    (step,) = parse_page(source, "x.md", COMMANDS).steps

    assert step.text == "One goes on:\n- two more\n- three"
    assert step.notes == ("A note on two rows.", "Another.")
