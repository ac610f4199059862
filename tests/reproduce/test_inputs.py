"""What is recorded of a run's inputs: size and time before it starts, contents while it runs, changes at its end."""

import hashlib
import os
import threading
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share import inputs as adapter
from reconciler.adapters.share.files import MountedFiles
from reconciler.adapters.share.leisure import at_leisure
from reconciler.agent import inputs as agent
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from reconciler.core.records import InputFile
from reconciler.core.unchanged import same_inputs
from tests.fakes.build import CROSSING, a_stage
from tests.reproduce.conftest import Bench


@pytest.fixture
def share(tmp_path: Path) -> SharedDirectory:
    SharedDirectory.create(tmp_path / "share")
    return SharedDirectory(tmp_path / "share", writer="a")


@pytest.fixture
def resources(share: SharedDirectory) -> Path:
    return share.layout.resources


def write(path: Path, content: str = "x") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)


def test_a_directory_counts_as_all_its_files_in_order(share: SharedDirectory, resources: Path) -> None:
    for name in ("b.mp4", "a/2.mp4", "a/1.mp4"):
        write(resources / "ulm" / name)
    found = share.look_at_inputs(CROSSING, ["resources/ulm", "resources/missing"])
    assert [one.path for one in found] == ["resources/ulm/a/1.mp4", "resources/ulm/a/2.mp4", "resources/ulm/b.mp4"]
    assert found[0].size == 1
    assert found[0].modified == datetime.fromtimestamp((resources / "ulm/a/1.mp4").stat().st_mtime, UTC).replace(
        microsecond=found[0].modified.microsecond
    )


def test_a_project_has_inputs_of_its_own_and_what_its_first_run_begins_with(share: SharedDirectory) -> None:
    write(share.layout.input(CROSSING) / "zones.json")
    write(share.layout.init(CROSSING) / "model.pt")
    write(share.layout.input(ProjectName("other")) / "foreign.json")
    found = share.look_at_inputs(CROSSING, ["input/zones.json", "init"])
    assert [one.path for one in found] == ["input/zones.json", "init/model.pt"]


def test_what_is_no_file_is_neither_read_nor_followed_round_and_round(share: SharedDirectory, resources: Path) -> None:
    write(resources / "ulm" / "a.mp4")
    os.mkfifo(resources / "ulm" / "pipe")
    (resources / "ulm" / "round").symlink_to(resources / "ulm", target_is_directory=True)
    (resources / "ulm" / "nowhere").symlink_to("gone")
    (resources / "ulm" / "self").symlink_to("self")
    (resources / "ulm" / "linked.mp4").symlink_to("a.mp4")
    found = share.look_at_inputs(CROSSING, ["resources/ulm"])
    assert [one.path.rpartition("/")[2] for one in found] == ["a.mp4", "linked.mp4", "pipe", "round"]
    assert [bool(share.hash_input(CROSSING, one)) for one in found] == [True, True, False, False]
    assert [one.unread for one in found] == [False, False, True, True]


