"""The branches ``proposals/*``: one commit each, on top of main, that changes one file.

A commit of ours names its own tree and edit in the last line of its message. Whoever amends it, adds to it or
rebases it becomes its committer or loses that line: then the branch is theirs. Every push expects the branch
where it was seen.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

import structlog

from reconciler.adapters.git.command import Result
from reconciler.adapters.git.remote import explain
from reconciler.adapters.git.repository import StateRepository
from reconciler.core.merge_request import UNSUPPORTED, push_arguments
from reconciler.core.names import Commit, NodeName
from reconciler.core.proposals import PREFIX, Draft, Standing
from reconciler.errors import BadInput, SourceUnavailable, TryLater

SEEN = "refs/winslow/proposals/"
FIELDS = ("refname", "objectname", "tree", "committeremail", "contents")
REQUEST = ":refs/for/"
REFUSED = 60.0
MARK = re.compile(r"^Winslow-Proposal: (\S+) (\S+)\Z", re.MULTILINE)


log = structlog.get_logger()


class ProposalBranches:
    """Looks at the remote, and changes it, in the node's own clone."""

    def __init__(self, repository: StateRepository, node: NodeName) -> None:
        self._repository = repository
        self._git = repository.git
        self._node = node
        self._takes_options = True

    # --- what is there ---

    def standing(self, main: Commit) -> tuple[Standing, ...]:
        """All branches below ``proposals/`` at this moment; ``main`` is the commit from which work goes on."""
        return self._repository.mending(lambda: tuple(self._standing(main)))

    def _standing(self, main: Commit) -> Iterator[Standing]:
        fetched = self._git.run(
            *("fetch", "--quiet", "--prune", "--no-tags", "--no-write-fetch-head", "--no-auto-maintenance"),
            *("--", self._repository.url, f"+refs/heads/{PREFIX}*:{SEEN}*"),
        )
        if fetched.code != 0:
            self._repository.check_objects()
            raise SourceUnavailable(explain(fetched.err))
        merged = set(self._list("%(refname)", f"--merged={main}").decode(errors="replace").split("\n"))
        found = self._list("".join(f"%({name})%00" for name in FIELDS)).decode(errors="replace").split("\0")[:-1]
        for name, commit, tree, mail, message in zip(*(found[place :: len(FIELDS)] for place in range(5)), strict=True):
            ref = name.strip()
            mark = MARK.search(message.strip())
            is_ours = mark is not None and mark[1] == tree and mail.startswith("<winslow@")
            yield Standing(
                branch=PREFIX + ref.removeprefix(SEEN),
                commit=Commit(commit),
                key=mark[2] if mark and is_ours else None,
                is_merged=ref in merged,
            )

    def _list(self, form: str, *options: str) -> bytes:
        return self._git.local("for-each-ref", f"--format={form}", *options, SEEN)

    def read(self, main: Commit, path: str) -> str:
        return self._repository.mending(lambda: self._read(main, path))

    def _read(self, main: Commit, path: str) -> str:
        entry = self._git.local("ls-tree", "-z", "--full-tree", main, "--", path).decode(errors="replace")
        if not entry:
            raise BadInput(f"{path} is not in the commit {main}")
        try:
            return self._git.local("cat-file", "blob", entry.split()[2]).decode()
        except UnicodeDecodeError as error:
            raise BadInput(f"{path} is not UTF-8 text") from error

    # --- changing it ---

    def push(self, drafts: Sequence[Draft], main: Commit, *, forge: str | None) -> bool:
        """False if a branch stood elsewhere than expected: look again. TryLater if the remote refuses.

        One push for all, or one each where options belong to one branch. Fetching gets its turn in between.
        """
        made = [self._arguments(draft, main, forge) for draft in drafts]
        leases = {draft.branch: draft.expected for draft in drafts}
        if all(len(arguments) == 1 for arguments in made):
            return self._push(leases, [refspec for arguments in made for refspec in arguments])
        is_done, refusal = True, None
        for (branch, expected), arguments in zip(leases.items(), made, strict=True):
            try:
                is_done &= self._push({branch: expected}, arguments)
            except TryLater as error:  # of this branch, perhaps
                refusal = error
        if refusal is not None:
            raise refusal
        return is_done

    def _arguments(self, draft: Draft, main: Commit, forge: str | None) -> list[str]:
        return push_arguments(
            forge if self._takes_options else None,
            branch=draft.branch,
            target=self._repository.branch,
            title=draft.title,
            description=draft.description,
            commit=self._repository.mending(lambda: self._commit(draft, main)),
        )

    def withdraw(self, standing: Sequence[Standing]) -> bool:
        """As ``push``. A branch that is gone meanwhile stands elsewhere."""
        return self._push(
            {one.branch: one.commit for one in standing}, [f":refs/heads/{one.branch}" for one in standing]
        )

    def _push(self, leases: Mapping[str, Commit | None], arguments: Sequence[str]) -> bool:
        held = [f"--force-with-lease=refs/heads/{branch}:{commit or ''}" for branch, commit in leases.items()]
        with self._repository.alone():
            result = self._git.run("push", "--porcelain", "--no-verify", *held, self._repository.url, *arguments)
        if result.code == 0:
            return True
        if UNSUPPORTED in result.err:
            self._takes_options = False
            return self._push(leases, [one for one in arguments if not one.startswith("--") and REQUEST not in one])
        return self._repository.mending(lambda: self._judge(result))

    def _judge(self, result: Result) -> bool:
        """A branch without its merge request still is an answer: who refuses only the request is not asked again."""
        refused = [line.split("\t") for line in result.text.splitlines() if line.startswith("!\t")]
        if not refused:
            self._repository.check_objects()
            raise SourceUnavailable(explain(result.err))
        words = [said for _, refspec, said in refused if REQUEST not in refspec]
        hard = [said for said in words if not said.startswith("[rejected]")]  # else our lease was lost
        if not words:
            log.warning("merge_request_refused", said=explain(result.err))
        if not hard:
            return not words
        raise TryLater(
            f"the remote takes no {PREFIX}* from this node's git identity (if it shall not push them, write "
            f"proposals: false in winslow.yaml): {hard[0]}; {explain(result.err)}",
            after=REFUSED,
        )

    # --- commits ---

    def _commit(self, draft: Draft, main: Commit) -> Commit:
        """The same draft is the same commit: a remote that refuses it again and again fills no clone."""
        blob = self._git.local("hash-object", "-w", "--stdin", stdin=draft.text.encode()).decode().strip()
        tree = self._tree(main, draft.path.split("/"), blob)
        person = f"Winslow ({self._node}) <winslow@{self._node}> {int(draft.at.timestamp())} +0000"
        text = (
            f"tree {tree}\nparent {main}\nauthor {person}\ncommitter {person}\n\n"
            f"{draft.title}\n\n{draft.description}\n\nWinslow-Proposal: {tree} {draft.key}\n"
        )
        made = self._git.local("hash-object", "-t", "commit", "-w", "--stdin", stdin=text.encode())
        return Commit(made.decode().strip())

    def _tree(self, tree: str, path: Sequence[str], blob: str) -> str:
        """The tree with another blob at ``path``; everything else, modes included, as it is."""
        entries = self._git.local("ls-tree", "-z", tree).split(b"\0")[:-1]
        for place, entry in enumerate(entries):
            facts, name = entry.split(b"\t", 1)
            if name == path[0].encode():
                mode, kind, inner = facts.decode().split(" ")
                identity = self._tree(inner, path[1:], blob) if path[1:] else blob
                entries[place] = f"{mode} {kind} {identity}\t".encode() + name
                return self._git.local("mktree", "-z", stdin=b"\0".join(entries) + b"\0").decode().strip()
        raise BadInput(f"there is no {path[0]} in the tree {tree}")
