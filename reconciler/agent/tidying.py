"""A start takes away what the node's earlier ones left on the share when they were killed.

Not at once: what lay there at the start is removed only if it still does ``LEFT_FOR`` later. Names are never used
again, so it is at least so old by nobody's clock but ours, and no start that we might have taken for dead can be about
to publish it. If one is, frozen for so long, its publication fails and is made again from a new draft.
"""

import asyncio

import structlog

from reconciler.agent.loop import in_thread
from reconciler.agent.node import Agent
from reconciler.errors import WinslowError

log = structlog.get_logger()

LEFT_FOR = 3600.0
"""Seconds. A draft is published, or copied on, within moments of the last word about it."""


async def tidy(agent: Agent, *, after: float = LEFT_FOR) -> None:
    """Once; whatever fails is left to the next start. Nothing waits for this."""
    try:
        found = await in_thread(agent.leftovers)
        await asyncio.sleep(after)
        if found and (removed := await in_thread(lambda: agent.remove_leftovers(found))):
            log.info("leftovers_removed", node=agent.config.name, number=removed)
    except WinslowError as error:
        log.warning("leftovers_stay", node=agent.config.name, error=str(error))
    except Exception:
        log.exception("unexpected_fault", during="tidy")
