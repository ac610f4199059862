"""What a node's HTTP port may know: what the loop last saw. Asking never touches the share, git or the engine."""

from collections.abc import Mapping, Sequence

from reconciler.agent.http import OpenClaim
from reconciler.agent.loop import Loop
from reconciler.agent.node import Agent
from reconciler.agent.ports import Clock
from reconciler.core.names import NodeName
from reconciler.core.status import Condition, condition

ESSENTIAL = frozenset({"beat", "fetch", "tick", "publish"})


class AgentHealth:
    """Port ``NodeHealth``."""

    def __init__(self, agent: Agent, loop: Loop, clock: Clock) -> None:
        self._agent = agent
        self._loop = loop
        self._clock = clock

    @property
    def node(self) -> NodeName:
        return self._agent.config.name

    @property
    def incarnation(self) -> str:
        return self._agent.identity.incarnation

    def ok(self) -> bool:
        """A proposal or message that hangs is told; it is no reason to restart a node."""
        return ESSENTIAL.isdisjoint(self._loop.stalled())

    def since_last_tick(self) -> float | None:
        last = self._agent.last_tick
        return None if last is None else self._clock.monotonic() - last

    def conditions(self) -> Sequence[Condition]:
        stalled = [condition("Stalled", f"{kind} has not come back for a minute") for kind in self._loop.stalled()]
        return (*self._agent.conditions(), *stalled)

    def claims(self) -> Sequence[OpenClaim]:
        return self._agent.claims()

    def numbers(self) -> Mapping[str, float]:
        return {"claims": float(len(self.claims())), "projects_waiting": float(len(self._agent.last_plan.waiting))}
