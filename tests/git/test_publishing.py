"""The branch ``observed``: one commit a publication, and only from the head we know."""

from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from reconciler.adapters.git import ObservedBranch, StateRepository
from reconciler.core.names import NodeName
from reconciler.errors import SourceUnavailable, Transient
from tests.git.conftest import Forge

Clone = Callable[..., StateRepository]


def publisher(repository: StateRepository, node: str = "node-1") -> ObservedBranch:
    repository.fetch_head()
    return ObservedBranch(repository, NodeName(node))


def content(forge: Forge, revision: str = "observed") -> dict[str, str]:
    names = forge.git("ls-tree", "-r", "--name-only", revision, cwd=forge.bare).splitlines()
    return {name: forge.git("cat-file", "blob", f"{revision}:{name}", cwd=forge.bare) for name in names}


def test_the_first_publication_makes_the_branch(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    observed = publisher(clone_of(forge.url))
    assert (observed.head(), observed.read()) == (None, {})

    commit = observed.publish({"README.md": "# ok\n", "projects/ulm/status.yaml": "phase: Running"}, "Ulm runs")

    assert commit == forge.head("observed") == observed.head()
    assert content(forge) == {"README.md": "# ok", "projects/ulm/status.yaml": "phase: Running"}
    author = forge.git("log", "-1", "--format=%an <%ae> %cn <%ce> %s", "observed", cwd=forge.bare)
    assert author == "Winslow (node-1) <winslow@node-1> Winslow (node-1) <winslow@node-1> Ulm runs"


def test_a_publication_is_a_child_that_changes_and_deletes(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    observed = publisher(clone_of(forge.url))
    first = observed.publish({"a": "1\n", "b/c": "2\n", "d": "3\n", 'odd "é\\\n': ""}, "first")
    second = observed.publish({"a": "1\n", "b": "now a file\n", "d/e": "now a directory\n"}, "second")
    assert forge.git("rev-parse", "observed^", cwd=forge.bare) == first
    assert second == forge.head("observed")
    assert content(forge) == {"a": "1", "b": "now a file", "d/e": "now a directory"}
    modes = forge.git("ls-tree", "-r", "--format=%(objectmode)", "observed", cwd=forge.bare).split()
    assert set(modes) == {"100644"}


def test_nothing_new_makes_no_commit(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    observed = publisher(clone_of(forge.url))
    commit = observed.publish({"a": "1\n"}, "first")
    assert observed.publish({"a": "1\n"}, "again") is None
    restarted = publisher(clone_of(forge.url))
    assert restarted.read() == {"a": "1\n"}
    assert restarted.publish({"a": "1\n"}, "again") is None
    assert forge.head("observed") == commit


def test_of_two_publishers_one_wins_and_the_other_goes_on_from_the_new_head(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    first, second = clone_of(forge.url, "one"), clone_of(forge.url, "two")
    winner, loser = publisher(first, "node-1"), publisher(second, "node-2")
    won = winner.publish({"a": "1\n"}, "node-1 was first")

    with pytest.raises(Transient, match="moved while we published"):
        loser.publish({"b": "2\n"}, "node-2 was late")
    assert loser.head() is None
    assert forge.head("observed") == won

    second.fetch_head()
    assert loser.read() == {"a": "1\n"}
    commit = loser.publish({"a": "1\n", "b": "2\n"}, "node-2 folds again")
    assert forge.head("observed") == commit
    assert forge.git("rev-parse", "observed^", cwd=forge.bare) == won


def test_a_fetch_between_reading_and_publishing_does_not_count_as_read(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    first, second = clone_of(forge.url, "one"), clone_of(forge.url, "two")
    late = publisher(second, "node-2")
    late.publish({"a": "1\n"}, "first")
    news = publisher(first, "node-1").publish({"a": "2\n"}, "news")
    second.fetch_head()
    with pytest.raises(Transient, match="moved while we published"):
        late.publish({"a": "1\n", "b": "old\n"}, "folded before the news")
    assert forge.head("observed") == news
    late.read()
    assert late.publish({"a": "2\n", "b": "new\n"}, "folded after") == forge.head("observed")


def test_a_hook_that_refuses_is_quoted(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    hook = forge.bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'observed is frozen until Monday' >&2\nexit 1\n")
    hook.chmod(0o755)
    observed = publisher(clone_of(forge.url))
    with pytest.raises(Transient, match=r"pre-receive hook declined.*observed is frozen until Monday") as refusal:
        observed.publish({"a": "1\n"}, "no")
    assert "\n" not in str(refusal.value)
    assert observed.head() is None
    hook.unlink()
    assert observed.publish({"a": "1\n"}, "yes") == forge.head("observed")


def test_a_remote_that_is_away_keeps_nothing_half_done(forge: Forge, clone_of: Clone, tmp_path: Path) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    observed = publisher(clone_of(forge.url))
    away = forge.bare.rename(tmp_path / "away.git")
    with pytest.raises(SourceUnavailable, match=r"check state\.url in node\.yaml"):
        observed.publish({"a": "1\n"}, "into the void")
    away.rename(forge.bare)
    assert observed.publish({"a": "1\n"}, "back") == forge.head("observed")


def test_publishing_works_over_http(forge: Forge, served: str, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    observed = publisher(clone_of(served))
    assert observed.publish({"a": "1\n"}, "over http") == forge.head("observed")
    assert observed.publish({"a": "2\n"}, "again") == forge.head("observed")


def test_a_remote_that_takes_no_pushes_says_so(forge: Forge, served: str, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    forge.git("config", "http.receivepack", "false", cwd=forge.bare)
    with pytest.raises(SourceUnavailable, match=r"403.*no permission; check the key or credentials"):
        publisher(clone_of(served)).publish({"a": "1\n"}, "no")


def test_a_deleted_branch_is_made_again(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    repository = clone_of(forge.url)
    observed = publisher(repository)
    observed.publish({"a": "1\n"}, "first")
    forge.git("update-ref", "-d", "refs/heads/observed", cwd=forge.bare)
    repository.fetch_head()
    assert (observed.head(), observed.read()) == (None, {})
    assert observed.publish({"a": "1\n"}, "second") == forge.head("observed")


@pytest.mark.parametrize("has_read", [True, False])
def test_a_damaged_clone_does_not_stop_publishing(forge: Forge, clone_of: Clone, has_read: bool) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    publisher(clone_of(forge.url)).publish({"a": "1\n"}, "first")
    repository = clone_of(forge.url)
    observed = publisher(repository)
    if has_read:
        observed.read()
    damage(repository.clone)
    assert observed.publish({"a": "2\n"}, "second") == forge.head("observed")
    assert content(forge) == {"a": "2"}


def test_news_found_while_mending_are_not_overwritten(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    late_clone = clone_of(forge.url, "two")
    late = publisher(late_clone, "node-2")
    late.publish({"a": "1\n"}, "first")
    news = publisher(clone_of(forge.url, "one")).publish({"a": "2\n"}, "news")
    damage(late_clone.clone)
    with pytest.raises(Transient, match="moved while we published"):
        late.publish({"a": "1\n", "b": "old\n"}, "folded without the news")
    assert forge.head("observed") == news


def damage(clone: Path) -> None:
    for object_file in (path for path in (clone / "objects").rglob("*") if path.is_file()):
        object_file.chmod(0o600)
        object_file.write_bytes(b"")


def test_many_cycles_leave_no_process_and_no_descriptor(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    repository = clone_of(forge.url)
    observed = publisher(repository)
    observed.publish({"a": "0\n"}, "warm up")
    us = psutil.Process()
    before = (us.num_fds(), us.num_threads(), us.children(recursive=True))
    for cycle in range(1, 61):
        repository.fetch_head()
        observed.publish({"a": f"{cycle}\n"}, f"cycle {cycle}")
    assert (us.num_fds(), us.num_threads(), us.children(recursive=True)) == before
    assert content(forge) == {"a": "60"}
