"""A git history in memory, read by the real codec, and a fleet of nodes that each know another part of it.

Files are mappings, as they are in people's heads; their text is made from these. A file may also be
plain text: what a careless merge leaves behind.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from reconciler.codec.desired import load
from reconciler.codec.parsed import Cache
from reconciler.core.actions import Action
from reconciler.core.containers import ContainerState
from reconciler.core.desired import Desired
from reconciler.core.names import Blob, Commit, NodeName, RecordNumber
from reconciler.core.nodes import Node
from tests.fakes.world import Machine, World

Content = Mapping[str, Any] | str
Files = Mapping[str, Content]

CONFLICT = "<<<<<<< ours\npaused: true\n=======\npaused: false\n>>>>>>> theirs\n"


def path_of(project: str) -> str:
    return f"projects/{project}.yaml"


def text_of(content: Content) -> str:
    if isinstance(content, str):
        return content
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in content.items())


def changed(files: Files, path: str, fields: Mapping[str, Any]) -> Files:
    """The files with some fields of one file set, or removed where the value is None."""
    content = files.get(path, {})
    merged = {**({} if isinstance(content, str) else content), **fields}
    return {**files, path: {name: value for name, value in merged.items() if value is not None}}


class History:
    """main: commits that only go forward, each known by its number."""

    def __init__(self, files: Files) -> None:
        self.commits: list[Files] = []
        self.desired: list[Desired] = []
        self._listings: list[dict[str, Blob]] = []
        self._contents: dict[Blob, bytes] = {}
        self._cache = Cache()
        self.commit(files)

    @property
    def files(self) -> Files:
        return self.commits[-1]

    @property
    def head(self) -> Desired:
        return self.desired[-1]

    @property
    def newest(self) -> int:
        return len(self.commits) - 1

    @staticmethod
    def name(number: int) -> Commit:
        return Commit(f"{number:040x}")

    @staticmethod
    def number(commit: Commit) -> int:
        return int(commit, 16)

    def at(self, commit: Commit) -> Desired:
        return self.desired[self.number(commit)]

    def commit(self, files: Files) -> None:
        listing = {}
        for path, content in files.items():
            data = text_of(content).encode()
            listing[path] = Blob(sha256(data).hexdigest()[:40])
            self._contents[listing[path]] = data
        self.commits.append(dict(files))
        self._listings.append(listing)
        tree = _Tree(commit=self.name(self.newest), listings=self._listings[:], contents=self._contents)
        self.desired.append(load(tree, self._cache))

    def changes(self, number: int) -> list[tuple[str, str | None, Any, Any]]:
        """What a commit changed: path, field (None: the whole file), before, after."""
        before, after = (self.commits[number - 1] if number else {}), self.commits[number]
        found: list[tuple[str, str | None, Any, Any]] = []
        for path in sorted({*before, *after}):
            old, new = before.get(path), after.get(path)
            if not isinstance(old, Mapping) or not isinstance(new, Mapping):
                found += [(path, None, old, new)] if old != new else []
                continue
            names = sorted({*old, *new})
            found += [(path, name, old.get(name), new.get(name)) for name in names if old.get(name) != new.get(name)]
        return found

    def merge(self, changes: Iterable[tuple[str, str | None, Any, Any]]) -> None:
        """Apply (path, field, before, after) where it still fits, as git would; what conflicts keeps main's side."""
        files = dict(self.files)
        for path, name, before, after in changes:
            if name is None:
                if files.get(path) == before and after is None:
                    files.pop(path, None)
                elif files.get(path) == before:
                    files[path] = after
                continue
            content = files.get(path)
            if isinstance(content, Mapping) and content.get(name) in (before, after):
                files = dict(changed(files, path, {name: after}))
        self.commit(files)

    def revert(self, number: int) -> None:
        self.merge((path, name, after, before) for path, name, before, after in self.changes(number))

    def merge_again(self, number: int) -> None:
        self.merge(self.changes(number))


