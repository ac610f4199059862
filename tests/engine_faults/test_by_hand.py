"""People and the kernel at a stage's container: paused, killed, removed, out of memory, its image deleted under it."""

from collections.abc import Iterator

import docker
import pytest

from tests.bad_input.conftest import make_site
from tests.engine import IMAGE
from tests.engine_faults.conftest import Stages
from tests.engine_faults.private import private_engine

SMALL_LOGS = (
    "--log-opt=max-size=10k",
    "--log-opt=max-file=3",
    "--log-opt=compress=true",
    "--log-opt=mode=non-blocking",
)
"""Defaults of an engine whose owner wants small logs."""

SECOND = "[ $WINSLOW_ATTEMPT -gt 1 ] && exit 0; "
"""A stage whose second attempt succeeds at once."""


@pytest.fixture(scope="module")
def stages(engine: docker.DockerClient, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stages]:
    """One node for all of these tests: each has its own project."""
    del engine  # it made the image
    for own in private_engine(SMALL_LOGS):
        site = make_site(tmp_path_factory.mktemp("by-hand"))
        found = Stages(site, own)
        try:
            found.start_node()
            yield found
        finally:
            site.end()


def test_a_paused_container_is_told_with_the_way_out(stages: Stages) -> None:
    stages.run("paused", "echo ready; while [ ! -e /workspace/enough ]; do usleep 10000; done")
    stages.until_says("paused", "ready")
    name = stages.name("paused")
    stages.engine("pause", name)
    stages.until(lambda: f"docker unpause {name}" in stages.conditions("paused").get("ContainerPaused", ""))
    stages.until(lambda: "ContainerPaused" in stages.site.observed("projects/paused/status.yaml"))
    assert "ContainerPaused" in stages.site.explain("paused")
    assert f"docker unpause {name}" in stages.site.page("/projects/paused")
    stages.engine("unpause", name)
    stages.until(lambda: "ContainerPaused" not in stages.conditions("paused"))
    stages.enough("paused")
    stages.until_kinds("paused", "CLAIM", "DONE")


def test_the_timeout_of_a_paused_container_goes_on_counting(stages: Stages) -> None:
    """It keeps its GPUs: one that somebody forgot must not keep them for ever."""
    stages.run("forgotten", "echo ready; sleep 300", timeout="6s")
    stages.until_says("forgotten", "ready")
    stages.engine("pause", stages.name("forgotten"))
    assert stages.until_kinds("forgotten", "CLAIM", "FAILED")[1]["reason"] == "TimedOut"


def test_a_container_killed_by_a_person_has_failed(stages: Stages) -> None:
    """Told at once; recorded when it is clear that neither the engine nor the machine goes down."""
    stages.run("killed", "echo ready; sleep 300", retries={"limit": 2})
    stages.until_says("killed", "ready")
    stages.engine("kill", stages.name("killed"))
    stages.until(lambda: "EndedBySignal" in stages.conditions("killed") or "FAILED" in stages.kinds("killed"))
    _, failed = stages.until_kinds("killed", "CLAIM", "FAILED")
    assert (failed["final"], failed["exit_code"]) == (True, 137)
    assert "killed from outside" in failed["message"]
    stages.until(lambda: "EndedBySignal" not in stages.conditions("killed"))


def test_a_container_removed_by_a_person_costs_an_attempt_and_no_line_that_was_read(stages: Stages) -> None:
    stages.run("removed", SECOND + "echo ready; sleep 300")
    stages.until_says("removed", "ready")
    stages.engine("rm", "-f", stages.name("removed"))
    assert stages.until_kinds("removed", "CLAIM", "RELEASED", "CLAIM", "DONE")[1]["reason"] == "ContainerMissing"
    assert stages.log("removed") == ["ready"]


def test_only_a_program_that_gave_up_for_lack_of_memory_failed_for_it(stages: Stages) -> None:
    """The kernel kills the main process, or another one: then what the program makes of it decides."""
    eater = "tail /dev/zero & wait $!; "
    small = {"requires": {"cpus": 0.1, "memory": "16MiB"}}
    stages.run("oom-main", "exec tail /dev/zero", **small)
    stages.run("oom-gave-up", eater + "exit 1", **small)
    stages.run("oom-went-on", eater + "exit 0", **small)
    for project, words in {"oom-main": "was killed because", "oom-gave-up": "exited with code 1 after"}.items():
        failed = stages.until_kinds(project, "CLAIM", "FAILED")[1]
        assert failed["reason"] == "OutOfMemory"
        assert words in failed["message"]
        assert "requires.memory" in failed["message"]
    stages.until_kinds("oom-went-on", "CLAIM", "DONE")


def test_an_image_deleted_under_a_stage_hurts_only_what_starts_later(stages: Stages) -> None:
    """And that says which image, by the name that stands in the pipeline."""
    image = "127.0.0.1:9/winslow-test/doomed:1"
    made = stages.engine("create", "--name", "mould", IMAGE, "true")
    stages.engine("commit", "--change", "LABEL doomed=1", made, image)
    stages.engine("rm", made)
    stages.run("doomed", "while [ ! -e /workspace/enough ]; do usleep 10000; done", image=image)
    stages.until(lambda: any(name.startswith("winslow-doomed-") for name in stages.engine.containers()))
    stages.engine("rmi", "-f", image)
    stages.enough("doomed")
    stages.until_kinds("doomed", "CLAIM", "DONE")
    stages.until(lambda: not any(name.startswith("winslow-doomed-") for name in stages.engine.containers()))
    stages.engine("image", "prune", "-f", "--filter", "label=doomed")
    stages.run("late", "true", image=image)
    stages.until(lambda: "127.0.0.1:9" in stages.conditions("late").get("StartFaulty", ""))
    assert f"'{image}'" in stages.conditions("late")["StartFaulty"]


def test_a_program_that_ignores_sigterm_is_killed_and_delays_nobody(stages: Stages) -> None:
    """Aborted, it gets its grace of three seconds; meanwhile another project starts and ends."""
    stages.run("stubborn", "trap '' TERM; echo ready; while :; do usleep 100000; done")
    stages.until_says("stubborn", "ready")
    stages.site.write("projects/stubborn.yaml", "pipeline: stubborn\nabort: 1\n")
    stages.run("other", "echo hello")
    stages.until_kinds("stubborn", "CLAIM", "ABORTED")
    stages.until_kinds("other", "CLAIM", "DONE")
    stages.until(lambda: not any(name.startswith("winslow-stubborn-") for name in stages.engine.containers()))


def test_the_engines_own_log_settings_lose_no_line(stages: Stages) -> None:
    """10 kB a file would keep the last thousand lines, and a non-blocking one drops what comes too fast."""
    stages.run("wordy", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); echo $i; done; echo $i >/workspace/last")
    stages.until_kinds("wordy", "CLAIM", "DONE")
    stages.assert_numbered_to_the_end("wordy")
