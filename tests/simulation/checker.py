"""Hears of everything that really happens, keeps the facts, asks the invariants, and tells the story."""

from collections.abc import Mapping

from reconciler.codec.records import AnyRecord
from reconciler.core.containers import Container, Order
from reconciler.core.names import NodeName, ProjectName
from reconciler.core.records import Claim, Done
from tests.simulation.engine import Engine
from tests.simulation.facts import CLAIM_FILES, OUTPUT, Facts, NewRecord, Started, ask
from tests.simulation.invariants import (
    ON_RECORD,
    ON_RECORD_FOR_NOW,
    ON_START,
    a_name_is_given_up_to_another_alone,
    observed_follows_from_the_ledger,
    records_are_immutable,
)
from tests.simulation.machine import Machine
from tests.simulation.ownership import may_write
from tests.simulation.scheduler import Life
from tests.simulation.story import Story


class Checker:
    """Ports ``Watcher`` of engines, ``Pushed`` of the remote, and what the share's server tells its changes to."""

    def __init__(self, facts: Facts, story: Story) -> None:
        self.facts = facts
        self._story = story

    # --- the share ---

    def changed(self, mount: str, path: str, content: bytes | None) -> None:
        """The server holds this under ``path``, relative to the share, by a call of that machine; None: nothing."""
        machine = self.facts.named(mount)
        if not self.facts.setting.sync:
            self._changed_for_now(machine, path, content)
            return
        ask(may_write, self.facts, machine, path)
        if path in self.facts.bytes_of:
            ask(records_are_immutable, self.facts, path, content)
        elif "/records/" in path and content is not None:
            self._recorded(self.facts.add(path, content, machine))
        elif path.startswith("nodes/") and "/heartbeat." in path:
            self._beaten(NodeName(path.split("/")[1]), machine)
        elif OUTPUT.fullmatch(path):
            self.facts.outputs.add(path)
        elif (found := CLAIM_FILES.fullmatch(path)) and found[4] == "workspace":
            self.facts.prepared_at.setdefault((ProjectName(found[1]), int(found[2]), int(found[3])), self.facts.now())

    def _changed_for_now(self, machine: Machine, path: str, content: bytes | None) -> None:
        """A server without ``sync`` may forget it: of what follows from a record that stood once little can be said."""
        if "/records/" in path and content is not None:
            self._recorded(self.facts.add(path, content, machine))

    def _recorded(self, new: NewRecord | None) -> None:
        if new is None:
            return
        where = f"{new.project or ''}{f'/{new.run}' if new.run else ''}"
        self._tell(new.by, f"{_word(new.record)} {new.name} {where} {_details(new.record)}".rstrip())
        for invariant in ON_RECORD if self.facts.setting.sync else ON_RECORD_FOR_NOW:
            ask(invariant, self.facts, new)

    def _beaten(self, node: NodeName, by: Machine) -> None:
        self.facts.beat(node, by)
        for other in self.facts.machines:
            if other.node == node and other is not by:
                self.facts.rival_beats[other].append((self.facts.now(), by))

    # --- engines ---

    def started(self, engine: Engine, order: Order) -> None:
        machine = self.facts.machine(engine.machine)
        self._tell(machine, f"container starts: {_claim(order)}")
        for invariant in ON_START if self.facts.setting.sync else ():
            ask(invariant, self.facts, machine, order)
        self.facts.started[order.key.token] = Started(machine, machine.boot())

    def ended(self, engine: Engine, container: Container) -> None:
        machine, key = self.facts.machine(engine.machine), container.key
        self._tell(machine, f"container ends with {container.exit_code}: {key.project}/{key.run} claim {key.number}")
        if key.token in self.facts.started:
            started = self.facts.started[key.token]
            started.container, started.lost_power = container, not machine.is_on

    # --- reconcilers ---

    def gave_up(self, machine: Machine, why: str) -> None:
        """A process ended by itself, because of its node's name."""
        ask(a_name_is_given_up_to_another_alone, self.facts, machine, why)

    # --- the remote ---

    def pushed(self, by: Life, files: Mapping[str, str]) -> None:
        machine = self.facts.machine(by)
        agent = machine.reconciler.agent if machine.reconciler else None
        seen = agent._publisher.seen if agent is not None else None
        if seen is not None and self.facts.setting.sync:
            ask(observed_follows_from_the_ledger, self.facts, files, seen)
            self.facts.published = seen.ledger

    def _tell(self, machine: Machine, what: str) -> None:
        self._story.tell(self.facts.now(), machine.name, what)


def _claim(order: Order) -> str:
    return f"{order.key.project}/{order.key.run} claim {order.key.number}"


def _word(record: AnyRecord) -> str:
    return type(record).__name__


def _details(record: AnyRecord) -> str:
    match record:
        case Claim(because=because):
            return because
        case Done():
            return ""
        case _:
            return str(getattr(record, "reason", "") or getattr(record, "stage", ""))
