"""Reading and computing that gives way to everything else on the machine."""

import contextlib
import ctypes
import os
import platform
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")

IDLE = 3 << 13  # IOPRIO_CLASS_IDLE, <linux/ioprio.h>
THIS_THREAD = (1, 0)  # IOPRIO_WHO_PROCESS, the caller
IOPRIO_SET = {"x86_64": 251, "aarch64": 30}
"""The system call's number; C libraries have no function for it."""
LEAST = 19


def at_leisure(work: Callable[[], T]) -> T:
    """Call it on a thread of its own, which gets the processor and the local disk only when nobody else wants them.

    Where the machine can't do that it is an ordinary thread; and a server of NFS knows nothing of it.
    """
    answer: Future[T] = Future()

    def run() -> None:
        _be_idle()
        try:
            answer.set_result(work())
        except BaseException as error:  # noqa: BLE001  # whoever waits is told
            answer.set_exception(error)

    threading.Thread(target=run, name="leisure", daemon=True).start()
    return answer.result()


def _be_idle() -> None:
    with contextlib.suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LEAST)
    if number := IOPRIO_SET.get(platform.machine()):
        ctypes.CDLL(None).syscall(number, *THIS_THREAD, IDLE)
