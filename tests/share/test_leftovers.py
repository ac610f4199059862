"""What a killed node leaves on the share, and who may take it away."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.core.names import NodeName, RecordNumber, Token
from reconciler.errors import ShareUnavailable
from tests.fakes.build import CROSSING, A, B, a_claim, a_created, a_node, released

HEX = "0123456789abcdef"
EARLIER, NOW = "0000beef", "1111beef"


@pytest.fixture
def mine(root: Path) -> SharedDirectory:
    """The last start of node a."""
    share = SharedDirectory(root, writer=f"a.{NOW}")
    share.publish_node(a_node("a").record)
    return share


def names(found: frozenset[Path]) -> set[str]:
    return {path.name for path in found}


def test_drafts_of_a_nodes_earlier_starts_are_found_and_nobody_elses(mine: SharedDirectory, root: Path) -> None:
    left = {f"a.{EARLIER}.{HEX}", f"a.4711.{HEX}"}
    kept = {f"a.{NOW}.{HEX}", f"b.{EARLIER}.{HEX}", f"a.b.{EARLIER}.{HEX}", f"identity.{HEX}", f"reader.{HEX}", "a.txt"}
    for name in left | kept:
        (root / "tmp" / name).write_text("draft")
    assert names(mine.leftovers(A, "a-2")) == left


def test_heartbeats_of_earlier_starts_are_found_but_not_the_last_ones(mine: SharedDirectory, root: Path) -> None:
    for incarnation in ("a-1", "a-2"):
        (root / f"nodes/a/heartbeat.{incarnation}").write_text("beat")
    (root / "nodes/b").mkdir()
    (root / "nodes/b/heartbeat.b-1").write_text("beat")
    assert names(mine.leftovers(A, "a-2")) == {"heartbeat.a-1"}
    assert (root / "nodes/a/records/00000001.json").exists()


def test_a_workspace_half_cloned_for_a_claim_that_is_over_is_found(mine: SharedDirectory, root: Path) -> None:
    """That of the claim in force is not: its node goes on from it."""
    created = a_created(number=1)
    mine.publish_project(CROSSING, created)
    first = a_claim(incarnation="a-1")
    mine.publish_run(CROSSING, created, first)
    partial = root / f"projects/{CROSSING}/runs/0001-{created.stage}/1/workspace.partial"
    partial.mkdir(parents=True)
    (partial / "frame").write_text("half")
    assert mine.leftovers(A, "a-2") == frozenset()
    mine.publish_run(CROSSING, created, released())
    assert mine.leftovers(A, "a-1") == frozenset(), "this very start may still be at it"
    mine.publish_node(a_node("b").record)
    assert mine.leftovers(B, "b-1") == frozenset(), "and another node never"
    found = mine.leftovers(A, "a-2")
    assert found == {partial}
    assert mine.remove_leftovers(found) == 1
    assert not partial.exists()
    assert partial.parent.exists()


def test_what_is_gone_already_is_no_error_and_directories_go_as_a_whole(mine: SharedDirectory, root: Path) -> None:
    draft, output = root / f"tmp/a.{EARLIER}.{HEX}", root / f"tmp/a.{EARLIER}.{HEX[::-1]}"
    draft.write_text("draft")
    (output / "tracks").mkdir(parents=True)
    (output / "tracks/1").write_text("half")
    found = mine.leftovers(A, "a-2")
    draft.unlink()
    assert mine.remove_leftovers(found) == 1
    assert os.listdir(root / "tmp") == []  # noqa: PTH208


def test_a_frozen_start_that_loses_its_draft_publishes_again_from_a_new_one(
    mine: SharedDirectory, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stood between writing its draft and linking it while its successor tidied up."""
    frozen = SharedDirectory(root, writer=f"a.{EARLIER}")
    record = replace(a_node("a").record, number=RecordNumber(2), token=Token("late"))
    link = os.link

    def wake_up(*paths: str) -> None:
        monkeypatch.setattr(os, "link", link)
        assert mine.remove_leftovers(mine.leftovers(A, "a-2")) == 1
        link(*paths)

    monkeypatch.setattr(os, "link", wake_up)
    with pytest.raises(ShareUnavailable):
        frozen.publish_node(record)
    assert len(mine.read_nodes()[NodeName("a")].records) == 1, "nothing half-published"
    assert frozen.publish_node(record)
