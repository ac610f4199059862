"""The share as this machine sees it: each promise that the ledger rests on is tried with files of our own."""

import errno
import fcntl
import os
import secrets
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.clone import FICLONE, NOT_POSSIBLE
from reconciler.cli.doctor.finding import Examination, Finding, note, ok, problem, warning
from reconciler.cli.doctor.mount import judge, mount_of

AREA = "share"
GIB = 2**30
TRIES = 20
SLOW = 0.05
"""Seconds for one record: a stage's life takes about five, and every node writes a heartbeat every 5 s."""
APART = 5.0
COPIED = 8 * 2**20
TAKE_LOCK = (
    "import fcntl, sys\n"
    "file = open(sys.argv[1], 'r+')\n"
    "try: fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)\n"
    "except OSError: sys.exit(0)\n"
    "sys.exit(1)\n"
)


def examinations(root: Path) -> list[Examination]:
    """In this order: what fails first explains what fails later."""
    return [
        Examination(area=AREA, name=name, look=look)
        for name, look in (
            ("the mount", lambda: mounted(root)),
            ("the share's identity", lambda: identity(root)),
            ("the share's directories", lambda: layout(root)),
            ("free space", lambda: space(root)),
            ("exclusive names", lambda: exclusive_names(root)),
            ("writing", lambda: writing(root)),
            ("locks", lambda: locks(root)),
            ("copying", lambda: copying(root)),
            ("the share's clock", lambda: clock(root)),
        )
    ]


def mounted(root: Path) -> Sequence[Finding]:
    if not root.is_dir():
        return [problem(AREA, f"there is no directory {root}", "mount the export there, or correct share in node.yaml")]
    found = mount_of(root.resolve(), Path("/proc/self/mountinfo").read_text(encoding="utf-8"))
    return judge(found) if found is not None else [note(AREA, f"nothing is known of how {root} is mounted")]


def identity(root: Path) -> Sequence[Finding]:
    return [ok(AREA, f"{root} is the share {SharedDirectory(root).identity()}")]


def layout(root: Path) -> Sequence[Finding]:
    """Results and purged projects move by rename, which does not cross file systems."""
    device = root.stat().st_dev
    found = []
    for name in ("tmp", "projects", "retired", "resources", "nodes", "locks"):
        path = root / name
        if not path.is_dir():
            found.append(problem(AREA, f"{path} is missing", f"winslow init --share {root} makes it again"))
        elif path.stat().st_dev != device and name != "resources":
            found.append(
                problem(
                    AREA,
                    f"{path} lies on another file system than {root}: renames between them fail",
                    "keep all but resources/ on one file system",
                )
            )
        elif not os.access(path, os.W_OK | os.X_OK) and name != "resources":
            found.append(
                problem(
                    AREA,
                    f"this user (uid {os.getuid()}) may not write to {path}",
                    "run the node as the directories' owner, or export without root_squash",
                )
            )
    return found or [ok(AREA, "its directories are there, on one file system, and ours to write")]


def space(root: Path) -> Sequence[Finding]:
    total, _, free = shutil.disk_usage(root)
    names = os.statvfs(root)
    told = f"{free / GIB:.1f} of {total / GIB:.1f} GiB are free"
    if free < GIB or (names.f_files and names.f_favail < 10_000):
        return [problem(AREA, f"{told}, and {names.f_favail} files", "free some space: nothing starts on a full share")]
    if free < total * 0.05:
        return [warning(AREA, told, "free some space before the next long run")]
    return [ok(AREA, told)]


def exclusive_names(root: Path) -> Sequence[Finding]:
    """Who publishes a record first has it: link(2) must refuse a name that is taken, whatever is cached."""
    with _room(root) as room:
        for name in ("one", "two"):
            (room / name).write_text(name)
        os.link(room / "one", room / "record")
        try:
            os.link(room / "two", room / "record")
        except FileExistsError:
            if (room / "record").read_text() == "one":
                return [ok(AREA, "a name that is taken can't be taken again (link)")]
        except OSError as error:
            if error.errno in {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK}:
                raise
    return [problem(AREA, "a second link took a name that was taken", "this file system can't hold a share; use NFSv4")]


def writing(root: Path) -> Sequence[Finding]:
    """How long one record takes: a private file, fsync, link."""
    took = []
    with _room(root) as room:
        for number in range(TRIES):
            began = time.monotonic()
            with (room / f"draft{number}").open("xb") as file:
                file.write(b"{}")
                file.flush()
                os.fsync(file.fileno())
            os.link(room / f"draft{number}", room / f"{number:08d}.json")
            took.append(time.monotonic() - began)
    told = f"a record takes {statistics.median(took) * 1000:.1f} ms (at most {max(took) * 1000:.0f} ms of {TRIES})"
    if statistics.median(took) > SLOW:
        return [warning(AREA, told, "look at the server's disks and the network: each start and end waits for this")]
    return [ok(AREA, told)]


def locks(root: Path) -> Sequence[Finding]:
    """A lock taken here must be refused to another process; between machines --peer tells."""
    with _room(root) as room, (room / "lock").open("w+") as file:
        fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if subprocess.run([sys.executable, "-c", TAKE_LOCK, room / "lock"], check=False).returncode != 0:
            return [problem(AREA, "a lock did not keep another process out", "mount it without nolock; start lockd")]
    return [ok(AREA, "locks keep another process of this machine out")]


def copying(root: Path) -> Sequence[Finding]:
    """Every attempt gets a copy of its base's workspace: tens of gigabytes, in a moment or over the wire."""
    with _room(root) as room, (room / "from").open("w+b") as source, (room / "to").open("w+b") as target:
        source.write(os.urandom(COPIED))
        source.flush()
        os.fsync(source.fileno())
        try:
            fcntl.ioctl(target.fileno(), FICLONE, source.fileno())
        except OSError as error:
            if error.errno not in NOT_POSSIBLE:
                raise
        else:
            return [ok(AREA, "workspaces are cloned without copying (reflink)")]
        try:
            os.copy_file_range(source.fileno(), target.fileno(), COPIED, 0, 0)
        except OSError as error:
            if error.errno not in NOT_POSSIBLE:
                raise
            return [
                warning(
                    AREA,
                    "workspaces are copied through this machine, byte by byte",
                    "export a file system with reflink (XFS) by NFS 4.2, and copies take no time",
                )
            ]
    return [
        note(AREA, "workspaces are copied by the file system or the server; with reflink (XFS) they would take no time")
    ]


def clock(root: Path) -> Sequence[Finding]:
    """No rule compares clocks; people do, in logs and on the page."""
    with _room(root) as room:
        before = time.time()
        (room / "now").write_text("now")
        after = time.time()
        there = (room / "now").stat().st_mtime
    apart = max(before - there, there - after, 0.0)
    told = f"this machine's clock and the share's are {apart:.1f} s apart"
    if apart > APART:
        return [warning(AREA, told, "let both follow NTP: no decision rests on it, but times in logs will confuse you")]
    return [ok(AREA, told)]


@contextmanager
def _room(root: Path) -> Iterator[Path]:
    """A directory of our own in the share's tmp/, gone afterwards."""
    room = root / "tmp" / f"doctor.{secrets.token_hex(8)}"
    room.mkdir()
    try:
        yield room
    finally:
        shutil.rmtree(room, ignore_errors=True)
