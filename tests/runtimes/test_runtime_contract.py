"""What every runtime promises the agent, the fake one included."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.agent.ports import LogSummary, Runtime
from reconciler.codec.log import LogLine, read_lines
from reconciler.core.containers import Container, ContainerState, Order
from reconciler.core.nodes import Gpu
from reconciler.errors import StartFailed, Transient

OrderMaker = Callable[..., Order]


def start(runtime: Runtime, order: Order) -> Container:
    images = runtime.images if order.image else None
    digest = images.resolve(str(order.image), order.pull) if images is not None else None
    return runtime.start(order, image_digest=digest)


def follow(runtime: Runtime, container: Container, order: Order) -> tuple[LogSummary, tuple[LogLine, ...]]:
    path = f"{order.paths.claim}/log.jsonl"
    return runtime.follow_log(container, path), read_lines(Path(path)).lines


def test_an_exit_code_is_reported_as_the_program_left_it(runtime: Runtime, make_order: OrderMaker) -> None:
    container = start(runtime, make_order("sh", "-c", "exit 3"))
    ended = runtime.wait(container)
    assert (ended.state, ended.exit_code) == (ContainerState.EXITED, 3)
    assert ended.started_at is not None
    assert ended.ended_at is not None
    assert ended.started_at <= ended.ended_at


def test_both_streams_end_up_in_the_log_with_their_names(runtime: Runtime, make_order: OrderMaker) -> None:
    order = make_order("sh", "-c", "echo one; echo two >&2; echo three")
    summary, lines = follow(runtime, start(runtime, order), order)
    assert [line.line for line in lines if line.stream == "stdout"] == ["one", "three"]
    assert [line.line for line in lines if line.stream == "stderr"] == ["two"]
    assert (summary.pointer.lines, sorted(summary.pointer.tail)) == (3, ["one", "three", "two"])


def test_results_are_collected_from_stdout(runtime: Runtime, make_order: OrderMaker) -> None:
    order = make_order("sh", "-c", "echo 'WINSLOW_RESULT: cars=12'; echo 'WINSLOW_RESULT: url=a=b'; exit 1")
    summary, _ = follow(runtime, start(runtime, order), order)
    assert summary.results == {"cars": "12", "url": "a=b"}


def test_following_a_log_twice_doubles_nothing(runtime: Runtime, make_order: OrderMaker) -> None:
    order = make_order("sh", "-c", "echo one; echo two >&2; echo three")
    container = start(runtime, order)
    once, _ = follow(runtime, container, order)
    again, _ = follow(runtime, container, order)
    assert once == again


def test_starting_the_same_key_again_finds_what_exists(runtime: Runtime, make_order: OrderMaker) -> None:
    order = make_order("sh", "-c", "sleep 0.2; exit 4")
    first = start(runtime, order)
    assert start(runtime, order).handle == first.handle
    runtime.wait(first)
    again = start(runtime, order)
    assert (again.handle, again.exit_code) == (first.handle, 4)
    assert len(runtime.list()) == 1


def test_a_running_program_is_listed_with_its_key_and_boot(runtime: Runtime, make_order: OrderMaker) -> None:
    order = make_order("sh", "-c", "sleep 60")
    started = start(runtime, order)
    (found,) = runtime.list()
    assert (found.key, found.state, found.exit_code) == (order.key, ContainerState.RUNNING, None)
    assert found.boot == started.boot
    runtime.stop(found)


@pytest.mark.parametrize("runtime", ["fake", "process"], indirect=True)  # of an engine with GPUs: tests/gpus
def test_a_programs_gpus_are_in_use_until_it_has_ended(runtime: Runtime, make_order: OrderMaker) -> None:
    order = make_order("sh", "-c", "sleep 60", gpus=(Gpu(uuid="GPU-1"), Gpu(uuid="GPU-2")))
    container = start(runtime, order)
    assert runtime.held()[order.key] == {"GPU-1", "GPU-2"}
    assert [one.gpus for one in runtime.list() if one.key == order.key] == [("GPU-1", "GPU-2")]
    runtime.stop(container)
    runtime.wait(container)
    assert order.key not in runtime.held()


def test_stopping_ends_a_program_and_may_be_repeated(runtime: Runtime, make_order: OrderMaker) -> None:
    container = start(runtime, make_order("sh", "-c", "sleep 60"))
    runtime.stop(container)
    ended = runtime.wait(container)
    assert ended.state is ContainerState.EXITED
    assert ended.exit_code not in {None, 0}
    runtime.stop(container)


def test_waiting_returns_when_the_program_is_stopped_meanwhile(runtime: Runtime, make_order: OrderMaker) -> None:
    container = start(runtime, make_order("sh", "-c", "sleep 60"))
    ends: list[Container] = []
    waiter = threading.Thread(target=lambda: ends.append(runtime.wait(container)))
    waiter.start()
    runtime.stop(container)
    waiter.join(timeout=20)
    assert [end.state for end in ends] == [ContainerState.EXITED]


def test_an_ended_one_is_forgotten_and_forgetting_twice_is_no_error(runtime: Runtime, make_order: OrderMaker) -> None:
    container = start(runtime, make_order("sh", "-c", "exit 0"))
    runtime.wait(container)
    runtime.remove(container)
    runtime.remove(container)
    assert list(runtime.list()) == []


def test_what_still_runs_is_not_forgotten(runtime: Runtime, make_order: OrderMaker) -> None:
    container = start(runtime, make_order("sh", "-c", "sleep 60"))
    with pytest.raises(Transient, match="still runs"):
        runtime.remove(container)
    assert len(runtime.list()) == 1
    runtime.stop(container)


def test_a_missing_input_is_named_with_the_place_to_put_it(
    runtime: Runtime, make_order: OrderMaker, claim_directory: Path
) -> None:
    order = make_order("sh", "-c", "exit 0", inputs=("resources/ulm/flight-07.mp4",))
    with pytest.raises(StartFailed, match=str(claim_directory / "resources/ulm/flight-07.mp4")) as failure:
        start(runtime, order)
    assert failure.value.reason == "InputMissing"
    assert list(runtime.list()) == []


def test_a_command_that_does_not_exist_is_named(runtime: Runtime, make_order: OrderMaker) -> None:
    """Processes refuse at once; in a container its init process finds out, and the end says so."""
    order = make_order("no-such-command", "--fast")
    try:
        ended = runtime.wait(start(runtime, order))
    except StartFailed as error:
        assert error.reason == "CommandNotFound"  # noqa: PT017 - only one of the two ways raises
        said = str(error)
    else:
        assert ended.exit_code == 127
        said = ended.error
    assert "'no-such-command' can't be" in said
    assert "correct" in said


@pytest.mark.parametrize("runtime", ["process", "docker"], indirect=True)  # the fake writes its log at the end
def test_lines_appear_in_the_log_while_the_program_runs(
    runtime: Runtime, make_order: OrderMaker, claim_directory: Path
) -> None:
    container = start(runtime, make_order("sh", "-c", "echo '40 %'; sleep 60"))
    path = claim_directory / "log.jsonl"
    follower = threading.Thread(target=runtime.follow_log, args=(container, str(path)))
    follower.start()
    deadline = time.monotonic() + 10
    while not read_lines(path).lines and time.monotonic() < deadline:
        time.sleep(0.02)
    assert [line.line for line in read_lines(path).lines] == ["40 %"]
    assert runtime.list()[0].state is ContainerState.RUNNING
    runtime.stop(container)
    follower.join(timeout=20)
    assert not follower.is_alive()
