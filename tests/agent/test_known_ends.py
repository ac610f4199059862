"""An end that this reconciler has seen outlives the container: somebody may tidy up before it is recorded."""

import pytest

from reconciler.agent.containers import REFRESH, Containers
from reconciler.agent.ports import LogSummary
from reconciler.core.containers import ContainerState
from reconciler.core.records import LogPointer
from tests.fakes.build import a_claim, a_container, a_key, a_run
from tests.fakes.lab import FakeClock
from tests.fakes.runtime import FakeRuntime

KEY = a_key(a_run(1, "detect", a_claim()))
SUMMARY = LogSummary(pointer=LogPointer(path="x", bytes=0, lines=0, sha256=""))


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def containers(clock: FakeClock) -> Containers:
    """Of an engine that has none (any more)."""
    return Containers(FakeRuntime(), clock)


@pytest.mark.parametrize(("code", "is_kept"), [(0, True), (3, True), (137, False), (None, False)])
def test_a_seen_end_is_kept_unless_it_may_be_the_removals_own(
    containers: Containers, clock: FakeClock, code: int | None, is_kept: bool
) -> None:
    """``docker rm -f`` kills first: that is a container removed, not a program that failed."""
    containers.snapshot()
    containers.summaries[KEY] = SUMMARY
    containers.put(a_container(KEY, ContainerState.EXITED, exit_code=code))
    clock.seconds += REFRESH + 1
    assert bool(containers.snapshot()) is is_kept


def test_an_end_whose_log_is_not_complete_is_not_kept(containers: Containers, clock: FakeClock) -> None:
    containers.snapshot()
    containers.put(a_container(KEY, ContainerState.EXITED, exit_code=0))
    clock.seconds += REFRESH + 1
    assert containers.snapshot() == ()


def test_a_kept_end_goes_with_its_record(containers: Containers, clock: FakeClock) -> None:
    containers.summaries[KEY] = SUMMARY
    containers.put(a_container(KEY, ContainerState.EXITED, exit_code=0))
    containers.drop(KEY)
    clock.seconds += REFRESH + 1
    assert containers.snapshot() == ()
