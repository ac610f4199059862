"""What this node has to offer, looked at again and again, and told to the others when it changes.

A node's record says what its machine has. When that changes while it runs (a GPU falls off the bus, a driver is loaded
late) the node publishes another one, with the number after its own last one and the same incarnation: no new start.
Only this node writes there. If it finds that number taken it has been superseded, and says nothing more.
"""

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import structlog

from reconciler import __version__
from reconciler.agent.gpu_watch import GpuWatch
from reconciler.agent.ports import Clock, Host, Runtime, Share
from reconciler.agent.tokens import new_token
from reconciler.agent.unhurried import Unhurried
from reconciler.config import NodeConfig
from reconciler.core.names import RecordNumber
from reconciler.core.nodes import Capacity, Inventory, Node, NodeRecord, described
from reconciler.errors import Transient

log = structlog.get_logger()

FIRST, LATER = 40.0, 30.0
"""Seconds for the drivers' answer: one that nobody has asked since the boot takes its time."""
AT_LEISURE = 300.0
"""Seconds between two looks at what hardly ever changes and nothing is decided by."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """The parts of a node's record that come from its machine."""

    capacity: Capacity
    inventory: Inventory = field(default_factory=Inventory)
    versions: Mapping[str, str] = field(default_factory=dict)


class Stocktaking:
    """``first`` and ``published`` when the node joins; then ``renew`` by one thread. The rest is for any thread."""

    def __init__(
        self,
        config: NodeConfig,
        *,
        share: Share,
        host: Host,
        runtime: Runtime,
        clock: Clock,
        held: Callable[[], frozenset[str]],
    ) -> None:
        """``held`` says which GPUs stages use."""
        self._config = config
        self._share = share
        self._host = host
        self._runtime = runtime
        self._clock = clock
        self._description = Unhurried("look at the machine", lambda: host.inventory(self._places()))
        self._engine: Mapping[str, str] = {}
        self._described_at: float | None = None
        self._record: NodeRecord | None = None
        self._draft: NodeRecord | None = None
        self.gpus = GpuWatch(host, config.reserve.gpus, held, clock)
        self.load = 0.0

    def first(self) -> Offer:
        """What the record of this start says. Waits for the drivers, but not for ever."""
        self.gpus.look(FIRST)
        self.load = self._host.load()
        reserve = self._config.reserve
        capacity = Capacity(
            cpus=max(self._host.cpus() - reserve.cpus, 0.0), memory=max(self._host.memory() - reserve.memory, 0)
        )
        return self._now(Offer(capacity=capacity))

    @property
    def record(self) -> NodeRecord | None:
        """What the others know of this node; None: not yet anything, or they listen to another one of its name."""
        return self._record

    def published(self, record: NodeRecord) -> None:
        self._record = record

    def at_first_hand(self, node: Node) -> Node:
        """Ourselves with our GPUs as we know them now: what others hear of them comes later, and is cut short."""
        capacity = replace(node.record.capacity, gpus=self.gpus.offered)
        availability = replace(node.availability, busy=self.gpus.busy)
        return replace(node, record=replace(node.record, capacity=capacity), availability=availability)

    def renew(self, *, is_forgotten: bool = False) -> bool:
        """Look, and publish what has changed; True if it did. What the share would not take is tried again first.

        If the share has forgotten our last record, that very one is put back.
        """
        last = self._record
        if last is None:
            return False
        self.gpus.look(LATER)
        self.load = self._host.load()
        record = self._draft or (last if is_forgotten else self._changed(last))
        if record is None:
            return False
        self._draft = record
        is_ours = self._share.publish_node(record)
        self._draft, self._record = None, record if is_ours else None
        log.info("offer_changed" if is_ours else "offer_not_published", number=record.number, node=record.node)
        return is_ours

    def _changed(self, last: NodeRecord) -> NodeRecord | None:
        before = Offer(capacity=last.capacity, inventory=last.inventory, versions=last.versions)
        now = self._now(before)
        if now == before:
            return None
        return replace(
            last,
            number=RecordNumber(last.number + 1),
            token=new_token(),
            at=self._clock.now(),
            capacity=now.capacity,
            inventory=now.inventory,
            versions=now.versions,
        )

    def _now(self, before: Offer) -> Offer:
        """GPUs are offered as they are; of the rest the room for stages is what it was when the node started."""
        capacity = replace(before.capacity, gpus=self.gpus.offered)
        at = self._clock.monotonic()
        if self._engine and self._described_at is not None and at - self._described_at < AT_LEISURE:
            return replace(before, capacity=capacity)
        self._described_at = at
        self._ask_engine()
        found = self._description.answer(LATER) or before.inventory
        return Offer(
            capacity=replace(capacity, disk=capacity.disk or self._free_disk()),
            inventory=described(before.inventory, replace(found, engine=self._engine)),
            versions={"winslow": __version__, **self._engine_version()},
        )

    def _ask_engine(self) -> None:
        """While it is down, what it said last holds: whoever lists its containers says that it is."""
        with contextlib.suppress(Transient):
            self._engine = self._runtime.check()

    def _engine_version(self) -> Mapping[str, str]:
        name = self._runtime.name
        return {name: self._engine[name]} if name in self._engine else {}

    def _engine_place(self) -> Path | None:
        """Where containers write; None: that is not known yet."""
        if self._runtime.name == "process":
            return Path("/tmp")  # noqa: S108 - where programs write that have no container
        return Path(self._engine["root"]) if "root" in self._engine else None

    def _free_disk(self) -> int:
        place = self._engine_place()
        return max(self._host.free_disk(place) - self._config.reserve.disk, 0) if place is not None else 0

    def _places(self) -> list[Path]:
        return [place for place in (self._config.share, self._config.local, self._engine_place()) if place is not None]
