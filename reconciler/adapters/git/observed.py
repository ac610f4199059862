"""The branch ``observed``: what nodes report, one commit a publication.

A publication is one ``git fast-import`` of what differs from the branch as last read, then a push that
expects exactly that head: of two publishers one wins, and the other reads and folds again. A fetch between
reading and publishing (on another thread) does not count as having read.
"""

from collections.abc import Mapping

from reconciler.adapters.git.noted import NotedRecords
from reconciler.adapters.git.remote import explain
from reconciler.adapters.git.repository import StateRepository
from reconciler.core.ledger_behind import Noted
from reconciler.core.names import Commit, NodeName
from reconciler.errors import Moved, SourceUnavailable, Transient

DRAFT = "refs/winslow/draft"


class ObservedBranch:
    """Port ``Observed``. The head is the one that the last ``StateRepository.fetch_head`` or our own push saw."""

    def __init__(self, repository: StateRepository, node: NodeName) -> None:
        self._repository = repository
        self._person = f"Winslow ({node}) <winslow@{node}>"
        self._known: tuple[Commit, Mapping[str, str]] | None = None
        self._expected: Commit | None = None
        self._has_read = False
        self._records = NotedRecords(repository)

    def head(self) -> Commit | None:
        return self._repository.observed_head()

    def noted(self) -> tuple[Noted, ...]:
        return self._records.noted()

    def read(self) -> Mapping[str, str]:
        """All files of the branch as last fetched, path -> text; the next publication expects to find these."""
        with self._repository.alone():
            files = self._repository.mending(self._read)
            self._expected, self._has_read = self.head(), True
            return files

    def _read(self) -> Mapping[str, str]:
        head = self._repository.observed_head()
        if head is None:
            return {}
        if self._known is None or self._known[0] != head:
            with self._repository.observed_tree(head) as tree:
                files = {path: tree.read(blob).decode(errors="replace") for path, blob in tree.files().items()}
            self._known = (head, files)
        return self._known[1]

    def publish(self, files: Mapping[str, str], message: str) -> Commit | None:
        """Make the branch hold exactly ``files``; None when it does already.

        Transient when the remote moved since ``read`` (read again) or refuses, SourceUnavailable when it can't
        be reached.
        """
        with self._repository.alone():
            if not self._has_read:
                self.read()
            return self._repository.mending(lambda: self._publish(self._expected, files, message))

    def _publish(self, expected: Commit | None, files: Mapping[str, str], message: str) -> Commit | None:
        if self.head() != expected:  # ``files`` were folded without the news that a fetch has brought
            raise Moved(self._moved())
        before = self._read()
        if before == files:
            return None
        commit = self._commit(expected, before, files, message)
        self._push(expected, commit)
        self._repository.remember_observed(commit)
        self._known, self._expected = (commit, dict(files)), commit
        return commit

    def _moved(self) -> str:
        branch = self._repository.observed_branch
        return f"the branch {branch} moved while we published; the next tick folds again from its new head"

    def _commit(self, head: Commit | None, before: Mapping[str, str], files: Mapping[str, str], message: str) -> Commit:
        text = message.encode()
        stream = [
            f"reset {DRAFT}\n\ncommit {DRAFT}\ncommitter {self._person} now\ndata {len(text)}\n".encode(),
            text + b"\n",
            f"from {head}\n".encode() if head else b"",
            *(f"D {quoted(path)}\n".encode() for path in sorted(before.keys() - files.keys())),
        ]
        for path in sorted(path for path, content in files.items() if before.get(path) != content):
            content = files[path].encode()
            stream += [f"M 100644 inline {quoted(path)}\ndata {len(content)}\n".encode(), content, b"\n"]
        git = self._repository.git
        git.local("fast-import", "--quiet", "--force", "--date-format=now", stdin=b"".join(stream))
        commit = self._repository.ref(DRAFT)
        if commit is None:
            raise Transient("git fast-import made no commit; the next publication tries again")
        return commit

    def _push(self, head: Commit | None, commit: Commit) -> None:
        branch = f"refs/heads/{self._repository.observed_branch}"
        result = self._repository.git.run(
            *("push", "--porcelain", "--no-verify", f"--force-with-lease={branch}:{head or ''}"),
            *("--", self._repository.url, f"{commit}:{branch}"),
        )
        if result.code == 0:
            return
        refusal = next((line.split("\t")[-1] for line in result.text.splitlines() if line.startswith("!\t")), None)
        if refusal is None:
            self._repository.check_objects()
            raise SourceUnavailable(explain(result.err))
        if refusal.startswith("[rejected]") or "lock ref" in refusal or "failed to update ref" in refusal:
            raise Moved(self._moved())
        raise Transient(
            f"the remote refuses to take {self._repository.observed_branch}: {refusal}; {explain(result.err)}"
        )


def quoted(path: str) -> str:
    """A path as fast-import reads it whatever its characters."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
