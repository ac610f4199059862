"""What the lab needs of this machine, and the command that provides what is missing."""

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

PROGRAMS = {
    "linux.uml": "user-mode-linux",
    "ip": "iproute2",
    "nft": "nftables",
    "modprobe": "kmod",
    "mkfs.xfs": "xfsprogs",
    "mount.nfs4": "nfs-common",
    "exportfs": "nfs-kernel-server",
    "unshare": "util-linux",
    "openssl": "openssl",
    "git": "git",
}
MODULES = Path("/usr/lib/uml/modules")
TUN = Path("/dev/net/tun")
SHADOWED = (Path("/tmp"), Path("/run"), Path("/mnt"))
"""File systems of their own in each guest; what lies there of the host has to be mounted anew."""
CHECKOUT = Path(__file__).resolve().parents[2]


def missing() -> str:
    """Why the lab can't run here, and what to do; empty if it can."""
    if os.geteuid() != 0:
        return "the lab makes network interfaces and mounts: run it as root (sudo make lab)"
    packages = sorted({package for program, package in PROGRAMS.items() if not shutil.which(program)})
    if packages:
        return f"the lab lacks programs: apt-get install {' '.join(packages)}"
    if not MODULES.is_dir():
        return f"there is no {MODULES}: apt-get install --reinstall user-mode-linux"
    if any(" " in str(path) or "," in str(path) for path in needed()):
        return "a guest's kernel can't be told of paths with spaces or commas: clone Winslow to another directory"
    return _no_namespaces() or _no_tun()


def needed() -> tuple[Path, ...]:
    """What guests must see of the host: the checkout (and the lab's own files in it), and Python."""
    return tuple(dict.fromkeys((CHECKOUT, Path(sys.prefix), Path(sys.base_prefix))))


def hidden() -> tuple[Path, ...]:
    """Those of them that a guest's own mounts would hide."""
    return tuple(path for path in needed() if any(path.is_relative_to(above) for above in SHADOWED))


def _no_namespaces() -> str:
    script = "ip link add winslow-try type bridge && nft add table bridge winslow-try"
    ended = subprocess.run(
        ["unshare", "--net", "--pid", "--mount", "--fork", "sh", "-c", script],
        capture_output=True,
        text=True,
        check=False,
    )
    if ended.returncode == 0:
        return ""
    why = (ended.stderr.strip().splitlines() or ["no reason given"])[-1]
    return f"no namespace with a bridge can be made here ({why}): run it outside a container, or in a privileged one"


def _no_tun() -> str:
    """Without /dev/net/tun no guest has a network; in a privileged container it only has to be made."""
    try:
        if not TUN.exists():
            TUN.parent.mkdir(exist_ok=True)
            os.mknod(TUN, 0o600 | stat.S_IFCHR, os.makedev(10, 200))
        TUN.open("r+b", buffering=0).close()
    except OSError as error:
        return f"{TUN} can't be used ({error.strerror}): modprobe tun, or give the container --device {TUN}"
    return ""
