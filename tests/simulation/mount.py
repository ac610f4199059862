"""A machine's mount of the simulated share, as its reconcilers and its containers use it."""

import json
from pathlib import Path

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.faults import translated
from reconciler.agent.patience import Patience, timed
from reconciler.core.names import ShareId
from tests.simulation.share import SimServer
from tests.simulation.share_tree import Directory

SHARE = ShareId("11111111-2222-3333-4444-555555555555")


def make_share(server: SimServer) -> None:
    """As ``winslow init --share`` does, but with an identity that every history knows."""
    for name in ("tmp", "resources", "projects", "nodes", "locks", "retired"):
        server.disk.set(server.disk.root, name, Directory())
    server.put("winslow.json", json.dumps({"format": 1, "share": SHARE}).encode())
    server.disk.forget(0.0)  # long ago: this much is on the disk, whatever its export says


class Mounted:
    """Port ``Disk`` over the mount of the machine's present boot."""

    def __init__(self, server: SimServer, name: str) -> None:
        self._server = server
        self._name = name
        self.now = server.mount(name)

    def boot(self) -> None:
        self.now = self._server.mount(self._name)

    def share(self, writer: str, patience: Patience) -> SharedDirectory:
        """For a new process on this machine."""
        return SharedDirectory(self._server.root, writer=writer, files=timed(self.now, patience))

    def write(self, path: str, text: str) -> None:
        """A program's new file."""
        self.now.create(Path(path), text.encode())

    def write_log(self, path: str, text: str) -> None:
        """Lines already there, from before a restart, are neither lost nor doubled. ShareUnavailable if it can't be."""
        with translated(self._server.root):
            self.now.refresh(Path(path).parent)
            try:
                there = self.now.read(Path(path))
            except FileNotFoundError:
                there = b""
            if rest := text.encode()[len(there) :]:
                self.now.append(Path(path), rest)
