"""A person's clone of the state repository. Commits are made beside its work tree and index, on what the remote has."""

import shlex
import tempfile
from dataclasses import dataclass
from pathlib import Path

from reconciler.cli.git import attempt, fetch, git, has_identity, succeeds
from reconciler.core.names import Commit
from reconciler.errors import BadInput, Transient

MAIN = "main"
OBSERVED = "observed"
NEW_FILE = "100644"


@dataclass(frozen=True, slots=True)
class Fetched:
    """What the remote had: the desired branch, and what the nodes report (None: nothing yet)."""

    head: Commit
    observed: Commit | None


@dataclass(frozen=True, slots=True)
class Clone:
    directory: Path
    git_directory: Path
    remote: str
    branch: str  # of the desired state

    # --- looking ---

    def fetch(self) -> Fetched:
        """In one conversation; by the asterisk a missing branch observed is no error."""
        if said := fetch(self.directory, self.remote, self.branch, f"{OBSERVED}*"):
            raise Transient(f"git fetch failed in {self.directory}: {said}")
        head = git(self.directory, "rev-parse", "--verify", self._tracking(self.branch))
        _, observed, _ = attempt(self.directory, "rev-parse", "--verify", "--quiet", self._tracking(OBSERVED))
        return Fetched(Commit(head), Commit(observed) if observed else None)

    def contains(self, head: Commit, commit: Commit) -> bool:
        return succeeds(self.directory, "merge-base", "--is-ancestor", commit, head)

    def blob(self, commit: str, path: str) -> str | None:
        code, found, _ = attempt(self.directory, "rev-parse", "--verify", "--quiet", f"{commit}:{path}")
        return found if code == 0 else None

    def diff(self, before: Commit, after: Commit) -> str:
        """Unified, as git shows it to people who have configured nothing."""
        plain = (
            "-c",
            "core.quotePath=false",
            "diff",
            "--no-color",
            "--no-ext-diff",
            "--no-textconv",
            "--no-renames",
            "--src-prefix=a/",
            "--dst-prefix=b/",
        )
        return git(self.directory, *plain, before, after)

    def removal(self, head: Commit, name: str) -> tuple[Commit, str] | None:
        """The newest commit that took the file ``name`` out of projects/, and where it lay."""
        found = git(
            self.directory,
            *("-c", "core.quotePath=false", "log", "--first-parent", "--diff-merges=first-parent"),
            *("--diff-filter=D", "--no-renames", "-1", "--format=%H", "--name-only", head),
            *("--", f":(top,glob)projects/**/{name}"),
        )
        lines = found.splitlines()
        return (Commit(lines[0]), lines[-1]) if lines else None

    # --- writing ---

    def commit(self, parent: Commit, path: str, content: bytes | None, message: str) -> Commit:
        """A commit that no ref names yet; ``content`` None: without the file."""
        if not has_identity(self.directory):
            raise BadInput(
                "git knows no name of yours to commit as; write: git config --global user.name NAME, and user.email"
            )
        with tempfile.TemporaryDirectory(prefix="winslow-edit-") as folder:
            index = {"GIT_INDEX_FILE": str(Path(folder, "index"))}
            git(self.directory, "read-tree", parent, extra=index)
            if content is None:
                gone = f"0 {'0' * len(parent)}\t{path}\0".encode()  # --force-remove would want a work tree
                git(self.directory, "update-index", "-z", "--index-info", stdin=gone, extra=index)
            else:
                listed = git(
                    self.directory, "ls-files", "--stage", "--full-name", "--", f":(top,literal){path}", extra=index
                )
                mode = listed.split(" ")[0] or NEW_FILE
                blob = git(self.directory, "hash-object", "-w", "--stdin", stdin=content)
                git(self.directory, "update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", extra=index)
            tree = git(self.directory, "write-tree", extra=index)
        signed = ["-S"] if attempt(self.directory, "config", "--type=bool", "commit.gpgSign")[1] == "true" else []
        return Commit(
            git(self.directory, "commit-tree", *signed, "-p", parent, "-F", "-", tree, stdin=message.encode())
        )

    def push(self, *arguments: str) -> tuple[bool, str]:
        """Whether it was taken, and what the remote said. Transient if it said nothing in time."""
        try:
            code, _, said = attempt(self.directory, "push", "--no-follow-tags", self.remote, *arguments)
        except Transient as error:
            told = f"{error}; what was pushed may still be taken: look at {self.branch} there, or just ask again"
            raise Transient(told) from error
        return code == 0, said

    def follow(self, commit: Commit) -> str | None:
        """Fast-forward the work tree if it stands on the desired branch; else why not."""
        current = _current(self.directory)
        if current != self.branch:
            return f"it stands on {current or 'no branch'}"
        if git(self.directory, "rev-parse", "--is-bare-repository") == "true":
            return "it has no work tree"
        if succeeds(self.directory, "merge", "--ff-only", "--no-autostash", "--quiet", commit):
            return None
        return "it has changes or commits of its own"

    def _tracking(self, branch: str) -> str:
        return f"refs/remotes/{self.remote}/{branch}"


