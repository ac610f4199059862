"""How a directory is mounted, and what of that Winslow can't live with. See nfs(5).

Measured: on a `soft` mount an error does not mean that a call had no effect; with `nolock` or `local_lock` each
machine has locks of its own.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli.doctor.finding import Finding, note, ok, problem, warning

NETWORK = {"cifs", "smb3", "9p", "ceph", "glusterfs", "lustre", "beegfs", "afs"}
AREA = "share"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mount:
    """One line of /proc/self/mountinfo, see proc(5)."""

    point: str
    kind: str  # ext4, nfs4, ...
    source: str
    options: Mapping[str, str]  # those of the mount and of the file system: {"rw": "", "vers": "4.2"}

    @property
    def is_nfs(self) -> bool:
        return self.kind in {"nfs", "nfs4"}


def mount_of(path: Path, mountinfo: str) -> Mount | None:
    """The mount that ``path`` (absolute, without symbolic links) lies on: the last of the deepest ones."""
    around = [mount for mount in mounts(mountinfo) if path.is_relative_to(mount.point)]
    deepest = max((len(Path(mount.point).parts) for mount in around), default=0)
    return next((mount for mount in reversed(around) if len(Path(mount.point).parts) == deepest), None)


def mounts(mountinfo: str) -> Iterator[Mount]:
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        left, right = before.split(), after.split()
        if len(left) < 6 or len(right) < 2:
            continue
        given = [*left[5].split(","), *(right[2].split(",") if len(right) > 2 else [])]
        options = dict(option.partition("=")[::2] for option in given)
        yield Mount(point=_unquoted(left[4]), kind=right[0], source=_unquoted(right[1]), options=options)


def _unquoted(text: str) -> str:
    """Blanks and the like stand there as octal numbers."""
    return re.sub(r"\\([0-7]{3})", lambda found: chr(int(found[1], 8)), text)


def judge(mount: Mount) -> list[Finding]:
    """Pure: what the options mean for a share."""
    found = [_kind(mount)]
    if mount.is_nfs:
        found += _nfs(mount)
    if "ro" in mount.options:
        found.append(problem(AREA, f"{mount.point} is mounted read-only", "mount it with rw, and export it rw"))
    return found


def _kind(mount: Mount) -> Finding:
    if mount.is_nfs:
        version = mount.options.get("vers", "?")
        return ok(AREA, f"{mount.source} is mounted on {mount.point} by NFS {version}")
    if mount.kind in NETWORK or mount.kind.startswith("fuse."):
        return warning(
            AREA,
            f"{mount.point} is of type {mount.kind}; Winslow is made and tested for NFSv4.2",
            "check with winslow doctor --peer from two machines before you rely on it",
        )
    return note(
        AREA, f"{mount.point} is a local file system ({mount.kind}): right for one machine, others can't see it"
    )


def _nfs(mount: Mount) -> Iterator[Finding]:
    options = mount.options
    if "soft" in options or "softerr" in options:
        yield problem(
            AREA,
            "it is mounted soft: in an outage calls fail although they took effect, and stages die of it",
            "mount it with hard (the default): Winslow itself never waits for a hung share",
        )
    if (version := options.get("vers", "")) and not version.startswith("4"):
        yield problem(
            AREA,
            f"it is mounted with vers={version}: before version 4 locks and consistency rest on other protocols",
            "mount it with vers=4.2",
        )
    elif version in {"4", "4.0"}:
        yield warning(
            AREA,
            "it is mounted with version 4.0, which can report a link that worked as failed after an outage",
            "mount it with vers=4.2 (4.1 at least: it has sessions)",
        )
    if "nolock" in options or options.get("local_lock", "none") != "none":
        yield problem(
            AREA,
            "locks are local to this machine (nolock or local_lock): every node would publish",
            "mount it without nolock and local_lock",
        )
    yield note(
        AREA,
        "whether the server writes before it answers can't be seen from here: with async a crash of it loses records",
        "on the server, exportfs -v must show sync for this export",
    )


def is_local(mount: Mount) -> bool:
    """Does it belong to this machine alone?"""
    return not mount.is_nfs and mount.kind not in NETWORK and not mount.kind.startswith("fuse.")
