"""The lab: an NFS server, three workers, a git server, a network that can be cut. Made once, used by all scenarios."""

import compileall
import contextlib
import itertools
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.lab.checks import check
from tests.lab.git_server import GitServer
from tests.lab.guest import Machine, NoAnswer, link_modules
from tests.lab.namespace import mount_memory
from tests.lab.network import GIT_PORT, HOST, NFS_PORT, Cut, Network
from tests.lab.node import HEALTH_PORT, Node
from tests.lab.requirements import CHECKOUT
from tests.lab.site import SHARED, Site

WORKERS = ("n1", "n2", "n3")
SERVER = "10.77.0.2"
PARTS = ("reconciler", "schemas", "state-repo-template")
UPGRADED = "0.1.0+lab"
SHARE_DISK = "4G"


class Lab:
    """``code``: the checkout whose Winslow the nodes run."""

    def __init__(self, work: Path, code: Path = CHECKOUT) -> None:
        self.work = work
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        mount_memory(work / "memory")
        link_modules(work)
        self.network = Network()
        self.git = GitServer(work / "git")
        self.release = install(code, work / "releases" / "current")
        self.upgrade = install(code, work / "releases" / "upgraded", version=UPGRADED)
        self.server = Machine("server", SERVER, "server", work, SERVER, memory="512M", disk=SHARE_DISK)
        self.machines = {
            name: Machine(name, f"10.77.0.{10 + index}", "node", work, SERVER)
            for index, name in enumerate(WORKERS, start=1)
        }
        self._numbers = itertools.count(1)

    @property
    def all(self) -> tuple[Machine, ...]:
        return (self.server, *self.machines.values())

    def switch_on(self) -> None:
        for machine in self.all:
            self.network.plug(machine.tap)
            machine.make_disk()
        self.server.boot()
        self.revive()

    def revive(self) -> None:
        """Everything on, thawed and connected, as a scenario may expect it."""
        self.network.heal()
        off = [machine for machine in self.all if not machine.is_on]
        for machine in off:
            machine.switch_on()
        for machine in off:
            machine.await_boot()
        for machine in self.all:
            if machine.frozen:
                machine.thaw()
            machine.set_clock()

    @contextlib.contextmanager
    def site(self, *, ttl: float = 60.0, padding: str = "", join: Sequence[str] = WORKERS) -> Iterator[Site]:
        """A fresh site on all nodes. At the end its ledger, logs and processes are checked, and kept to look at."""
        self.revive()
        site = Site(
            name=f"site{next(self._numbers)}",
            server=self.server,
            machines=self.machines,
            git=self.git,
            release=self.release,
            ttl=ttl,
            heartbeat=min(5.0, ttl / 5),
            padding=padding,
        )
        try:
            site.make()
            site.join(*join)
            yield site
            self.network.heal()
            check(site, self.keep(site))
        finally:
            with contextlib.suppress(NoAnswer, RuntimeError):
                self.keep(site)
            site.end()

    def keep(self, site: Site) -> Path:
        """Copy what a site left on the share, and its nodes' logs, to the host; returns the share's copy."""
        kept = self.work / "kept" / site.name
        for path, text in self.server.ask("files", root=f"{SHARED}/{site.name}", patterns=["**/*"]).items():
            target = kept / "share" / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        for node in site.nodes.values():
            with contextlib.suppress(NoAnswer):
                (kept / f"{node.name}.log").write_text(node.said(), encoding="utf-8")
        return kept / "share"

    # --- what can be cut ---

    def from_share(self, *nodes: Node, replies_only: bool = False) -> tuple[Cut, ...]:
        return tuple(Cut(node.machine.address, SERVER, NFS_PORT, replies_only) for node in nodes)

    def from_git(self, *nodes: Node) -> tuple[Cut, ...]:
        return tuple(Cut(node.machine.address, HOST, GIT_PORT) for node in nodes)

    def from_others(self, node: Node) -> tuple[Cut, ...]:
        """Nobody reaches this node's HTTP port."""
        others = (machine for machine in self.machines.values() if machine is not node.machine)
        return tuple(Cut(other.address, node.machine.address, HEALTH_PORT) for other in others)


def install(code: Path, target: Path, version: str = "") -> Path:
    """A copy of Winslow that nothing changes while the lab runs, with ready byte code: guests can write none."""
    for part in PARTS:
        shutil.copytree(code / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    if version:
        package = target / "reconciler" / "__init__.py"
        package.write_text(re.sub(r'__version__ = ".*"', f'__version__ = "{version}"', package.read_text()))
    compileall.compile_dir(target / "reconciler", quiet=2)
    return target
