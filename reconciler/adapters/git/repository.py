"""Our clone of the state repository: a bare cache below a private directory, never a work tree.

Nothing in it is unique, so a damaged clone is moved aside and cloned again. It belongs to one process
(the node's reconciler): what a killed git leaves behind is removed without asking.

The head of main is *accepted* when it descends from the one accepted before. A rewritten history is
held: work goes on from the last accepted commit until people accept the new one (a record on the share, which each
clone follows once) or put the old one back into main's history.
"""

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import RLock
from typing import TypeVar

from reconciler.adapters.git.command import Broken, GitCommand, TimedOut
from reconciler.adapters.git.remote import Remote, check_branch, explain, redacted
from reconciler.adapters.git.tree import GitTree
from reconciler.adapters.spawner import HERE, Spawn
from reconciler.core.names import Commit, Token
from reconciler.core.records import RewriteAccepted
from reconciler.errors import SourceUnavailable

Answer = TypeVar("Answer")

SHORT = 12  # characters of a commit in messages


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The commit to work from after looking at the remote. ``error`` says why it is not the newest one of main.

    ``reason``: SourceUnreachable, SourceEmpty, BranchMissing, SourceRewritten, or nothing.
    """

    commit: Commit | None
    reachable: bool = True
    reason: str = ""
    error: str = ""
    followed: Token | None = None  # of the last accepted rewrite that our clone went along with


class StateRepository:
    """Fetches main and observed of one remote. All calls block, each for at most a few deadlines.

    BadInput for an address or branch that we don't accept.
    """

    def __init__(
        self,
        url: str,
        clone: Path,
        *,
        branch: str = "main",
        observed_branch: str = "observed",
        timeout: timedelta = timedelta(seconds=30),
        spawn: Spawn = HERE,
    ) -> None:
        self.url = url
        self.branch = check_branch("state.branch", branch)
        self.observed_branch = check_branch("state.observed_branch", observed_branch)
        self.clone = clone.absolute()
        self.git = GitCommand(self.clone, Remote.parse(url), timeout.total_seconds(), spawn=spawn)
        self._accepted = f"refs/winslow/accepted/{branch}"
        self._note = f"winslow.{branch}.rewrite"
        self._lock = RLock()
        self._is_open = False
        self._descends: dict[tuple[Commit, Commit], bool] = {}

    # --- the remote ------------------------------------------------------------------------------

    def fetch_head(self, rewrites: Sequence[RewriteAccepted] = ()) -> Head:
        """Look at the remote: one round trip when nothing changed, a second one to fetch what did.

        ``rewrites`` are those that people have accepted so far; only the last one counts.
        """
        try:
            return self.mending(lambda: self._fetch_head(rewrites))
        except SourceUnavailable as error:
            return self._last_good("SourceUnreachable", str(error), reachable=False)

    def last_head(self) -> Head:
        """The last good commit as our clone knows it; the remote is not asked."""
        try:
            with self.alone():
                return self._last_good("", "")
        except SourceUnavailable:  # a damaged clone: the next fetch makes a new one
            return Head(commit=None)

    def _fetch_head(self, rewrites: Sequence[RewriteAccepted] = ()) -> Head:
        heads = self._list_heads()
        wanted = {name: heads[name] for name in (self.branch, self.observed_branch) if name in heads}
        if any(self.ref(self._remote_ref(name)) != commit for name, commit in wanted.items()):
            self._fetch(list(wanted))
        if self.branch in heads:
            if self.observed_branch not in heads:  # in an empty repository it is lost, and ours may be the last copy
                self.git.local("update-ref", "-d", self._remote_ref(self.observed_branch))
            return self._accept(rewrites[-1] if rewrites else None)
        if not heads:
            return self._last_good(
                "SourceEmpty",
                f"the repository at {redacted(self.url)} is empty: push a first commit to its branch {self.branch}",
            )
        return self._last_good(
            "BranchMissing",
            f"there is no branch {self.branch} at {redacted(self.url)}, but {', '.join(sorted(heads)[:5])}: "
            "check state.branch in node.yaml",
        )

    def _list_heads(self) -> dict[str, Commit]:
        """All branches of the remote: naming some would transfer every ref, tags and all."""
        result = self.git.run("ls-remote", "--heads", "--", self.url)
        if result.code != 0:
            self._check_clone()
            raise SourceUnavailable(explain(result.err))
        lines = (line.split("\t") for line in result.text.splitlines())
        return {name.removeprefix("refs/heads/"): Commit(commit) for commit, name in lines}

    def _fetch(self, branches: list[str]) -> None:
        """The first fetch may take ten deadlines: it brings the whole history."""
        is_first = self.ref(self._remote_ref(self.branch)) is None
        result = self.git.run(
            *("fetch", "--quiet", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--", self.url),
            *(f"+refs/heads/{name}:{self._remote_ref(name)}" for name in branches),
            timeout=self.git.timeout * (10 if is_first else 1),
        )
        if result.code != 0:
            self.check_objects()
            raise SourceUnavailable(explain(result.err))
        self.git.local("gc", "--auto", "--quiet")

    def _accept(self, rewrite: RewriteAccepted | None) -> Head:
        newest, accepted, followed = self.newest(), self.accepted(), self._followed()
        if newest is None:
            raise Broken(f"the head of {self.branch} is missing in {self.clone}")
        due = rewrite if rewrite is not None and rewrite.token != followed else None
        needed = accepted if due is None else due.head
        leads_there = needed is None or needed == newest or self.descends(newest, needed)
        if leads_there is None and needed == accepted:
            raise Broken(f"the history between {needed} and {newest} is not whole in {self.clone}")
        if not leads_there and needed is not None:
            error = self._rewritten(newest, needed)
            return Head(commit=accepted or newest, reason="SourceRewritten", error=error, followed=followed)
        if newest != accepted:
            self.git.local("update-ref", self._accepted, newest)
        if due is not None:
            self.git.local("config", "--local", self._note, due.token)
            followed = due.token
        return Head(commit=newest, followed=followed)

    def _rewritten(self, newest: Commit, needed: Commit) -> str:
        """Short enough for a heartbeat, through which others hear it."""
        return (
            f"{self.branch} was rewritten: its head {newest[:SHORT]} does not descend from {needed[:SHORT]}, from "
            f"which work goes on. To go on from the new head: winslow accept-rewrite {newest[:SHORT]}; to keep both: "
            f"git merge -s ours {needed[:SHORT]}, and push"
        )

    def _followed(self) -> Token | None:
        """One acceptance leads over one rewrite, not over the next one: a clone goes along with each once."""
        note = self.git.run("config", "--local", "--get", self._note).text
        return Token(note) if note else None

    def _last_good(self, reason: str, error: str, *, reachable: bool = True) -> Head:
        try:
            commit, followed = self.accepted(), self._followed()
        except SourceUnavailable:
            commit, followed = None, None
        return Head(commit=commit, reachable=reachable, reason=reason, error=error, followed=followed)

    # --- what we have ----------------------------------------------------------------------------

    def tree(self, commit: Commit) -> GitTree:
        """The files of a commit; close it after reading."""
        return GitTree(self.git, commit)

    def observed_tree(self, commit: Commit) -> GitTree:
        """The same, of a commit of the branch ``observed``."""
        return GitTree(self.git, commit, is_ours=True)

    def newest(self) -> Commit | None:
        """The head of main as last fetched, accepted or not."""
        return self.ref(self._remote_ref(self.branch))

    def accepted(self) -> Commit | None:
        """The commit to work from, as last decided."""
        return self.ref(self._accepted)

    def observed_head(self) -> Commit | None:
        """The remote's branch ``observed`` as last fetched or pushed."""
        with self.alone():
            return self.ref(self._remote_ref(self.observed_branch))

    def remember_observed(self, commit: Commit) -> None:
        """We pushed it, so that is where the remote stands."""
        self.git.local("update-ref", self._remote_ref(self.observed_branch), commit)

    def descends(self, commit: Commit, ancestor: Commit) -> bool | None:
        """Does ``commit`` equal or descend from ``ancestor``? None: one of them is not in our clone.

        What is true of two commits stays true, so the answer is kept; not knowing one is asked again. Never waits
        for a call that waits for the remote.
        """
        if (known := self._descends.get((commit, ancestor))) is not None:
            return known
        answer = self._is_ancestor(ancestor, commit)
        if answer is not None:
            self._descends[commit, ancestor] = answer
        return answer

    def _is_ancestor(self, ancestor: Commit, commit: Commit) -> bool | None:
        code = self.git.run("merge-base", "--is-ancestor", ancestor, commit).code
        return code == 0 if code in {0, 1} else None

    def ref(self, name: str) -> Commit | None:
        """The commit that one of our own refs names."""
        text = self.git.local("for-each-ref", "--format=%(objectname)", name).decode().strip()
        return Commit(text) if text else None

    def _remote_ref(self, branch: str) -> str:
        return f"refs/winslow/remote/{branch}"

    # --- the clone's life ------------------------------------------------------------------------

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One git process at a time; a caller whose predecessor still waits for the remote is told so."""
        if not self._lock.acquire(timeout=self.git.timeout):
            raise SourceUnavailable("git is still busy with an earlier call; the next look tries again")
        try:
            if not self._is_open:
                self._open()
            yield
        except TimedOut:
            self._is_open = False  # a killed git may have left locks
            raise
        finally:
            self._lock.release()

    def mending(self, call: Callable[[], Answer]) -> Answer:
        """``call()``, and once more with a new clone when ours turns out to be damaged."""
        with self.alone():
            try:
                return call()
            except Broken:
                self._move_aside()
                self._open()
                self._fetch_head()
                return call()

    def _open(self) -> None:
        """Make the clone if there is none for this address, and clear up after a killed git."""
        note = self.clone / "winslow.url"
        try:
            if self.clone.exists() and (not note.is_file() or note.read_text(encoding="utf-8") != self.url):
                self._move_aside()
            self.clone.mkdir(mode=0o700, parents=True, exist_ok=True)
            for lock in self.clone.rglob("*.lock"):
                lock.unlink()
            self.git.write_configuration()
            if not (self.clone / "HEAD").is_file():
                self.git.local("init", "--quiet", "--bare", "--template=", str(self.clone))
            note.write_text(self.url, encoding="utf-8")
        except OSError as error:
            raise SourceUnavailable(
                f"the clone at {self.clone} can't be written: {error.strerror}; check the directory's owner and space"
            ) from error
        self._is_open = True

    def _check_clone(self) -> None:
        self.git.local("for-each-ref", "--count=1", "refs/winslow")

    def check_objects(self) -> None:
        """A fetch or push failed: is it our clone? Raises Broken if so."""
        self.git.local("fsck", "--no-dangling", "--no-progress")

    def _move_aside(self) -> None:
        """Keep the newest damaged clone for a look, not all of them."""
        aside = self.clone.with_name(f"{self.clone.name}.damaged")
        self._is_open = False
        shutil.rmtree(aside, ignore_errors=True)
        self.clone.rename(aside)
