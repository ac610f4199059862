"""Blocking calls with patience: a share that hangs must not take the page with it.

A read from a hard NFS mount can block for ever and can't be cancelled, so each call gets a daemon thread
that we may leave behind. How many may be left behind is bounded; the process can exit in spite of them.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from threading import BoundedSemaphore, Thread
from typing import TypeVar

import structlog

from reconciler.errors import Transient, WinslowError

log = structlog.get_logger()
T = TypeVar("T")

MOST_WAITING = 32


def start(function: Callable[[], T]) -> Future[T]:
    """Call ``function`` on a thread of its own. Every error becomes one with a message for people."""
    future: Future[T] = Future()

    def work() -> None:
        try:
            future.set_result(function())
        except WinslowError as error:
            future.set_exception(error)
        except Exception as error:  # the last border before a person
            future.set_exception(Transient(f"reading failed: {type(error).__name__}: {error}"))
            log.exception("read_failed")

    Thread(target=work, name="read", daemon=True).start()
    return future


async def within(future: Future[T], seconds: float) -> T:
    """The future's result, or Transient when it takes longer; the call itself goes on."""
    if future.done():
        return future.result()
    waiting = asyncio.wrap_future(future)
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())  # nobody may be left to ask
    done, _ = await asyncio.wait({waiting}, timeout=max(0.0, seconds))
    if not done:
        raise Transient("no answer for several seconds; the shared directory may be hanging")
    return waiting.result()


class Calls:
    """Short calls on behalf of one request each, every one with the same deadline."""

    def __init__(self, *, patience: float) -> None:
        self._patience = patience
        self._places = BoundedSemaphore(MOST_WAITING)

    async def __call__(self, function: Callable[[], T]) -> T:
        if not self._places.acquire(blocking=False):
            raise Transient(f"{MOST_WAITING} earlier reads still have no answer; the shared directory may be hanging")
        future = start(function)
        future.add_done_callback(lambda _: self._places.release())
        return await within(future, self._patience)
