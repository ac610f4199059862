"""One follower of the publisher: called while this node publishes, its faults told and tried again."""

import structlog

from reconciler.agent.ports import Follower
from reconciler.agent.publisher import Publisher
from reconciler.core.status import Condition, condition
from reconciler.errors import TryLater, WinslowError

log = structlog.get_logger()

AGAIN = 60.0
"""Seconds after which a follower looks again though nothing was published."""
AFTER_FAULT = 15.0


class Following:
    """``run`` is called from one thread at a time; ``conditions`` from any."""

    def __init__(self, follower: Follower, publisher: Publisher) -> None:
        self._follower = follower
        self._publisher = publisher
        self._error = ""

    @property
    def name(self) -> str:
        return type(self._follower).__name__

    @property
    def conditions(self) -> tuple[Condition, ...]:
        return (condition(self._follower.trouble, self._error),) if self._error else ()

    def run(self) -> float:
        """Seconds after which to look again, if nothing is published before."""
        seen = self._publisher.seen
        if seen is None:  # another node publishes, and follows
            self._error = ""
            return AGAIN
        try:
            rest = self._follower.follow(seen)
        except WinslowError as error:
            if str(error) != self._error:
                log.warning("follower_failed", follower=self.name, error=str(error))
            self._error = str(error)
            return min(error.after, AGAIN) if isinstance(error, TryLater) else AFTER_FAULT
        except Exception as error:
            log.exception("follower_crashed", follower=self.name)
            self._error = (
                f"a fault in Winslow itself, see the node's log: {type(error).__name__}"  # its words may hold a secret
            )
            return AFTER_FAULT
        self._error = ""
        return AGAIN if rest is None else min(rest, AGAIN)
