"""Looking at the remote: what changed, what is wrong, and what a person should check."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from reconciler.adapters.git import GitSource, GitTree, StateRepository
from reconciler.adapters.git.command import Result
from reconciler.core.desired import Desired
from reconciler.core.names import Commit
from reconciler.errors import BadInput
from tests.git.conftest import Forge

Clone = Callable[..., StateRepository]


def processes() -> set[int]:
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_the_head_of_main_and_its_files_are_fetched(forge: Forge, clone_of: Clone) -> None:
    forge.write("projects/ulm.yaml", "name: Ulm\n")
    commit = forge.save("winslow.yaml", "version: 1\n")
    repository = clone_of(forge.url)

    head = repository.fetch_head()

    assert (head.commit, head.reachable, head.reason, head.error) == (commit, True, "", "")
    with repository.tree(Commit(commit)) as tree:
        files = tree.files()
        assert {path: tree.read(blob) for path, blob in files.items()} == {
            "winslow.yaml": b"version: 1\n",
            "projects/ulm.yaml": b"name: Ulm\n",
        }


def test_a_new_commit_is_seen_by_the_next_fetch(forge: Forge, clone_of: Clone) -> None:
    first = forge.save("winslow.yaml", "version: 1\n")
    repository = clone_of(forge.url)
    assert repository.fetch_head().commit == first
    second = forge.save("winslow.yaml", "version: 1\n# more\n")
    assert repository.fetch_head().commit == second


def test_an_unchanged_head_is_neither_fetched_nor_loaded_again(
    forge: Forge, clone_of: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    loads: list[str] = []

    def load(tree: GitTree) -> Desired:
        loads.append(tree.commit)
        return Desired(commit=tree.commit)

    repository = clone_of(forge.url)
    source = GitSource(repository, load)
    first = source.fetch()
    monkeypatch.setattr(repository, "_fetch", lambda branches: pytest.fail(f"fetched {branches} again"))

    assert source.fetch().desired is first.desired
    assert len(loads) == 1


def test_what_the_clone_holds_is_known_without_the_remote(forge: Forge, clone_of: Clone, tmp_path: Path) -> None:
    """A restarted node looks after what runs before a remote that hangs has failed; a new one knows nothing."""
    commit = forge.save("winslow.yaml", "version: 1\n")
    source = GitSource(clone_of(forge.url), lambda tree: Desired(commit=tree.commit))
    assert source.known().desired is None
    source.fetch()
    forge.bare.rename(tmp_path / "gone.git")
    again = GitSource(clone_of(forge.url), lambda tree: Desired(commit=tree.commit)).known()
    assert again.desired is not None
    assert (again.desired.commit, again.error) == (commit, "")


def test_it_works_over_http(forge: Forge, served: str, clone_of: Clone) -> None:
    commit = forge.save("winslow.yaml", "version: 1\n")
    assert clone_of(served).fetch_head().commit == commit


def test_a_plain_path_is_an_address_too(forge: Forge, clone_of: Clone) -> None:
    commit = forge.save("winslow.yaml", "version: 1\n")
    assert clone_of(str(forge.bare)).fetch_head().commit == commit


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a repository to another user")
def test_a_repository_of_another_user_works(forge: Forge, clone_of: Clone) -> None:
    commit = forge.save("winslow.yaml", "version: 1\n")
    for path in [forge.bare, *forge.bare.rglob("*")]:
        os.chown(path, 4242, 4242)
    assert clone_of(forge.url).fetch_head().commit == commit


def test_variables_of_an_outer_git_do_not_lead_astray(
    forge: Forge, clone_of: Clone, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit = forge.save("winslow.yaml", "version: 1\n")
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    assert clone_of(forge.url).fetch_head().commit == commit


def test_an_empty_repository_is_said_to_be_empty(forge: Forge, clone_of: Clone) -> None:
    head = clone_of(forge.url).fetch_head()
    assert (head.commit, head.reachable, head.reason) == (None, True, "SourceEmpty")
    assert "push a first commit to its branch main" in head.error


def test_a_missing_branch_is_answered_with_those_that_exist(forge: Forge, clone_of: Clone) -> None:
    forge.commit()
    forge.push("master")
    head = clone_of(forge.url).fetch_head()
    assert head.reason == "BranchMissing"
    assert "no branch main" in head.error
    assert "but master: check state.branch in node.yaml" in head.error


def test_a_wrong_address_says_which_key_to_check(tmp_path: Path, clone_of: Clone) -> None:
    head = clone_of(f"file://{tmp_path}/nothing.git").fetch_head()
    assert (head.commit, head.reachable, head.reason) == (None, False, "SourceUnreachable")
    assert "does not appear to be a git repository" in head.error
    assert "check state.url in node.yaml" in head.error
    assert "\n" not in head.error


def test_the_last_good_commit_goes_on_while_the_remote_is_away(forge: Forge, clone_of: Clone, tmp_path: Path) -> None:
    commit = forge.save("winslow.yaml", "version: 1\n")
    repository = clone_of(forge.url)
    repository.fetch_head()

    away = forge.bare.rename(tmp_path / "away.git")
    head = repository.fetch_head()
    assert (head.commit, head.reachable, head.reason) == (commit, False, "SourceUnreachable")
    assert clone_of(forge.url).fetch_head().commit == commit, "a restarted reconciler has it too"

    away.rename(forge.bare)
    newer = forge.save("winslow.yaml", "version: 1\n# back\n")
    head = repository.fetch_head()
    assert (head.commit, head.reachable, head.error) == (newer, True, "")


def test_a_refused_connection_is_told_in_the_remotes_words(clone_of: Clone) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    head = clone_of(f"http://127.0.0.1:{port}/state.git").fetch_head()
    assert not head.reachable
    assert "Failed to connect to 127.0.0.1" in head.error


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A server that accepts and never answers."""
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    accepted.append(server.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)
        thread.join()
    for connection in accepted:
        connection.close()


