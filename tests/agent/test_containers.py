"""What is known of the engine's containers while they change."""

from collections.abc import Callable, Sequence

from reconciler.agent.containers import Containers
from reconciler.core.containers import Container, ContainerState
from tests.fakes.build import a_container, a_key, a_run
from tests.fakes.lab import FakeClock
from tests.fakes.runtime import FakeRuntime

FOUND = a_container(a_key(a_run()))


class Disturbed(FakeRuntime):
    """Something happens while it lists for the first time."""

    def __init__(self) -> None:
        super().__init__()
        self.listings = 0
        self.meanwhile: Callable[[], None] = lambda: None

    def list(self) -> Sequence[Container]:
        self.listings += 1
        if self.listings == 1:
            self.meanwhile()
        return (FOUND,)


def test_a_first_listing_counts_though_the_engine_reports_an_end_meanwhile() -> None:
    """Right after a restart, an empty answer would give up a run whose container is there."""
    runtime = Disturbed()
    containers = Containers(runtime, FakeClock())
    runtime.meanwhile = containers.forget_listing
    assert containers.snapshot() == (FOUND,)
    assert containers.snapshot() == (FOUND,)
    assert runtime.listings == 2, "and what it reported is looked at"


def test_what_we_did_ourselves_meanwhile_outweighs_a_listing() -> None:
    runtime = Disturbed()
    containers = Containers(runtime, FakeClock())
    ended = a_container(FOUND.key, ContainerState.EXITED)
    runtime.meanwhile = lambda: containers.put(ended)
    assert containers.snapshot() == (ended,)
