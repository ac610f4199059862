"""A node's beginning and end, neither of which may wait for a share that hangs.

A thread in a hung call can't be ended from inside. It is left behind, and whoever starts a process is told so: ending
an interpreter closes files, which may hang as well.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from reconciler.agent.loop import in_thread
from reconciler.agent.node import Agent
from reconciler.agent.patience import Patience

log = structlog.get_logger()
T = TypeVar("T")

LEAVE_WITHIN = 5.0


async def unless_stopped(
    stop: asyncio.Event, work: Callable[[], T], others: Sequence[asyncio.Task[None]] = ()
) -> T | None:
    """What ``work`` returns, from its own thread; None if ``stop`` was set before. Raises what ``others`` end with."""
    working, stopping = asyncio.create_task(in_thread(work)), asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait([working, stopping, *others], return_when=asyncio.FIRST_COMPLETED)
        for other in done.intersection(others):
            other.result()
        return working.result() if working in done else None
    finally:
        working.cancel()
        stopping.cancel()


async def hand_over(agent: Agent) -> bool:
    """Release our claims, then stop our stages; False if the share did not answer meanwhile.

    Claims that could not be released keep their containers: stopped first, they would look like failed programs.
    """
    if await _unless_hung(agent.patience, agent, agent.hand_over):
        return True
    log.warning("hand_over_incomplete", because="the share does not answer; what was not released goes on")
    return False


async def leave(agent: Agent) -> bool:
    """Give back what we hold on the share; False if that did not come back in time."""
    leaving = asyncio.create_task(in_thread(agent.leave))
    done, _ = await asyncio.wait([leaving], timeout=LEAVE_WITHIN)
    if done:
        leaving.result()
        return True
    leaving.cancel()
    log.warning("share_hangs_at_end", because="its files can't be closed; the process ends without")
    return False


async def _unless_hung(patience: Patience, agent: Agent, work: Callable[[], None]) -> bool:
    working = asyncio.create_task(in_thread(work))
    while True:
        done, _ = await asyncio.wait([working], timeout=1.0)
        if done:
            working.result()
            return True
        if patience.is_over(agent.site().heartbeat):
            working.cancel()
            return False
