"""Asking nodes whose heartbeat stands still whether they act on their claims. What follows: ``core.takeover``.

Each question has a thread of its own, so that neither the heartbeat nor another question waits for it. One that does
not come back within its deadline, as a name that nobody resolves, is a no; it may come back when it likes.
"""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import structlog

from reconciler.agent.ports import Answer, Clock
from reconciler.core.names import NodeName, Token
from reconciler.core.nodes import Inquiry, Node
from reconciler.core.takeover import DEADLINE

log = structlog.get_logger()

Ask = Callable[[str], Answer | None]
"""Of a node at ``host:port``; None: it does not answer, or not as a node does. Never raises, may be slow."""


def nobody_answers(address: str) -> None:
    return None


@dataclass(slots=True)
class _Asked:
    """One node's questions since it grew silent. Monotonic times."""

    incarnation: str
    open_since: float | None = None
    ended: float | None = None
    vouched: dict[Token, float] = field(default_factory=dict)


class Inquiries:
    """Thread-safe."""

    def __init__(self, ask: Ask, clock: Clock) -> None:
        self._ask = ask
        self._clock = clock
        self._asked: dict[NodeName, _Asked] = {}
        self._changed = threading.Condition()

    def begin(self, silent: Sequence[Node]) -> None:
        """Ask these now, unless they are being asked; forget all others. Returns at once."""
        with self._changed:
            known = self._asked
            self._asked = {}
            for node in silent:
                asked = known.get(node.name)
                if asked is None or asked.incarnation != node.record.incarnation:
                    asked = _Asked(node.record.incarnation)
                self._asked[node.name] = asked
                if asked.open_since is None:
                    asked.open_since = self._clock.monotonic()
                    threading.Thread(target=self._question, args=(node, asked), daemon=True).start()

    def wait(self) -> None:
        """Until none of the questions is open, at most for the deadline: for who looks only once."""
        with self._changed:
            self._changed.wait_for(lambda: all(one.open_since is None for one in self._asked.values()), DEADLINE)

    def told(self, nodes: Sequence[Node], silent: Sequence[Node]) -> tuple[Node, ...]:
        """The nodes, the silent ones of them with what came of asking; of who is yet to be asked nothing is known."""
        names = {node.name for node in silent}
        with self._changed:
            return tuple(replace(node, inquiry=self._inquiry(node)) if node.name in names else node for node in nodes)

    def _inquiry(self, node: Node) -> Inquiry:
        asked, now = self._asked.get(node.name), self._clock.monotonic()
        if asked is None or asked.incarnation != node.record.incarnation:
            return Inquiry()
        ended = None if asked.ended is None else now - asked.ended
        if asked.open_since is not None and now - asked.open_since > DEADLINE:
            ended = 0.0
        return Inquiry(ended=ended, vouched={token: now - at for token, at in asked.vouched.items()})

    def _question(self, node: Node, asked: _Asked) -> None:
        began = self._clock.monotonic()
        answer = None
        try:
            answer = self._ask(node.record.health)
        except Exception:
            log.exception("inquiry_crashed", node=node.name)
        with self._changed:
            asked.open_since, asked.ended = None, self._clock.monotonic()
            self._changed.notify_all()
            if answer is None:
                return  # what it said before grows old by itself
            is_it = (answer.node, answer.incarnation) == (node.name, asked.incarnation)
            asked.vouched = dict.fromkeys(answer.claims, began) if is_it else {}
