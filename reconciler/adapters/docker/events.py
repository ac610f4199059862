"""The engine's events as hints: something happened to a container of ours, by whomever, so look at once.

They carry no news: the listing does. So losing one costs at most the wait for the next regular look.
"""

import threading
import time
from collections.abc import Callable

from docker.errors import DockerException

from reconciler.adapters.docker.engine import LOST, Engine

WORTH_A_LOOK = ["pause", "unpause", "die", "oom", "destroy", "start"]
PAUSE = 1.0
"""Seconds before an engine that went away is asked again."""


def watch(engine: Engine, labels: list[str], tell: Callable[[], None]) -> None:
    """Call ``tell`` after each event, and when the engine goes or is back; never ends, and never fails."""
    threading.Thread(target=_listen, args=(engine, labels, tell), name="engine events", daemon=True).start()


def _listen(engine: Engine, labels: list[str], tell: Callable[[], None]) -> None:
    filters = {"type": "container", "label": labels, "event": WORTH_A_LOOK}
    while True:
        try:
            stream = engine.api.events(filters=filters)
            tell()  # of what happened while nobody listened
            for _ in stream:
                tell()
            tell()
        except (DockerException, *LOST, ValueError, AttributeError):  # the last two: closed in use
            pass
        time.sleep(PAUSE)
