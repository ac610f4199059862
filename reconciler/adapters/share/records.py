"""Publishing and reading numbered, immutable records: the one primitive everything rests on.

Publish: write a private file in ``tmp/``, fsync, close, ``link(2)`` it to the record's name, then re-read that
name and compare the random token. The file's identity decides, not the call's errno: a lost reply can
report EEXIST for a link that is ours (link(2), BUGS). Names are never reused, so a late duplicate does no harm.
"""

import contextlib
import secrets
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypedDict, TypeVar

from reconciler.adapters.share.files import MOUNTED, Files
from reconciler.adapters.share.names import is_there, make_below
from reconciler.errors import RecordUnreadable, ShareUnavailable


def record_name(number: int) -> str:
    return f"{number:08d}.json"


R = TypeVar("R")


class Sharing(TypedDict):
    """What all stores of one share have in common."""

    writer: str
    files: Files
    check: Callable[[], object]


def _unchecked() -> None:
    pass


class RecordStore(Generic[R]):
    """Records of one kind below any directory. Immutable once read, hence cached for as long as we live."""

    def __init__(
        self,
        tmp: Path,
        load: Callable[[bytes], R],
        *,
        writer: str,
        files: Files = MOUNTED,
        check: Callable[[], object] = _unchecked,
    ) -> None:
        """``writer`` names this process in private files' names, so that nobody's drafts collide.

        ``check`` raises if this is not our share any more. It is asked between draft and link, and who rebuilds a share
        first changes what it reads, then empties ``tmp/``: a node that froze after its check finds its draft gone.
        """
        self._check = check
        self._tmp = tmp
        self._load = load
        self._writer = writer
        self._files = files
        self._seen: dict[tuple[Path, int], list[R]] = {}
        self._lock = threading.Lock()

    def read(self, directory: Path, *, above: int = 0) -> tuple[R, ...]:
        """All records ``above`` a number, in order, without a gap: a listing that runs ahead of itself is an old view.

        What stands at or below that number belongs to nobody: a frozen node's late word to a namesake. What was there
        and is not any more, was taken away by who put the share back to an older state: then we don't know it either.
        """
        with self._lock:
            known = self._seen.setdefault((directory, above), [])
            try:
                names = self._names(directory)
            except (FileNotFoundError, NotADirectoryError):  # not there yet; or a stray file beside the projects
                return tuple(known)
            while known and record_name(above + len(known)) not in names:
                known.pop()
            while (name := record_name(above + len(known) + 1)) in names:
                try:
                    known.append(self._load(self._files.read(directory / name)))
                except RecordUnreadable as error:
                    raise RecordUnreadable(f"{directory / name}: {error}") from error
                except (PermissionError, IsADirectoryError) as error:  # this one history's trouble, not the share's
                    raise RecordUnreadable(f"{directory / name} can't be read: {error.strerror}") from error
            return tuple(known)

    def _names(self, directory: Path) -> set[str]:
        try:
            return self._files.names(directory)
        except FileNotFoundError:  # perhaps only remembered from before somebody made it
            for above in (directory.parent.parent, directory.parent):
                self._files.refresh(above)
            return self._files.names(directory)

    def publish(self, directory: Path, number: int, content: bytes, token: str, *, within: Path | None = None) -> bool:
        """True if record ``number`` is ours, False if somebody else's stands there.

        ``within`` is not made: where it is gone, nothing is published, and False says so.
        """
        if within is None:
            self._files.mkdir(directory, parents=True)
        elif not self._made(within, directory):
            return False
        draft = self._draft(content)
        target = directory / record_name(number)
        failure: OSError | None = None
        try:
            self._check()
            self._files.link(draft, target)
        except OSError as error:  # decided below, by what stands there
            failure = error
        finally:
            with contextlib.suppress(OSError):
                self._files.unlink(draft)
        standing = self._standing(directory, target)
        if standing is not None:
            return token.encode() in standing
        if within is not None and not is_there(self._files, within):
            return False
        if failure is not None and not isinstance(failure, FileExistsError):
            raise failure
        raise ShareUnavailable(f"{target}: was published but can't be read back; the next tick looks again")

    def _draft(self, content: bytes) -> Path:
        draft = self._tmp / f"{self._writer}.{secrets.token_hex(8)}"
        try:
            self._files.create(draft, content)
        except OSError:  # full, most often: leave nothing half-written behind
            with contextlib.suppress(OSError):
                self._files.unlink(draft)
            raise
        return draft

    def _standing(self, directory: Path, target: Path) -> bytes | None:
        try:
            self._files.refresh(directory)
            return self._files.read(target)
        except FileNotFoundError:
            return None

    def _made(self, base: Path, directory: Path) -> bool:
        """False if ``base`` is gone."""
        try:
            make_below(self._files, base, directory)
        except FileNotFoundError:
            if is_there(self._files, base):
                raise
            return False
        return True
