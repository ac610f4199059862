"""The engine is stopped, killed or frozen under running stages: nothing is lost, nothing is done twice or half."""

import signal
from collections.abc import Callable

import pytest

from tests.engine_faults.conftest import NUMBERED, Stages
from tests.engine_faults.private import PrivateEngine

On = Callable[[PrivateEngine], Stages]


def test_with_live_restore_a_stage_outlives_engines_and_its_log_stays_whole(live_engine: PrivateEngine, on: On) -> None:
    """Stopped once and killed once; what it prints meanwhile is there afterwards, each line once."""
    stages = on(live_engine)
    stages.run("ulm", NUMBERED)
    for number in (signal.SIGTERM, signal.SIGKILL):
        before = len(stages.log("ulm"))
        stages.until(lambda before=before: len(stages.log("ulm")) > before + 200)  # type: ignore[misc]
        live_engine.end(number)
        stages.until(lambda: "EngineUnavailable" in str(stages.site.status()["conditions"]))
        live_engine.start()
    before = len(stages.log("ulm"))
    stages.until(lambda: len(stages.log("ulm")) > before + 200)
    stages.enough("ulm")
    stages.until_kinds("ulm", "CLAIM", "DONE")
    stages.assert_numbered_to_the_end("ulm")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_an_engine_restarted_while_nobody_watched_costs_an_attempt_not_the_project(
    own_engine: PrivateEngine, on: On, number: signal.Signals
) -> None:
    """Whatever the program answers to SIGTERM: 143, a code of its own, or a 0 that would pass for success."""
    stages = on(own_engine)
    once = "[ $WINSLOW_ATTEMPT -gt 1 ] && exit 0; {}; echo ready; sleep 300 & wait"
    for project, trap in {"plain": ":", "zero": "trap 'exit 0' TERM", "three": "trap 'exit 3' TERM"}.items():
        stages.run(project, once.format(trap))
    stages.run("early", "exit 4")
    for project in ("plain", "zero", "three"):
        stages.until_says(project, "ready")
    stages.until_kinds("early", "CLAIM", "FAILED")
    stages.site.nodes[-1].end()
    own_engine.end(number)
    own_engine.start()
    codes = {own_engine.state(stages.name(project))["ExitCode"] for project in ("plain", "zero", "three")}
    assert codes == {143, 0, 3}
    stages.start_node()
    for project in ("plain", "zero", "three"):
        records = stages.until_kinds(project, "CLAIM", "RELEASED", "CLAIM", "DONE")
        assert records[1]["reason"] == "EngineRestarted"
    assert stages.kinds("early") == ["CLAIM", "FAILED"]


def test_an_end_that_nobody_saw_is_no_failure_of_the_program(live_engine: PrivateEngine, on: On) -> None:
    """The engine is killed together with what keeps exit codes for it: it says 255 when it is back."""
    stages = on(live_engine)
    stages.run("ulm", "[ $WINSLOW_ATTEMPT -gt 1 ] && exit 0; echo ready; sleep 300")
    stages.until_says("ulm", "ready")
    name = stages.name("ulm")
    live_engine.end(signal.SIGKILL)
    live_engine.lose_shims()
    live_engine.start()
    assert live_engine.state(name)["ExitCode"] == 255
    records = stages.until_kinds("ulm", "CLAIM", "RELEASED", "CLAIM", "DONE")
    assert records[1]["reason"] == "EngineRestarted"


def test_with_live_restore_what_ended_without_an_engine_ended_as_it_did(live_engine: PrivateEngine, on: On) -> None:
    """Its shim kept the exit code: nothing is run again. (What it printed at its end, no engine took: docs/node.md.)"""
    stages = on(live_engine)
    stages.run("ulm", "echo ready; while [ ! -e /workspace/enough ]; do usleep 10000; done; echo over; exit 0")
    stages.run("bonn", "echo ready; while [ ! -e /workspace/enough ]; do usleep 10000; done; echo over; exit 3")
    for project in ("ulm", "bonn"):
        stages.until_says(project, "ready")
    live_engine.end()
    for project in ("ulm", "bonn"):
        stages.enough(project)
    stages.until(lambda: not live_engine.runs("enough"))
    live_engine.start()
    stages.until_kinds("ulm", "CLAIM", "DONE")
    assert stages.until_kinds("bonn", "CLAIM", "FAILED")[1]["exit_code"] == 3
    assert (stages.log("ulm")[0], stages.log("bonn")[0]) == ("ready", "ready")


def test_an_engine_that_hangs_is_told_and_costs_nothing(own_engine: PrivateEngine, on: On) -> None:
    """Frozen, it takes connections and answers nothing; the node lives on, and all is as before when it thaws."""
    stages = on(own_engine)
    stages.run("ulm", NUMBERED)
    stages.until(lambda: len(stages.log("ulm")) > 200)
    own_engine.freeze()
    stages.until(lambda: "it hangs" in str(stages.site.status()["conditions"]), 60)
    (node,) = stages.site.status()["nodes"]
    assert node["live"]
    assert "EngineUnavailable" in stages.site.explain("ulm")
    own_engine.thaw()
    stages.until(lambda: "EngineUnavailable" not in str(stages.site.status()["conditions"]))
    stages.enough("ulm")
    stages.until_kinds("ulm", "CLAIM", "DONE")
    stages.assert_numbered_to_the_end("ulm")


def test_an_engine_whose_disk_is_full_is_told_and_tried_again(small_engine: PrivateEngine, on: On) -> None:
    stages = on(small_engine)
    filler = small_engine.root / "data/filler"
    with filler.open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass
    stages.run("ulm", "echo hello")
    stages.until(lambda: "disk is full" in stages.conditions("ulm").get("StartFaulty", ""))
    filler.unlink()
    stages.until_kinds("ulm", "CLAIM", "DONE")
    assert stages.log("ulm") == ["hello"]
