"""A workstation: clocks, engine, mount, clone, and a reconciler that a service manager starts again."""

from collections.abc import Callable, Iterable, Sequence
from datetime import timedelta
from pathlib import Path

from reconciler.agent.inquiries import Ask
from reconciler.agent.node import Agent
from reconciler.agent.patience import Patience
from reconciler.agent.ports import Answer
from reconciler.config import NodeConfig
from reconciler.core.devices import GpuLook
from reconciler.core.names import NodeName
from reconciler.core.nodes import Gpu, Inventory
from tests.fakes.build import GIB
from tests.simulation.clocks import DriftingClock
from tests.simulation.engine import UNSEEN, Choose, Engine, Watcher
from tests.simulation.git import Clone, ObservedClone, Remote
from tests.simulation.mount import Mounted
from tests.simulation.reconciler import Reconciler
from tests.simulation.scheduler import Life, Tasks
from tests.simulation.story import Story

RESTART = 3.0
"""Seconds after which the service manager starts a reconciler that ended."""


class Machine:
    """Port ``Host``, too. ``name`` is its own, ``node`` what its node.yaml says: a clone has another's."""

    def __init__(
        self,
        tasks: Tasks,
        story: Story,
        *,
        name: str,
        node: str,
        remote: Remote,
        mount: Mounted,
        choose: Choose,
        watcher: Watcher,
        gave_up: Callable[["Machine", str], None],
        ask: Ask,
        local: Path,
        rate: float,
        offset: float,
        cores: float,
        listens: bool,
    ) -> None:
        self.tasks = tasks
        self.name = name
        self.node = NodeName(node)
        self.life = Life(name)
        self.clock = DriftingClock(tasks.now, rate=rate, offset=offset)
        self.mount = mount
        self.engine = Engine(tasks, self.life, self.mount, self.clock, choose, watcher)
        self.clone = Clone(remote, self.life)
        self.reconciler: Reconciler | None = None
        self.is_on = False
        self._story = story
        self._gave_up = gave_up
        self._ask = ask
        self._local = local
        self._cores = cores
        self._listens = listens
        self._boots = 0
        self._starts = 0

    # --- port Host ---

    def boot(self) -> str:
        return f"{self.name}-boot-{self._boots}"

    def cpus(self) -> float:
        return self._cores

    def memory(self) -> int:
        return 32 * GIB

    def gpus(self) -> Sequence[Gpu]:
        return ()

    def free_disk(self, path: Path) -> int:
        return 512 * GIB

    def load(self) -> float:
        return 0.0

    def look_at_gpus(self) -> GpuLook:
        return GpuLook(gpus=tuple(self.gpus()))

    def inventory(self, places: Iterable[Path] = ()) -> Inventory:
        return Inventory()

    # --- what happens to it ---

    def tell(self, what: str) -> None:
        self._story.tell(self.tasks.now(), self.name, what)

    def power_on(self) -> None:
        self.is_on = True
        self._boots += 1
        self.life.alive, self.life.frozen = True, False
        self.clock.boot()
        self.mount.boot()
        self.engine.boot, self.engine.answers = self.boot(), True
        self.tell(f"boots ({self.boot()})")
        self.start_reconciler()

    def lose_power(self, *, removing: bool) -> None:
        """Containers are gone, or still listed with the end that nobody saw."""
        self.tell("loses its power")
        self.is_on = False
        self.reconciler = None
        self.life.frozen = False
        self.mount.now.lose_power()
        self.tasks.end(self.life)
        self.engine.finish_all(UNSEEN)
        if removing:
            self.engine.running.clear()

    def start_reconciler(self) -> None:
        if not self.is_on or self.reconciler is not None:
            return
        self._starts += 1
        self.tell("reconciler starts")
        life = Life(self.name, within=self.life)
        one = self.reconciler = Reconciler(self.tasks, life, self.clock, self._agent, self._ended)
        one.start()

    def kill_reconciler(self) -> None:
        if self.reconciler is None:
            return
        self.tell("reconciler is killed")
        life, self.reconciler = self.reconciler.life, None
        self.tasks.end(life)
        self.mount.now.process_died()

    def freeze(self) -> None:
        self.tell("freezes")
        self.mount.now.freeze()
        self.tasks.freeze(self.life)

    def thaw(self) -> None:
        if self.life.frozen:
            self.tell("thaws")
            self.mount.now.thaw()
            self.tasks.thaw(self.life)

    def answer(self) -> Answer | None:
        """What its HTTP port says; needs neither share nor git."""
        agent = self.reconciler.agent if self.reconciler is not None else None
        if not self._listens or not self.is_on or self.life.frozen or agent is None:
            return None
        claims = frozenset(claim.token for claim in agent.claims())
        return Answer(node=self.node, incarnation=agent.identity.incarnation, claims=claims)

    # --- inside ---

    def _ended(self, why: str, *, for_good: bool) -> None:
        """The process ended by itself; its service manager tries again later all the same."""
        self.tell(f"reconciler ends: {why}")
        if for_good:
            self._gave_up(self, why)
        one, self.reconciler = self.reconciler, None
        if one is not None:
            self.tasks.end(one.life)
            self.mount.now.process_died()
        self.tasks.after(self.clock.true(RESTART), self.start_reconciler)

    def _agent(self, wake: Callable[[], None]) -> Agent:
        patience = Patience(self.clock, Path("/share"))
        share = self.mount.share(f"{self.name}.{self._starts}", patience)
        share.identity()
        return Agent(
            NodeConfig(
                name=self.node,
                state_url="unused",
                share=Path("/share"),
                local=self._local,
                poll=timedelta(seconds=5),
                listen=f"{self.name}:1" if self._listens else None,
            ),
            share=share,
            source=self.clone,
            observed=ObservedClone(self.clone),
            runtime=self.engine,
            host=self,
            clock=self.clock,
            home=f"home of {self.name}",
            wake=wake,
            patience=patience,
            ask=self._ask,
        )
