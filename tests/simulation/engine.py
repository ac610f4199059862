"""A machine's container engine: its containers outlive the reconciler, and die with the machine or by a person."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from reconciler.agent.ports import ImageHere, LogSummary
from reconciler.core.containers import ClaimKey, Container, ContainerState, Order
from reconciler.core.desired import Pull
from reconciler.core.image_names import PullProgress
from reconciler.core.records import LogPointer
from reconciler.core.stored_images import LocalImage
from reconciler.errors import EngineUnavailable, Transient
from tests.simulation.clocks import DriftingClock
from tests.simulation.scheduler import Life, Tasks

CALL = 0.05
TERMINATED, KILLED, UNSEEN, NO_DISK = 143, 137, 255, 5


class Disk(Protocol):
    """What containers and the reconciler's log writer do on the share, through the machine's mount."""

    def write(self, path: str, text: str) -> None: ...

    def write_log(self, path: str, text: str) -> None: ...


class Watcher(Protocol):
    """Who is told what really happens here."""

    def started(self, engine: "Engine", order: Order) -> None: ...

    def ended(self, engine: "Engine", container: Container) -> None: ...


@dataclass(frozen=True, slots=True)
class Program:
    """What a container will do: write for so long, then exit with this code."""

    seconds: float
    exit_code: int


Choose = Callable[[Order], Program]


@dataclass
class Running:
    container: Container
    order: Order
    life: Life
    lines: list[str] = field(default_factory=list)


class SimulatedImages:
    """Port ``Images``: all there are, in no time, while the engine answers."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine

    def resolve(self, image: str, pull: Pull) -> str:
        self._engine.call(f"resolve {image}")
        return f"{image}@sha256:simulated"

    def provide(self, image: str, digest: str | None, pull: Pull, tell: Callable[[PullProgress], None]) -> ImageHere:
        self._engine.call(f"pull {image}")
        reference = digest or f"{image}@sha256:simulated"
        return ImageHere(reference=reference, id=reference)

    def listed(self) -> Sequence[LocalImage]:
        self._engine.call("images")
        return []

    def remove(self, image: LocalImage) -> None:
        self._engine.call(f"remove {image.id}")

    def fill(self) -> float | None:
        return None


class Engine:
    """Port ``Runtime``. A life of its own on the machine; what it calls is told by the caller's task."""

    name = "docker"

    def __init__(
        self, tasks: Tasks, machine: Life, disk: Disk, clock: DriftingClock, choose: Choose, watcher: Watcher
    ) -> None:
        self._tasks = tasks
        self.machine = machine
        self._disk = disk
        self._clock = clock
        self._choose = choose
        self._watcher = watcher
        self.images = SimulatedImages(self)
        self.boot = ""
        self.answers = True
        self.running: dict[ClaimKey, Running] = {}

    # --- the port ---

    def check(self) -> Mapping[str, str]:
        self.call("check")
        return {"docker": "simulated"}

    def start(self, order: Order, *, image_digest: str | None) -> Container:
        self.call(f"start {order.key.slug}")
        one = self.running.get(order.key) or self._create(order, image_digest)
        if one.container.state is not ContainerState.CREATED:
            return one.container
        self.call(f"created {order.key.slug}")  # whoever is killed here leaves one that was never started
        if one.container.state is ContainerState.CREATED:
            one.container = replace(one.container, state=ContainerState.RUNNING, started_at=self._clock.now())
            self._watcher.started(self, order)
            self._tasks.spawn(one.life, one.life.name, lambda: self._run(one, self._choose(order)))
        container = one.container
        self.call(f"started {order.key.slug}")
        return container

    def _create(self, order: Order, image_digest: str | None) -> Running:
        key = order.key
        life = Life(f"{self.machine.name}:{key.project}/{key.run}/{key.number}", within=self.machine)
        container = Container(
            key=key,
            handle=key.slug,
            state=ContainerState.CREATED,
            boot=self.boot,
            image_digest=image_digest,
            gpus=tuple(gpu.uuid for gpu in order.gpus),
        )
        one = self.running[key] = Running(container, order, life)
        return one

    def list(self) -> Sequence[Container]:
        self.call("list")
        return [one.container for one in self.running.values()]

    def held(self) -> Mapping[ClaimKey, frozenset[str]]:
        self._answer()
        return {
            key: frozenset(one.container.gpus)
            for key, one in self.running.items()
            if one.container.state is not ContainerState.EXITED
        }

    def wait(self, container: Container) -> Container:
        def over() -> bool:
            return not self.answers or self._state(container.key) is not ContainerState.RUNNING

        self._tasks.wait_until(over, f"wait for {container.key.slug}")
        self._answer()
        one = self.running.get(container.key)
        return one.container if one else replace(container, state=ContainerState.EXITED, error="No such container")

    def stop(self, container: Container) -> None:
        self.call(f"stop {container.key.slug}")
        self._tasks.sleep(self._tasks.random.random())
        self._answer()
        self.finish(container.key, TERMINATED)

    def remove(self, container: Container) -> None:
        self.call(f"remove {container.key.slug}")
        if self._state(container.key) is ContainerState.RUNNING:
            raise Transient("it still runs")
        self.running.pop(container.key, None)

    def follow_log(self, container: Container, path: str) -> LogSummary:
        self.wait(container)
        one = self.running.get(container.key)
        text = "".join(f"{line}\n" for line in one.lines) if one else ""
        self._disk.write_log(path, text)
        return LogSummary(pointer=LogPointer(path=path, bytes=len(text), lines=text.count("\n")))

    # --- what happens to it ---

    def finish(self, key: ClaimKey, exit_code: int | None) -> None:
        """The container ends now, whoever ends it."""
        one = self.running.get(key)
        if one is None or one.container.state is ContainerState.EXITED:
            return
        one.container = replace(
            one.container, state=ContainerState.EXITED, exit_code=exit_code, ended_at=self._clock.now()
        )
        self._watcher.ended(self, one.container)
        self._tasks.end(one.life)

    def finish_all(self, exit_code: int | None) -> None:
        for key in list(self.running):
            self.finish(key, exit_code)

    def forget(self, key: ClaimKey) -> None:
        """Somebody removes the container by hand."""
        self.finish(key, KILLED)
        self.running.pop(key, None)

    def live(self) -> Sequence[ClaimKey]:
        return [key for key, one in self.running.items() if one.container.state is ContainerState.RUNNING]

    # --- inside ---

    def _state(self, key: ClaimKey) -> ContainerState | None:
        one = self.running.get(key)
        return one.container.state if one else None

    def call(self, what: str) -> None:
        self._tasks.pause(f"engine: {what}")
        self._tasks.sleep(CALL * self._tasks.random.random())
        self._answer()

    def _answer(self) -> None:
        if not self.answers:
            raise EngineUnavailable("the engine does not answer")

    def _run(self, running: Running, program: Program) -> None:
        try:
            self._write(running, program)
        except OSError:
            self.finish(running.order.key, NO_DISK)
        self.finish(running.order.key, program.exit_code)

    def _write(self, running: Running, program: Program) -> None:
        key, paths = running.order.key, running.order.paths
        self._disk.write(f"{paths.workspace}/seen-by-{key.run}-{key.number}", key.token)
        for part in range(3):
            self._tasks.sleep(program.seconds / 3)
            running.lines.append(f"{30 * part + 30} %")
            self._disk.write(f"{paths.output}/part-{part}", key.token)
