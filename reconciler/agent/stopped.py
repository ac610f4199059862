"""Containers that we stopped ourselves, and why: kept on local disk, because a restart must not forget it.

Nothing else would tell a suspect's exit code from that of a program that failed.
"""

from contextlib import suppress
from pathlib import Path

import structlog

from reconciler.core.containers import ClaimKey

log = structlog.get_logger()


class Stopped:
    """Thread-safe. A disk that takes no file costs only the memory beyond a restart."""

    def __init__(self, local: Path) -> None:
        self._directory = local / "stopped"
        self._known: dict[str, str] = {}

    def remember(self, key: ClaimKey, because: str) -> None:
        self._known.setdefault(key.slug, because)
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            (self._directory / key.slug).write_text(because, encoding="utf-8")
        except OSError as error:
            log.warning("reason_not_kept", container=key.slug, because=because, error=error.strerror)

    def why(self, key: ClaimKey) -> str:
        """Empty: it ended by itself, or by somebody else."""
        if key.slug not in self._known:
            try:
                self._known[key.slug] = (self._directory / key.slug).read_text(encoding="utf-8")
            except OSError:
                return ""
        return self._known[key.slug]

    def forget(self, key: ClaimKey) -> None:
        """Its end is recorded and it was removed."""
        self._known.pop(key.slug, None)
        with suppress(OSError):
            (self._directory / key.slug).unlink()
