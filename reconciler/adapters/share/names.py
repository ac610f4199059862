"""Asking for names so that the answer is the server's: on NFS a lookup, found or failed, may be a minute old.

And making directories without making again what was taken away.
"""

import os
from pathlib import Path


def refresh(directory: Path) -> None:
    """Opening a directory makes the client ask again for what lies in it; a stat would not."""
    os.close(os.open(directory, os.O_RDONLY | os.O_DIRECTORY))


def is_there(path: Path) -> bool:
    """By listing the directory above."""
    try:
        return path.name in os.listdir(path.parent)  # noqa: PTH208  # names are all we want
    except FileNotFoundError:
        return False


def make_below(base: Path, directory: Path) -> None:
    """Make ``directory`` and what is missing between; FileNotFoundError if ``base`` is gone, which stays gone."""
    for part in reversed([directory, *directory.parents]):
        if part.is_relative_to(base) and part != base:
            part.mkdir(exist_ok=True)
