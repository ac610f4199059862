"""Examples in the documentation are files that Winslow takes."""

from pathlib import Path

import pytest

from reconciler.codec.config import load_config
from reconciler.codec.desired import validate_file
from reconciler.errors import BadInput
from tests.docs.conftest import Page


def whole_files(pages: list[Page]) -> list[tuple[str, str, str]]:
    """(page, the path in its first line, text) of every YAML block that shows a whole file."""
    blocks = [(page.name, block) for page in pages for block in page.blocks("yaml")]
    return [
        (page, block.split("\n")[0].removeprefix("# "), block)
        for page, block in blocks
        if block.split("\n")[0].endswith(".yaml")
    ]


def complaints(path: str, text: str, folder: Path) -> list[str]:
    if not path.endswith("node.yaml"):
        return [str(problem) for problem in validate_file(path, text.encode())]
    file = folder / "node.yaml"
    file.write_text(text, encoding="utf-8")
    try:
        load_config(file)
    except BadInput as error:
        return [str(error)]
    return []


def test_every_whole_file_in_the_docs_is_valid(pages: list[Page], tmp_path: Path) -> None:
    """A reader pastes an example and it works."""
    wrong = [(page, fault) for page, path, text in whole_files(pages) for fault in complaints(path, text, tmp_path)]
    assert wrong == []


def test_each_kind_of_file_has_an_example(pages: list[Page]) -> None:
    """Else the test above could pass over nothing."""
    shown = {path for _, path, _ in whole_files(pages)}
    kinds = {path.split("/")[0] if "_defaults" not in path else "_defaults" for path in shown}
    assert kinds >= {"winslow.yaml", "pipelines", "projects", "_defaults", "nodes", "node.yaml"}


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("pipelines/a.yaml", "# pipelines/a.yaml\nstages: []\n"),
        ("projects/a.yaml", "# projects/a.yaml\npausd: true\n"),
        ("node.yaml", "# node.yaml\nversion: 1\nname: a\n"),
    ],
)
def test_a_wrong_example_is_noticed(path: str, text: str, tmp_path: Path) -> None:
    """The check can fail."""
    page = Page(tmp_path, f"```yaml\n{text}```\n")
    assert [found for block in page.blocks("yaml") for found in complaints(path, block, tmp_path)]
