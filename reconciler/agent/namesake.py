"""A node's name belongs to one machine: whoever starts under it first makes sure that nobody is alive under it.

It narrows a window and does not close it: two that start at the same instant meet at the number of their records,
where one of them wins; and a node that was frozen meanwhile finds a newer record of its own name, and stops.
"""

import threading

import structlog

from reconciler.agent.inquiries import Ask
from reconciler.agent.observe import Identity
from reconciler.agent.ports import Clock, NodeFiles, Share
from reconciler.codec.heartbeat import beats_every
from reconciler.core.names import RecordNumber
from reconciler.core.takeover import is_reachable
from reconciler.errors import BadInput

log = structlog.get_logger()

LOOK = 1.0


def next_start(share: Share, clock: Clock, ask: Ask, me: Identity, *, period: float) -> RecordNumber:
    """The number of this start's record, following on the last that was seen. BadInput if that one's node is alive.

    There is nothing to watch if the last start was by this very installation under this very boot: we hold its lock.
    """
    files = share.read_nodes().get(me.name)
    if files is None:
        return RecordNumber(1)
    last = files.records[-1]
    if (last.boot, last.home) != (me.boot, me.home):
        _watch(files, share, clock, me, period)
        if is_reachable(last.health, same_machine=last.boot == me.boot):
            answer = ask(last.health)  # a heartbeat may stall alone
            if answer is not None and (answer.node, answer.incarnation) == (me.name, last.incarnation):
                raise _alive(me, f"it answers at {last.health}")
    return RecordNumber(last.number + 1)


def _watch(files: NodeFiles, share: Share, clock: Clock, me: Identity, period: float) -> None:
    """For three of *its* periods: how often it beats it says itself, while we may not have read the site's settings.

    Time counts only as far as we looked: after a sleep, or a share that hung, the other one must get its turn again.
    """
    every = max(period, beats_every(files.heartbeat))
    pause, watched, looked = min(LOOK, every), 0.0, clock.monotonic()
    log.info("name_watched", node=me.name, seconds=3 * every, because="its last start was another machine's or boot's")
    while watched < 3 * every:
        threading.Event().wait(pause)
        now = share.read_nodes().get(me.name)
        if now is not None and (now.heartbeat, now.records[-1].number) != (files.heartbeat, files.records[-1].number):
            raise _alive(me, "its heartbeat on the share moves")
        at = clock.monotonic()
        watched, looked = watched + min(at - looked, 2 * pause), at


def _alive(me: Identity, how: str) -> BadInput:
    return BadInput(
        f"a node named '{me.name}' is alive already ({how}); write another name in this machine's node.yaml"
    )
