"""Watches one program so that the reconciler need not: ``python -I -S supervisor.py``, the order on stdin.

It leads its own session and has no parent that matters, so neither the reconciler's end nor a Ctrl-C in its
terminal reaches it. It writes the program's output to log.jsonl and its end to the state file, and takes
SIGTERM as "stop it": SIGTERM to the program's session, after the grace SIGKILL. What the program leaves
running when it ends is killed, as the end of a container would: its session, and its control groups where there
are any. Started for each stage, it imports little.
"""

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from typing import cast

sys.path.insert(0, os.path.abspath(f"{__file__}/../../../.."))  # noqa: PTH100 - -I and -S leave us no path

from reconciler.adapters.process import cgroups, procfs, state
from reconciler.adapters.process.watch import Watch
from reconciler.codec.log_file import LogFile
from reconciler.codec.log_lines import stamp_of

_prctl = ctypes.CDLL(None).prctl


def _before_exec(spec: state.Spec, found: state.State) -> None:
    """In the new process: noted before the program's first instruction, so that nothing it starts is ever unknown."""
    _prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG: nobody would see the program's end
    limits = {word: spec["limits"][word] for word in cgroups.enter(spec["groups"])}
    state.replace(spec["path"], {**found, "program": _identity(os.getpid()), "limits": limits})
    if os.getppid() != found["supervisor"]["pid"]:  # it died before it could have taken us along
        os.kill(os.getpid(), signal.SIGKILL)


def supervise(spec: state.Spec) -> None:
    """Start the program, say how that went on stdout, and stay with it."""
    signals = _catch_signals()
    found = _new_state(spec)
    if not state.create(spec["path"], found):
        return _report({"exists": True})
    groups = [group["path"] for group in spec["groups"]]
    try:
        log = LogFile(spec["log"])
        cgroups.make(spec["groups"])
        program = _start(spec, found)
    except (OSError, subprocess.SubprocessError) as error:
        cgroups.remove(groups)
        os.unlink(spec["path"])  # noqa: PTH108
        return _report(_failure(spec, error))
    found = state.read(spec["path"]) or found  # with what the new process noted
    found["program"] = _identity(program.pid)
    _report({"started": True})
    watch = Watch(program, log, spec["grace"], signals, groups)
    found["exit_code"] = watch.run()
    found["error"] = watch.log_error
    found["oom_killed"] = cgroups.oom_killed(groups)
    cgroups.remove(groups)  # what it can't remove, the runtime will
    found["ended_at"] = stamp_of(time.time_ns())
    state.replace(spec["path"], found)
    return None


def _catch_signals() -> int:
    """From before anybody can know of us: a descriptor that yields the numbers of signals as they come."""
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(write)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)  # a handler, unlike SIG_IGN, is not passed on by exec
    return read


def _new_state(spec: state.Spec) -> state.State:
    return {
        "labels": spec["labels"],
        "boot": spec["boot"],
        "supervisor": _identity(os.getpid()),
        "program": None,
        "started_at": stamp_of(time.time_ns()),
        "ended_at": None,
        "exit_code": None,
        "error": "",
        "groups": spec["groups"],
        "limits": {},
        "gpus": spec["gpus"],
        "oom_killed": False,
    }


def _identity(pid: int) -> state.Identity:
    return {"pid": pid, "start": procfs.start_time(pid) or 0}


def _start(spec: state.Spec, found: state.State) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        spec["command"],
        cwd=spec["workspace"],
        env=spec["environment"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        preexec_fn=lambda: _before_exec(spec, found),  # noqa: PLW1509 - this process has one thread
    )


def _failure(spec: state.Spec, error: OSError | subprocess.SubprocessError) -> dict[str, object]:
    if not isinstance(error, OSError):  # in the new process, before it became the program
        return {"unkept": f"{spec['path']} can't be written: is there space left in `local` of node.yaml?"}
    if error.filename in {spec["log"], spec["workspace"]}:
        return {"unwritable": f"{error.filename}: {error.strerror}"}
    return {"failed": error.strerror or str(error)}


def _report(answer: dict[str, object]) -> None:
    """Answer the reconciler, which may be gone, and let go of what it gave us."""
    with contextlib.suppress(BrokenPipeError):
        os.write(1, json.dumps(answer).encode())
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


if __name__ == "__main__":
    given = cast("state.Spec", json.load(sys.stdin.buffer))
    if os.fork() == 0:  # the reconciler waits for the parent only, so that we never become its zombie
        supervise(given)
