"""A laboratory in one process: real agents on a real directory; git, engine, host and clock are in memory.

Nothing runs by itself: ``lab.turn()`` lets every node beat and tick once and moves the clock by a second;
``lab.until`` turns until something holds, at most for a few real seconds.
"""

import hashlib
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.adapters.share import SharedDirectory
from reconciler.agent.node import Agent
from reconciler.agent.patience import Patience
from reconciler.agent.ports import Fetched, Share
from reconciler.codec.noted import noted
from reconciler.config import NodeConfig
from reconciler.core.desired import Desired, Pipeline, Project, Site
from reconciler.core.devices import GpuLook
from reconciler.core.ledger import ProjectHistory, Run
from reconciler.core.ledger_behind import Noted
from reconciler.core.names import Blob, Commit, NodeName, ProjectName, Token
from reconciler.core.nodes import Gpu, Inventory
from reconciler.core.records import RewriteAccepted
from reconciler.errors import Transient
from tests.fakes.build import CROSSING, GIB, a_desired
from tests.fakes.runtime import FakeRuntime

DEADLINE = 15.0


class FakeClock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return self.seconds


class FakeHost:
    def __init__(self, boot: str = "boot-1", gpus: Sequence[Gpu] = ()) -> None:
        self._boot = boot
        self._gpus = gpus

    def boot(self) -> str:
        return self._boot

    def cpus(self) -> float:
        return 8.0

    def memory(self) -> int:
        return 32 * GIB

    def gpus(self) -> Sequence[Gpu]:
        return self._gpus

    def free_disk(self, path: Path) -> int:
        return 512 * GIB

    def load(self) -> float:
        return 0.0

    def look_at_gpus(self) -> GpuLook:
        return GpuLook(gpus=tuple(self._gpus))

    def inventory(self, places: Iterable[Path] = ()) -> Inventory:
        return Inventory()


class FakeSource:
    """The state repository as one clone sees it: the remote's line of commits, and what this clone knows beside it."""

    def __init__(self) -> None:
        self.commits: list[Desired] = []
        self.error = ""
        self._lines: list[tuple[Commit, ...]] = []  # histories that were main once
        self._accepted: Desired | None = None
        self._followed: Token | None = None

    def rewrite(self, keep: int) -> None:
        """Force-push: main ends after its first ``keep`` commits; what comes then is another history."""
        self._lines.append(tuple(desired.commit for desired in self.commits))
        self.commits = self.commits[:keep]

    def fetch(self, rewrites: Sequence[RewriteAccepted] = ()) -> Fetched:
        if self.error:
            return self._fetched(reachable=False, error=self.error, reason="SourceUnreachable")
        newest, accepted = self.commits[-1] if self.commits else None, self._accepted
        if newest is None:
            return self._fetched()
        due = next((one for one in rewrites[-1:] if one.token != self._followed), None)
        needed = due.head if due is not None else accepted.commit if accepted is not None else newest.commit
        if not self.descends(newest.commit, needed):
            self._accepted = accepted or newest
            return self._fetched(error="main was rewritten", reason="SourceRewritten")
        self._accepted = newest
        if due is not None:
            self._followed = due.token
        return self._fetched()

    def known(self) -> Fetched:
        return self._fetched()

    def _fetched(self, **fault: Any) -> Fetched:
        return Fetched(desired=self._accepted, followed=self._followed, **fault)

    def descends(self, commit: Commit, ancestor: Commit) -> bool | None:
        lines = [*self._lines, tuple(desired.commit for desired in self.commits)]
        known = {one for line in lines for one in line}
        if commit not in known or ancestor not in known:
            return None
        return any(ancestor in line and commit in line and line.index(ancestor) <= line.index(commit) for line in lines)


class FakeObserved:
    """The branch ``observed`` with everything that was pushed to it."""

    def __init__(self) -> None:
        self.files: Mapping[str, str] = {}
        self.messages: list[str] = []
        self.refuse = ""

    def head(self) -> Commit | None:
        return Commit(f"{len(self.messages):040d}") if self.messages else None

    def noted(self) -> tuple[Noted, ...]:
        told = (noted(path, text) for path, text in sorted(self.files.items()))
        return tuple(one for one in told if one is not None)

    def read(self) -> Mapping[str, str]:
        return self.files

    def publish(self, files: Mapping[str, str], message: str) -> Commit | None:
        if self.refuse:
            raise Transient(self.refuse)
        if files == self.files:
            return None
        self.files = dict(files)
        self.messages.append(message)
        return self.head()


def blob_of(project: Project) -> Blob:
    return Blob(hashlib.sha256(repr(project).encode()).hexdigest())


