"""The lab's own corner of the machine: a network, processes and mounts that end with it, whatever happens."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

INSIDE = "WINSLOW_LAB_INSIDE"


def enter(arguments: Sequence[str]) -> None:
    """Become the same program inside namespaces of its own; returns only if this is inside already.

    We turn into ``unshare``, so whoever kills us kills process 1 of the namespace and with it everything in there.
    That process is a shell: it reaps what guests leave behind.
    """
    if os.environ.get(INSIDE):
        return
    unshare = ("unshare", "--net", "--pid", "--mount", "--fork", "--kill-child", "--mount-proc")
    inside = ("sh", "-c", '"$@"; exit $?', "lab", sys.executable, "-m", "tests.lab", *arguments)
    os.environ[INSIDE] = "1"
    os.execvp(unshare[0], (*unshare, "--propagation", "private", *inside))  # noqa: S606  # no shell is wanted


def mount_memory(directory: Path) -> None:
    """Where guests keep their memory: /dev/shm is small in containers."""
    directory.mkdir(parents=True, exist_ok=True)
    command("mount", "-t", "tmpfs", "-o", "size=90%,mode=700", "lab", str(directory))


def command(*words: str, stdin: str = "") -> str:
    """Run a tool of the system's to its end; what it complained about becomes the error."""
    ended = subprocess.run(words, input=stdin, capture_output=True, text=True, check=False, timeout=60)
    if ended.returncode != 0:
        raise RuntimeError(f"{' '.join(words)} failed: {ended.stderr.strip() or ended.stdout.strip()}\n{stdin}")
    return ended.stdout
