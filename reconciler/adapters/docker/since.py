"""Since when the engine behind a local socket has been running: whatever ended before ended under another one.

This needs nobody to have been there when the engine went away. It can't be known of an engine on another machine, in
another pid namespace, or where /proc hides other users' processes; nor of Podman, whose service comes and goes.
"""

import os
import socket
import struct
from datetime import UTC, datetime

import psutil

ENGINE = "dockerd"
DEFAULT = "unix:///var/run/docker.sock"


def engine_since(host: str | None) -> datetime | None:
    """By the wall clock of this machine, as the engine's own times are; about a second off."""
    scheme, _, path = (host or os.environ.get("DOCKER_HOST") or DEFAULT).partition("://")
    if scheme not in ("unix", "http+unix"):
        return None
    listener = _process(_listener(path))
    if listener is None:
        return None
    if listener.pid != 1:  # not systemd, which listens for the engine where its unit says -H fd://
        return _started(listener) if _name(listener) == ENGINE else None
    starts = [_started(process) for process in psutil.process_iter() if _is_systemds(process)]
    return max((start for start in starts if start is not None), default=None)


def _listener(path: str) -> int:
    """The process that listens at the socket; 0: nobody, or one that we can't see."""
    with socket.socket(socket.AF_UNIX) as asked:
        asked.settimeout(1.0)
        try:
            asked.connect(path)
        except OSError:
            return 0
        credentials = asked.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    pid: int = struct.unpack("3i", credentials)[0]
    return pid


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid) if pid > 0 else None
    except psutil.Error:
        return None


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _is_systemds(process: psutil.Process) -> bool:
    """Not one that runs inside a container, as those of CI jobs do: they come and go while stages run."""
    try:
        return _name(process) == ENGINE and process.ppid() == 1
    except psutil.Error:
        return False


def _started(process: psutil.Process) -> datetime | None:
    try:
        return datetime.fromtimestamp(process.create_time(), UTC)
    except psutil.Error:
        return None
