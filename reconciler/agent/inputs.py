"""What a run was given: noted before its program starts, hashed while it runs, looked at again once it has ended.

Hashes are read on a thread of their own, one file at a time on a node. A run never waits long for them: what is not
known when its program has ended is known to the next one, for the share keeps it.
"""

import threading
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace

import structlog

from reconciler.agent.ports import Share
from reconciler.core.desired import Workspace
from reconciler.core.ledger import Run
from reconciler.core.names import ProjectName
from reconciler.core.records import Claim, InputFile, RunCreated
from reconciler.errors import WinslowError

log = structlog.get_logger()

PATIENCE = 3.0
"""Seconds that an ended run waits for its last hashes."""

PAUSE = 5.0
"""Seconds before we look again for a hash that another process computes."""

INIT = "init"


@dataclass(frozen=True, slots=True)
class Hashing:
    """Of one run. ``done``: nothing is left to read."""

    inputs: tuple[InputFile, ...]
    done: threading.Event
    ended: threading.Event  # the program
    known: dict[str, str]  # path -> sha256


class Inputs:
    """Called from the worker threads of runs, several at a time."""

    def __init__(self, share: Share) -> None:
        self._share = share
        self._one = threading.Lock()
        self._found: dict[ProjectName, tuple[Claim, tuple[InputFile, ...]]] = {}  # a project has one open run

    def look(self, project: ProjectName, created: RunCreated) -> tuple[InputFile, ...]:
        """What the run is given now."""
        return self._share.look_at_inputs(project, declared(created))

    def note(self, project: ProjectName, run: Run, claim: Claim, inputs: Sequence[InputFile]) -> None:
        """So that whoever follows the run to its end, perhaps after a restart, knows what it began with."""
        if inputs:
            self._share.note_inputs(project, run, claim, inputs)

    def begin(self, project: ProjectName, run: Run, claim: Claim) -> Hashing:
        """Start to hash what is not known yet. The program runs meanwhile."""
        inputs = self._share.noted_inputs(project, run, claim)
        known = {one.path: one.sha256 for one in inputs if one.sha256}
        hashing = Hashing(inputs, threading.Event(), threading.Event(), known)
        if len(hashing.known) == len(hashing.inputs):
            hashing.done.set()
            return hashing
        thread = threading.Thread(target=self._hash, args=(project, hashing), name="hash", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:  # the machine gives no more threads
            log.warning("inputs_not_hashed", project=project, error=str(error))
        return hashing

    def end(self, project: ProjectName, run: Run, claim: Claim, hashing: Hashing) -> None:
        """The program has ended: keep what is known of its inputs, and whether they are still the same."""
        hashing.ended.set()
        if not hashing.inputs:
            return
        hashing.done.wait(PATIENCE)
        known = [replace(one, sha256=hashing.known.get(one.path, "")) for one in hashing.inputs]
        try:
            now = {one.path: one for one in self.look(project, run.created)}
        except WinslowError as error:  # nothing that the run's end should wait for
            log.warning("inputs_not_compared", project=project, run=run.number, error=str(error))
        else:
            known = [replace(one, changed=_is_other(one, now.get(one.path))) for one in known]
        self._found[project] = (claim, tuple(known))

    def found(self, project: ProjectName, claim: Claim) -> tuple[InputFile, ...]:
        """What is to be recorded of the run that ended under this claim."""
        of, inputs = self._found.get(project, (None, ()))
        return inputs if of == claim else ()

    def _hash(self, project: ProjectName, hashing: Hashing) -> None:
        try:
            self._hash_all(project, hashing)
        except WinslowError as error:
            log.warning("inputs_not_hashed", project=project, error=str(error))
        except Exception:
            log.exception("hashing_crashed", project=project)
        finally:
            hashing.done.set()

    def _hash_all(self, project: ProjectName, hashing: Hashing) -> None:
        """One after the other; those that another process is at come last, and only while the program runs."""
        todo = deque(one for one in hashing.inputs if not one.sha256)
        busy = 0
        while todo:
            file = todo.popleft()
            with self._one:
                sha256 = self._share.hash_input(project, file)
            if sha256 is not None:
                hashing.known[file.path] = sha256
                busy = 0
                continue
            todo.append(file)
            busy += 1
            if busy >= len(todo) and hashing.ended.wait(PAUSE):
                return


def declared(created: RunCreated) -> tuple[str, ...]:
    """The inputs that the project declares, and ``init`` where the run begins from that."""
    begins_with_init = created.base is None and created.workspace is Workspace.CONTINUE
    return (*created.inputs, *((INIT,) if begins_with_init else ()))


def _is_other(then: InputFile, now: InputFile | None) -> bool:
    return now is None or (then.size, then.modified) != (now.size, now.modified)
