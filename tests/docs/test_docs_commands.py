"""Commands in the documentation exist, and the commands that exist are documented."""

import re
from collections.abc import Mapping
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from reconciler.cli.codes import Exit
from reconciler.cli.edits import NODE_EDITS
from reconciler.cli.main import COMMANDS, app
from tests.docs.conftest import Page

EVERY = [*COMMANDS, *(f"node {name}" for name in NODE_EDITS)]
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
CALL = re.compile(r"\bwinslow (?:--config \S+ )?([a-z][a-z-]*)\b")


def options(command: str) -> set[str]:
    """The long options of a command, as typer knows them."""
    found: Any = typer.main.get_command(app)
    for name in command.split():
        found = found.commands[name]
    return {name for parameter in found.params for name in parameter.opts if name.startswith("--")}


def called(page: Page) -> set[str]:
    """Names of commands in code: in blocks for shells and in spans."""
    blocks = [block for language in ("sh", "console", "text") for block in page.blocks(language)]
    lines = [line for block in blocks for line in block.splitlines()]
    typed = [line.removeprefix("$ ") for line in lines if line.removeprefix("$ ").startswith("winslow ")]
    spans = re.findall(r"`([^`\n]*\bwinslow [^`\n]*)`", page.prose())
    return {name for text in (*typed, *spans) for name in CALL.findall(text)}


def test_commands_in_the_documentation_exist(pages: list[Page]) -> None:
    """Nobody types something that answers "no such command"."""
    assert {name for page in pages for name in called(page)} - set(COMMANDS) == set()


def test_calls_are_found_in_blocks_and_spans(pages: list[Page]) -> None:
    """The search can find something."""
    page = Page(pages[0].path, "`winslow fly`\n\n```sh\nwinslow swim --far\n```\n")
    assert called(page) == {"fly", "swim"}
    assert called(pages[0]) >= {"init", "node", "status"}


@pytest.mark.parametrize("name", EVERY)
def test_a_command_has_a_section_with_its_options(name: str, docs: dict[str, Page]) -> None:
    """Neither a forgotten option nor an invented one."""
    text = docs["cli"].section(f"winslow {name}").text
    shared = set(OPTION.findall(docs["cli"].section("Options that several commands share").text))
    blocks = [block for block in docs["cli"].blocks("console") if f"winslow {name}" in block]
    told = set(OPTION.findall(text + "\n".join(blocks)))
    assert {"missing": options(name) - told - shared, "unknown": told - options(name)} == {
        "missing": set(),
        "unknown": set(),
    }


@pytest.mark.parametrize("option", ["clone", "output", "config"])
def test_a_shared_option_names_its_commands(option: str, docs: dict[str, Page]) -> None:
    """Which commands read a clone, which print JSON."""
    text = docs["cli"].section("Options that several commands share").text
    row = next(line for line in text.splitlines() if line.startswith(f"| `--{option}"))
    named = set(re.findall(r"`([a-z]+)`", row.split(" | ")[1]))
    having = {name for name in COMMANDS if f"--{option}" in options(name)}
    assert named in (having, set())  # "all that look at a site" names none


@pytest.mark.parametrize("name", EVERY)
def test_help_answers(name: str) -> None:
    """The page says that every command has it."""
    assert CliRunner().invoke(app, [*name.split(), "--help"]).exit_code == 0


def codes(page: Page) -> Mapping[str, str]:
    rows = [line for line in page.section("Exit codes").text.splitlines() if line.startswith("| `")]
    return {row.split("`")[1]: row.split(" | ")[1].removesuffix(" |") for row in rows}


def test_the_exit_codes_are_the_programs(docs: dict[str, Page]) -> None:
    assert set(codes(docs["cli"])) == {str(code.value) for code in Exit}
