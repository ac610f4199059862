"""Folding the ledger into the branch ``observed``: one publisher at a time, one commit a change.

Order matters: the branch's head is read first, the ledger after it, and the push expects that head. So whatever
is pushed was read later than what it replaces, and a rejected push is simply made again from the ledger. So a file
that would be replaced and tells of a record that the ledger lacks tells the truth: then nothing is pushed at all.
"""

from collections.abc import Callable, Iterable, Mapping

import structlog

from reconciler.agent.ports import Clock, Lock, Observed, Seen, Share
from reconciler.codec.noted import noted, version
from reconciler.codec.observed import Folding, headline
from reconciler.core.ledger import Ledger
from reconciler.core.ledger_behind import Noted, missing
from reconciler.core.status import STATUS_VERSION, Status
from reconciler.errors import Moved, Transient, WinslowError

log = structlog.get_logger()

GIVE_UP = 60.0
"""Seconds without a publication that was due after which another node gets its turn."""


class Publisher:
    def __init__(self, share: Share, observed: Observed, clock: Clock, look: Callable[[], Seen | None]) -> None:
        """``look`` reads the ledger now and reports; None while others can say more: our clone is older than theirs."""
        self._share = share
        self._observed = observed
        self._clock = clock
        self._look = look
        self._fold = Folding()
        self._lock: Lock | None = None
        self._published: Mapping[str, str] | None = None
        self._status: Status | None = None  # what was folded into it
        self._seen: Seen | None = None
        self._useless_since: float | None = None
        self.error = ""

    @property
    def seen(self) -> Seen | None:
        """What the branch says, or would if the remote took it: people are told while git is away; None while another
        node publishes."""
        return self._seen if self._lock is not None else None

    def publish(self) -> bool:
        """Publish if this node is (or can become) the publisher and something changed; True if it committed."""
        if self._lock is None:
            self._lock = self._share.try_lock("publisher")
            self._published = None
        if self._lock is None:
            self.error = ""  # it is another node's turn, and its story to tell
            return False
        try:
            committed = self._publish()
        except Moved as error:
            self._in_vain(str(error) if self._useless_since is not None else "")  # once is how a new publisher begins
            return False
        except WinslowError as error:
            self._in_vain(str(error))
            return False
        if committed is None:
            self._seen = None
            self._in_vain()
            return False
        self._useless_since, self.error = None, ""
        return committed

    def close(self) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None
        self._seen = None

    def _publish(self) -> bool | None:
        """True if it committed; None if others should speak."""
        before = self._published if self._published is not None else self._observed.read()
        seen = self._look()
        if seen is None:
            return None
        if (newer := version(before)) > STATUS_VERSION:
            raise Transient(
                f"the branch observed has version {newer}, and this Winslow writes {STATUS_VERSION}: a newer node "
                "publishes; update Winslow on this one"
            )
        self._seen = seen
        if seen.status == self._status and self._published is not None:
            return False
        files = {**self._fold(seen.status), **_kept(before, seen.ledger)}
        if missing(seen.ledger, _overwritten(before, files)):
            return None
        self._status = seen.status
        if files == before:
            self._published = files
            return False
        if self._lock is not None and not self._lock.is_held():  # another node publishes: the push would only lose
            log.warning("publisher_lock_lost")
            self.close()
            return False
        self._published = None  # unknown until the push has answered
        commit = self._observed.publish(files, headline(before, files))
        self._published = files
        if commit is not None:
            log.info("observed_published", commit=commit)
        return commit is not None

    def _in_vain(self, error: str = "") -> None:
        now = self._clock.monotonic()
        self._published = None
        self._useless_since = now if self._useless_since is None else self._useless_since
        if error and error != self.error:
            log.warning("publish_failed", error=error)
        self.error = error
        if now - self._useless_since > GIVE_UP:
            self.close()
            self._useless_since = None


def _overwritten(before: Mapping[str, str], files: Mapping[str, str]) -> Iterable[Noted]:
    """Of which records the files tell that are about to be replaced or removed."""
    told = (noted(path, text) for path, text in before.items() if files.get(path) != text)
    return (one for one in told if one is not None)


def _kept(before: Mapping[str, str], ledger: Ledger) -> Mapping[str, str]:
    """Runs of projects whose records we can't read: whoever wrote of them could."""
    folders = tuple(f"projects/{name}/runs/" for name in ledger.unreadable)
    return {path: text for path, text in before.items() if folders and path.startswith(folders)}
