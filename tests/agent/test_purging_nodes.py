"""Nodes that purge: what they ask before, and that they leave each other alone meanwhile."""

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.core.desired import Desired
from reconciler.core.names import Commit, ProjectName, RecordNumber
from reconciler.core.records import Deleted
from reconciler.errors import FilesLeft
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
    purge(lab)


def test_a_node_rests_while_another_one_empties_a_purged_directory(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """That may take hours, and the end of each attempt wakes the loop."""
    asked: list[ProjectName] = []

    def busy(_: SharedDirectory, project: ProjectName, number: RecordNumber) -> bool:
        asked.append(project)
        return False

    monkeypatch.setattr(SharedDirectory, "remove_remains", busy)
    purge(lab)
    lab.until(lambda: asked)
    began = lab.clock.seconds
    lab.until(lambda: lab.clock.seconds - began > 20.0)
    assert 3 <= len(asked) <= 6, "every five seconds, by a clock that moves a second a turn"
    assert lab.agents["a"].conditions() == ()


def test_files_that_withstand_are_told_by_name_and_do_not_look_like_a_share_that_is_gone(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    def withstand(_: SharedDirectory, project: ProjectName, number: RecordNumber) -> bool:
        raise FilesLeft("files can't be removed", after=600.0)

    monkeypatch.setattr(SharedDirectory, "remove_remains", withstand)
    purge(lab)
    agent = lab.agents["a"]
    lab.until(agent.conditions)
    assert [(one.type, one.message) for one in agent.conditions()] == [("FilesLeft", "files can't be removed")]


def purge(lab: Lab) -> None:
    agent = lab.join()
    lab.write(a_project(paused=True))
    lab.until(lambda: lab.history().records)
    delete(lab)
    agent.fetch()
    lab.until(lambda: lab.history().is_deleted)
    lab.turn()
    agent.fetch()
    lab.until(lambda: lab.history().retired)
