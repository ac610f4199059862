"""Which images Winslow itself brought to this machine: only those may it remove again. Kept on local disk."""

import json
import threading
from collections.abc import Mapping, Set
from datetime import datetime
from pathlib import Path

import structlog

from reconciler.core.stored_images import PulledImage

log = structlog.get_logger()


class PulledImages:
    """Thread-safe. What can't be read or kept counts as somebody else's, and stays."""

    def __init__(self, local: Path) -> None:
        self._file = local / "images.json"
        self._lock = threading.Lock()
        self._known: dict[str, PulledImage] | None = None

    def known(self) -> Mapping[str, PulledImage]:
        """By the engine's id."""
        with self._lock:
            return dict(self._read())

    def note_pull(self, image: str, name: str, at: datetime) -> None:
        with self._lock:
            before = self._read().get(image)
            names = (before.names if before else frozenset()) | {name}
            self._write({**self._read(), image: PulledImage(names=names, used_at=at)})

    def note_use(self, image: str, at: datetime) -> None:
        """Of one that Winslow did not pull nothing is noted."""
        with self._lock:
            if (before := self._read().get(image)) is not None:
                self._write({**self._read(), image: PulledImage(names=before.names, used_at=at)})

    def keep(self, here: Set[str]) -> None:
        """Forget those that are gone, by whomever."""
        with self._lock:
            left = {image: one for image, one in self._read().items() if image in here}
            if left != self._read():
                self._write(left)

    def _read(self) -> dict[str, PulledImage]:
        if self._known is None:
            try:
                told = json.loads(self._file.read_text(encoding="utf-8"))
                self._known = {
                    image: PulledImage(names=frozenset(one["names"]), used_at=datetime.fromisoformat(one["used_at"]))
                    for image, one in told.items()
                }
            except FileNotFoundError:
                self._known = {}
            except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
                log.warning("pulled_images_unreadable", file=str(self._file), error=str(error))
                self._known = {}
        return self._known

    def _write(self, known: dict[str, PulledImage]) -> None:
        self._known = known
        told = {image: {"names": sorted(one.names), "used_at": one.used_at.isoformat()} for image, one in known.items()}
        try:
            draft = self._file.with_suffix(".part")
            draft.parent.mkdir(parents=True, exist_ok=True)
            draft.write_text(json.dumps(told, indent=1, sort_keys=True), encoding="utf-8")
            draft.replace(self._file)
        except OSError as error:
            log.warning("pulled_images_not_kept", file=str(self._file), error=error.strerror)
