"""Which GPUs of the machine a node must not give away, whatever its own claims say."""

from dataclasses import replace

from reconciler.agent.containers import Containers
from reconciler.agent.taken import taken
from reconciler.core.containers import ClaimKey, ContainerState
from reconciler.core.names import NodeName, ShareId, Token
from tests.fakes.build import a_claim, a_container, a_key, a_ledger, a_run, done
from tests.fakes.lab import FakeClock
from tests.fakes.runtime import FakeRuntime

ME = NodeName("a")
RUNS = a_run(1, "detect", a_claim(gpus=("GPU-1",)))
KEY = a_key(RUNS)


def test_the_gpu_of_a_claim_in_force_is_not_counted_twice() -> None:
    assert taken({KEY: frozenset({"GPU-1"})}, a_ledger(RUNS), ME) == {}


def test_a_container_whose_claim_is_over_keeps_its_gpu_until_it_has_ended() -> None:
    over = a_run(1, "detect", a_claim(gpus=("GPU-1",)), done())
    assert taken({KEY: frozenset({"GPU-1"})}, a_ledger(over), ME) == {"GPU-1": f"container {KEY.slug}"}


def test_what_another_reconciler_of_the_machine_uses_is_taken() -> None:
    """Under another node's claim of this very share, or for another share."""
    theirs = a_run(1, "detect", a_claim(node="b", gpus=("GPU-1",)))
    elsewhere = replace(KEY, share=ShareId("another"), token=Token("f" * 32))
    found = taken({a_key(theirs): frozenset({"GPU-1"}), elsewhere: frozenset({"GPU-2", "GPU-3"})}, a_ledger(theirs), ME)
    assert set(found) == {"GPU-1", "GPU-2", "GPU-3"}
    assert found["GPU-3"] == f"container {elsewhere.slug}"


class Machine(FakeRuntime):
    """Its table names a container that ``list`` does not: another reconciler's."""

    def held(self) -> dict[ClaimKey, frozenset[str]]:
        return {KEY: frozenset({"GPU-1"})}


def test_the_table_is_there_from_the_first_look_on() -> None:
    containers = Containers(Machine(), FakeClock())
    containers.snapshot()
    assert containers.held() == {KEY: {"GPU-1"}}


def test_an_end_that_we_saw_ourselves_frees_the_gpus_at_once() -> None:
    """Not only at the next look at the engine: somebody waits for them."""
    containers = Containers(Machine(), FakeClock())
    containers.snapshot()
    containers.put(a_container(KEY, ContainerState.EXITED))
    assert containers.held() == {}
