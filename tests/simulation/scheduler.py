"""Who goes on next: tasks as greenlets, true time as a number, both driven by one seeded random.

Every part of a node (its loops, its workers, its containers) is a task that can stop in the middle of any call
while others go on, as threads on several machines do, and in an order that a seed repeats exactly.
"""

import contextlib
import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from greenlet import getcurrent, greenlet

POLL = 0.1
"""Seconds between two looks of a blocked call at what it waits for."""


class Ended(BaseException):
    """The task's process was killed, or its machine lost its power: nothing after this line happens."""


class Told(Protocol):
    """What the scheduler tells a story to."""

    def step(self, at: float, who: str, what: str) -> None: ...


@dataclass(eq=False)
class Life:
    """What tasks live in and end with: a machine, a process of it, one container."""

    name: str
    within: "Life | None" = None
    alive: bool = True
    frozen: bool = False  # only machines freeze; everything on them with them
    inner: list["Life"] = field(default_factory=list)
    tasks: list["Task"] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.within is not None:
            self.within.inner.append(self)

    @property
    def machine(self) -> "Life":
        return self.within.machine if self.within is not None else self

    def end(self) -> list["Task"]:
        """Nobody in here does anything more; whoever lived here is returned, to be told so."""
        self.alive = False
        if self.within is not None and self in self.within.inner:
            self.within.inner.remove(self)
        tasks, self.tasks = self.tasks, []
        return tasks + [task for life in list(self.inner) for task in life.end()]


@dataclass(eq=False)
class Task:
    name: str
    life: Life
    green: greenlet = field(default_factory=greenlet)
    turn: int = 0  # an entry in the queue with another number is an old one
    holds: Callable[[], bool] | None = None


Entry = tuple[float, int, int, Task | None, Callable[[], None] | None]
"""When, the how many-th (so that no two compare equal), the task's turn, and the task or what the hub does."""


class Tasks:
    """Port ``Scheduler``. ``run`` is the hub: faults and people act there, between two steps of tasks."""

    def __init__(self, chance: random.Random, told: Told, *, latency: float = 0.002) -> None:
        self.random = chance
        self.latency = latency
        self.current: Task | None = None
        self._told = told
        self._now = 0.0
        self._end = 0.0
        self._number = 0
        self._queue: list[Entry] = []
        self._parked: list[Task] = []  # due while their machine was frozen
        self._hub = getcurrent()
        self.failure: BaseException | None = None

    # --- what tasks call ---

    def now(self) -> float:
        return self._now

    def pause(self, what: str) -> None:
        task = self._me()
        self._told.step(self._now, task.name, what)
        drawn = self.random.random()
        self._sleep(task, self.latency * (drawn if drawn < 0.98 else 100 * (drawn - 0.97)))

    def sleep(self, seconds: float) -> None:
        self._sleep(self._me(), seconds)

    def wait_until(self, holds: Callable[[], bool], what: str) -> None:
        task = self._me()
        if holds():
            return
        self._told.step(self._now, task.name, f"{what} (blocks)")
        task.holds = holds
        self._push(self._now + POLL, task)
        self._switch(task)

    def block(self, seconds: float | None = None) -> None:
        """Until somebody calls ``wake``, or so many seconds have passed."""
        task = self._me()
        task.turn += 1
        if seconds is not None:
            self._push(self._now + seconds, task)
        self._switch(task)

    def wake(self, task: Task) -> None:
        if task.life.alive:
            self._push(self._now, task)

    # --- what the hub calls ---

    def spawn(self, life: Life, name: str, work: Callable[[], None], after: float = 0.0) -> Task:
        task = Task(name, life)
        task.green = greenlet(lambda: self._work(task, work), parent=self._hub)
        life.tasks.append(task)
        self._push(self._now + after, task)
        return task

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Have the hub do something; it must not block."""
        self._number += 1
        heapq.heappush(self._queue, (self._now + seconds, self._number, 0, None, act))

    def run(self, until: float) -> None:
        """Let time pass. Raises what a task failed with."""
        self._end = until
        while self._queue and self._queue[0][0] <= until:
            at, _, turn, task, act = heapq.heappop(self._queue)
            if task is not None and (turn != task.turn or not task.life.alive):
                continue
            self._now = max(self._now, at)
            if act is not None:
                act()
            elif task is not None:
                self._go_on(task)
            if self.failure is not None:
                raise self.failure
        self._now = max(self._now, until)

    def end(self, life: Life) -> None:
        """Kill: each task ends right where it is. Their stacks are unwound in the hub, where nothing can happen."""
        ended = life.end()
        if self.current is None:
            self._unwind(ended)
        else:
            self.after(0.0, lambda: self._unwind(ended))

    def freeze(self, machine: Life) -> None:
        machine.frozen = True

    def thaw(self, machine: Life) -> None:
        """What was due meanwhile goes on now, in any order."""
        machine.frozen = False
        due = [task for task in self._parked if task.life.machine is machine]
        self._parked = [task for task in self._parked if task.life.machine is not machine]
        self.random.shuffle(due)
        for task in due:
            self._push(self._now, task)

    # --- inside ---

    def _me(self) -> Task:
        task = self.current
        if task is None:
            raise AssertionError("the hub must not block")
        if not task.life.alive:
            raise Ended
        return task

    def _sleep(self, task: Task, seconds: float) -> None:
        at = self._now + seconds
        if at <= self._end and (not self._queue or at < self._queue[0][0]):
            self._now = at  # nobody else is due before: no need to switch
            return
        self._push(at, task)
        self._switch(task)

    def _push(self, at: float, task: Task) -> None:
        self._number += 1
        task.turn += 1
        heapq.heappush(self._queue, (at, self._number, task.turn, task, None))

    def _switch(self, task: Task) -> None:
        self._hub.switch()
        if not task.life.alive:
            raise Ended

    def _go_on(self, task: Task) -> None:
        if task.life.machine.frozen:
            self._parked.append(task)
        elif task.holds is not None and not task.holds():
            self._push(self._now + POLL, task)
        else:
            task.holds = None
            self._enter(task, task.green.switch)

    def _unwind(self, ended: list[Task]) -> None:
        for task in ended:
            if not task.green.dead:
                with contextlib.suppress(Ended):  # of one that has not even begun
                    self._enter(task, lambda task=task: task.green.throw(Ended()))  # type: ignore[misc]

    def _enter(self, task: Task, switch: Callable[[], object]) -> None:
        before, self.current = self.current, task
        try:
            switch()
        finally:
            self.current = before

    def _work(self, task: Task, work: Callable[[], None]) -> None:
        try:
            work()
        except Ended:
            pass
        except BaseException as error:  # noqa: BLE001  # whatever it is, the history ends with it
            self.failure = self.failure or error
        if task in task.life.tasks:
            task.life.tasks.remove(task)
