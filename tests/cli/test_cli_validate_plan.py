"""``winslow validate --commits A..B --plan``: what merging would do to a real site."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.cli.codes import Exit
from reconciler.cli.git import commit, git


@pytest.fixture
def ran(winslow: Any, here: Any, site: Any, eventually: Callable[..., None]) -> Any:
    """A project whose two stages have run; the node has ended again."""
    site.push("projects/hello.yaml", "pipeline: greeting\nenvironment: {A: '1'}\n")
    node = winslow.start("node", "--config", site.config)
    eventually(lambda: here("wait", "hello", "--config", site.config, "--timeout", "1s").code == 0)
    node.terminate()
    node.communicate(timeout=60)
    return site


def propose(site: Any, path: str, content: str | None) -> None:
    """A commit on a branch that nobody has merged."""
    file: Path = site.layout.state / path
    git(site.layout.state, "switch", "--quiet", "-C", "topic", "main")
    file.write_text(content) if content is not None else file.unlink()
    commit(site.layout.state, "Propose", ".", anonymous=True)


def test_a_merge_is_told_before_it_happens(here: Any, ran: Any) -> None:
    def plan(*options: str) -> Any:
        return here(
            *("validate", ran.layout.state, "--commits", "main..topic", "--plan", "--config", ran.config, *options)
        )

    propose(ran, "projects/hello.yaml", "pipeline: greeting\nnext: {stage: greet, after: 2}\n")
    ended = plan()
    assert ended.code == 0, ended.err
    assert ended.out.splitlines() == [
        "ok: 2 pipelines, 1 project",
        "",
        "merging this:",
        "  hello: starts 'greet' as run 3, as next asks",
    ]

    propose(ran, "projects/hello.yaml", "pipeline: greeting\nenvironment: {A: '2'}\n")
    said = plan().out
    assert "  hello: changes A of 'greet' (run 1), which starts nothing\n" in said
    assert "    to do so, in projects/hello.yaml write: next: {stage: greet, after: 2}\n" in said

    propose(ran, "projects/hello.yaml", None)
    found = json.loads(plan("--output", "json").out)
    assert [(effect["project"], effect["kind"]) for effect in found["plan"]] == [("hello", "stops")]
    assert found["problems"][0]["message"].startswith("this deletes project 'hello'")

    propose(ran, "projects/hello.yaml", "pipeline: greeting\nenvironment: {A: '1'}\npriority: 2\n")
    assert plan().out.endswith("\nmerging this does nothing to 1 project\n")


def test_a_plan_without_a_site_is_wrong_use(here: Any, site: Any) -> None:
    ended = here("validate", site.layout.state, "--commits", "HEAD", "--plan")
    assert ended.code == Exit.BAD_INPUT
    assert "--config" in ended.err
