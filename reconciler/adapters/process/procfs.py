"""Who a process is. A pid alone says little, since it is reused; pid and start time name one for a boot."""

import contextlib
import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path

ENDED = {"Z", "X"}


def start_time(pid: int) -> int | None:
    """When it was started, in clock ticks since boot; None if there is no such process, not even as a zombie."""
    fields = _stat(pid)
    return None if fields is None else int(fields[19])


def lives(pid: int, start: int) -> bool:
    fields = _stat(pid)
    return fields is not None and fields[0] not in ENDED and int(fields[19]) == start


@contextlib.contextmanager
def held(pid: int, start: int) -> Iterator[int | None]:
    """A descriptor of exactly this process, readable once it has ended; None if it has ended already."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        yield descriptor if lives(pid, start) else None
    finally:
        os.close(descriptor)


def send(pidfd: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        signal.pidfd_send_signal(pidfd, number)


def has_ended(pidfd: int, within: float) -> bool:
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    return bool(poll.poll(within * 1000))


def kill_session(leader: int, start: int) -> None:
    """Kill everything in the session that this process leads or led, as the end of a container would.

    The kernel gives a pid to nobody else while its session has members; so if another process has the
    leader's pid now, nothing of the session is left.
    """
    fields = _stat(leader)
    if fields is not None and int(fields[19]) != start:
        return
    for _ in range(10):  # members may fork while we read
        members = [pid for pid in _pids() if _session(pid) == leader]
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if not members:
            return


def _pids() -> list[int]:
    return [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]  # noqa: PTH208


def _session(pid: int) -> int | None:
    fields = _stat(pid)
    return None if fields is None or fields[0] in ENDED else int(fields[3])


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat from the state on: the name before it may hold anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
