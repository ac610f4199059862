"""Starting programs from a process that holds no file of the share.

A child begins with copies of its parent's descriptors. Closing one of a file on NFS writes out what is not written yet,
and while the server is away that waits for ever: in the child, before its program has even begun. What a node starts
while its share hangs would hang with it, git first of all, though git and the local disk are well.

So a node forks itself once, before it opens anything on the share. That process does whole jobs on demand (run git and
say what it printed), each in a thread of its own, and ends with the node. Why so: docs/decisions/0012.
"""

import os
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection
from typing import NoReturn, Protocol, TypeVar

import structlog

log = structlog.get_logger()
T = TypeVar("T")
Lender = Callable[..., AbstractContextManager[tuple[int, ...]]]
"""A job that starts a program and yields descriptors to talk with it; leaving its context ends the program."""

GONE = (EOFError, OSError)
LENT, FAILED = b"+", b"-"
MOST = 8  # descriptors


class Spawn(Protocol):
    """Where jobs that start programs are done. They, what they are given and what they return must be picklable."""

    def do(self, job: Callable[..., T], *arguments: object) -> T:
        """What ``job(*arguments)`` returns or raises."""
        ...

    def lend(self, job: Lender, *arguments: object) -> AbstractContextManager[tuple[int, ...]]:
        """What ``job(*arguments)`` yields, as descriptors of ours to close."""
        ...


class Here:
    """In this process: commands end soon, and what they hold is theirs alone."""

    def do(self, job: Callable[..., T], *arguments: object) -> T:
        return job(*arguments)

    @contextmanager
    def lend(self, job: Lender, *arguments: object) -> Iterator[tuple[int, ...]]:
        with job(*arguments) as lent:
            yield tuple(os.dup(descriptor) for descriptor in lent)


HERE = Here()


class Spawner:
    """In a process of its own. Make it while there is one thread and no open file of the share.

    Should that process be killed, jobs are done here, as they would be without it.
    """

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._ending = threading.Lock()
        self._has_ended = False
        self.pid = os.fork()
        if self.pid == 0:
            self._control.close()
            _serve(theirs)
        theirs.close()
        subprocess._USE_VFORK = False  # type: ignore[misc]  # what others start may hang only its own thread

    def close(self) -> None:
        """What is still asked for, by threads that are about to end, is no fault to tell of."""
        with self._ending:
            self._has_ended = True
        self._control.close()

    def do(self, job: Callable[..., T], *arguments: object) -> T:
        try:
            with self._ask(job, arguments, is_loan=False) as connection:
                succeeded, answer = connection.recv()
        except GONE as error:
            self._tell(error)
            return HERE.do(job, *arguments)
        if not succeeded:
            raise answer
        return answer  # type: ignore[no-any-return]  # what the job returned

    @contextmanager
    def lend(self, job: Lender, *arguments: object) -> Iterator[tuple[int, ...]]:
        with ExitStack() as stack:
            try:
                connection = stack.enter_context(self._ask(job, arguments, is_loan=True))
                lent = _receive(connection)
            except GONE as error:
                self._tell(error)
                lent = stack.enter_context(HERE.lend(job, *arguments))
            yield lent

    def _tell(self, error: Exception) -> None:
        """That it has ended is said once, and the kernel asked to forget it."""
        with self._ending:
            if self._has_ended:
                return
            try:
                self._has_ended = os.waitpid(self.pid, os.WNOHANG)[0] == self.pid
            except ChildProcessError:  # somebody else asked
                self._has_ended = True
        if self._has_ended:
            log.warning("spawner_gone", because="it has ended; this process starts programs itself from now on")
        else:  # at a limit, or on its way out
            log.warning("spawner_refused", error=str(error) or "no answer")

    def _ask(self, job: object, arguments: tuple[object, ...], *, is_loan: bool) -> Connection:
        if self._has_ended:
            raise EOFError
        ours, theirs = socket.socketpair()
        connection = Connection(ours.detach())
        try:
            with theirs:
                socket.send_fds(self._control, [b"."], [theirs.fileno()])
            connection.send((job, arguments, is_loan))
        except BaseException:
            connection.close()
            raise
        return connection


def _serve(control: socket.socket) -> NoReturn:
    """Until the node has ended, however it did. Signals to the node's group are the node's to judge."""
    try:
        os.setsid()
        os.chdir("/")
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)  # a handler, unlike SIG_IGN, is not passed on by exec
        while (asked := socket.recv_fds(control, 1, 1, socket.MSG_CMSG_CLOEXEC))[0]:
            for descriptor in asked[1]:  # none at our limit: the kernel closes it, and its asker does the job itself
                threading.Thread(target=_answer, args=(Connection(descriptor),), daemon=True).start()
    finally:
        os._exit(0)


def _answer(connection: Connection) -> None:
    with connection, suppress(*GONE):  # the asker is gone: nobody wants an answer
        job, arguments, is_loan = connection.recv()
        if is_loan:
            _lend(connection, job, arguments)
            return
        try:
            answer = (True, job(*arguments))
        except Exception as error:  # noqa: BLE001  # handed over to the asker, whatever it is
            answer = (False, error)
        connection.send(answer)


def _lend(connection: Connection, job: Lender, arguments: tuple[object, ...]) -> None:
    with ExitStack() as stack, socket.socket(fileno=os.dup(connection.fileno())) as channel:
        try:
            lent = stack.enter_context(job(*arguments))
        except Exception as error:  # noqa: BLE001  # as above
            channel.send(FAILED)
            connection.send(error)
            return
        socket.send_fds(channel, [LENT], lent)
        connection.poll(None)  # until the asker closes its end, or dies


def _receive(connection: Connection) -> tuple[int, ...]:
    with socket.socket(fileno=os.dup(connection.fileno())) as channel:
        said, lent, _, _ = socket.recv_fds(channel, 1, MOST, socket.MSG_CMSG_CLOEXEC)
    if said == FAILED:
        raise connection.recv()
    if not said:
        raise EOFError
    return tuple(lent)
