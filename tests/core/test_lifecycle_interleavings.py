"""Deleting, restoring and purging in every order in which two nodes that lag, freeze and die may meet it."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.desired import Desired, Site
from reconciler.core.draft import Plan
from reconciler.core.ledger import Ledger, ProjectHistory, Retired
from reconciler.core.names import Commit, NodeName, RecordNumber, RunNumber
from reconciler.core.nodes import Node
from reconciler.core.records import Deleted, Purged, Restored, RunCreated
from tests.fakes.build import (
    COMMIT,
    CROSSING,
    A,
    B,
    a_desired,
    a_ledger,
    a_node,
    a_pipeline,
    a_project,
    a_seen,
)
from tests.fakes.world import World

AT_ONCE = Site(retention=timedelta(0))
Step = tuple[NodeName, str, int]


def lives(history: ProjectHistory) -> list[str]:
    words = (Deleted, Restored, Purged, RunCreated)
    return [type(record).__name__ for record in history.records if isinstance(record, words)]


@st.composite
def steps(draw: st.DrawFn) -> list[Step]:
    """Who ticks, whose commit comes along first, and how many actions are carried out before the node dies."""
    return draw(
        st.lists(
            st.tuples(st.sampled_from([A, B]), st.sampled_from(["look", "fetch", "freeze", "wake"]), st.integers(0, 3)),
            max_size=40,
        )
    )


@given(steps(), st.lists(st.booleans(), min_size=1, max_size=5))
@settings(max_examples=150, deadline=None)
def test_two_nodes_that_lag_freeze_and_die_never_mix_lives(found: list[Step], present: list[bool]) -> None:
    """Records stay contiguous over purges, run numbers never come again, and nothing runs after DELETED."""
    commits = [Commit(f"{number:040d}") for number in range(len(present) + 1)]
    views = [
        replace(
            a_desired(pipeline=a_pipeline("detect", "track")),
            commit=commit,
            site=AT_ONCE,
            projects={CROSSING: a_project()} if is_there else {},
        )
        for commit, is_there in zip(commits, [True, *present], strict=True)
    ]
    world = Lagging(views[0], (a_node("a"), a_node("b")), views=views)
    numbers: dict[RunNumber, str] = {}
    for name, what, kept in found:
        world.step(name, what, kept)
        check_lives(world.ledger, numbers)
    for _ in range(60):
        for name in (A, B):
            world.step(name, "fetch", 9)
            world.step(name, "wake", 9)
        world.run_programs()
        check_lives(world.ledger, numbers)
    history = world.ledger.history(CROSSING)
    if present[-1]:
        assert not history.is_deleted
        assert history.records
    else:
        assert not history.records, f"not purged in the end: {lives(history)}"
        assert world.ledger.remains == ()


class Lagging(World):
    """Each node has its own view of git; a frozen one carries out later what it decided long before."""

    def __init__(self, desired: Desired, nodes: tuple[Node, ...], views: Sequence[Desired]) -> None:
        super().__init__(desired, nodes)
        self.views = views
        self.seen = dict.fromkeys((A, B), 0)
        self.asked = dict.fromkeys((A, B), self.now)
        self.held: dict[NodeName, Plan] = {}

    def desired_of(self, name: NodeName) -> Desired:
        return self.views[self.seen[name]]

    def contained_of(self, name: NodeName) -> frozenset[Commit]:
        return frozenset(view.commit for view in self.views[: self.seen[name] + 1])

    def asked_of(self, name: NodeName) -> float | None:
        return self.asked[name]

    def step(self, name: NodeName, what: str, kept: int) -> None:
        self.now += 1.0
        if what == "wake" and name in self.held:
            self.carry_out(name, self.held.pop(name).actions[:kept])
            return
        if what == "fetch":
            self.seen[name] = min(self.seen[name] + 1, len(self.views) - 1)
            self.asked[name] = self.now
        todo = self.plan(name)
        if what == "freeze":
            self.held.setdefault(name, todo)
            return
        self.carry_out(name, todo.actions[:kept])


def check_lives(ledger: Ledger, numbers: dict[RunNumber, str]) -> None:
    history = ledger.history(CROSSING)
    first = history.retired.record if history.retired else 0
    assert [record.number for record in history.records] == list(range(first + 1, first + len(history.records) + 1))
    started = [run.number for run in history.runs]
    assert started == sorted(set(started))
    assert all(number > (history.retired.run if history.retired else 0) for number in started)
    words = lives(history)
    for before, after in itertools.pairwise(words):
        assert (before, after) not in {("Deleted", "RunCreated"), ("Purged", "RunCreated"), ("Purged", "Restored")}
    if history.is_purged:
        assert all(run.is_final for run in history.runs), "purged while a run was open"
    for run in history.runs:
        assert numbers.setdefault(run.number, run.created.token) == run.created.token, "a run's number came again"


def test_the_check_on_lives_can_fail() -> None:
    retired = Retired(record=RecordNumber(9), run=RunNumber(5), commit=COMMIT)
    broken = replace(a_ledger(), projects={CROSSING: ProjectHistory(retired=retired, records=(a_seen(),))})
    with pytest.raises(AssertionError):
        check_lives(broken, {})
