"""The documentation as the tests read it: pages, their headings, tables, code blocks and links."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
_FENCE = re.compile(r"^( *)```(\w*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_WORD = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Section:
    heading: str
    text: str

    def first_cells(self) -> list[str]:
        """The words in code type in the first column of this section's tables."""
        rows = [line for line in self.text.splitlines() if line.startswith("| ")]
        return [word for row in rows for word in _WORD.findall(row.split(" | ")[0])]


@dataclass(frozen=True)
class Page:
    path: Path
    text: str

    @property
    def name(self) -> str:
        return self.path.relative_to(ROOT).as_posix()

    def blocks(self, language: str) -> Iterator[str]:
        """Code blocks; those in lists without their indentation."""
        for _, found, body in _FENCE.findall(self.text):
            if found == language:
                yield textwrap.dedent(body)

    def prose(self) -> str:
        return _FENCE.sub("", self.text)

    def links(self) -> list[str]:
        return _LINK.findall(self.prose())

    def sections(self) -> list[Section]:
        parts = re.split(r"^#+ (.*)$", self.prose(), flags=re.MULTILINE)
        return [Section(heading, text) for heading, text in zip(parts[1::2], parts[2::2], strict=True)]

    def section(self, heading: str) -> Section:
        return next(section for section in self.sections() if section.heading == heading)

    def anchors(self) -> set[str]:
        """As forges make them of headings."""
        plain = (re.sub(r"[^\w\- ]", "", section.heading.lower()) for section in self.sections())
        return {heading.replace(" ", "-") for heading in plain}


def read_page(path: Path) -> Page:
    return Page(path, path.read_text(encoding="utf-8"))


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def pages() -> list[Page]:
    """Every page that people are led to."""
    paths = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "examples/traffic-flow/README.md"]
    return [read_page(path) for path in paths]


@pytest.fixture(scope="session")
def docs(pages: list[Page]) -> dict[str, Page]:
    """The pages right in docs/, by their stems."""
    return {page.path.stem: page for page in pages if page.path.parent.name == "docs"}
