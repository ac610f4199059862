"""Is it there? And making directories without making again what was taken away."""

from pathlib import Path

from reconciler.adapters.share.files import Files


def is_there(files: Files, path: Path) -> bool:
    """By listing the directory above: a lookup, found or failed, may be a minute old."""
    try:
        return path.name in files.names(path.parent)
    except FileNotFoundError:
        return False


def make_below(files: Files, base: Path, directory: Path) -> None:
    """Make ``directory`` and what is missing between; FileNotFoundError if ``base`` is gone, which stays gone.

    By its remembered name a client would go on in a base that has been moved away.
    """
    files.refresh(base.parent)
    for part in reversed([directory, *directory.parents]):
        if part.is_relative_to(base) and part != base:
            files.mkdir(part)
