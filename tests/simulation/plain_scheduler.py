"""The smallest ``Scheduler``: one task, and time that passes only where a test says so."""

import random
from collections.abc import Callable


class PlainScheduler:
    def __init__(self, seed: int = 0) -> None:
        self.random = random.Random(seed)  # noqa: S311  # a history, not a secret
        self.time = 0.0
        self.meanwhile: list[tuple[str, Callable[[], None]]] = []
        """What others do at the next pauses: the first one that says this word."""

    def now(self) -> float:
        return self.time

    def pause(self, what: str) -> None:
        if self.meanwhile and self.meanwhile[0][0] in what:
            _, act = self.meanwhile.pop(0)
            act()

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        """A second after the other, until it holds."""
        end = self.time + 1000
        while not holds():
            self.time += 1
            self.pause("a second passes")
            assert self.time < end, f"{what}: blocks for ever"
