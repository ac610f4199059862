"""A node whose clone is older than what the ledger names must not decide."""

from reconciler.core.actions import CreateRun
from reconciler.core.names import Commit
from reconciler.core.plan import plan
from tests.fakes.build import COMMIT, CROSSING, a_desired, a_ledger, a_node, a_run, me

NEWER = Commit("d" * 40)


def test_a_run_of_a_newer_commit_stops_nodes_that_lack_it() -> None:
    """A changed pipeline leaves no DESIRED record: only the run that was made from it tells."""
    ledger = a_ledger(a_run(1, "detect", commit=NEWER))
    todo = plan(a_desired(), ledger, (a_node(),), me())
    assert not todo.actions
    assert todo.waiting[CROSSING].because == "SourceBehind"


def test_a_node_that_has_fetched_the_commit_goes_on() -> None:
    ledger = a_ledger(a_run(1, "detect", commit=NEWER))
    todo = plan(a_desired(), ledger, (a_node(),), me(contained=frozenset({COMMIT, NEWER})))
    assert [type(action) for action in todo.actions] == [CreateRun]
