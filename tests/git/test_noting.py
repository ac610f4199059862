"""What the fetched branch tells of records: asked after every fetch, so it must cost next to nothing."""

import shutil
from collections.abc import Callable

import pytest

from reconciler.adapters.git import NotedRecords, ObservedBranch, StateRepository, tree
from reconciler.adapters.git.tree import GitTree
from reconciler.core.names import NodeName
from reconciler.errors import Transient
from tests.git.conftest import Forge

Clone = Callable[..., StateRepository]
STATUS, RUN = "projects/ulm/status.yaml", "projects/ulm/runs/0001-detect.yaml"
FILES = {"README.md": "# ok\n", STATUS: "record: 2\ntoken: abc\n", RUN: "run: 1\nrecord: 1\ntoken: def\n"}


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The blobs that were read."""
    found: list[str] = []
    original = GitTree.read

    def spy(self: GitTree, blob: str) -> bytes:
        found.append(blob)
        return original(self, blob)  # type: ignore[arg-type]

    monkeypatch.setattr(GitTree, "read", spy)
    return found


def test_a_node_notes_what_another_one_published(forge: Forge, clone_of: Clone, read: list[str]) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    mine, theirs = clone_of(forge.url, "mine"), clone_of(forge.url, "theirs")
    for one in (mine, theirs):
        one.fetch_head()
    publisher, watcher = ObservedBranch(theirs, NodeName("b")), NotedRecords(mine)
    assert watcher.noted() == ()

    publisher.publish(FILES, "first")
    assert watcher.noted() == (), "not fetched yet"
    mine.fetch_head()
    assert [(one.run, one.record, one.token) for one in watcher.noted()] == [(0, 2, "abc"), (1, 1, "def")]
    assert publisher.noted() == watcher.noted(), "the publisher's own push counts as well"

    read.clear()
    assert watcher.noted() is watcher.noted()
    assert read == [], "an unchanged branch is not read again"
    publisher.publish({**FILES, RUN: "run: 1\nrecord: 2\ntoken: ghi\n"}, "second")
    mine.fetch_head()
    read.clear()
    assert [(one.run, one.record, one.token) for one in watcher.noted()] == [(0, 2, "abc"), (1, 2, "ghi")]
    assert len(read) == 1, "the file that changed, no other"


def test_no_number_of_runs_is_too_many(forge: Forge, clone_of: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit is people's. Here it would end every node of an old site, for a file a run stays for ever."""
    monkeypatch.setattr(tree, "MAX_FILES", 2)
    forge.save("winslow.yaml", "version: 1\n")
    repository = clone_of(forge.url)
    repository.fetch_head()
    branch = ObservedBranch(repository, NodeName("a"))
    branch.publish(FILES, "three files")
    assert len(branch.noted()) == 2
    assert NotedRecords(repository).noted() == branch.noted()
    assert ObservedBranch(repository, NodeName("b")).read() == FILES


def test_a_branch_that_somebody_removed_tells_of_nothing(forge: Forge, clone_of: Clone) -> None:
    """So a person may begin anew with an empty share."""
    forge.save("winslow.yaml", "version: 1\n")
    repository = clone_of(forge.url)
    repository.fetch_head()
    ObservedBranch(repository, NodeName("a")).publish(FILES, "first")
    watcher = NotedRecords(repository)
    assert watcher.noted()
    forge.git("update-ref", "-d", "refs/heads/observed", cwd=forge.bare)
    repository.fetch_head()
    assert watcher.noted() == ()


def test_an_empty_repository_in_place_of_a_lost_one_takes_nothing_from_the_clone(forge: Forge, clone_of: Clone) -> None:
    """People fill it from a node's clone, which looks at it earlier, and may hold the branch's last copy."""
    forge.save("winslow.yaml", "version: 1\n")
    repository = clone_of(forge.url)
    repository.fetch_head()
    branch = ObservedBranch(repository, NodeName("a"))
    head = branch.publish(FILES, "first")
    shutil.rmtree(forge.bare)
    forge.git("init", "-q", "--bare", "-b", "main", str(forge.bare))
    assert repository.fetch_head().reason == "SourceEmpty"
    assert (branch.head(), len(branch.noted())) == (head, 2)
    branch.read()
    with pytest.raises(Transient, match="moved"):  # a new root there would keep people from pushing the old history
        branch.publish({"README.md": "new"}, "second")
    forge.git("push", "-q", forge.url, f"{head}:refs/heads/observed", cwd=repository.clone)
    assert forge.head("observed") == head


def test_noting_is_no_reading_before_a_publication(forge: Forge, clone_of: Clone) -> None:
    """A publisher that has read an older head still loses."""
    forge.save("winslow.yaml", "version: 1\n")
    mine, theirs = clone_of(forge.url, "mine"), clone_of(forge.url, "theirs")
    for one in (mine, theirs):
        one.fetch_head()
    publisher = ObservedBranch(mine, NodeName("a"))
    publisher.read()
    ObservedBranch(theirs, NodeName("b")).publish(FILES, "theirs")
    mine.fetch_head()
    assert publisher.noted()
    with pytest.raises(Transient, match="moved while we published"):
        publisher.publish({"README.md": "mine"}, "mine")
