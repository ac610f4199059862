"""A commit's files as the codec reads them."""

from collections.abc import Callable

import pytest

from reconciler.adapters.git import GitTree, StateRepository
from reconciler.adapters.git import tree as tree_module
from reconciler.core.names import Blob, Commit
from reconciler.errors import BadInput, SourceUnavailable
from tests.git.conftest import Forge

Clone = Callable[..., StateRepository]


@pytest.fixture
def read(forge: Forge, clone_of: Clone) -> Callable[[], GitTree]:
    def make() -> GitTree:
        repository = clone_of(forge.url)
        head = repository.fetch_head()
        assert head.commit is not None, head.error
        return repository.tree(head.commit)

    return make


def test_earlier_versions_come_newest_first_and_each_once(forge: Forge, read: Callable[[], GitTree]) -> None:
    versions = [f"name: {number}\n" if number % 3 else f"name: [broken {number}\n" for number in range(40)]
    commits = []
    for content in [*versions, versions[38]]:
        forge.write("projects/ulm.yaml", content)
        commits.append(forge.commit())
    forge.save("README.md", "nothing of ulm\n")

    with read() as tree:
        earlier = list(tree.earlier("projects/ulm.yaml"))
        assert [commit for commit, _ in earlier] == [*commits[39:38:-1], *commits[37::-1]]
        assert [tree.read(blob).decode() for _, blob in earlier] == [versions[39], *versions[37::-1]]


def test_earlier_versions_of_a_deleted_file_include_its_last(forge: Forge, read: Callable[[], GitTree]) -> None:
    commit = forge.save("projects/ulm.yaml", "name: Ulm\n")
    (forge.work / "projects/ulm.yaml").unlink()
    forge.save("README.md", "gone\n")
    with read() as tree:
        assert [found for found, _ in tree.earlier("projects/ulm.yaml")] == [commit]


def test_a_merge_request_counts_as_its_merge(forge: Forge, read: Callable[[], GitTree]) -> None:
    first = forge.save("a.yaml", "1\n")
    forge.git("checkout", "-q", "-b", "request")
    forge.write("a.yaml", "2, half done\n")
    forge.commit()
    forge.write("a.yaml", "3\n")
    forge.commit()
    forge.git("checkout", "-q", "main")
    forge.git("merge", "-q", "--no-ff", "-m", "merge", "request")
    merge = forge.git("rev-parse", "HEAD")
    forge.save("a.yaml", "4\n")
    with read() as tree:
        assert [commit for commit, _ in tree.earlier("a.yaml")] == [merge, first]


def test_removals_come_newest_first_each_with_the_commit_on_main(forge: Forge, read: Callable[[], GitTree]) -> None:
    """A merge request that deletes counts as its merge; a moved file goes from where it was."""
    for name in ("ulm", "bonn", "kiel", "straße"):
        forge.write(f"projects/{name}.yaml", f"name: {name}\n")
    forge.save("pipelines/flow.yaml", "x\n")
    forge.git("checkout", "-q", "-b", "request")
    forge.git("rm", "-q", "projects/ulm.yaml")
    forge.commit()
    forge.git("checkout", "-q", "main")
    forge.git("merge", "-q", "--no-ff", "-m", "merge", "request")
    merge = forge.git("rev-parse", "HEAD")
    forge.git("rm", "-q", "pipelines/flow.yaml", "projects/straße.yaml")
    second = forge.commit()
    (forge.work / "projects/south").mkdir()
    forge.git("mv", "projects/bonn.yaml", "projects/south/bonn.yaml")
    moved = forge.commit()
    forge.push()
    with read() as tree:
        assert list(tree.removals("projects")) == [
            (moved, "projects/bonn.yaml"),
            (second, "projects/straße.yaml"),
            (merge, "projects/ulm.yaml"),
        ]


def test_ancestors_come_newest_first_with_their_files(forge: Forge, read: Callable[[], GitTree]) -> None:
    commits = [forge.save(f"{number}.yaml", "x\n") for number in range(3)]
    with read() as tree:
        found = [(commit, sorted(files)) for commit, files in tree.ancestors()]
    assert found == [(commits[1], ["0.yaml", "1.yaml"]), (commits[0], ["0.yaml"])]


def test_only_regular_files_are_files(forge: Forge, read: Callable[[], GitTree]) -> None:
    forge.write("run.sh", "#!/bin/sh\n")
    (forge.work / "run.sh").chmod(0o755)
    (forge.work / "link.yaml").symlink_to("/etc/passwd")
    forge.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},submodule")
    forge.git("add", "run.sh", "link.yaml")
    forge.git("commit", "-q", "-m", "odd")
    forge.push()
    with read() as tree:
        assert list(tree.files()) == ["run.sh"]
        assert tree.others() == {"link.yaml": "a symbolic link", "submodule": "a submodule"}


def test_odd_names_are_told_apart(forge: Forge, read: Callable[[], GitTree]) -> None:
    forge.write('projects/a "b"\n\tc.yaml', "1\n")
    forge.write("projects/Straße.yaml", "2\n")
    forge.save("projects/:(top)*.yaml", "3\n")
    with read() as tree:
        assert set(tree.files()) == {'projects/a "b"\\n\\tc.yaml', "projects/Straße.yaml", "projects/:(top)*.yaml"}
        assert list(tree.earlier("projects/:(top)*.yaml")) == []


def test_a_huge_file_is_read_only_so_far_that_it_can_be_refused(forge: Forge, read: Callable[[], GitTree]) -> None:
    forge.write("huge.yaml", b"x" * (3 * 1024 * 1024))
    forge.save("small.yaml", "name: small\n")
    with read() as tree:
        files = tree.files()
        assert len(tree.read(files["huge.yaml"])) == 1024 * 1024 + 1
        assert tree.read(files["small.yaml"]) == b"name: small\n"


def test_too_many_files_are_refused(forge: Forge, read: Callable[[], GitTree], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree_module, "MAX_FILES", 2)
    for number in range(3):
        forge.write(f"{number}.yaml", "x\n")
    forge.save("3.yaml", "x\n")
    with read() as tree, pytest.raises(BadInput, match="holds 4 files"):
        tree.files()


def test_an_unknown_blob_is_no_content(forge: Forge, read: Callable[[], GitTree]) -> None:
    forge.save("a.yaml", "1\n")
    with read() as tree, pytest.raises(SourceUnavailable, match="can't be read"):
        tree.read(Blob("0" * 40))


def test_an_unknown_commit_has_no_files(forge: Forge, clone_of: Clone) -> None:
    forge.save("a.yaml", "1\n")
    repository = clone_of(forge.url)
    repository.fetch_head()
    with repository.tree(Commit("0" * 40)) as tree, pytest.raises(SourceUnavailable):
        tree.files()
