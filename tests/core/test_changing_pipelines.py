"""Pipelines that are deleted, renamed, broken or exchanged under a project that runs: read by the real codec."""

from collections.abc import Mapping

import pytest

from reconciler.core.desired import Desired
from reconciler.core.ledger import ProjectHistory
from reconciler.core.names import NodeName, ProjectName
from reconciler.core.report import report
from reconciler.core.status import ProjectStatus
from tests.fakes.build import A, a_node
from tests.fakes.history import Content, Files, Fleet, History, changed

ULM = ProjectName("ulm")
FLOW, SHORT, PROJECT = "pipelines/flow.yaml", "pipelines/short.yaml", "projects/ulm.yaml"


def stages(*names: str) -> Mapping[str, object]:
    return {"stages": [{"name": name, "image": "image:1", "command": [name]} for name in names]}


START: Files = {
    "winslow.yaml": {"version": 1},
    FLOW: stages("detect", "track", "report"),
    SHORT: stages("detect", "summary"),
    PROJECT: {"pipeline": "flow"},
}


class Site:
    """One node; the first stage of ``ulm`` runs."""

    def __init__(self) -> None:
        git = History(START)
        self.fleet = Fleet(git.head, (a_node("a"),), git=git)
        self.tick(3)
        assert self.runs() == [("detect", "Running")]

    def commit(self, path: str, content: Content | None) -> None:
        files = {**self.fleet.git.files, path: content} if content is not None else dict(self.fleet.git.files)
        if content is None:
            del files[path]
        self.fleet.git.commit(files)
        self.fleet.catch_up(NodeName("a"))

    def tick(self, times: int = 1) -> None:
        for _ in range(times):
            self.fleet.carry_out(A, self.fleet.plan(A).actions)
            self.fleet.now += 1.0

    def stage_ends(self) -> None:
        self.fleet.run_programs()
        self.tick(8)

    def finish(self) -> None:
        for _ in range(5):
            self.stage_ends()

    @property
    def desired(self) -> Desired:
        return self.fleet.desired_of(A)

    @property
    def history(self) -> ProjectHistory:
        return self.fleet.ledger.history(ULM)

    def runs(self) -> list[tuple[str, str]]:
        return [(run.stage, run.phase.value) for run in self.history.runs]

    def told(self) -> ProjectStatus:
        [project] = report(self.desired, self.fleet.ledger, self.fleet.nodes, branch="main").projects
        return project


@pytest.fixture
def site() -> Site:
    return Site()


ALL = [("detect", "Succeeded"), ("track", "Succeeded"), ("report", "Succeeded")]


def test_a_deleted_pipeline_goes_on_to_its_end(site: Site) -> None:
    site.commit(FLOW, None)
    site.finish()
    assert site.runs() == ALL
    assert "pipelines/flow.yaml was deleted; its last version goes on" in str(site.desired.problems)


@pytest.mark.parametrize("broken", ["stages: [\n", {"stages": "none"}, {"stages": []}])
def test_a_broken_pipeline_goes_on_as_it_was(site: Site, broken: Content) -> None:
    site.commit(FLOW, broken)
    site.finish()
    assert site.runs() == ALL
    assert "FileBroken" in {condition.type for condition in site.told().conditions}


def test_a_renamed_pipeline_goes_on_until_the_project_names_the_new_one(site: Site) -> None:
    """Two commits, as it often happens: what is between them stops nobody."""
    site.commit("pipelines/traffic.yaml", START[FLOW])
    site.commit(FLOW, None)
    site.stage_ends()
    assert site.runs() == [("detect", "Succeeded"), ("track", "Running")]
    site.commit(PROJECT, {"pipeline": "traffic"})
    site.finish()
    assert site.runs() == ALL
    assert site.history.runs[-1].created.pipeline == "traffic"


def test_a_started_stage_ends_as_it_was_started_and_the_next_one_follows_the_new_pipeline(site: Site) -> None:
    site.commit(PROJECT, {"pipeline": "short"})
    site.finish()
    assert site.runs() == [("detect", "Succeeded"), ("summary", "Succeeded")]
    assert [run.created.pipeline for run in site.history.runs] == ["flow", "short"]


def test_a_project_whose_last_stage_the_new_pipeline_lacks_asks_where_to_go_on(site: Site) -> None:
    site.stage_ends()
    site.commit(PROJECT, {"pipeline": "short"})
    site.stage_ends()
    assert site.runs() == [("detect", "Succeeded"), ("track", "Succeeded")]
    waiting = site.told().waiting_for
    assert waiting is not None
    assert (waiting.reason, waiting.edit) == ("StageLeftPipeline", "next: {stage: summary, after: 2}")
    site.commit(PROJECT, {"pipeline": "short", "next": {"stage": "summary", "after": 2}})
    site.finish()
    assert site.runs()[2:] == [("summary", "Succeeded")]
    assert site.history.runs[2].created.base is not None
    assert site.history.runs[2].created.base.run == 1, "the nearest earlier stage of the new pipeline"


def test_switching_there_and_back_goes_on_as_if_nothing_had_been(site: Site) -> None:
    site.commit(PROJECT, {"pipeline": "short"})
    site.commit(PROJECT, {"pipeline": "flow"})
    site.finish()
    assert site.runs() == ALL


def test_a_pipeline_and_its_project_deleted_in_one_commit_end_together(site: Site) -> None:
    files = {path: content for path, content in site.fleet.git.files.items() if path not in (FLOW, PROJECT)}
    site.fleet.git.commit(changed(files, "winslow.yaml", {"retention": "0s"}))
    site.fleet.catch_up(A)
    site.finish()
    assert site.history.records == ()
    assert site.history.retired is not None
    assert site.fleet.ledger.remains == ()
