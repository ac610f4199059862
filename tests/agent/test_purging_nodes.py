"""Nodes that purge: what they ask before, and that they leave each other alone meanwhile."""

from dataclasses import replace
from datetime import timedelta

from reconciler.core.desired import Desired
from reconciler.core.names import Commit
from reconciler.core.records import Deleted
from tests.fakes.build import a_project
from tests.fakes.lab import Lab


def delete(lab: Lab) -> Desired:
    """Its file is gone, and nothing is to be kept. No node has looked yet."""
    before = lab.source.commits[-1]
    site = replace(before.site, retention=timedelta(0))
    lab.source.commits.append(replace(before, commit=Commit("d" * 40), projects={}, site=site))
    return before


def test_a_node_purges_only_after_another_look_at_git(lab: Lab) -> None:
    """It may have slept since the last one, for longer than the retention."""
    agent = lab.join()
    lab.write(a_project(paused=True))
    lab.until(lambda: lab.history().records)
    before = delete(lab)
    agent.fetch()
    for _ in range(5):
        lab.turn()
    assert isinstance(lab.history().lifecycle, Deleted)
    lab.source.error = "no route to host"
    agent.fetch()
    lab.turn()
    assert isinstance(lab.history().lifecycle, Deleted)
    lab.source.error = ""
    lab.source.commits.append(replace(before, commit=Commit("e" * 40)))
    agent.fetch()
    lab.turn()
    assert not lab.history().is_deleted, "people had put the file back meanwhile"


def test_the_look_at_git_that_shows_the_file_still_gone_lets_it_purge(lab: Lab) -> None:
    agent = lab.join()
    lab.write(a_project(paused=True))
    lab.until(lambda: lab.history().records)
    delete(lab)
    agent.fetch()
    lab.until(lambda: isinstance(lab.history().lifecycle, Deleted))
    lab.turn()
    agent.fetch()
    lab.until(lambda: lab.history().retired)
