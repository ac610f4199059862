"""The share while and after it is rebuilt: who began before is refused, wherever it froze."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.files import MountedFiles
from reconciler.adapters.share.rebuilding import ShareRebuilding
from reconciler.core.names import ShareId
from reconciler.errors import BadInput, ShareUnavailable
from tests.fakes.build import CROSSING, a_claim, a_created, a_seen


@pytest.fixture
def made(tmp_path: Path) -> Path:
    root = tmp_path / "share"
    SharedDirectory.create(root)
    return root


def rebuilt(root: Path) -> ShareId:
    place = ShareRebuilding(root, writer="rebuild")
    place.begin()
    return place.finish([ShareId("older")])


def test_nobody_reads_or_writes_a_share_that_is_being_rebuilt(made: Path) -> None:
    running = SharedDirectory(made, writer="a")
    running.identity()
    ShareRebuilding(made, writer="rebuild").begin()
    for share in (running, SharedDirectory(made, writer="b")):
        with pytest.raises(ShareUnavailable, match="is being rebuilt; if somebody's winslow rebuild was interrupted"):
            share.read()
        with pytest.raises(ShareUnavailable):
            share.publish_project(CROSSING, a_seen())
    assert list((made / "projects").iterdir()) == []


def test_a_rebuilding_that_was_interrupted_is_known_and_can_go_on(made: Path) -> None:
    first = ShareRebuilding(made, writer="rebuild")
    before = first.share.identity()
    first.begin()
    second = ShareRebuilding(made, writer="rebuild")
    assert second.was_interrupted
    second.begin()
    second.finish([])
    assert SharedDirectory(made).replaced() == {before}
    assert not second.was_interrupted


def test_the_new_identity_names_all_that_it_replaces(made: Path) -> None:
    original = SharedDirectory(made).identity()
    first = rebuilt(made)
    second = rebuilt(made)
    assert SharedDirectory(made).identity() == second
    assert SharedDirectory(made).replaced() == {original, first, "older"}


def test_who_began_before_is_told_to_start_again(made: Path) -> None:
    running = SharedDirectory(made, writer="a")
    running.identity()
    rebuilt(made)
    with pytest.raises(BadInput, match=r"was rebuilt and has a new identity .* start this again"):
        running.read()
    assert SharedDirectory(made, writer="a").read().projects == {}


def test_an_older_winslow_refuses_a_rebuilt_share_clearly(made: Path) -> None:
    """It checks the format before anything else; ours was 1."""
    assert json.loads((made / "winslow.json").read_text())["format"] == 1
    rebuilt(made)
    assert json.loads((made / "winslow.json").read_text())["format"] == 2


class Freezing(MountedFiles):
    """Stops right before the step that ``at`` names, once, while ``meanwhile`` happens."""

    def __init__(self, at: str, meanwhile: Callable[[], object]) -> None:
        self._at, self._meanwhile = at, meanwhile
        self.is_armed = False

    def _reach(self, step: str) -> None:
        if self.is_armed and step == self._at:
            self.is_armed = False
            self._meanwhile()

    def create(self, path: Path, content: bytes) -> None:
        self._reach("create")
        super().create(path, content)

    def link(self, source: Path, target: Path) -> None:
        self._reach("link")
        super().link(source, target)

    def mkdir(self, directory: Path, *, parents: bool = False) -> None:
        self._reach("mkdir")
        super().mkdir(directory, parents=parents)


@pytest.mark.parametrize("step", ["mkdir", "create", "link"])
def test_a_writer_that_froze_at_any_step_writes_nothing_into_the_rebuilt_ledger(made: Path, step: str) -> None:
    SharedDirectory(made, writer="a").publish_project(CROSSING, a_created())
    files = Freezing(step, lambda: rebuilt(made))
    frozen = SharedDirectory(made, writer="frozen", files=files)
    frozen.identity()
    files.is_armed = True
    with pytest.raises((BadInput, ShareUnavailable)):
        frozen.publish_run(CROSSING, a_created(), a_claim())
    assert not files.is_armed
    assert SharedDirectory(made).read().history(CROSSING).runs[0].records == ()
    assert list((made / "tmp").iterdir()) == []


@pytest.mark.parametrize("step", ["mkdir", "create", "link"])
def test_the_same_writer_succeeds_where_nothing_was_rebuilt(made: Path, step: str) -> None:
    """The check can fail."""
    SharedDirectory(made, writer="a").publish_project(CROSSING, a_created())
    files = Freezing(step, lambda: None)
    files.is_armed = True
    assert SharedDirectory(made, writer="frozen", files=files).publish_run(CROSSING, a_created(), a_claim())
    assert not files.is_armed


def test_a_ledger_that_is_put_back_is_seen_as_it_is_now_by_who_knew_more(made: Path) -> None:
    share = SharedDirectory(made, writer="a")
    share.publish_project(CROSSING, a_seen(1))
    share.publish_project(CROSSING, a_seen(2))
    assert len(share.read().history(CROSSING).records) == 2
    (made / "projects/crossing/records/00000002.json").unlink()
    assert len(share.read().history(CROSSING).records) == 1


def test_claims_that_are_there_are_found_by_their_directories(made: Path) -> None:
    for path in ("0001-detect/1/workspace", "0001-detect/3", "0002-track/records", "notes"):
        (made / "projects/crossing/runs" / path).mkdir(parents=True)
    place = ShareRebuilding(made, writer="rebuild")
    assert place.claims(CROSSING) == {1: {1, 3}, 2: frozenset()}
    assert place.claims(type(CROSSING)("ulm")) == {}