@dataclass
class Lab:
    root: Path  # the share
    local: Path
    source: FakeSource = field(default_factory=FakeSource)
    observed: FakeObserved = field(default_factory=FakeObserved)
    clock: FakeClock = field(default_factory=FakeClock)
    agents: dict[str, Agent] = field(default_factory=dict)
    runtimes: dict[str, FakeRuntime] = field(default_factory=dict)
    woken: threading.Event = field(default_factory=threading.Event)
    written: int = 0  # commits so far

    # --- what people do ---

    def write(self, *projects: Project, pipeline: Pipeline | None = None) -> Desired:
        """Commit these projects; a file's blob follows from what it says."""
        self.written += 1
        stamped = [replace(project, blob=blob_of(project)) for project in projects]
        desired = a_desired(
            *stamped,
            pipeline=pipeline,
            commit=Commit(f"{self.written:040d}"),
            site=Site(heartbeat=timedelta(seconds=0.02), ttl=timedelta(seconds=1)),
        )
        self.source.commits.append(desired)
        for agent in self.agents.values():
            agent.fetch()
        return desired

    # --- nodes ---

    def share(self, writer: str, patience: Patience) -> Share:
        """The share as this node sees it; one that hangs is timed by ``patience``."""
        return SharedDirectory(self.root, writer=writer)

    def join(
        self,
        name: str = "a",
        *,
        home: str = "",
        boot: str = "boot-1",
        runtime: FakeRuntime | None = None,
        source: FakeSource | None = None,
        gpus: Sequence[Gpu] = (),
        fetch: bool = True,
    ) -> Agent:
        """Start a reconciler. The same name again is its restart: it finds the engine as it was left."""
        runtime = runtime or self.runtimes.get(name) or FakeRuntime(boot=boot)
        patience = Patience(self.clock, self.root)
        agent = Agent(
            NodeConfig(name=NodeName(name), state_url="unused", share=self.root, local=self.local / name),
            share=self.share(name, patience),
            source=source or self.source,
            observed=self.observed,
            runtime=runtime,
            host=FakeHost(boot, gpus),
            clock=self.clock,
            home=home or f"home-{name}",
            wake=self.woken.set,
            patience=patience,
        )
        if fetch:
            agent.fetch()
        agent.join()
        self.agents[name], self.runtimes[name] = agent, runtime
        return agent

    def kill(self, name: str) -> None:
        """The reconciler is gone; what its engine runs goes on."""
        self.agents.pop(name).leave()

    def close(self) -> None:
        for name in list(self.agents):
            self.kill(name)
        for runtime in self.runtimes.values():
            for key in list(runtime.programs):
                runtime.finish(key)

    # --- time ---

    def turn(self) -> None:
        for agent in self.agents.values():
            agent.beat()
            while agent.tick():
                pass
        self.clock.seconds += 1.0

    @contextmanager
    def time_flies(self, meanwhile: Callable[[], None] = lambda: None) -> Iterator[None]:
        """The clock moves by itself, for calls that wait for it."""
        stop = threading.Event()

        def fly() -> None:
            while not stop.wait(0.005):
                self.clock.seconds += 0.01
                meanwhile()

        thread = threading.Thread(target=fly)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def until(self, holds: Callable[[], object], what: str = "") -> None:
        end = time.monotonic() + DEADLINE
        while not holds():
            assert time.monotonic() < end, f"{what or 'it'} did not happen; {self.describe()}"
            self.turn()
            self.woken.wait(0.02)  # a worker's end; else look again
            self.woken.clear()

    # --- what is on the share ---

    def history(self, project: ProjectName = CROSSING) -> ProjectHistory:
        return SharedDirectory(self.root).read().history(project)

    def run(self, number: int, project: ProjectName = CROSSING) -> Run | None:
        return next((run for run in self.history(project).runs if run.number == number), None)

    def kinds(self, number: int, project: ProjectName = CROSSING) -> list[str]:
        run = self.run(number, project)
        return [type(record).__name__ for record in run.records] if run else []

    def phases(self, project: ProjectName = CROSSING) -> list[str]:
        return [run.phase.value for run in self.history(project).runs]

    def starts(self) -> int:
        return sum(len(runtime.orders) for runtime in self.runtimes.values())

    def describe(self) -> str:
        return "; ".join(
            f"{name} waits: {[(w.because, w.message) for w in agent.last_plan.waiting.values()]}, "
            f"does: {[type(action).__name__ for action in agent.last_plan.actions]}"
            for name, agent in self.agents.items()
        )
