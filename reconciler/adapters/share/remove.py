"""Removing a directory tree, also where a stage has made directories read-only."""

import os
import shutil
from pathlib import Path


def remove_tree(path: Path) -> None:
    """A file or a link as well; what is gone already is no error there."""
    if path.is_symlink() or not path.is_dir():
        path.unlink(missing_ok=True)
        return
    try:
        shutil.rmtree(path)
    except PermissionError:
        _open_up(path)
        shutil.rmtree(path)


def _open_up(top: Path) -> None:
    """Their owner may change what a stage made read-only."""
    folders = [top]
    while folders:
        folder = folders.pop()
        folder.chmod(0o700)
        with os.scandir(folder) as entries:
            folders += [Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False)]
