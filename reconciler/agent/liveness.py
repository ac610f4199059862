"""Being alive, and noticing who is: our heartbeat, and everybody else's as we see it.

One thread beats and listens, so that a stalled tick never looks like a dead node, and silence is counted only
while our own writes succeed.
"""

import contextlib
import threading
from collections.abc import Callable, Mapping

from reconciler.agent.patience import Patience
from reconciler.agent.ports import Clock, Heartbeat, NodeFiles, Share
from reconciler.codec.heartbeat import heard, heard_availability, heard_remarks
from reconciler.core.names import NodeName
from reconciler.core.nodes import Node, NodeRecord, Pulse, listen
from reconciler.errors import ShareUnavailable


class Liveness:
    """Thread-safe to read; ``beat`` is called by one thread."""

    def __init__(
        self,
        share: Share,
        clock: Clock,
        patience: Patience,
        name: NodeName,
        incarnation: str,
        last_record: Callable[[], NodeRecord | None] = lambda: None,
    ) -> None:
        """``last_record`` is the newest that this node has published."""
        self._share = share
        self._clock = clock
        self._patience = patience
        self._name = name
        self._incarnation = incarnation
        self._last_record = last_record
        self._heartbeat: Heartbeat | None = None
        self._pulses: dict[NodeName, Pulse] = {}
        self._lock = threading.Lock()
        self._nodes: tuple[Node, ...] = ()
        self.error = ""
        self.superseded = ""
        self.is_forgotten = False  # the share has lost our record: restored from a backup, or exported without sync

    def nodes(self) -> tuple[Node, ...]:
        with self._lock:
            return self._nodes

    def beat(self, facts: dict[str, object], period: float) -> None:
        """Beat once, then look at the others. Failures are remembered in ``error``, never raised."""
        try:
            if self._heartbeat is None:
                self._heartbeat = self._share.heartbeat(self._name, self._incarnation)
            with self._patience.beating():
                self._heartbeat.beat(facts)
            self._listen(self._share.read_nodes(), period)
            self.error = ""
        except (ShareUnavailable, OSError) as error:
            self.error = str(error)
            self.close()  # a descriptor that failed once (ESTALE) may fail for ever: open it anew

    def close(self) -> None:
        heartbeat, self._heartbeat = self._heartbeat, None
        if heartbeat is not None:
            with contextlib.suppress(OSError):
                heartbeat.close()

    def _listen(self, found: Mapping[NodeName, NodeFiles], period: float) -> None:
        """Only reached after our own write succeeded; a failure before counts as a gap, see ``nodes.listen``."""
        healthy = not self.error
        now = self._clock.monotonic()
        for name, files in found.items():
            self._pulses[name] = listen(
                self._pulses.get(name),
                incarnation=files.records[-1].incarnation,
                content=files.heartbeat or b"",
                now=now,
                healthy=healthy,
                period=period,
            )
        nodes = tuple(self._node(name, files) for name, files in sorted(found.items()))
        with self._lock:
            self._nodes = nodes
        self._look_for_namesakes(found.get(self._name))

    def _look_for_namesakes(self, mine: NodeFiles | None) -> None:
        """Whoever started after us has a record above ours; an older start's says only that ours is gone."""
        newest, last = mine.records[-1] if mine is not None else None, self._last_record()
        self.is_forgotten = last is not None and (newest is None or newest.number < last.number)
        if newest is not None and newest.incarnation != self._incarnation and not self.is_forgotten:
            self.superseded = (
                f"another reconciler started as '{self._name}' (pid {newest.pid}, boot {newest.boot[:8]}); "
                "a node's name belongs to one machine: give this one another name in node.yaml"
            )

    def _node(self, name: NodeName, files: NodeFiles) -> Node:
        conditions, faults = heard(files.heartbeat)
        return Node(
            name=name,
            record=files.records[-1],
            starts=files.starts,
            silent_for=0.0 if name == self._name else self._pulses[name].silent_for,
            conditions=conditions,
            faults=faults,
            remarks=heard_remarks(files.heartbeat),
            availability=heard_availability(files.heartbeat),
            started_at=files.started_at,
        )