@dataclass(frozen=True)
class _Tree:
    """Port ``StateTree``."""

    commit: Commit
    listings: list[dict[str, Blob]]
    contents: Mapping[Blob, bytes]

    def files(self) -> Mapping[str, Blob]:
        return self.listings[-1]

    def others(self) -> Mapping[str, str]:
        return {}

    def read(self, blob: Blob) -> bytes:
        return self.contents[blob]

    def earlier(self, path: str) -> Iterator[tuple[Commit, Blob]]:
        seen = set()
        for commit, files in self.ancestors():
            if path in files and files[path] not in seen:
                seen.add(files[path])
                yield commit, files[path]

    def removals(self, folder: str) -> Iterator[tuple[Commit, str]]:
        for number in range(len(self.listings) - 1, 0, -1):
            gone = sorted(set(self.listings[number - 1]) - set(self.listings[number]))
            yield from ((History.name(number), path) for path in gone if path.startswith(f"{folder}/"))

    def ancestors(self) -> Iterator[tuple[Commit, Mapping[str, Blob]]]:
        for number in range(len(self.listings) - 2, -1, -1):
            yield History.name(number), self.listings[number]


@dataclass
class Fleet(World):
    """Nodes whose clones lag behind each other, that freeze between deciding and acting, die and come back."""

    git: History = field(default_factory=lambda: History({}))
    views: dict[NodeName, int] = field(default_factory=dict)
    frozen: dict[NodeName, Sequence[Action]] = field(default_factory=dict)
    silent: set[NodeName] = field(default_factory=set)

    def view(self, name: NodeName) -> int:
        return self.views.get(name, 0)

    def desired_of(self, name: NodeName) -> Desired:
        return self.git.desired[self.view(name)]

    def contained_of(self, name: NodeName) -> frozenset[Commit]:
        return frozenset(self.git.name(number) for number in range(self.view(name) + 1))

    def nodes_of(self, name: NodeName) -> tuple[Node, ...]:
        """Everybody hears himself, nobody hears who is silent."""
        return tuple(
            replace(node, silent_for=61.0 if node.name in self.silent - {name} else 0.0) for node in self.nodes
        )

    def catch_up(self, name: NodeName, commits: int | None = None) -> None:
        newest = self.git.newest
        self.views[name] = newest if commits is None else min(self.view(name) + commits, newest)

    def freeze(self, name: NodeName) -> None:
        """It has decided, and will act much later."""
        self.frozen[name] = self.plan(name).actions

    def thaw(self, name: NodeName, kept: int | None = None) -> None:
        """It acts on what it decided then, or dies after a few steps of that."""
        self.carry_out(name, self.frozen.pop(name)[:kept])

    def restart(self, name: NodeName) -> None:
        """The reconciler forgets everything; what runs goes on."""
        machine = self.machine(name)
        machine.logged.clear()
        machine.since.clear()
        self.frozen.pop(name, None)

    def reboot(self, name: NodeName) -> None:
        """Nothing survives but the engine's list of what has ended."""
        machine = self.machine(name)
        for container in machine.containers.values():
            if container.state is ContainerState.RUNNING:
                self._end(machine, container, 137)
        boot = f"boot-{int(machine.boot.removeprefix('boot-')) + 1}"
        self.machines[name] = Machine(boot=boot, containers=machine.containers)
        self.frozen.pop(name, None)
        self.nodes = tuple(_booted(node, boot) if node.name == name else node for node in self.nodes)

    def recover(self) -> None:
        """Everybody is back, hears everybody and knows all of git; what was frozen has died."""
        self.frozen.clear()
        self.silent.clear()
        for node in self.nodes:
            self.catch_up(node.name)


def _booted(node: Node, boot: str) -> Node:
    record = node.record
    number = RecordNumber(record.number + 1)
    return replace(node, record=replace(record, number=number, boot=boot, incarnation=f"{node.name}-{number}"))
