"""What the parts of the simulation ask of one another, so that each can be read, and tested, alone."""

import random
from collections.abc import Callable
from typing import Protocol


class Scheduler(Protocol):
    """Decides who goes on. One task runs at a time; others take over only in these two calls.

    Both may never return: a task whose machine loses its power, or whose process is killed, ends right there by an
    exception that no code under test catches (a BaseException).
    """

    random: random.Random

    def now(self) -> float:
        """True time in seconds, as no machine knows it."""
        ...

    def pause(self, what: str) -> None:
        """Anybody else may go on here. ``what`` is for the story: "a: link 00000002.json"."""
        ...

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """Block, as a call on a hard mount does, until ``holds()``."""
        ...
