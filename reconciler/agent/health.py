"""What a node's HTTP port may know: what the loop last saw. Asking never touches the share, git or the engine.

It answers from before the node has joined: a share that hangs when a node starts must be seen, too.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from reconciler.agent.gauges import Gauge, gauges
from reconciler.agent.http import OpenClaim
from reconciler.agent.loop import Loop
from reconciler.agent.node import Agent
from reconciler.agent.patience import Patience
from reconciler.agent.ports import Clock
from reconciler.core.desired import Site
from reconciler.core.names import NodeName
from reconciler.core.status import Condition, condition

ESSENTIAL = frozenset({"beat", "fetch", "tick", "publish"})
BY_SHARE = frozenset({"beat", "tick", "publish"})
"""What stalls with the share, and is told by its condition alone."""


class AgentHealth:
    """Port ``NodeHealth``."""

    def __init__(self, node: NodeName, patience: Patience, clock: Clock) -> None:
        self._node = node
        self._patience = patience
        self._clock = clock
        self._running: tuple[Agent, Loop] | None = None

    def runs(self, agent: Agent, loop: Loop) -> None:
        """The node takes part from now on."""
        self._running = agent, loop

    def wake(self) -> None:
        if self._running is not None:
            self._running[1].hint()

    @property
    def node(self) -> NodeName:
        return self._node

    @property
    def incarnation(self) -> str:
        return self._running[0].identity.incarnation if self._running else ""

    def ok(self) -> bool:
        """A proposal or message that hangs is told; it is no reason to restart a node."""
        return ESSENTIAL.isdisjoint(self._stalled()) and not self._patience.is_over(self._heartbeat())

    def since_last_tick(self) -> float | None:
        last = self._running[0].last_tick if self._running else None
        return None if last is None else self._clock.monotonic() - last

    def conditions(self) -> Sequence[Condition]:
        if self._running is None:
            return self._patience.conditions(self._heartbeat())
        kinds = [
            kind for kind in self._stalled() if kind not in BY_SHARE or not self._patience.is_over(self._heartbeat())
        ]
        stalled = [condition("Stalled", f"{kind} has not come back for a minute") for kind in kinds]
        return (*self._running[0].conditions(), *stalled)

    def claims(self) -> Sequence[OpenClaim]:
        return self._running[0].claims() if self._running else ()

    def numbers(self) -> Mapping[str, float]:
        waiting = self._running[0].last_plan.waiting if self._running else ()
        return {"claims": float(len(self.claims())), "projects_waiting": float(len(waiting))}

    def gauges(self) -> Iterable[Gauge]:
        return gauges(self._running[0].measured.last, self._clock.monotonic()) if self._running else ()

    def _stalled(self) -> Sequence[str]:
        return self._running[1].stalled() if self._running else ()

    def _heartbeat(self) -> timedelta:
        return (self._running[0].site() if self._running else Site()).heartbeat
