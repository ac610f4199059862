"""Purged projects: taken away as a whole, then emptied; what stays keeps a namesake from using a number again.

One rename does it: ``projects/<project>`` becomes ``retired/<project>.<number of PURGED>``. From then on the name under
``projects/`` is a namesake's. The new name is never given up again: emptied, the directory still holds the PURGED
record, and a rename onto a directory that isn't empty fails. So a node that froze right before its rename
and wakes months later can't take a namesake's directory away.
"""

import errno
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from reconciler.adapters.share.files import Files
from reconciler.adapters.share.layout import Layout
from reconciler.adapters.share.names import is_there
from reconciler.adapters.share.records import record_name
from reconciler.core.ledger import Retired
from reconciler.core.names import ProjectName, RecordNumber
from reconciler.core.records import Purged
from reconciler.errors import FilesLeft, RecordUnreadable

ENTRY = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]*)\.([0-9]{8,})")
TAKEN_ALREADY = {errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST}
AGAIN = 600.0
"""Seconds after which we look whether somebody has made way."""
WITHSTANDS = {errno.EACCES, errno.EPERM, errno.ENOTEMPTY, errno.EEXIST, errno.EBUSY}
"""Somebody else's directory, or a file that a process on this machine still has open (NFS keeps it as .nfs...)."""

Remains = tuple[ProjectName, RecordNumber]


class RetiredProjects:
    """Nothing about an entry changes but that it is emptied, so each is read once."""

    def __init__(self, layout: Layout, files: Files, load: Callable[[bytes], Purged]) -> None:
        self._layout = layout
        self._files = files
        self._load = load
        self._known: dict[Remains, Retired] = {}
        self._emptied: set[Remains] = set()

    def last(self, project: ProjectName) -> RecordNumber:
        """The last number that namesakes of the project have used; 0: there were none. Listed anew."""
        return max((number for name, number in self._list() if name == project), default=RecordNumber(0))

    def read(self) -> Mapping[ProjectName, Retired | RecordUnreadable]:
        """Of each name the last project that had it, or why its record can't be read."""
        found: dict[ProjectName, Retired | RecordUnreadable] = {}
        for entry in sorted(self._list()):
            try:
                found[entry[0]] = self._retired(entry)
            except RecordUnreadable as error:
                found[entry[0]] = error
        return found

    def remains(self) -> tuple[Remains, ...]:
        """Entries that still hold files."""
        return tuple(entry for entry in sorted(self._list()) if not self._is_emptied(entry))

    def take(self, project: ProjectName, number: RecordNumber) -> None:
        """Move the project's directory away. Doing it again does nothing."""
        target = self._layout.retired(project, number)
        self._files.mkdir(target.parent)
        try:
            self._files.rename(self._layout.project(project), target)
        except OSError as error:
            if error.errno not in TAKEN_ALREADY or not is_there(self._files, target):
                raise

    def empty(self, project: ProjectName, number: RecordNumber) -> None:
        """Remove everything but the PURGED record. Slow; a crash in between leaves the rest to the next call.

        FilesLeft if some can't be removed: all others are.
        """
        directory = self._layout.retired(project, number)
        records = directory / "records"
        withstood = [
            *self._remove_all(directory, but=records.name),
            *self._remove_all(records, but=record_name(number)),
        ]
        if withstood:
            raise FilesLeft(
                f"files of the purged project {project} can't be removed: {withstood[0].filename}: "
                f"{withstood[0].strerror}; remove what is in {directory} by hand, all but its last record",
                after=AGAIN,
            )

    def _list(self) -> list[Remains]:
        try:
            names = self._files.names(self._layout.all_retired)
        except FileNotFoundError:
            return []
        matches = filter(None, map(ENTRY.fullmatch, names))
        return [(ProjectName(match[1]), RecordNumber(int(match[2]))) for match in matches]

    def _retired(self, entry: Remains) -> Retired:
        if entry not in self._known:
            project, number = entry
            file = self._layout.retired(project, number) / "records" / record_name(number)
            try:
                purged = self._load(self._files.read(file))
            except (RecordUnreadable, FileNotFoundError, NotADirectoryError, PermissionError) as error:
                raise RecordUnreadable(
                    f"{file}, which keeps the last numbers of a purged project, can't be read ({error}); "
                    "restore it from a backup, or use another name for the project"
                ) from error
            self._known[entry] = Retired(record=purged.number, run=purged.last_run, commit=purged.commit)
        return self._known[entry]

    def _is_emptied(self, entry: Remains) -> bool:
        if entry not in self._emptied:
            directory = self._layout.retired(*entry)
            if self._names(directory) == {"records"} and self._names(directory / "records") == {record_name(entry[1])}:
                self._emptied.add(entry)
        return entry in self._emptied

    def _names(self, directory: Path) -> set[str]:
        try:
            return self._files.names(directory)
        except NotADirectoryError:  # somebody's own file
            return set()

    def _remove_all(self, directory: Path, *, but: str) -> Iterator[OSError]:
        """What withstands keeps nothing else. Any other error is the share's, and is raised."""
        for name in sorted(self._files.names(directory) - {but}):
            try:
                self._files.remove(directory / name)
            except OSError as error:
                if error.errno not in WITHSTANDS:
                    raise
                yield error
