"""What a project wants next: gates, required environment, bases, and pipelines that change under a project."""

import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.decide import Decision, RunOpen, StartStage, Wait, decide
from reconciler.core.desired import Confirm, Pipeline, Project, StageOverride, Then, Workspace
from reconciler.core.ledger import Run
from reconciler.core.names import PipelineName, RunNumber
from reconciler.core.status import ProjectPhase
from tests.fakes.build import (
    a_base,
    a_claim,
    a_desired,
    a_history,
    a_next,
    a_pipeline,
    a_project,
    a_run,
    a_seen,
    a_stage,
    aborted,
    done,
    failed,
    lost,
    released,
    started,
)


def decided(*runs: Run, pipeline: Pipeline | None = None, project: Project | None = None) -> Decision:
    project = project or a_project()
    return decide(a_desired(project, pipeline=pipeline), project, a_history(*runs))


def waits(*runs: Run, pipeline: Pipeline | None = None, project: Project | None = None) -> Wait:
    decision = decided(*runs, pipeline=pipeline, project=project)
    assert isinstance(decision, Wait), decision
    return decision


# --- gates and required environment ---


def test_a_once_gate_opens_for_good_with_its_first_run() -> None:
    pipeline = a_pipeline("detect", a_stage("track", confirm=Confirm.ONCE), "report")
    runs = a_run(1, "detect"), a_run(2, "track"), a_run(3, "detect")
    assert started(decided(*runs, pipeline=pipeline)).stage.name == "track"


def test_a_before_gate_asks_each_time() -> None:
    pipeline = a_pipeline("detect", a_stage("track", confirm=Confirm.BEFORE), "report")
    runs = a_run(1, "detect"), a_run(2, "track"), a_run(3, "detect")
    assert waits(*runs, pipeline=pipeline).reason == "ConfirmationRequired"


def test_a_gate_before_the_first_stage_waits_too() -> None:
    pipeline = a_pipeline(a_stage("detect", confirm=Confirm.ONCE))
    assert waits(pipeline=pipeline).edit == "next: {stage: detect}"


def test_missing_environment_is_named_with_the_file_to_set_it_in() -> None:
    pipeline = a_pipeline(a_stage("detect", requires_environment=("CAMERA_HEIGHT", "LENS")))
    wait = waits(pipeline=pipeline, project=a_project(environment={"LENS": "wide"}))
    assert (wait.phase, wait.reason) == (ProjectPhase.AWAITING_INPUT, "EnvironmentMissing")
    assert "CAMERA_HEIGHT" in wait.message
    assert "LENS" not in wait.message
    assert "projects/crossing.yaml" in wait.message
    assert wait.edit == 'environment: {LENS: "wide", CAMERA_HEIGHT: "..."}', "pasting it must lose nothing"


def test_required_environment_may_come_from_the_request() -> None:
    pipeline = a_pipeline(a_stage("detect", requires_environment=("CAMERA_HEIGHT",)))
    project = a_project(next=a_next("detect", environment={"CAMERA_HEIGHT": "12"}))
    assert started(decided(pipeline=pipeline, project=project)).stage.name == "detect"


@pytest.mark.parametrize("unset", [{"stages": {"detect": {"LENS": None}}}, {"next": {"LENS": None}}])
def test_what_a_stronger_level_unsets_is_offered_at_the_strongest(unset: dict[str, Any]) -> None:
    pipeline = a_pipeline(a_stage("detect", requires_environment=("LENS",)))
    overrides = {name: StageOverride(environment=given) for name, given in unset.get("stages", {}).items()}
    request = a_next("detect", environment=unset["next"]) if "next" in unset else None
    project = a_project(environment={"LENS": "wide"}, stages=overrides, next=request)
    assert waits(pipeline=pipeline, project=project).edit == 'next: {stage: detect, environment: {LENS: "..."}}'
    pasted = replace(project, next=a_next("detect", environment={"LENS": "long"}))
    assert started(decided(pipeline=pipeline, project=pasted)).stage.name == "detect"


def test_an_unset_variable_counts_as_missing() -> None:
    pipeline = a_pipeline(a_stage("detect", requires_environment=("LENS",), environment={"LENS": "wide"}))
    assert waits(pipeline=pipeline, project=a_project(environment={"LENS": None})).reason == "EnvironmentMissing"


# --- bases ---


def test_a_run_starts_from_the_nearest_earlier_stages_newest_success() -> None:
    runs = a_run(1, "detect"), a_run(2, "track"), a_run(3, "detect"), a_run(4, "track", a_claim(), failed())
    project = a_project(next=a_next("report", 4))
    assert started(decided(*runs, project=project)).base == a_base(2, "track")
    project = a_project(next=a_next("track", 4))
    assert started(decided(*runs, project=project)).base == a_base(3, "detect")


def test_a_stage_never_starts_from_its_own_or_a_later_stage() -> None:
    runs = a_run(1, "detect"), a_run(2, "track"), a_run(3, "report")
    assert started(decided(*runs, project=a_project(next=a_next("detect", 3)))).base is None


def test_a_skipped_stage_is_passed_over_when_looking_for_the_base() -> None:
    project = a_project(next=a_next("report", 1))
    assert started(decided(a_run(1, "detect"), project=project)).base == a_base(1, "detect")


def test_the_base_is_the_accepted_attempt_not_the_first() -> None:
    retried = a_run(1, "detect", a_claim(1), released(2), a_claim(3, "b"), done(4, "b"))
    assert started(decided(retried)).base == a_base(1, "detect", claim=3)


