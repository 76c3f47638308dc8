"""Every line of the runbook, typed as it stands there, is the right command with the right arguments.

``tests/data/runbook-lines.json`` holds the operator lines of the runbook in its order; ``fill`` says what a person puts
into its blanks.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bot.catalog import Catalog
from bot.commands import catalog
from bot.config import Config, load
from bot.main import Bot
from playbooks.book import Book
from playbooks.functions import function
from playbooks.lines import normalise
from playbooks.spans import CommandSpan, NpmLine
from playbooks.terms import RUNBOOK_COMMANDS
from tests.conftest import carry_out

LINES = json.loads(Path("tests/data/runbook-lines.json").read_text())
CONFIG = "\n".join(
    (
        'default_target = "production"',
        *(
            f'[target.{name}]\nenvironment = "{environment}"\n'
            f'api_url = "https://{name}.convex.cloud"\nsite_url = "https://{name}.convex.site"'
            for name, environment in (("production", "production"), ("control", "production"), ("candidate", "staging"))
        ),
    )
)


@pytest.fixture(scope="module")
def wall() -> Catalog:
    return catalog()


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("runbook") / "sendcat.toml"
    path.write_text(CONFIG)
    config = load(path, environ={})
    assert config is not None
    return config


@pytest.mark.parametrize("case", LINES, ids=[f"{case['at']}: {case['line'][:60]}" for case in LINES])
@pytest.mark.parametrize("before", ["", "/sendcat "])
def test_a_line_of_the_runbook_is_understood_as_typed(
    case: dict[str, Any], before: str, wall: Catalog, targets: Config
) -> None:
    line = case["line"]
    for blank, value in case.get("fill", {}).items():
        line = line.replace(blank, value)

    plan = wall.plan(before + line, targets)
    given = {name: getattr(plan.args, name) for name in case["args"]}

    assert plan.command.name == case["command"]
    assert {name: ",".join(v) if isinstance(v, tuple | list) else v for name, v in given.items()} == case["args"]
    assert plan.target is None or plan.target.name == "production"
    if case["command"] == "inspect":
        function(plan.args.function).check(json.loads(plan.args.arguments))  # type: ignore[attr-defined]


def test_the_list_is_the_runbooks() -> None:
    """All nine operator commands are among them, and every line that a page of ours says in the runbook's spelling."""
    typed = {normalise(case["line"]) for case in LINES}
    pages = Book.load(catalog().names).pages.values()
    said = {span.line.text for page in pages for span in page.spans if isinstance(span, CommandSpan)}
    npm = {span.line.text for page in pages for span in page.spans if isinstance(span, NpmLine)}

    assert {case["command"] for case in LINES} == {*RUNBOOK_COMMANDS, "inspect", "owners"}
    assert typed <= said, "a line of the runbook stands on no page"
    assert npm <= typed, "a page has an operator line that the runbook has not"


@pytest.mark.parametrize("case", [case for case in LINES if "clearNamespace" in case["line"]], ids=["web", "products"])
async def test_a_line_that_changes_something_leads_to_the_step_that_may(case: dict[str, Any], bot: Bot) -> None:
    """Pasted into a channel it changes nothing; the answer is the page and the line of the step (R21)."""
    _, outcome = await carry_out(bot, case["line"])

    assert outcome is not None
    assert outcome["exit_status"] == 4
    assert "playbook E" in outcome["card"]["next"]
    assert f"walk mutate w-N 1 toolCache:clearNamespace {case['args']['arguments']}" in outcome["card"]["next"]