def test_a_hanging_remote_is_given_up_and_leaves_no_process(silent_port: int, clone_of: Clone) -> None:
    before = processes()
    url = f"http://127.0.0.1:{silent_port}/state.git"
    head = clone_of(url, timeout=timedelta(seconds=0.5)).fetch_head()
    assert (head.reachable, head.reason) == (False, "SourceUnreachable")
    assert "no answer within 0.5 seconds" in head.error
    assert processes() == before


def test_descent_is_answered_while_a_fetch_hangs(
    forge: Forge, clone_of: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    parent = Commit(forge.save("winslow.yaml", "version: 1\n"))
    commit = Commit(forge.save("winslow.yaml", "version: 1\n# more\n"))
    repository = clone_of(forge.url)
    repository.fetch_head()
    hangs, ends = threading.Event(), threading.Event()
    listing = repository._list_heads

    def hang() -> dict[str, Commit]:
        hangs.set()
        assert ends.wait(20)
        return listing()

    monkeypatch.setattr(repository, "_list_heads", hang)
    fetching = threading.Thread(target=repository.fetch_head)
    fetching.start()
    assert hangs.wait(20)
    assert repository.descends(commit, parent) is True
    ends.set()
    fetching.join()


def test_a_rewritten_history_is_held_until_it_contains_the_old_commit(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    old = forge.save("winslow.yaml", "version: 1\n# more\n")
    repository = clone_of(forge.url)
    repository.fetch_head()

    forge.git("commit", "-q", "--amend", "-m", "rewritten")
    forge.push("main", "--force")
    for look in (repository, clone_of(forge.url)):
        head = look.fetch_head()
        assert (head.commit, head.reachable, head.reason) == (old, True, "SourceRewritten")
        assert f"git merge -s ours {old[:12]}" in head.error

    forge.git("merge", "-q", "-s", "ours", "-m", "keep", old)
    forge.push()
    head = repository.fetch_head()
    assert (head.commit, head.reason) == (forge.head("main"), "")


def test_descent_is_known_for_commits_we_have(forge: Forge, clone_of: Clone) -> None:
    first = forge.save("winslow.yaml", "version: 1\n")
    second = forge.save("winslow.yaml", "version: 1\n# more\n")
    repository = clone_of(forge.url)
    repository.fetch_head()
    assert repository.descends(Commit(second), Commit(first)) is True
    assert repository.descends(Commit(first), Commit(first)) is True
    assert repository.descends(Commit(first), Commit(second)) is False
    unseen = forge.commit("not pushed yet")
    assert repository.descends(Commit(unseen), Commit(first)) is None
    forge.push()
    repository.fetch_head()
    assert repository.descends(Commit(unseen), Commit(first)) is True


@pytest.mark.parametrize("damage", ["HEAD", "objects", "config"])
def test_a_damaged_clone_is_moved_aside_and_cloned_again(forge: Forge, clone_of: Clone, damage: str) -> None:
    commit = forge.save("winslow.yaml", "version: 1\n")
    source = GitSource(clone_of(forge.url), load_everything)
    assert source.fetch().desired is not None
    clone = clone_of(forge.url).clone
    match damage:
        case "HEAD":
            (clone / "HEAD").write_bytes(b"")
        case "config":
            (clone / "config").write_text("[core\n")
        case _:
            for object_file in (path for path in (clone / "objects").rglob("*") if path.is_file()):
                object_file.chmod(0o600)
                object_file.write_bytes(b"")

    again = GitSource(clone_of(forge.url), load_everything).fetch()

    assert again.desired is not None, again.error
    assert (again.desired.commit, again.error) == (commit, "")
    assert clone.with_name("one.damaged").is_dir()


def test_a_clone_that_lost_the_old_head_does_not_take_the_new_one_for_a_rewritten_history(
    forge: Forge, clone_of: Clone
) -> None:
    """People would be asked to accept what nobody rewrote."""
    forge.save("winslow.yaml", "version: 1\n")
    clone = clone_of(forge.url)
    clone.fetch_head()
    [old] = (clone.clone / "objects" / "pack").glob("*.pack")
    newest = forge.save("winslow.yaml", "version: 1\n# more\n")
    clone.git.local("fetch", "--quiet", forge.url, "+refs/heads/main:refs/winslow/remote/main")
    old.chmod(0o600)
    old.write_bytes(old.read_bytes()[:20])

    head = clone_of(forge.url).fetch_head()

    assert (head.commit, head.reason) == (newest, "")


def test_an_address_is_told_without_what_may_be_a_token(clone_of: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    """Forges take a token as the user's name, too, and what a node says stands in the branch ``observed``."""
    clone = clone_of("https://glpat-SECRET@git.example/state.git")
    empty = Result(0, b"", "")
    gone = Result(128, b"", "fatal: unable to access 'https://glpat-SECRET@git.example/state.git/': refused")
    other = Result(0, b"1" * 40 + b"\trefs/heads/other\n", "")
    run = clone.git.run
    for answer in (empty, gone, other):

        def said(*arguments: str, answer: Result = answer, **options: Any) -> Result:
            return answer if arguments[0] == "ls-remote" else run(*arguments, **options)

        monkeypatch.setattr(clone.git, "run", said)
        head = clone.fetch_head()
        assert "https://***@git.example/state.git" in head.error
        assert "SECRET" not in head.error


def load_everything(tree: GitTree) -> Desired:
    for blob in tree.files().values():
        tree.read(blob)
    return Desired(commit=tree.commit)


def test_locks_of_a_killed_git_are_removed_on_opening(forge: Forge, clone_of: Clone) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    repository = clone_of(forge.url)
    repository.fetch_head()
    lock = repository.clone / "refs/winslow/remote/main.lock"
    lock.touch()
    newer = forge.save("winslow.yaml", "version: 1\n# more\n")
    assert clone_of(forge.url).fetch_head().commit == newer
    assert not lock.exists()


def test_another_address_starts_another_clone(forge: Forge, clone_of: Clone, tmp_path: Path) -> None:
    forge.save("winslow.yaml", "version: 1\n")
    clone_of(forge.url).fetch_head()
    (tmp_path / "other").mkdir()
    other = Forge(tmp_path / "other")
    commit = other.save("winslow.yaml", "version: 1\n# other\n")
    head = clone_of(other.url).fetch_head()
    assert (head.commit, head.reason) == (commit, "")


@pytest.mark.parametrize(
    ("url", "advice"),
    [
        ("ext::sh -c touch% /x", "is not the address of a repository"),
        ("--upload-pack=touch /x", "is not the address of a repository"),
        ("git://host/state.git", "git:// is not accepted"),
        ("http://forge.example/state.git", "write https://forge.example/state.git"),
        ("https://ada:secret@forge.example/state.git", "credential helper"),
        ("ssh://-oProxyCommand=x/state.git", "names no host"),
        ("state.git", "absolute path"),
        ("", "absolute path"),
    ],
)
def test_addresses_that_are_refused_say_what_to_write(clone_of: Clone, url: str, advice: str) -> None:
    with pytest.raises(BadInput, match=advice) as refusal:
        clone_of(url)
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    "url", ["git@forge.example:team/state.git", "ssh://git@forge.example:2222/state.git", "https://forge.example/s.git"]
)
def test_usual_addresses_are_accepted(clone_of: Clone, url: str) -> None:
    assert clone_of(url).url == url


@pytest.mark.parametrize("branch", ["-main", "a..b", "a b", "main.lock", "a/", ""])
def test_impossible_branches_are_refused(clone_of: Clone, branch: str) -> None:
    with pytest.raises(BadInput, match=r"state\.branch"):
        clone_of("/srv/state.git", branch=branch)
