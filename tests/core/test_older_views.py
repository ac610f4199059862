"""A node whose clone is older than what the ledger names must not decide."""

import pytest

from reconciler.core.actions import CreateRun, PublishProject
from reconciler.core.names import Blob, Commit
from reconciler.core.plan import plan
from tests.fakes.build import COMMIT, CROSSING, A, B, a_desired, a_ledger, a_node, a_run, a_seen, me
from tests.fakes.history import Files, Fleet, History

NEWER = Commit("d" * 40)
GATED = {"name": "track", "image": "i:1", "confirm": "before"}


def a_fleet() -> Fleet:
    """Two nodes, and a project of two stages whose first one has succeeded (``settle`` runs the other one)."""
    stages = [{"name": "detect", "image": "i:1"}, {"name": "track", "image": "i:1"}]
    git = History(
        {
            "winslow.yaml": {"version": 1},
            "pipelines/flow.yaml": {"stages": stages},
            "projects/_defaults.yaml": {"pipeline": "flow"},
            "projects/crossing.yaml": {},
        }
    )
    world = Fleet(git.head, (a_node("a"), a_node("b")), git=git)
    while not (runs := world.ledger.history(CROSSING).runs) or not runs[0].is_final:
        world.turn()
    return world


def test_a_run_of_a_newer_commit_stops_nodes_that_lack_it() -> None:
    """A changed pipeline leaves no DESIRED record: only the run that was made from it tells."""
    ledger = a_ledger(a_run(1, "detect", commit=NEWER))
    todo = plan(a_desired(), ledger, (a_node(),), me())
    assert not todo.actions
    assert todo.waiting[CROSSING].because == "SourceBehind"


@pytest.mark.parametrize(
    "shared",
    [
        {"pipelines/flow.yaml": {"stages": [{"name": "detect", "image": "i:2"}, GATED]}},
        {"projects/_defaults.yaml": {"pipeline": "flow", "environment": {"HEIGHT": None}}},
        {"winslow.yaml": {"version": 1, "environment": {"OTHER": "1"}}},
    ],
)
def test_a_change_of_a_shared_file_holds_as_soon_as_one_node_has_seen_it(shared: Files) -> None:
    """It may be a gate that somebody put up, and the node that waits before it publishes no run."""
    world = a_fleet()
    world.git.commit({**world.git.files, **shared})
    world.catch_up(B)
    world.carry_out(B, world.plan(B).actions)
    todo = world.plan(A)
    assert not [action for action in todo.actions if isinstance(action, CreateRun)]
    assert todo.waiting[CROSSING].because == "SourceBehind"


def test_a_change_that_concerns_nothing_of_a_project_is_not_recorded() -> None:
    world = a_fleet()
    world.settle()
    before = world.ledger.history(CROSSING).records
    world.git.commit({**world.git.files, "winslow.yaml": {"version": 1, "retention": "30d"}})
    world.catch_up(A)
    world.settle()
    assert world.ledger.history(CROSSING).records == before


def test_a_finished_project_takes_no_note_of_shared_files() -> None:
    world = a_fleet()
    world.settle()
    before = world.ledger.history(CROSSING).records
    world.git.commit({**world.git.files, "winslow.yaml": {"version": 1, "environment": {"OTHER": "1"}}})
    world.catch_up(A)
    world.settle()
    assert world.ledger.history(CROSSING).records == before


def test_two_versions_that_read_a_file_differently_do_not_publish_against_each_other() -> None:
    """While nodes are updated one by one: the older one may find broken what the newer one understands."""
    ledger = a_ledger(seen=a_seen(blob=Blob("as the other one reads it")))
    todo = plan(a_desired(), ledger, (a_node(),), me("b"))
    assert not todo.actions
    assert todo.waiting[CROSSING].because == "VersionsDiffer"
    own = plan(a_desired(), ledger, (a_node(),), me("a"))
    assert [type(action) for action in own.actions] == [PublishProject], "it has been updated and reads it anew"


def test_a_node_that_has_fetched_the_commit_goes_on() -> None:
    ledger = a_ledger(a_run(1, "detect", commit=NEWER))
    todo = plan(a_desired(), ledger, (a_node(),), me(contained=frozenset({COMMIT, NEWER})))
    assert [type(action) for action in todo.actions] == [CreateRun]