def clone_around(directory: Path, branch: str | None) -> Clone:
    """The clone that ``directory`` lies in; the desired branch is main, or else the remote's default one."""
    if not directory.is_dir():
        raise BadInput(f"there is no directory {directory}; name your clone of the state repository")
    code, git_directory, complaint = attempt(directory, "rev-parse", "--absolute-git-dir")
    if "dubious ownership" in complaint:
        raise BadInput(
            f"{directory.absolute()} belongs to somebody else, so git does not trust it; work in a clone of your own, "
            f"or write: git config --global --add safe.directory {shlex.quote(str(directory.absolute()))}"
        )
    if code != 0:
        raise BadInput(
            f"{directory.absolute()} is in no clone of a state repository; go into one, or name it by --repository DIR"
        )
    code, top, _ = attempt(directory, "rev-parse", "--show-toplevel")
    root = Path(top) if code == 0 and top else Path(git_directory)
    remote = _remote(root)
    there = _branches(root, remote)
    chosen = branch or (MAIN if MAIN in there else there.get("HEAD"))
    if chosen is None or chosen not in there:
        known = ", ".join(sorted(there.keys() - {"HEAD"})) or "none"
        raise BadInput(
            f"the remote '{remote}' has no branch '{chosen or MAIN}' (it has: {known}); name one by --branch"
        )
    return Clone(root, Path(git_directory), remote, chosen)


def _remote(directory: Path) -> str:
    """The current branch's, else origin, else the only one."""
    names = [name for name in git(directory, "remote").split() if not name.startswith("-")]  # git would see an option
    current = _current(directory)
    _, upstream, _ = attempt(directory, "config", f"branch.{current}.remote")
    usual = next((name for name in (upstream, "origin") if name in names), None)
    if not names and attempt(directory, "rev-parse", "--is-bare-repository")[1] == "true":
        raise BadInput(
            f"{directory} is a bare repository and no clone, perhaps the remote itself; an edit is made in a clone of "
            f"it: git clone {shlex.quote(str(directory))} DIR, then --repository DIR"
        )
    if usual is None and len(names) != 1:
        told = f"it has {', '.join(names)}" if names else "it has none"
        raise BadInput(f"{directory} has no remote 'origin' ({told}); write: git remote add origin URL")
    return usual or names[0]


def _current(directory: Path) -> str | None:
    """The branch that HEAD stands on; git's short form of it is another one where a tag has its name."""
    code, found, _ = attempt(directory, "symbolic-ref", "--quiet", "HEAD")
    return found.removeprefix("refs/heads/") if code == 0 else None


def _branches(directory: Path, remote: str) -> dict[str, str]:
    """Branch -> commit as the remote has them now; ``HEAD`` -> the name of its default branch."""
    listed = git(directory, "ls-remote", "--symref", remote, "HEAD", "refs/heads/*")
    found: dict[str, str] = {}
    for line in listed.splitlines():
        what, _, name = line.partition("\t")
        if name == "HEAD" and what.startswith("ref: "):
            found["HEAD"] = what.removeprefix("ref: refs/heads/")
        elif name.startswith("refs/heads/"):
            found[name.removeprefix("refs/heads/")] = what
    return found
