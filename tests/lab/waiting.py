"""Waiting for what must come true, with a deadline; and the words for what did not hold."""

import contextlib
import time
from collections.abc import Callable
from typing import TypeVar

from tests.lab.guest import NoAnswer

T = TypeVar("T")


class Broken(Exception):
    """Winslow did not keep a promise."""


def demand(holds: object, promise: str) -> None:
    if not holds:
        raise Broken(promise)


def until(what: str, look: Callable[[], T | None], *, within: float = 60.0, every: float = 0.2) -> T:
    """The first answer that is not false, None or empty. A machine that does not answer is asked again."""
    deadline = time.monotonic() + within
    while True:
        try:
            if found := look():
                return found
        except NoAnswer as error:
            last = str(error)
        else:
            last = "it did not come true"
        if time.monotonic() > deadline:
            raise Broken(f"not within {within:g} s: {what} ({last})")
        time.sleep(every)


def throughout(seconds: float, promise: str, holds: Callable[[], object], *, every: float = 1.0) -> None:
    """Must hold all the time, as far as anybody can look."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with contextlib.suppress(NoAnswer):
            demand(holds(), promise)
        time.sleep(every)
