"""One commit's files as the codec reads them (its ``StateTree``), and each file's earlier versions."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from reconciler.adapters.git.command import Broken, GitCommand, Pipes
from reconciler.codec.tree import printable
from reconciler.core.names import Blob, Commit
from reconciler.errors import BadInput

REGULAR = frozenset({"100644", "100755"})
OTHERS = {"120000": "a symbolic link", "160000": "a submodule"}
MAX_FILES = 20_000
MAX_BYTES = 1024 * 1024
MAX_VERSIONS = 200


class GitTree:
    """Reads blobs through one ``git cat-file --batch``, which lives until ``close``."""

    def __init__(self, git: GitCommand, commit: Commit, *, is_ours: bool = False) -> None:
        """``is_ours``: nodes wrote it, a file a run for as long as the site lives, and nobody can make it shorter."""
        self.commit = commit
        self._is_ours = is_ours
        self._git = git
        self._resources = ExitStack()
        self._reader: Pipes | None = None
        self._files: Mapping[str, Blob] | None = None
        self._others: Mapping[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        self._resources.close()
        self._reader = None

    def files(self) -> Mapping[str, Blob]:
        """Path -> blob of all regular files; no symbolic links, no submodules. BadInput where people have too many."""
        if self._files is None:
            self._files, self._others = self._list(self.commit)
        return self._files

    def others(self) -> Mapping[str, str]:
        self.files()
        return self._others

    def _list(self, commit: Commit) -> tuple[Mapping[str, Blob], Mapping[str, str]]:
        found: dict[str, Blob] = {}
        others: dict[str, str] = {}
        for entry in self._git.local("ls-tree", "-r", "-z", "--full-tree", commit).split(b"\0")[:-1]:
            facts, path = entry.split(b"\t", 1)
            mode, _, blob = facts.decode().split(" ")
            if mode in REGULAR:
                found[path_of(path)] = Blob(blob)
            else:
                others[path_of(path)] = OTHERS.get(mode, f"of git's mode {mode}")
        if len(found) > MAX_FILES and not self._is_ours:
            raise BadInput(
                f"commit {commit[:12]} holds {len(found)} files, and a state repository at most {MAX_FILES}: "
                "keep data on the shared directory"
            )
        return found, others

    def read(self, blob: Blob) -> bytes:
        """The content, of a larger blob only its first 1 MiB and a byte (so that the codec can refuse it)."""
        if self._reader is None:
            self._reader = self._resources.enter_context(self._git.conversation("cat-file", "--batch"))
        stdin, stdout = self._reader.stdin, self._reader.stdout
        try:
            stdin.write(f"{blob}\n".encode())
            stdin.flush()
        except BrokenPipeError:
            raise Broken(f"git cat-file ended before it read {blob}") from None
        answer = stdout.readline().decode().split()
        if len(answer) != 3 or answer[1] != "blob":
            raise Broken(f"blob {blob} of commit {self.commit} can't be read: {' '.join(answer) or 'no answer'}")
        size = int(answer[2])
        content = stdout.read(min(size, MAX_BYTES + 1))
        rest = size - len(content) + 1  # a line's end follows
        while rest and (skipped := stdout.read(min(rest, MAX_BYTES))):
            rest -= len(skipped)
        if rest:
            raise Broken(f"blob {blob} of commit {self.commit} ended early")
        return content

    def earlier(self, path: str) -> Iterator[tuple[Commit, Blob]]:
        """Other versions of a file in first-parent ancestors, newest first, with the commits that brought them."""
        log = self._git.local(
            *("log", "--first-parent", "--diff-merges=first-parent", "--raw", "--no-abbrev", "--no-renames"),
            *("--format=commit %H", f"--max-count={MAX_VERSIONS}", self.commit, "--", f":(top,literal){path}"),
        )
        seen = {self.files().get(path)}
        commit = Commit("")
        for line in log.decode(errors="replace").splitlines():
            if line.startswith("commit "):
                commit = Commit(line.removeprefix("commit "))
            elif line.startswith(":"):
                _, mode, _, blob, _ = line.split("\t")[0].split(" ")
                if mode in REGULAR and blob not in seen:
                    seen.add(Blob(blob))
                    yield commit, Blob(blob)

    def removals(self, folder: str) -> Iterator[tuple[Commit, str]]:
        """By first-parent commits, this one included, newest first: for the whole history 17 microseconds a commit."""
        log = self._git.local(
            *("log", "--first-parent", "--diff-merges=first-parent", "--diff-filter=D", "--no-renames", "-z"),
            *("--name-only", "--format=commit %H", self.commit, "--", f":(top,literal){folder}"),
        )
        commit = Commit("")
        for entry in log.split(b"\0"):
            word = entry.strip(b"\n")
            if word.startswith(b"commit "):
                commit = Commit(word.removeprefix(b"commit ").decode())
            elif word:
                yield commit, path_of(word)

    def ancestors(self) -> Iterator[tuple[Commit, Mapping[str, Blob]]]:
        """First-parent ancestors, newest first, with their files; each is listed when it is asked for."""
        listed = self._git.local("rev-list", "--first-parent", "--skip=1", f"--max-count={MAX_VERSIONS}", self.commit)
        for commit in map(Commit, listed.decode().split()):
            yield commit, self._list(commit)[0]


def path_of(raw: bytes) -> str:
    """Names that aren't UTF-8, or hold control characters, become printable; the codec refuses them by name."""
    return printable(raw.decode(errors="backslashreplace"))
