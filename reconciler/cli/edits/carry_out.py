"""From an edit to a commit on the remote: shown, checked before it is pushed, and nothing changed if it can't be.

The push is a compare-and-swap: when somebody was faster, the same text goes onto the new head if nobody
touched the file there. It is not decided anew: what the person saw is what is pushed.
"""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from readonly_ui.words import plain
from reconciler.cli.edits.clone import Clone, Fetched
from reconciler.cli.edits.state import Edit, State, opened
from reconciler.cli.output import err, out, text
from reconciler.codec.desired import validate_file
from reconciler.core.desired import Forge
from reconciler.core.merge_request import UNSUPPORTED, one_line, push_arguments
from reconciler.core.names import Commit
from reconciler.core.problems import Problem, Severity
from reconciler.core.proposals import PREFIX, merge_page
from reconciler.errors import BadInput, WinslowError

TRIES = 10
SUBJECT = 120
COLOURS = {"+": "green", "-": "red", "@": "cyan"}


class Refused(WinslowError):
    """The remote did not take the edit, or somebody was faster; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """How an edit is to reach the remote."""

    dry_run: bool = False
    merge_request: bool = False
    message: str | None = None


def carry_out(clone: Clone, decide: Callable[[State], Edit], way: Way) -> None:
    base = clone.fetch()
    with opened(clone, base) as state:
        edit = decide(state)
        forge, held = state.desired.site.forge, state.held()
        known = {problem.message for problem in state.desired.problems if problem.file == edit.path}
    if edit.before == edit.after:
        out().print(text(f"nothing to change: {edit.path} says so already"))
        return
    own = (way.message or "").strip()
    draft = _Draft(clone, edit, own or one_line(f"{edit.project}: {edit.subject}", SUBJECT), known)
    commit = draft.commit(base.head)
    _show(clone.diff(base.head, commit))
    draft.check(base, commit)
    if way.dry_run:
        out().print(text(f"nothing was changed (--dry-run); it would be: {edit.follows}"))
    elif way.merge_request:
        _offer(draft, commit, forge)
    else:
        pushed = _push(draft, base, commit)
        out().print(text(f"pushed {pushed[:8]} to {clone.branch}: {draft.title}"))
        if why := clone.follow(pushed):
            out().print(text(f"your clone is unchanged ({why}); git pull brings it up to date"))
        out().print(text(edit.follows))
    if held:
        told = "the nodes see this edit only after that: they hold on to an older commit"
        err().print(
            text(f"winslow: {clone.branch} was rewritten and nobody has accepted it (winslow accept-rewrite); {told}")
        )


@dataclass(frozen=True, slots=True)
class _Draft:
    """An edit that becomes a commit, perhaps several times. ``known``: what was wrong with its file before."""

    clone: Clone
    edit: Edit
    message: str
    known: Collection[str]

    @property
    def title(self) -> str:
        return self.message.partition("\n")[0]

    @property
    def content(self) -> bytes | None:
        return None if self.edit.after is None else self.edit.after.encode()

    def commit(self, parent: Commit) -> Commit:
        """No ref names it yet."""
        return self.clone.commit(parent, self.edit.path, self.content, self.message)

    def check(self, base: Fetched, commit: Commit) -> None:
        """BadInput if the file would be broken, or name what does not exist and did exist before."""
        path = self.edit.path
        with opened(self.clone, replace(base, head=commit)) as state:
            told = [one for one in state.desired.problems if one.file == path and one.message not in self.known]
        broken = validate_file(path, self.content) if self.content is not None else ()
        worse = sorted({problem for problem in (*told, *broken) if problem.severity is Severity.ERROR})
        if worse:
            raise BadInput("\n".join(["this edit would not be valid, so nothing was changed:", *map(_line, worse)]))


def _line(problem: Problem) -> str:
    return f"  {problem}"


def _show(diff: str) -> None:
    for line in diff.splitlines():
        if not line.startswith(("diff --git", "index ")):
            out().print(text(line, COLOURS.get(line[:1], "")))


def _push(draft: _Draft, base: Fetched, commit: Commit) -> Commit:
    clone, path = draft.clone, draft.edit.path
    for _ in range(TRIES):
        taken, said = clone.push(f"{commit}:refs/heads/{clone.branch}")
        if taken:
            return commit
        now = clone.fetch()
        if clone.contains(now.head, commit):  # it was taken, and only the answer was lost
            return commit
        if now.head == base.head:
            raise Refused(
                f"{_words(said)}\nnothing was changed; if {clone.branch} is protected, ask by --merge-request"
            )
        if clone.blob(now.head, path) != clone.blob(base.head, path):
            raise Refused(f"somebody else changed {path} just now; nothing was changed: look at it, then ask again")
        base, commit = now, draft.commit(now.head)
        draft.check(base, commit)
    raise Refused(f"{clone.branch} moved {TRIES} times while this was pushed; nothing was changed: try again")


def _offer(draft: _Draft, commit: Commit, forge: Forge | None) -> None:
    """Pushes a branch of its own, together with a merge request where the remote makes one."""
    clone, edit = draft.clone, draft.edit
    slug = re.sub(r"[^a-z0-9]+", "-", edit.subject.lower()).strip("-")[:40].strip("-")
    branch = f"{PREFIX}{edit.project}/{slug}-{commit[:7]}"
    description = draft.message.partition("\n")[2].strip() or edit.follows

    def arguments(kind: str | None) -> list[str]:
        return push_arguments(
            kind, branch=branch, target=clone.branch, title=draft.title, description=description, commit=commit
        )

    taken, said = clone.push(*arguments(forge.kind if forge else None))
    if not taken and UNSUPPORTED in said:
        taken, said = clone.push(*arguments(None))
    if not taken:
        raise Refused(f"{_words(said)}\nnothing was changed")
    out().print(
        text(f"pushed {commit[:8]} to the branch {branch}; nothing changes before it is merged into {clone.branch}")
    )
    page = merge_page(branch, forge, clone.branch)
    links = re.findall(r"https?://\S+", said) or [page or ""]
    by_hand = f"git switch {clone.branch} && git pull && git merge --no-edit {clone.remote}/{branch} && git push"
    for link in links:
        out().print(text(f"merge it here: {link}" if link else f"to merge it: {by_hand}"))
    out().print(text(f"then: {edit.follows}"))


def _words(said: str) -> str:
    """What the remote itself said, without git's progress and advice."""
    lines = [plain(line.strip()) for line in said.splitlines()]
    marks = ("remote:", "!", "error:", "fatal:")
    told = [line.removeprefix("remote:").strip() for line in lines if line.startswith(marks)]
    return "\n".join(["the remote refused it:", *(f"  {line}" for line in told or lines if line)])
