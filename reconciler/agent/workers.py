"""Daemon threads, one a key: for calls that may block for days or for ever.

Not an executor: those are joined when the interpreter ends, and a thread that hangs in an NFS call must never
keep a node from stopping.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from reconciler.core.containers import ClaimKey
from reconciler.core.names import ProjectName, RecordNumber, RunNumber
from reconciler.errors import Transient, WinslowError

log = structlog.get_logger()

Key = ClaimKey | RunNumber | RecordNumber | str  # the last: an image


@dataclass(frozen=True, slots=True)
class Job:
    """What a worker does (start, follow, stop, remove, output, purge, empty, resolve, prepare, images) and for what."""

    kind: str
    project: ProjectName
    key: Key


class Workers:
    """Runs at most one function a job at a time; calls ``on_end`` after each, whatever became of it."""

    def __init__(self, on_end: Callable[[], None]) -> None:
        self._on_end = on_end
        self._lock = threading.Lock()
        self._busy: set[Job] = set()

    def start(self, job: Job, work: Callable[[], None]) -> bool:
        """Start ``work`` unless the same job is busy; False if it is."""
        with self._lock:
            if job in self._busy:
                return False
            self._busy.add(job)
        try:
            threading.Thread(target=self._run, args=(job, work), name=job.kind, daemon=True).start()
        except RuntimeError as error:  # the machine gives no more threads
            with self._lock:
                self._busy.discard(job)
            raise Transient(f"no thread for '{job.kind}' ({error}); the next tick tries again") from error
        return True

    def busy(self) -> frozenset[Job]:
        with self._lock:
            return frozenset(self._busy)

    def _run(self, job: Job, work: Callable[[], None]) -> None:
        try:
            work()
        except WinslowError as error:
            log.warning("worker_failed", job=job.kind, project=job.project, error=str(error))
        except Exception:
            log.exception("worker_crashed", job=job.kind, project=job.project)
        finally:
            with self._lock:
                self._busy.discard(job)
            self._on_end()
