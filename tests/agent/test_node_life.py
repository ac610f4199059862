"""One node and its pipelines: from the first commit to the last stage, through faults of everything around it."""

import threading
from collections.abc import Sequence

import pytest

from reconciler.agent.ports import Fetched
from reconciler.core.containers import ContainerState
from reconciler.core.desired import Gpus, Pipeline, Requires, Secret
from reconciler.core.names import Commit, ProjectName, RunNumber
from reconciler.core.records import Aborted, Done, Failed, Released, RewriteAccepted
from reconciler.core.status import ProjectPhase, ProjectStatus
from reconciler.errors import BadInput
from tests.fakes.build import CROSSING, a_gpu, a_next, a_pipeline, a_project, a_stage
from tests.fakes.lab import FakeSource, Lab
from tests.fakes.runtime import FakeRuntime

SUCCEEDED = ["Succeeded"] * 3


def scripted(*stages: tuple[str, str]) -> Pipeline:
    """Stages with what their programs do, see FakeRuntime."""
    return a_pipeline(*(a_stage(name, command=("sh", "-c", script)) for name, script in stages))


HOLDING = scripted(("detect", "hold"), ("track", "echo done"))


def status_of(lab: Lab, node: str = "a", project: ProjectName = CROSSING) -> ProjectStatus:
    seen = lab.agents[node].look()
    assert seen is not None
    return next(found for found in seen.status.projects if found.project == project)


def running(lab: Lab, node: str = "a") -> bool:
    return any(p.container.state is ContainerState.RUNNING for p in lab.runtimes[node].programs.values())


def finish(lab: Lab, node: str = "a", exit_code: int = 0) -> None:
    for key in list(lab.runtimes[node].programs):
        lab.runtimes[node].finish(key, exit_code)


def test_a_pipeline_of_three_stages_runs_to_its_end(lab: Lab) -> None:
    said = "echo 41 %; echo 'WINSLOW_RESULT: vehicles=42'; echo bye"
    lab.write(a_project(), pipeline=scripted(("detect", said), ("track", ""), ("report", "")))
    lab.join()
    lab.until(lambda: lab.phases() == SUCCEEDED)
    run = lab.run(1)
    assert run is not None
    assert isinstance(run.last, Done)
    assert run.last.results == {"vehicles": "42"}
    assert run.last.log is not None
    assert run.last.log.path == "projects/crossing/runs/0001-detect/1/log.jsonl"
    assert (run.last.log.lines, run.last.log.tail[-1]) == (3, "bye")
    assert (lab.root / run.last.log.path).stat().st_size == run.last.log.bytes
    bases = [run.created.base.run if run.created.base else None for run in lab.history().runs]
    assert bases == [None, 1, 2]
    lab.until(lambda: not lab.runtimes["a"].programs, "removal of recorded containers")
    lab.until(lambda: all(run.output_published for run in lab.history().runs))
    assert sorted(path.name for path in (lab.root / "projects/crossing/output").iterdir()) == [
        "0001-detect",
        "0002-track",
        "0003-report",
    ]
    assert status_of(lab).phase is ProjectPhase.SUCCEEDED
    assert lab.starts() == 3


def test_a_run_gets_the_devices_that_its_claim_holds(lab: Lab) -> None:
    lab.write(a_project(), pipeline=a_pipeline(a_stage(requires=Requires(cpus=2.0, gpus=Gpus(count=1)))))
    lab.join(gpus=(a_gpu("gpu-1"),))
    lab.until(lambda: lab.phases() == ["Succeeded"])
    [order] = lab.runtimes["a"].orders
    assert ([gpu.uuid for gpu in order.gpus], order.cpus, order.attempt) == (["gpu-1"], 2.0, 1)


