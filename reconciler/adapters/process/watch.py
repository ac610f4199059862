"""A supervisor's watch over its program: its output, its end, and what it is asked meanwhile."""

import errno
import os
import selectors
import signal
import subprocess
import time
from collections.abc import Sequence

from reconciler.adapters.process import cgroups, procfs
from reconciler.codec.log_file import LogFile
from reconciler.codec.log_lines import STDERR, STDOUT, WINSLOW, Entry, Splitter, stamp_of

CHUNK = 65_536
DRAIN = 2.0
"""Seconds to wait for the end of output after everything was killed."""
GIVE_UP = 60.0
"""Seconds to try to write the log's end, once the program has ended. On a full share: until there is room, since
the run's end can't be recorded before that either."""
FULL = (errno.ENOSPC, errno.EDQUOT)
MOST_PENDING = 50_000
"""Lines kept while the log can't be written; then the program waits in its own writes."""


class Watch:
    """The program from its start to its end."""

    def __init__(
        self,
        program: "subprocess.Popen[bytes]",
        log: LogFile,
        grace: float,
        signals: int,
        groups: Sequence[str] = (),
    ) -> None:
        self._program = program
        self._session = (program.pid, procfs.start_time(program.pid) or 0)
        self._groups = groups
        self._log = log
        self._grace = grace
        self._signals = signals
        self._splitters = {STDOUT: Splitter(), STDERR: Splitter()}
        self._pending: list[Entry] = []
        self._selector = selectors.DefaultSelector()
        self._open = 0
        self._glimpsed_at = time.monotonic()
        self._kill_at: float | None = None
        self._asked = False
        self._ended_at: float | None = None
        self._is_full = False
        self.log_error = ""

    def run(self) -> int:
        """Follow the program to its end and its log's end; return its exit code as a shell counts."""
        pidfd = os.pidfd_open(self._program.pid)
        self._selector.register(pidfd, selectors.EVENT_READ, None)
        self._selector.register(self._signals, selectors.EVENT_READ, None)
        for stream, pipe in ((STDOUT, self._program.stdout), (STDERR, self._program.stderr)):
            if pipe is not None:
                self._selector.register(pipe.fileno(), selectors.EVENT_READ, stream)
                self._open += 1
        while not self._is_over():
            for key, _ in self._selector.select(self._patience()):
                if isinstance(key.data, str):
                    self._read(key.fd, key.data)
                elif key.fd == pidfd:
                    self._selector.unregister(pidfd)
                    self._ended()
                else:
                    self._stop()
            self._kill_if_due()
            self._glimpse_if_due()
            self._flush()
        code = self._program.wait()
        self._close_log()
        return code if code >= 0 else 128 - code

    def _patience(self) -> float:
        return 0.05 if self._ended_at is not None else 0.5

    def _is_over(self) -> bool:
        if self._ended_at is None:
            return False
        return self._open == 0 or time.monotonic() - self._ended_at > DRAIN

    def _read(self, pipe: int, stream: str) -> None:
        if len(self._pending) > MOST_PENDING:
            time.sleep(0.05)
            return
        data = os.read(pipe, CHUNK)
        stamp, splitter = stamp_of(time.time_ns()), self._splitters[stream]
        if not data:
            self._selector.unregister(pipe)
            self._open -= 1
        texts = splitter.feed(data) if data else splitter.finish()
        self._pending += [Entry(stamp, stream, text) for text in texts]

    def _ended(self) -> None:
        """The program's first process is a zombie now: its session can't be anybody else's yet."""
        self._kill()
        self._program.wait()
        self._ended_at = time.monotonic()

    def _kill(self) -> None:
        procfs.kill_session(*self._session)
        cgroups.kill(self._groups)

    def _stop(self) -> None:
        if signal.SIGTERM in os.read(self._signals, 64) and not self._asked:
            self._asked = True
            self._remark(f"asked to stop; it will be killed in {self._grace:g} s")
            self._kill_at = time.monotonic() + self._grace
            if self._ended_at is None:
                os.killpg(self._program.pid, signal.SIGTERM)

    def _kill_if_due(self) -> None:
        if self._kill_at is not None and time.monotonic() >= self._kill_at and self._ended_at is None:
            self._kill_at = None
            self._remark("did not stop in time; killed")
            self._kill()

    def _remark(self, text: str) -> None:
        self._pending.append(Entry(stamp_of(time.time_ns()), WINSLOW, text))

    def _glimpse_if_due(self) -> None:
        if time.monotonic() - self._glimpsed_at < 1.0:
            return
        self._glimpsed_at = time.monotonic()
        stamp = stamp_of(time.time_ns())
        for stream, splitter in self._splitters.items():
            self._pending += [Entry(stamp, stream, text) for text in splitter.glimpse()]

    def _flush(self, *, at_end: bool = False) -> None:
        try:
            if self._pending:
                self._log.write(self._pending)
                self._pending = []
            if at_end:
                self._log.sync()
            self._log.sync_if_due()
            self.log_error = ""
        except OSError as error:
            self._is_full = error.errno in FULL
            self.log_error = f"the log could not be written: {error}"
            time.sleep(0.2)

    def _close_log(self) -> None:
        stamp = stamp_of(time.time_ns())
        for stream, splitter in self._splitters.items():
            self._pending += [Entry(stamp, stream, text) for text in splitter.finish()]
        deadline = time.monotonic() + GIVE_UP
        self._flush(at_end=True)
        while self.log_error and (self._is_full or time.monotonic() < deadline):
            self._flush(at_end=True)
        try:
            self._log.close()
        except OSError as error:
            self.log_error = f"the log could not be written: {error}"
