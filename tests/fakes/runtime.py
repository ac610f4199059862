"""A runtime in memory, for tests of what uses one. It sits the same exam as the real ones: tests/runtimes.

A program is ``sh -c`` with ``echo TEXT``, ``echo TEXT >&2``, ``exit N``, ``sleep N`` and ``hold``, separated by ``;``.
One that holds runs until the test calls ``finish``, or somebody stops it.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from reconciler.agent.ports import LogSummary
from reconciler.codec.log import pointer_of
from reconciler.codec.log_file import LogFile
from reconciler.codec.log_lines import STDERR, STDOUT, Entry, stamp_of
from reconciler.core.containers import ClaimKey, Container, ContainerState, Order
from reconciler.core.stage_environment import require_inputs
from reconciler.errors import EngineUnavailable, StartFailed, Transient
from tests.fakes.images import FakeImages

TERMINATED = 128 + 15


@dataclass
class Program:
    container: Container
    order: Order
    entries: list[Entry] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)


class FakeRuntime:
    """``available = False`` makes every call raise EngineUnavailable, as an engine that is down would."""

    def __init__(self, *, boot: str = "boot-1", name: str = "docker", images: Sequence[str] | None = None) -> None:
        self.name = name
        self.boot = boot
        self.available = True
        self.programs: dict[ClaimKey, Program] = {}
        self.orders: list[Order] = []  # every order that was really started, in order
        self.images = None if name == "process" else FakeImages(images, self._answer)

    def check(self) -> Mapping[str, str]:
        self._answer()
        return {"fake": "1"}

    def start(self, order: Order, *, image_digest: str | None) -> Container:
        self._answer()
        if (known := self.programs.get(order.key)) is not None:
            return known.container
        require_inputs(order, lambda path: Path(path).exists())
        script = _script(order)
        container = Container(
            key=order.key,
            handle=order.key.slug,
            state=ContainerState.RUNNING,
            boot=self.boot,
            started_at=datetime.now(UTC),
            image_digest=image_digest,
            gpus=tuple(gpu.uuid for gpu in order.gpus),
        )
        program = self.programs[order.key] = Program(container, order)
        self.orders.append(order)
        threading.Thread(target=self._run, args=(program, script), daemon=True).start()
        return container

    def list(self) -> Sequence[Container]:
        self._answer()
        return [program.container for program in self.programs.values()]

    def held(self) -> Mapping[ClaimKey, frozenset[str]]:
        self._answer()
        running = (program for program in self.programs.values() if not program.ended.is_set())
        return {program.order.key: frozenset(program.container.gpus) for program in running}

    def wait(self, container: Container) -> Container:
        program = self.programs.get(container.key)
        while program is not None and not program.ended.wait(0.05):
            self._answer()
        self._answer()
        return program.container if program else replace(container, state=ContainerState.EXITED, error="gone")

    def stop(self, container: Container) -> None:
        self._answer()
        self.finish(container.key, TERMINATED)

    def remove(self, container: Container) -> None:
        self._answer()
        program = self.programs.get(container.key)
        if program is not None and not program.ended.is_set():
            raise Transient("it still runs")
        self.programs.pop(container.key, None)

    def follow_log(self, container: Container, path: str) -> LogSummary:
        self.wait(container)
        program = self.programs.get(container.key)
        log = LogFile(path)
        log.write(program.entries[log.tally.lines :] if program else [])
        summary = log.tally.summary()
        log.close()
        return LogSummary(pointer=pointer_of(summary, path), results=summary.results)

    def finish(self, key: ClaimKey, exit_code: int | None = 0, *, oom_killed: bool = False, error: str = "") -> None:
        """End the program now; what has ended already stays as it ended."""
        program = self.programs.get(key)
        if program is None or program.ended.is_set():
            return
        program.container = replace(
            program.container,
            state=ContainerState.EXITED,
            exit_code=exit_code,
            oom_killed=oom_killed,
            error=error,
            ended_at=datetime.now(UTC),
        )
        program.ended.set()

    def say(self, key: ClaimKey, text: str, stream: str = STDOUT) -> None:
        program = self.programs[key]
        stamp = stamp_of(int(datetime.now(UTC).timestamp() * 1e9))
        program.entries.append(Entry(stamp, stream, text))

    def reboot(self, boot: str) -> None:
        """The machine starts anew: everything has ended and left no exit code."""
        for key in self.programs:
            self.finish(key, None, error="supervisor vanished")
        self.boot = boot

    def _answer(self) -> None:
        if not self.available:
            raise EngineUnavailable("the fake engine is down")

    def _run(self, program: Program, script: Sequence[str]) -> None:
        for step in script:
            word, _, rest = step.partition(" ")
            if program.ended.is_set():
                break
            if word == "echo":
                text, to_stderr, _ = rest.partition(" >&2")
                self.say(program.order.key, text.strip("'"), STDERR if to_stderr else STDOUT)
            elif word == "sleep":
                program.ended.wait(float(rest))
            elif word == "hold":
                program.ended.wait()
            elif word == "exit":
                self.finish(program.order.key, int(rest))
        self.finish(program.order.key, 0)


def _script(order: Order) -> Sequence[str]:
    """Orders without a shell script succeed at once, so that the agent's tests may use any command."""
    if order.command[:1] == ("no-such-command",):
        raise StartFailed("CommandNotFound", "'no-such-command' can't be started; correct `command`")
    return [step.strip() for step in order.command[2].split(";")] if order.command[:2] == ("sh", "-c") else []
