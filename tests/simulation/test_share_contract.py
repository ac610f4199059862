"""Port ``Files``: the simulated mount sits the same exam as the kernel's, result by result and errno by errno."""

import errno
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.adapters.share.files import Files, MountedFiles
from tests.simulation.plain_scheduler import PlainScheduler
from tests.simulation.share import SimServer

ROOT = Path("/share")


@pytest.fixture(params=["kernel", "simulated"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Files, Path]:
    if request.param == "kernel":
        return MountedFiles(), tmp_path
    return SimServer(PlainScheduler(), root=ROOT).mount("a"), ROOT


@pytest.fixture
def files(place: tuple[Files, Path]) -> Files:
    return place[0]


@pytest.fixture
def root(place: tuple[Files, Path]) -> Path:
    return place[1]


@pytest.fixture
def furnished(files: Files, root: Path) -> Files:
    """full/{file, below/deep}, empty/, file, twin (another name of file)."""
    for name in ("full/below", "empty"):
        files.mkdir(root / name, parents=True)
    for name in ("full/file", "full/below/deep", "file"):
        files.create(root / name, name.encode())
    files.link(root / "file", root / "twin")
    return files


def everything(files: Files, directory: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in files.names(directory):
        try:
            found[name] = files.read(directory / name)
        except IsADirectoryError:
            found[name] = everything(files, directory / name)
    return found


# --- what comes of each call ---


def test_a_new_file_is_there_with_its_content(files: Files, root: Path) -> None:
    files.create(root / "new", b"content")
    assert files.names(root) == {"new"}
    assert files.read(root / "new") == b"content"


def test_a_file_is_dated_by_its_last_writing(files: Files, root: Path) -> None:
    files.create(root / "new", b"content")
    content, first = files.read_dated(root / "new")
    files.append(root / "new", b", more")
    more, second = files.read_dated(root / "new")
    assert (content, more) == (b"content", b"content, more")
    assert timedelta(0) <= second - first < timedelta(minutes=1)
    assert first.tzinfo is not None


def test_appending_makes_a_missing_file(files: Files, root: Path) -> None:
    files.append(root / "events", b"one\n")
    files.append(root / "events", b"two\n")
    assert files.read(root / "events") == b"one\ntwo\n"


def test_a_directory_may_be_there_already(files: Files, root: Path) -> None:
    for _ in range(2):
        files.mkdir(root / "one")
        files.mkdir(root / "one/two/three", parents=True)
        files.mkdir(root, parents=True)
    assert everything(files, root) == {"one": {"two": {"three": {}}}}


def test_a_linked_file_keeps_its_content_under_its_second_name(furnished: Files, root: Path) -> None:
    furnished.unlink(root / "file")
    assert furnished.read(root / "twin") == b"file"


def test_a_file_kept_open_is_rewritten_in_place(files: Files, root: Path) -> None:
    kept = files.keep_open(root / "beat")
    assert files.read(root / "beat") == b""
    kept.write(b"first beat")
    kept.write(b"again")
    kept.close()
    assert files.read(root / "beat") == b"again beat"
    kept = files.keep_open(root / "beat")
    kept.write(b"A")
    kept.close()
    assert files.read(root / "beat") == b"Again beat"


def test_a_rename_takes_a_tree_along_and_replaces_what_may_be_replaced(furnished: Files, root: Path) -> None:
    furnished.rename(root / "full", root / "empty")
    furnished.rename(root / "empty/file", root / "file")
    assert everything(furnished, root) == {
        "empty": {"below": {"deep": b"full/below/deep"}},
        "file": b"full/file",
        "twin": b"file",
    }


def test_a_rename_between_two_names_of_a_file_does_nothing(furnished: Files, root: Path) -> None:
    furnished.rename(root / "file", root / "twin")
    assert {"file", "twin"} <= furnished.names(root)


def test_a_clone_is_whole_and_of_its_own(furnished: Files, root: Path) -> None:
    furnished.clone(root / "full", root / "clone")
    furnished.append(root / "clone/file", b" changed")
    assert everything(furnished, root / "clone") == {
        "file": b"full/file changed",
        "below": {"deep": b"full/below/deep"},
    }
    assert furnished.read(root / "full/file") == b"full/file"


def test_removing_takes_all_and_what_is_gone_is_gone(furnished: Files, root: Path) -> None:
    for name in ("full", "empty", "file", "never was"):
        furnished.remove(root / name)
    assert everything(furnished, root) == {"twin": b"file"}


def test_one_process_may_take_its_lock_twice(files: Files, root: Path) -> None:
    """As fcntl(2) says; and what is written through it is in the file."""
    first, second = files.lock(root / "lock"), files.lock(root / "lock")
    assert first is not None
    assert second is not None
    second.write(b"\n")
    first.close()
    second.close()
    assert files.read(root / "lock") == b"\n"


# --- how each call fails ---

Call = Callable[[Files, Path], object]
REFUSED: dict[str, tuple[int, Call]] = {
    "names of nothing": (errno.ENOENT, lambda f, r: f.names(r / "none")),
    "names below nothing": (errno.ENOENT, lambda f, r: f.names(r / "none/none")),
    "names of a file": (errno.ENOTDIR, lambda f, r: f.names(r / "file")),
    "refresh nothing": (errno.ENOENT, lambda f, r: f.refresh(r / "none")),
    "refresh a file": (errno.ENOTDIR, lambda f, r: f.refresh(r / "file")),
    "read nothing": (errno.ENOENT, lambda f, r: f.read(r / "none")),
    "read below a file": (errno.ENOTDIR, lambda f, r: f.read(r / "file/none")),
    "read a directory": (errno.EISDIR, lambda f, r: f.read(r / "full")),
    "date of nothing": (errno.ENOENT, lambda f, r: f.read_dated(r / "none")),
    "create again": (errno.EEXIST, lambda f, r: f.create(r / "file", b"x")),
    "create a directory's name": (errno.EEXIST, lambda f, r: f.create(r / "full", b"x")),
    "create below nothing": (errno.ENOENT, lambda f, r: f.create(r / "none/new", b"x")),
    "create below a file": (errno.ENOTDIR, lambda f, r: f.create(r / "file/new", b"x")),
    "append to a directory": (errno.EISDIR, lambda f, r: f.append(r / "full", b"x")),
    "append below nothing": (errno.ENOENT, lambda f, r: f.append(r / "none/new", b"x")),
    "mkdir of a file's name": (errno.EEXIST, lambda f, r: f.mkdir(r / "file")),
    "mkdir below nothing": (errno.ENOENT, lambda f, r: f.mkdir(r / "none/new")),
    "mkdir below a file": (errno.ENOTDIR, lambda f, r: f.mkdir(r / "file/new", parents=True)),
    "link nothing": (errno.ENOENT, lambda f, r: f.link(r / "none", r / "new")),
    "link onto a file": (errno.EEXIST, lambda f, r: f.link(r / "file", r / "full/file")),
    "link onto itself": (errno.EEXIST, lambda f, r: f.link(r / "file", r / "twin")),
    "link onto a directory": (errno.EEXIST, lambda f, r: f.link(r / "file", r / "full")),
    "link below nothing": (errno.ENOENT, lambda f, r: f.link(r / "file", r / "none/new")),
    "link a directory": (errno.EPERM, lambda f, r: f.link(r / "full", r / "new")),
    "rename nothing": (errno.ENOENT, lambda f, r: f.rename(r / "none", r / "new")),
    "rename below nothing": (errno.ENOENT, lambda f, r: f.rename(r / "file", r / "none/new")),
    "rename onto a full directory": (errno.ENOTEMPTY, lambda f, r: f.rename(r / "empty", r / "full")),
    "rename a directory onto a file": (errno.ENOTDIR, lambda f, r: f.rename(r / "empty", r / "file")),
    "rename a file onto a directory": (errno.EISDIR, lambda f, r: f.rename(r / "file", r / "empty")),
    "unlink nothing": (errno.ENOENT, lambda f, r: f.unlink(r / "none")),
    "unlink a directory": (errno.EISDIR, lambda f, r: f.unlink(r / "empty")),
    "remove below nothing": (0, lambda f, r: f.remove(r / "none/none")),
    "clone nothing": (errno.ENOENT, lambda f, r: f.clone(r / "none", r / "new")),
    "clone onto a directory": (errno.EEXIST, lambda f, r: f.clone(r / "full", r / "empty")),
    "clone onto a file": (errno.EEXIST, lambda f, r: f.clone(r / "full", r / "file")),
    "keep a directory open": (errno.EISDIR, lambda f, r: f.keep_open(r / "full")),
    "keep open below nothing": (errno.ENOENT, lambda f, r: f.keep_open(r / "none/new")),
    "lock below nothing": (errno.ENOENT, lambda f, r: f.lock(r / "none/new")),
}


@pytest.mark.parametrize("what", REFUSED)
def test_what_the_kernel_refuses_the_simulation_refuses_alike(furnished: Files, root: Path, what: str) -> None:
    code, call = REFUSED[what]
    before = everything(furnished, root)
    if not code:
        call(furnished, root)
    else:
        with pytest.raises(OSError, match=r"none|file|full|empty|new|twin") as refused:
            call(furnished, root)
        assert refused.value.errno == code
        assert refused.value.strerror == os.strerror(code)
        assert str(refused.value.filename).startswith(str(root))
    after = everything(furnished, root)
    after.pop("new", None) if what == "clone nothing" else None  # the kernel's way leaves an empty directory as well
    assert after == before