def test_from_names_another_run_also_a_failed_one() -> None:
    runs = a_run(1, "detect"), a_run(2, "detect"), a_run(3, "track", a_claim(), failed())
    for base, stage in ((1, "detect"), (3, "track")):
        project = a_project(next=a_next("track", 3, base=RunNumber(base)))
        assert started(decided(*runs, project=project)).base == a_base(base, stage)


def test_from_an_unknown_run_is_explained() -> None:
    project = a_project(next=a_next("track", 1, base=RunNumber(9)))
    wait = waits(a_run(1, "detect"), project=project)
    assert (wait.reason, wait.edit) == ("BaseUnknown", "next: {stage: track, after: 1}")


def test_a_fresh_stage_starts_from_nothing() -> None:
    pipeline = a_pipeline("detect", a_stage("track", workspace=Workspace.FRESH))
    assert started(decided(a_run(1, "detect"), pipeline=pipeline)).base is None


# --- pipelines that change ---


def test_a_finished_project_stays_finished_when_its_pipeline_grows() -> None:
    wait = waits(a_run(1, "detect", is_last=True))
    assert (wait.phase, wait.reason, wait.edit) == (
        ProjectPhase.SUCCEEDED,
        "StagesAdded",
        "next: {stage: track, after: 1}",
    )


def test_a_project_whose_last_stage_left_the_pipeline_asks_where_to_go_on() -> None:
    wait = waits(a_run(1, "calibrate"))
    assert (wait.phase, wait.reason, wait.edit) == (
        ProjectPhase.AWAITING_INPUT,
        "StageLeftPipeline",
        "next: {stage: detect, after: 1}",
    )


def test_after_a_success_that_still_counts_the_stage_behind_it_is_offered() -> None:
    gone = a_run(2, "calibrate")
    assert waits(a_run(1, "detect"), gone).edit == "next: {stage: track, after: 2}"


def test_a_failed_stage_that_left_the_pipeline_is_not_offered_again() -> None:
    """It would lead from one question to the next."""
    wait = waits(a_run(1, "detect"), a_run(2, "calibrate", a_claim(), failed()))
    assert (wait.phase, wait.edit) == (ProjectPhase.FAILED, "next: {stage: track, after: 2}")
    assert "no longer in pipeline 'flow'" in wait.message


def test_a_misspelt_pipeline_is_offered_rightly() -> None:
    assert waits(project=a_project(pipeline=PipelineName("flwo"))).edit == "pipeline: flow"
    assert waits(project=a_project(pipeline=PipelineName("xyz"))).edit is None


def test_a_missing_pipeline_is_invalid_and_lists_what_there_is() -> None:
    wait = waits(project=a_project(pipeline=PipelineName("flwo")))
    assert (wait.phase, wait.reason) == (ProjectPhase.INVALID, "PipelineMissing")
    assert "flow" in wait.message


def test_an_open_run_goes_on_although_its_pipeline_is_gone() -> None:
    run = a_run(1, "detect", a_claim())
    assert decided(run, project=a_project(pipeline=PipelineName("gone"))) == RunOpen(run=run)


def test_a_pipeline_without_stages_is_invalid() -> None:
    empty = Pipeline(
        id=PipelineName("flow"), name="Flow", path="pipelines/flow.yaml", blob=a_pipeline().blob, stages=()
    )
    assert waits(pipeline=empty).reason == "PipelineEmpty"


# --- what is offered works ---

ENDS = [(), (a_claim(), failed()), (a_claim(), aborted()), (a_claim(), lost())]
STAGES = st.sampled_from(["detect", "track", "report"])


@st.composite
def histories(draw: st.DrawFn) -> tuple[Run, ...]:
    length = draw(st.integers(0, 5))
    return tuple(
        a_run(
            number,
            draw(STAGES),
            *draw(st.sampled_from(ENDS)),
            then=draw(st.sampled_from(Then)),
            is_last=draw(st.booleans()),
        )
        for number in range(1, length + 1)
    )


@given(runs=histories(), confirm=st.sampled_from(Confirm), stage=STAGES, after=st.integers(0, 6), early=st.booleans())
def test_pasting_the_line_that_is_offered_starts_a_stage(
    runs: tuple[Run, ...], confirm: Confirm, stage: str, after: int, early: bool
) -> None:
    """Whatever happened before and whatever stands in the file: the offered ``next`` is never a dead end."""
    pipeline = a_pipeline(*(a_stage(name, confirm=confirm) for name in ("detect", "track", "report")))
    request = a_next(stage, after or None)
    open_run = RunNumber(len(runs)) if early and runs else None
    history = a_history(*runs, seen=(a_seen(9, request=request, open_run=open_run),))
    project = a_project(next=request)
    decision = decide(a_desired(project, pipeline=pipeline), project, history)
    if not isinstance(decision, Wait) or decision.edit is None:
        return
    pasted = _parsed(decision.edit)
    project = a_project(next=a_next(pasted["stage"], pasted.get("after"), id=pasted.get("id")))
    assert isinstance(decide(a_desired(project, pipeline=pipeline), project, history), StartStage)


def _parsed(edit: str) -> dict[str, Any]:
    asked: dict[str, Any] = yaml.safe_load(edit)["next"]
    return asked


@pytest.mark.parametrize("confirm", list(Confirm))
def test_a_message_never_shows_a_python_name(confirm: Confirm) -> None:
    pipeline = a_pipeline(a_stage("detect", confirm=confirm))
    decision = decided(pipeline=pipeline)
    if isinstance(decision, Wait):
        assert not re.search(r"Confirm\.|None|<", decision.message)
