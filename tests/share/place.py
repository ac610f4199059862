"""A new share of either kind, as tests fill it and look at it."""

import functools
from collections.abc import Callable
from pathlib import Path

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.files import Files


class Place:
    """On this machine's disk, or on a simulated server that each node mounts for itself."""

    def __init__(self, root: Path, mount: Callable[[str], Files]) -> None:
        self.root = root
        self._mount = functools.cache(mount)  # what a machine remembers outlives its processes
        SharedDirectory.create(root, files=self.files)

    def share(self, writer: str = "a") -> SharedDirectory:
        return SharedDirectory(self.root, writer=writer, files=self._mount(writer))

    @property
    def files(self) -> Files:
        return self._mount("test")

    def write(self, name: str, content: str = "x") -> None:
        self.files.refresh(self.root / "projects")  # where a share is the test's own, its memory must not matter
        self.files.mkdir((self.root / name).parent, parents=True)
        self.files.create(self.root / name, content.encode())

    def replace(self, name: str, content: str) -> None:
        self.files.unlink(self.root / name)
        self.write(name, content)

    def is_there(self, name: str) -> bool:
        """Be it a file or a directory."""
        try:
            return Path(name).name in self.files.names((self.root / name).parent)
        except FileNotFoundError:
            return False

    def below(self, *names: str) -> list[str]:
        """The files that lie there, at any depth."""
        found: list[str] = []
        for name in names:
            try:
                found += self.below(*(f"{name}/{entry}" for entry in self.files.names(self.root / name)))
            except NotADirectoryError:
                found.append(name)
        return sorted(found)
