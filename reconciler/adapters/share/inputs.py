"""The files that a run is given: what they are now, and what is in them.

A file's hash is computed once for the whole share and kept under its path, size and modification time, so fifty runs
over one video read it once. What is kept is a memory, no more: whoever finds it wrong or gone computes it anew.
"""

import contextlib
import hashlib
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from reconciler.adapters.share.files import Files, Found, Kind
from reconciler.adapters.share.layout import Layout
from reconciler.adapters.share.lock import ShareLock
from reconciler.adapters.share.names import is_there
from reconciler.codec.inputs import dump_inputs, load_inputs
from reconciler.core.names import ProjectName
from reconciler.core.records import InputFile

MOST = 10_000
"""Files in one declared directory that are recorded each; beyond it one entry stands for all of them."""

NOTE = "inputs.json"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
SHA256 = re.compile(rb"[0-9a-f]{64}\n")


class InputFiles:
    def __init__(self, layout: Layout, files: Files, *, writer: str) -> None:
        self._layout = layout
        self._files = files
        self._writer = writer

    # --- what is there ---

    def look(self, project: ProjectName, declared: Iterable[str]) -> tuple[InputFile, ...]:
        """Every file behind these paths, with its hash where that is known. What is missing is left out."""
        found = [one for path in dict.fromkeys(declared) for one in self._look(project, path)]
        return tuple(replace(one, sha256=one.sha256 or self.known(project, one)) for one in found)

    def _look(self, project: ProjectName, declared: str) -> list[InputFile]:
        top = self._layout.declared(project, declared)
        if not is_there(self._files, top):
            return []
        try:
            listed = list(self._below(top, declared))
        except NotADirectoryError:
            found = self._files.look(top)
            return [] if found is None else [_input(declared, found)]
        return listed if len(listed) <= MOST else [_as_one(declared, listed)]

    def _below(self, directory: Path, path: str) -> Iterator[InputFile]:
        """In the order of their names, at any depth."""
        try:
            names = self._files.names(directory)
        except PermissionError:  # not for us to read, and hardly for the stage
            return
        for name in sorted(names):
            found = self._files.look(directory / name)
            if found is not None and found.kind is Kind.DIRECTORY:
                yield from self._below(directory / name, f"{path}/{name}")
            elif found is not None:
                yield _input(f"{path}/{name}", found)

    # --- what is in them ---

    def known(self, project: ProjectName, file: InputFile) -> str:
        """Its hash, if somebody computed it; else nothing."""
        place = self._place(project, file)
        try:
            kept = self._files.read(place)
        except (FileNotFoundError, NotADirectoryError):
            return ""
        return kept[:-1].decode() if SHA256.fullmatch(kept) else ""

    def compute(self, project: ProjectName, file: InputFile, lock: Callable[[str], ShareLock | None]) -> str | None:
        """Its hash, read with all its bytes unless that is known by now; None: another process is at it.

        Nothing if the file is no longer the one that is meant, or is not ours to read.
        """
        path = self._layout.declared(project, file.path)
        held = lock(f"hash.{self._layout.hashes(path).name[:2]}")  # a lock's file stays for good: hence not too many
        if held is None:
            return None
        try:
            with contextlib.suppress(FileNotFoundError):
                self._files.refresh(self._layout.hashes(path))
            return self.known(project, file) or self._computed(project, file, path)
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError):
            return ""
        finally:
            held.release()

    def _computed(self, project: ProjectName, file: InputFile, path: Path) -> str:
        self._files.refresh(path.parent)
        now = self._files.look(path)
        if now is None or now.kind is not Kind.FILE or _input(file.path, now) != replace(file, sha256=""):
            return ""
        sha256, before = self._files.digest(path)
        if not before == now == self._files.look(path):
            return ""
        self._keep(self._place(project, file), sha256)
        return sha256

    def _place(self, project: ProjectName, file: InputFile) -> Path:
        directory = self._layout.hashes(self._layout.declared(project, file.path))
        return directory / f"{file.size}-{(file.modified - EPOCH) // MILLISECOND}"

    def _keep(self, place: Path, sha256: str) -> None:
        self._files.mkdir(place.parent, parents=True)
        self._put(place, f"{sha256}\n".encode())

    # --- beside a claim ---

    def note(self, directory: Path, files: Sequence[InputFile]) -> None:
        """In the claim's own directory, so that whoever follows the run to its end knows what it began with."""
        self._put(directory / NOTE, dump_inputs(files))

    def noted(self, directory: Path) -> tuple[InputFile, ...]:
        try:
            self._files.refresh(directory)
            return load_inputs(self._files.read(directory / NOTE))
        except FileNotFoundError:
            return ()

    def _put(self, path: Path, content: bytes) -> None:
        """Whole or not at all, whatever stood there."""
        draft = self._layout.tmp / f"{self._writer}.{secrets.token_hex(8)}"
        self._files.create(draft, content)
        self._files.rename(draft, path)


def _input(path: str, found: Found) -> InputFile:
    """Names may be any bytes; records hold text."""
    milliseconds = found.modified // 1_000_000
    told = path.encode(errors="surrogateescape").decode(errors="backslashreplace")
    return InputFile(
        path=told,
        size=found.size,
        modified=EPOCH + milliseconds * MILLISECOND,
        unread=found.kind is Kind.OTHER,
    )


def _as_one(declared: str, files: Sequence[InputFile]) -> InputFile:
    """One entry for a directory of very many files. Its digest is that of their paths, sizes and times."""
    listed = "".join(f"{one.path}\0{one.size}\0{one.modified.isoformat()}\0" for one in files)
    return InputFile(
        path=f"{declared}/",
        size=sum(one.size for one in files),
        modified=max(one.modified for one in files),
        sha256=hashlib.sha256(listed.encode()).hexdigest(),
        unread=any(one.unread for one in files),
    )
