"""What the product imports from the standard library and a simulation must own: threads, locks, randomness, logs.

The reconciler's modules keep their code; their module-level names ``threading``, ``secrets``, ``os`` and ``log`` are
exchanged for the length of one history. A thread becomes a task in the life of whoever starts it.
"""

import os
import random
import secrets
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any

import yaml

from tests.simulation.scheduler import Task, Tasks

Tell = Callable[[str], None]
Crashed = Callable[[str], None]


class Lock:
    """Also what ``threading.RLock`` gives: nobody in the product takes one twice."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._held = False
        self._waiting: list[Task] = []

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        while self._held:
            if not blocking:
                return False
            task = self._tasks.current
            assert task is not None
            self._waiting.append(task)
            self._tasks.block(None if timeout < 0 else timeout)
            if timeout >= 0 and self._held:
                return False
        self._held = True
        return True

    def release(self) -> None:
        self._held = False
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            self._tasks.wake(task)

    def locked(self) -> bool:
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Event:
    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._is_set = False
        self._waiting: list[Task] = []

    def is_set(self) -> bool:
        return self._is_set

    def set(self) -> None:
        self._is_set = True
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            self._tasks.wake(task)

    def clear(self) -> None:
        self._is_set = False

    def wait(self, timeout: float | None = None) -> bool:
        """Seconds of true time: a wait is short, and no rule rests on its length."""
        if not self._is_set:
            task = self._tasks.current
            assert task is not None
            self._waiting.append(task)
            self._tasks.block(timeout)
        return self._is_set


class Condition:
    """A lock that waits until something holds."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks
        self._lock = Lock(tasks)
        self._waiting: list[Task] = []

    def __enter__(self) -> bool:
        return self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def notify_all(self) -> None:
        waiting, self._waiting = self._waiting, []
        for task in waiting:
            self._tasks.wake(task)

    def wait_for(self, predicate: Callable[[], bool], timeout: float) -> bool:
        end = self._tasks.now() + timeout
        while not predicate() and self._tasks.now() < end:
            task = self._tasks.current
            assert task is not None
            self._waiting.append(task)
            self._lock.release()
            self._tasks.block(end - self._tasks.now())
            self._lock.acquire()
        return predicate()


class Thread:
    def __init__(
        self,
        tasks: Tasks,
        target: Callable[..., object],
        args: Sequence[Any] = (),
        name: str = "thread",
        daemon: bool = True,
    ) -> None:
        self._tasks = tasks
        self._target, self._args = target, args
        self._name = name

    def start(self) -> None:
        starter = self._tasks.current
        assert starter is not None
        self._tasks.spawn(starter.life, f"{starter.life.name} {self._name}", self._run)

    def _run(self) -> None:
        self._target(*self._args)


class Threading:
    """Stands where a module says ``threading``."""

    def __init__(self, tasks: Tasks) -> None:
        self._tasks = tasks

    def Lock(self) -> Lock:  # noqa: N802  # as the standard library names it
        return Lock(self._tasks)

    RLock = Lock

    def Event(self) -> Event:  # noqa: N802
        return Event(self._tasks)

    def Condition(self) -> Condition:  # noqa: N802
        return Condition(self._tasks)

    def Thread(self, target: Callable[..., object], **options: Any) -> Thread:  # noqa: N802
        return Thread(self._tasks, target, **options)


class Secrets:
    """Stands where a module says ``secrets``."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(f"tokens {seed}")  # noqa: S311  # a history, not a secret

    def token_hex(self, size: int) -> str:
        return f"{self._chance.getrandbits(8 * size):0{2 * size}x}"


class Yaml:
    """Stands where a module says ``yaml``: what nodes wrote themselves is read by libyaml, each text once."""

    safe_load = staticmethod(lru_cache(maxsize=20_000)(partial(yaml.load, Loader=yaml.CSafeLoader)))

    def __getattr__(self, name: str) -> Any:
        return getattr(yaml, name)


class OperatingSystem:
    """Stands where a module says ``os``: all is as it is, but for the process id."""

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    @staticmethod
    def getpid() -> int:
        return 4711


class Log:
    """Stands where a module says ``log``: structlog's calls become lines of the story; a traceback ends the history."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell

    def info(self, event: str, **facts: object) -> None:
        told = " ".join(f"{name}={value}" for name, value in facts.items() if value not in ("", None))
        self._tell(f"{event} {told}".rstrip())

    warning = error = info

    def exception(self, event: str, **facts: object) -> None:
        error = sys.exc_info()[1]
        raise AssertionError(f"a fault in the program itself: {event} {facts}: {error!r}") from error


@contextmanager
def installed(tasks: Tasks, seed: int, tell: Tell) -> Iterator[None]:
    """While inside, all of the reconciler's modules run on ``tasks``."""
    stands_for: dict[str, tuple[object, object]] = {
        "threading": (threading, Threading(tasks)),
        "secrets": (secrets, Secrets(seed)),
        "os": (os, OperatingSystem()),
        "yaml": (yaml, Yaml()),
    }
    log = Log(tell)
    exchanged: list[tuple[object, str, object]] = []
    for name, module in sorted(sys.modules.items()):
        if not name.startswith(("reconciler.agent.", "reconciler.adapters.share.", "reconciler.codec.")):
            continue
        for attribute, (meant, ours) in stands_for.items():
            if getattr(module, attribute, None) is meant:
                exchanged.append((module, attribute, meant))
                setattr(module, attribute, ours)
        if hasattr(module, "structlog") and (usual := getattr(module, "log", None)) is not None:
            exchanged.append((module, "log", usual))
            setattr(module, "log", log)  # noqa: B010  # no module declares that its log may be exchanged
    try:
        yield
    finally:
        for holder, attribute, usual in exchanged:
            setattr(holder, attribute, usual)
