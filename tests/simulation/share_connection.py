"""Between a mount and its server: requests and replies that are cut off, lost, late, or asked for again."""

import errno
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from tests.simulation.share_locks import Client
from tests.simulation.share_tree import fail

if TYPE_CHECKING:
    from tests.simulation.share_server import SimServer

T = TypeVar("T")
Effect = Callable[[bool], T]
"""What a call does at the server. True: once more, for the server has forgotten what it did and replied."""

GIVES_UP = 18.0
"""Seconds, for a soft mount."""


class Connection:
    """Of one boot of one machine."""

    def __init__(self, server: "SimServer", name: str, *, soft: bool) -> None:
        self.name = name
        self.lossy = 0.0
        self.stale = False
        self._client = Client(name)
        self._server = server
        self._scheduler = server.scheduler
        self._soft = soft
        self._is_on = True
        self._reaches = True  # requests arrive
        self._hears = True  # replies arrive

    # --- what happens to it ---

    def cut(self, direction: str = "both") -> None:
        """Of "in" and "out" only replies, or requests, are lost."""
        self._reaches, self._hears = direction == "in", direction == "out"
        self._server.locks.fell_silent(self._client, "cut")

    def heal(self) -> None:
        self._reaches = self._hears = True
        self._server.locks.is_back(self._client, "cut")

    def freeze(self) -> None:
        self._server.locks.fell_silent(self._client, "frozen")

    def thaw(self) -> None:
        self._server.locks.is_back(self._client, "frozen")

    def process_died(self) -> None:
        self._server.locks.process_died(self._client)

    def lose_power(self) -> None:
        """What no wire carries yet never arrives."""
        self._is_on = False
        self._server.locks.fell_silent(self._client, "off")

    # --- a call ---

    def _call(self, what: str, path: Path, effect: Effect[T], other: Path | None = None) -> T:
        """Anybody may act before the request arrives, and again before its reply does."""
        told = f"{what} {'/'.join((other or path).parts[-3:])}"
        server = self._server
        try:
            self._send(told, effect)
            restarts = server.restarts
            value, error = self._troubled(what, effect) if self.stale or self.lossy else _run(effect)
            self._scheduler.pause(told)
            if not self._hears or server.is_down or server.restarts != restarts:
                self._wait(lambda: self._hears, told)
                if server.restarts != restarts:
                    value, error = _run(effect, again=True)
        except OSError as gave_up:
            value, error = None, gave_up
        if error is not None:
            error.filename = str(path)
            if other is not None:
                error.filename2 = str(other)
            raise error
        return value  # type: ignore[return-value]  # there is one, for there is no error

    def _send(self, told: str, effect: Effect[T]) -> None:
        dead = sys.exception()
        if dead is not None and not isinstance(dead, Exception):
            raise dead  # we are called by its ``finally``, which a killed process never comes to
        try:
            self._scheduler.pause(told)
            if not self._reaches or self._server.is_down:
                self._wait(lambda: self._reaches, told)
        except OSError:
            raise
        except BaseException:  # killed: the request may have been on its way
            self._leave_behind(effect)
            raise
        if self._server.late:
            self._server.do_late()

    def _wait(self, passes: Callable[[], bool], told: str) -> None:
        """Until the network lets it pass and the server is up. Only a soft mount gives up."""
        server, now = self._server, self._scheduler.now
        gives_up = now() + GIVES_UP if self._soft else float("inf")
        self._scheduler.wait_until(lambda: (passes() and not server.is_down) or now() >= gives_up, told)
        if not passes() or server.is_down:
            fail(errno.EIO)

    def _troubled(self, what: str, effect: Effect[T]) -> tuple[T | None, OSError | None]:
        """An error is not "did not happen"."""
        chance = self._scheduler.random
        if self.stale:
            return None, OSError(errno.ESTALE, "Stale file handle")
        if chance.random() >= self.lossy:
            return _run(effect)
        if chance.random() < 0.5:
            _run(effect)
        names_exist = what in {"link", "create"} and chance.random() < 0.5
        return None, OSError(errno.EEXIST, "File exists") if names_exist else OSError(errno.EIO, "Input/output error")

    def _leave_behind(self, effect: Effect[T]) -> None:
        """Half of what a dead caller had asked for happens: soon, or once the network lets it pass.

        What a cut kept from being sent needs a machine that still runs.
        """
        chance = self._scheduler.random
        if chance.random() < 0.5:
            return
        due = self._scheduler.now() + chance.uniform(0, 5)
        was_sent = self._reaches
        self._server.leave(due, lambda: was_sent or (self._reaches and self._is_on), lambda: effect(False))


def _run(effect: Effect[T], *, again: bool = False) -> tuple[T | None, OSError | None]:
    try:
        return effect(again), None
    except OSError as error:
        return None, error
