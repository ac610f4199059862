"""One seed is one history: a small site lives through its faults, then has time to come to rest."""

import os
import random
import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from reconciler.agent.ports import Answer
from tests.fakes.history import History
from tests.fakes.invariants import check
from tests.simulation.checker import Checker
from tests.simulation.cooperative import installed
from tests.simulation.facts import Facts, Meter, Violation, ask
from tests.simulation.faults import Faults
from tests.simulation.git import Remote
from tests.simulation.machine import Machine
from tests.simulation.mount import SHARE, Mounted, make_share
from tests.simulation.people import People
from tests.simulation.rest import AT_REST, AT_REST_FOR_NOW
from tests.simulation.scheduler import Tasks
from tests.simulation.setting import Setting
from tests.simulation.share import SimServer
from tests.simulation.story import Story

PATIENCE, LOOK = 400.0, 5.0
"""Seconds in which a healed site must come to rest, and between two looks whether it has."""


class Broken(AssertionError):
    """A seed's history broke an invariant; says what happened before, and how to see it again."""


class Site:
    """Everything that a history happens to."""

    def __init__(self, setting: Setting, story: Story) -> None:
        self.setting = setting
        self.local = Path(tempfile.gettempdir()) / f"winslow-simulation-{os.getpid()}-{setting.seed}"
        self.story = story
        self.chance = random.Random(f"history {setting.seed}")  # noqa: S311  # a history, not a secret
        self.tasks = Tasks(self.chance, story, latency=setting.latency)
        self.git = History(setting.files())
        self.facts = Facts(setting, self.git, self.tasks.now, SHARE)
        self.checker = Checker(self.facts, story)
        self.server = SimServer(self.tasks, sync=setting.sync, watch=self.checker.changed)
        make_share(self.server)
        self.remote = Remote(self.tasks, self.git, self.checker.pushed)
        self.people = People(setting, self.chance, self.git, self.facts, story)
        for name in setting.node_names():
            self.add_machine(name, node=name)
        self.faults = Faults(self)

    def add_machine(self, name: str, *, node: str) -> Machine:
        drifts = self.setting.drifting
        machine = Machine(
            self.tasks,
            self.story,
            name=name,
            node=node,
            remote=self.remote,
            mount=Mounted(self.server, name),
            choose=self.setting.program,
            watcher=self.checker,
            gave_up=self.checker.gave_up,
            ask=self._ask,
            local=self.local / name,
            listens=self.setting.listening,
            rate=self.chance.uniform(0.5, 2.0) if drifts else 1.0,
            offset=self.chance.uniform(-3600, 3600) if drifts else 0.0,
            cores=float(self.chance.choice((1, 2, 4))),
        )
        self.facts.machines.append(machine)
        self.facts.meters[machine] = Meter(self.tasks.now)
        return machine

    def _ask(self, address: str) -> Answer | None:
        """The network between nodes; the share and git lie on others."""
        self.tasks.pause(f"ask {address}")
        self.tasks.sleep(self.chance.random() * 0.2)
        return next((m.answer() for m in self.facts.machines if address == f"{m.name}:1"), None)

    def live(self) -> None:
        """Trouble, then peace."""
        for machine in self.facts.machines:
            self.tasks.after(self.chance.uniform(0, 2), partial(self.faults.power_on, machine))
        self.faults.plan()
        for _ in range(self.setting.edits):
            self.tasks.after(self.chance.uniform(1, self.setting.trouble), self.people.edit)
        self.tasks.run(self.setting.trouble)
        self.faults.heal()
        self.people.tidy_up()
        if not self.setting.sync:
            self._start_anew()
        self._rest()
        if self.setting.sync:
            check(self.facts.ledger(), self.git)

    def _rest(self) -> None:
        end = self.tasks.now() + PATIENCE
        while True:
            self.tasks.run(self.tasks.now() + LOOK)
            facts, invariants = (self.facts, AT_REST) if self.setting.sync else (self._as_it_is(), AT_REST_FOR_NOW)
            try:
                for invariant in invariants:
                    ask(invariant, facts, self.remote.observed)
            except Violation:
                if self.tasks.now() > end:
                    raise
            else:
                return

    def _start_anew(self) -> None:
        """What a process has read it keeps, also of a server that has forgotten it; the next one looks itself."""
        for machine in self.facts.machines:
            machine.kill_reconciler()
            machine.start_reconciler()

    def _as_it_is(self) -> Facts:
        """What the server holds now, which may be less than it took."""
        found = Facts(self.setting, self.git, self.tasks.now, SHARE, machines=self.facts.machines)
        for path, content in sorted(self.server.files()):
            if "/records/" in path:
                found.add(path, content, self.facts.machines[0])
        return found

    def end(self) -> None:
        for machine in self.facts.machines:
            self.tasks.end(machine.life)
        if self.local.exists():
            shutil.rmtree(self.local)


def live(setting: Setting, prepare: Callable[[Site], None] = lambda site: None) -> Story:
    """The whole history; Broken if an invariant does not hold."""
    story = Story()
    site = Site(setting, story)

    def tell(what: str) -> None:
        task = site.tasks.current
        story.tell(site.tasks.now(), task.life.machine.name if task else "", what)

    with installed(site.tasks, setting.seed, tell):
        try:
            prepare(site)
            site.live()
        except (Exception, Violation) as error:
            story.tell(site.tasks.now(), "VIOLATION", str(error) or repr(error))
            raise Broken(
                f"seed {setting.seed}: {type(error).__name__}: {error}\n{setting}\n{story.ending()}\n"
                f"To see it again: pytest tests/simulation --seed {setting.seed}"
            ) from error
        finally:
            site.end()
    return story