def test_an_aborted_stage_is_stopped_and_forgotten(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.write(a_project(abort=RunNumber(1)), pipeline=HOLDING)
    lab.until(lambda: lab.phases() == ["Aborted"])
    lab.until(lambda: not lab.runtimes["a"].programs, "stop and removal of the aborted container")
    run = lab.run(1)
    assert run is not None
    assert isinstance(run.last, Aborted)
    assert lab.starts() == 1
    assert status_of(lab).phase is ProjectPhase.FAILED


def test_abort_and_redo_may_stand_in_one_commit(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.write(a_project(abort=RunNumber(1), next=a_next("track", 1)), pipeline=HOLDING)
    lab.until(lambda: lab.phases() == ["Aborted", "Succeeded"])


def test_a_restarted_reconciler_adopts_what_runs(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.kill("a")
    lab.join("a")
    lab.turn()
    assert running(lab)
    finish(lab)
    lab.until(lambda: lab.phases() == ["Succeeded", "Succeeded"])
    assert lab.kinds(1) == ["Claim", "Done"]
    assert lab.starts() == 2


def test_a_restarted_reconciler_records_what_ended_while_it_was_away(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.kill("a")
    finish(lab, exit_code=3)
    lab.join("a")
    lab.until(lambda: lab.phases() == ["Failed"])
    run = lab.run(1)
    assert run is not None
    assert isinstance(run.last, Failed)
    assert (run.last.exit_code, run.last.message) == (3, "exited with code 3; its log says why")
    assert status_of(lab).waiting_for is not None


def test_after_a_reboot_the_stage_is_tried_again(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.kill("a")
    runtime = lab.runtimes["a"]
    runtime.reboot("boot-2")
    with lab.time_flies():  # the last incarnation's heartbeat is watched first
        lab.join("a", boot="boot-2", runtime=runtime)
    lab.until(lambda: lab.kinds(1)[:2] == ["Claim", "Released"])
    lab.clock.seconds += 60.0
    lab.until(lambda: len(runtime.orders) == 2 and lab.phases() == ["Running"])
    run = lab.run(1)
    assert run is not None
    assert isinstance(run.records[1], Released)
    assert (run.records[1].reason, run.attempts_used) == ("Rebooted", 2)


def test_an_engine_that_is_down_in_the_middle_costs_nothing(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    agent = lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.runtimes["a"].available = False
    lab.until(lambda: [c.type for c in agent.conditions()] == ["EngineUnavailable"])
    lab.turn()
    assert lab.kinds(1) == ["Claim"]
    lab.runtimes["a"].available = True
    finish(lab)
    lab.until(lambda: lab.phases() == ["Succeeded", "Succeeded"])
    assert not agent.conditions()
    assert lab.starts() == 2


def test_a_stage_that_cannot_start_fails_with_what_to_do(lab: Lab) -> None:
    lab.write(a_project(), pipeline=a_pipeline(a_stage(image="traffic:typo")))
    lab.join(runtime=FakeRuntime(images=("traffic:1",)))
    lab.until(lambda: lab.phases() == ["Failed"])
    run = lab.run(1)
    assert run is not None
    assert isinstance(run.last, Failed)
    assert (run.last.reason, run.last.final) == ("ImageNotFound", True)
    found = status_of(lab)
    assert found.phase is ProjectPhase.FAILED
    assert found.waiting_for is not None
    assert "traffic:typo" in found.waiting_for.message
    assert found.waiting_for.edit == "next: {stage: detect, after: 1}"


def test_a_missing_secret_is_named_with_the_setting_that_lacks(lab: Lab) -> None:
    lab.write(a_project(environment={"LICENCE": Secret("tracker")}), pipeline=a_pipeline("detect"))
    lab.join()
    lab.until(lambda: lab.phases() == ["Failed"])
    waiting = status_of(lab).waiting_for
    assert waiting is not None
    assert "is a secret, but node.yaml of this node names no secrets_dir" in waiting.message


def test_a_share_that_goes_away_and_comes_back_loses_nothing(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    agent = lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    away = lab.root.with_name("away")
    lab.root.rename(away)
    lab.turn()
    assert [c.type for c in agent.conditions()] == ["ShareUnavailable"]
    finish(lab)
    for _ in range(10):
        lab.turn()
    assert not lab.root.exists(), "nothing may be written where the share was"
    away.rename(lab.root)
    lab.until(lambda: lab.phases() == ["Succeeded", "Succeeded"])
    assert not agent.conditions()
    assert lab.starts() == 2


def test_one_projects_broken_directory_does_not_stop_the_others(lab: Lab) -> None:
    (lab.root / "projects/crossing").write_text("a file where a directory belongs")
    lab.write(a_project(), a_project("ulm"), pipeline=a_pipeline("detect"))
    lab.join()
    lab.until(lambda: lab.phases(ProjectName("ulm")) == ["Succeeded"])
    faults = {c.type: c.message for c in status_of(lab).conditions}
    assert "projects/crossing" in faults["StartFaulty"]


def test_a_remote_that_is_away_is_a_condition_and_work_goes_on(lab: Lab) -> None:
    lab.write(a_project(), pipeline=a_pipeline("detect", "track"))
    agent = lab.join()
    lab.source.error = "could not resolve host"
    agent.fetch()
    lab.until(lambda: lab.phases() == ["Succeeded", "Succeeded"])
    assert [(c.type, c.message) for c in agent.conditions()] == [("SourceUnreachable", "could not resolve host")]


def test_work_that_is_handed_over_uses_no_attempt(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    agent = lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    agent.hand_over()
    lab.kill("a")
    assert not running(lab)
    run = lab.run(1)
    assert run is not None
    assert isinstance(run.last, Released)
    assert (run.last.reason, run.attempts_used) == ("Drained", 0)
    lab.join("b")
    lab.until(lambda: running(lab, "b"))
    run = lab.run(1)
    assert run is not None
    assert run.claim is not None
    assert (run.claim.node, run.attempts_used) == ("b", 1)


def test_what_has_ended_is_left_to_be_recorded_and_not_handed_over(lab: Lab) -> None:
    """A day's work may have ended a moment before the node was told to."""
    lab.write(a_project(), pipeline=HOLDING)
    agent = lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    [key] = lab.runtimes["a"].programs
    lab.runtimes["a"].finish(key)
    agent.hand_over()
    lab.kill("a")
    assert key in lab.runtimes["a"].programs, "its container is still needed"
    lab.join("a")
    lab.until(lambda: lab.phases()[0] == "Succeeded")
    run = lab.run(1)
    assert run is not None
    assert run.attempts == 1


def test_what_can_not_be_released_is_not_stopped(lab: Lab) -> None:
    """Nobody knows whose a claim is while its project's records can't be read."""
    lab.write(a_project(), pipeline=HOLDING)
    agent = lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    (lab.root / "projects/crossing/records/00000003.json").write_text("torn")
    agent.hand_over()
    assert running(lab)


def test_an_engine_that_is_down_does_not_hold_a_hand_over_back(lab: Lab) -> None:
    lab.write(a_project(), pipeline=HOLDING)
    agent = lab.join()
    lab.until(lambda: lab.phases() == ["Running"])
    lab.runtimes["a"].available = False
    agent.hand_over()
    run = lab.run(1)
    assert run is not None
    assert isinstance(run.last, Released)


def test_a_second_machine_with_the_same_name_is_refused(lab: Lab) -> None:
    lab.write(a_project(paused=True))
    agent = lab.join("a")
    with lab.time_flies(agent.beat), pytest.raises(BadInput, match=r"'a' is alive already.*write another name"):
        lab.join("a", home="another machine", runtime=FakeRuntime())
    assert len(list((lab.root / "nodes/a/records").iterdir())) == 1, "refused before it published anything"


def test_an_older_reconciler_of_the_same_name_learns_that_it_was_replaced(lab: Lab) -> None:
    lab.write(a_project(paused=True))
    old = lab.join("a")
    lab.join("a")
    old.beat()
    assert "another reconciler started as 'a'" in old.superseded
    assert not lab.agents["a"].superseded
    old.leave()


def test_what_runs_is_looked_after_before_the_remote_has_answered(lab: Lab) -> None:
    """Git that hangs takes half a minute to fail; nothing new begins from what the clone holds alone."""
    lab.write(a_project(), pipeline=scripted(("detect", "hold"), ("track", "hold")))
    lab.join()
    lab.until(lambda: running(lab))
    lab.kill("a")
    answers = threading.Event()

    class Hanging(FakeSource):
        def fetch(self, rewrites: Sequence[RewriteAccepted] = ()) -> Fetched:
            answers.wait()
            return lab.source.fetch(rewrites)

        def known(self) -> Fetched:
            return lab.source.known()

        def descends(self, commit: Commit, ancestor: Commit) -> bool | None:
            return lab.source.descends(commit, ancestor)

    again = lab.join(source=Hanging(), fetch=False)
    fetching = threading.Thread(target=again.fetch)
    fetching.start()
    try:
        finish(lab)
        lab.until(lambda: lab.phases() == ["Succeeded"])
        for _ in range(3):
            lab.turn()
        assert lab.phases() == ["Succeeded"], "began a stage from an older view"
        assert again.look() is None, "told an older view"
    finally:
        answers.set()
        fetching.join()
    lab.until(lambda: len(lab.phases()) == 2)
