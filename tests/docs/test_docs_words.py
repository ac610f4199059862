"""Every reason and condition the code can show is explained, every variable named, every link leads somewhere."""

import re
from pathlib import Path

import pytest

from reconciler.core.ledger import RunPhase
from reconciler.core.stage_environment import IN_CONTAINER
from reconciler.core.status import ProjectPhase
from tests.docs.conftest import ROOT, Page, read_page

SAID = [
    r'\breason="([A-Z]\w+)"',
    r'condition\(\s*"(\w+)"',
    r'\bCondition\(type="(\w+)"',
    r'\bStartFailed\(\s*"(\w+)"',
    r'\b_last_good\(\s*"(\w+)"',
    r'\b_release\([\w, ]+, "(\w+)"',
    r'Severity\.\w+: "(\w+)"',
    r'\btrouble = "(\w+)"',
]
EXPLAINED = re.compile(r"(?i)reasons|conditions|why (a run failed|an attempt was given up)")
OUTCOMES = {RunPhase.STARTING, RunPhase.RUNNING, RunPhase.FAILED, RunPhase.ABORTED}
"""Phases of a run that also serve as reasons of its project."""


def said_by(source: str) -> set[str]:
    return {word for pattern in SAID for word in re.findall(pattern, source)}


def said_by_the_code() -> set[str]:
    sources = [path.read_text(encoding="utf-8") for path in sorted((ROOT / "reconciler").rglob("*.py"))]
    return {word for source in sources for word in said_by(source)} | {phase.value for phase in OUTCOMES}


def explained_by(pages: list[Page]) -> set[str]:
    sections = [section for page in pages for section in page.sections() if EXPLAINED.fullmatch(section.heading)]
    return {word for section in sections for word in section.first_cells()}


def test_every_reason_the_code_shows_is_explained(docs: dict[str, Page]) -> None:
    """Whoever reads a word on the page finds what to do about it."""
    assert said_by_the_code() - explained_by(list(docs.values())) == set()


def test_no_reason_is_explained_that_the_code_never_shows(docs: dict[str, Page]) -> None:
    """Documentation of what isn't there misleads."""
    assert explained_by(list(docs.values())) - said_by_the_code() == set()


def test_reasons_are_found_in_sources() -> None:
    """The search can find something, also over line breaks."""
    source = 'Wait(reason="NoNodes")\ncondition(\n    "FileBroken", x)\nStartFailed("InputMissing", y)'
    assert said_by(source) == {"NoNodes", "FileBroken", "InputMissing"}


def test_every_phase_of_a_project_is_explained(docs: dict[str, Page]) -> None:
    assert set(docs["project"].section("Phases").first_cells()) == {phase.value for phase in ProjectPhase}


def test_every_variable_and_directory_of_a_stage_is_named(docs: dict[str, Page], root: Path) -> None:
    """A program's author reads one page."""
    source = (root / "reconciler/core/stage_environment.py").read_text(encoding="utf-8")
    variables = set(re.findall(r'"(WINSLOW_[A-Z]+)"', source))
    assert set(docs["stage"].section("Variables").first_cells()) == variables
    shown = docs["stage"].section("Directories").text
    directories = (IN_CONTAINER.workspace, IN_CONTAINER.output, IN_CONTAINER.input, IN_CONTAINER.resources)
    assert [directory for directory in directories if f"| {directory} |" not in shown] == []


def broken_links(page: Page) -> list[str]:
    found = []
    for link in page.links():
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (page.path.parent / path).resolve() if path else page.path
        is_lost = not target.exists() or (anchor and anchor not in read_page(target).anchors())
        if is_lost:
            found.append(f"{page.name}: {link}")
    return found


def test_links_between_pages_lead_somewhere(pages: list[Page]) -> None:
    """Files and headings alike."""
    assert [link for page in pages for link in broken_links(page)] == []


@pytest.mark.parametrize("link", ["nowhere.md", "#no-such-heading", "docs/site.md#nothing"])
def test_a_broken_link_is_noticed(link: str) -> None:
    """The check can fail."""
    page = Page(ROOT / "README.md", f"# A heading\n\n[here]({link})\n")
    assert broken_links(page) == [f"README.md: {link}"]


def test_code_that_the_map_names_exists(docs: dict[str, Page], root: Path) -> None:
    """A reader's map leads to files that are there."""
    words = docs["how-it-works"].section("A reader's map of the code").first_cells()
    whole = [word for word in words if word.startswith(("reconciler/", "readonly-ui/"))]
    assert [word for word in whole if not (root / word).exists()] == []