def test_what_lies_behind_a_link_to_a_directory_never_counts_as_the_same(
    share: SharedDirectory, resources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The program may follow it; Winslow does not, so a changed video behind it would go unnoticed."""
    write(resources / "elsewhere" / "a.mp4", "frames")
    write(resources / "ulm" / "b.mp4", "frames")
    (resources / "ulm" / "link").symlink_to(resources / "elsewhere", target_is_directory=True)
    before = share.look_at_inputs(CROSSING, ["resources/ulm"])
    write(resources / "elsewhere" / "a.mp4", "changed")
    assert not same_inputs(before, share.look_at_inputs(CROSSING, ["resources/ulm"]))
    monkeypatch.setattr(adapter, "MOST", 1)
    assert not same_inputs(*(share.look_at_inputs(CROSSING, ["resources/ulm"]) for _ in range(2)))
    (resources / "ulm" / "link").unlink()
    assert same_inputs(*(share.look_at_inputs(CROSSING, ["resources/ulm"]) for _ in range(2)))


def test_very_many_files_are_one_entry_whose_digest_is_that_of_their_list(
    share: SharedDirectory, resources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(adapter, "MOST", 2)
    for name in "abc":
        write(resources / "ulm" / name, "xx")
    [one] = share.look_at_inputs(CROSSING, ["resources/ulm"])
    assert (one.path, one.size, len(one.sha256)) == ("resources/ulm/", 6, 64)
    assert share.look_at_inputs(CROSSING, ["resources/ulm"]) == (one,)
    write(resources / "ulm" / "c", "xyz")
    assert share.look_at_inputs(CROSSING, ["resources/ulm"])[0].sha256 != one.sha256


def test_names_that_are_no_text_are_told_as_text(share: SharedDirectory, resources: Path) -> None:
    resources.mkdir(exist_ok=True)
    (resources / os.fsdecode(b"\xff.mp4")).write_text("x")
    [one] = share.look_at_inputs(CROSSING, ["resources/" + os.fsdecode(b"\xff.mp4")])
    assert one.path == "resources/\\xff.mp4"


def test_a_hash_is_read_once_for_the_whole_share(
    share: SharedDirectory, resources: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(resources / "a.mp4", "frames")
    [one] = share.look_at_inputs(CROSSING, ["resources/a.mp4"])
    wanted = hashlib.sha256(b"frames").hexdigest()
    assert share.hash_input(CROSSING, one) == wanted
    monkeypatch.setattr(MountedFiles, "digest", lambda self, path: pytest.fail("read again"))
    other = SharedDirectory(share.layout.root, writer="b")
    assert other.hash_input(CROSSING, one) == wanted
    assert other.look_at_inputs(ProjectName("other"), ["resources/a.mp4"])[0].sha256 == wanted


@pytest.mark.parametrize("garbage", [b"", b"no hash\n", b"A" * 64 + b"\n", b"\xff" * 65, b"0" * 63])
def test_garbage_where_a_hash_should_be_is_replaced(share: SharedDirectory, resources: Path, garbage: bytes) -> None:
    write(resources / "a.mp4", "frames")
    [one] = share.look_at_inputs(CROSSING, ["resources/a.mp4"])
    wanted = share.hash_input(CROSSING, one)
    [kept] = [path for path in (share.layout.root / "hashes").rglob("*") if path.is_file()]
    kept.write_bytes(garbage)
    assert share.look_at_inputs(CROSSING, ["resources/a.mp4"])[0].sha256 == ""
    assert share.hash_input(CROSSING, one) == wanted
    assert share.look_at_inputs(CROSSING, ["resources/a.mp4"])[0].sha256 == wanted


def test_a_file_that_is_another_one_by_now_gives_no_hash(share: SharedDirectory, resources: Path) -> None:
    write(resources / "a.mp4", "frames")
    [one] = share.look_at_inputs(CROSSING, ["resources/a.mp4"])
    write(resources / "a.mp4", "other frames")
    assert share.hash_input(CROSSING, one) == ""
    (resources / "a.mp4").unlink()
    assert share.hash_input(CROSSING, one) == ""


def test_work_at_leisure_is_done_on_another_thread_and_its_fault_is_told() -> None:
    mine = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert at_leisure(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id())) == 19
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == mine
    with pytest.raises(FileNotFoundError):
        at_leisure(lambda: Path("/nowhere").read_bytes())


# --- in the life of a run ---


def recorded(run: Run) -> InputFile:
    assert run.outcome is not None
    [one] = run.outcome.inputs
    return one


def hold(bench: Bench) -> None:
    """A run that goes on until it is told to end."""
    bench.stages = (a_stage("detect", process_command=("sh", "-c", "hold")),)
    bench.begin()
    bench.lab.until(bench.started, "the start")


def end(bench: Bench) -> Run:
    bench.runtime.finish(bench.runtime.orders[-1].key)
    return bench.ended(1)


def test_the_outcome_tells_what_the_run_was_given(bench: Bench) -> None:
    bench.begin()
    one = recorded(bench.ended(1))
    assert (one.path, one.size, one.changed) == ("resources/a.mp4", 6, False)
    assert one.sha256 == hashlib.sha256(b"frames").hexdigest()


def test_an_input_that_changes_while_the_run_reads_it_is_told(bench: Bench) -> None:
    hold(bench)
    bench.video.write_text("other frames")
    one = recorded(end(bench))
    assert (one.size, one.changed) == (6, True)
    agent_a = bench.lab.agents["a"]
    seen = agent_a.look()
    assert seen is not None
    [told] = [one for one in seen.status.projects[0].conditions if one.type == "InputChanged"]
    assert "resources/a.mp4 changed while run 1 (detect) read it" in told.message


def test_a_restarted_node_still_knows_what_the_run_began_with(bench: Bench) -> None:
    hold(bench)
    bench.lab.kill("a")
    bench.video.write_text("other frames")
    bench.lab.join("a")
    one = recorded(end(bench))
    assert (one.size, one.changed) == (6, True)


def test_an_end_does_not_wait_for_a_hash_that_takes_long_and_the_next_run_knows_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    digest = MountedFiles.digest

    def slow(self: MountedFiles, path: Path) -> object:
        assert go_on.wait(60)
        return digest(self, path)

    monkeypatch.setattr(MountedFiles, "digest", slow)
    monkeypatch.setattr(agent, "PATIENCE", 0.05)
    bench.begin()
    first = recorded(bench.ended(1))
    assert first.sha256 == ""
    go_on.set()
    share = SharedDirectory(bench.lab.root)
    bench.lab.until(lambda: share.look_at_inputs(CROSSING, ["resources/a.mp4"])[0].sha256, "the hash")
    assert replace(first, sha256="") == first
