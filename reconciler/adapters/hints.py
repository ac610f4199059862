"""Hints that a local state repository changed, so that a commit shows within a blink instead of at the next poll.

A hint carries no news and may be missing (network filesystems report nothing): whoever gets one looks
again, and looks from time to time anyway.
"""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from watchfiles import Change, awatch

LOOK_AGAIN = 1.0  # seconds between two looks at whether the repository is (still) there


async def watch_local(url: str, *, branch: str = "main") -> AsyncGenerator[None, None]:
    """Yield after each change of ``branch`` in a repository on this machine; for remote addresses end at once.

    Other branches give no hint: what we publish to ``observed`` must not wake us.
    """
    path = local_path(url)
    while path is not None:
        if (repository := git_directory(path)) is not None:
            async with aclosing(_changes(repository, branch)) as changes:
                async for _ in changes:
                    yield
        else:
            await asyncio.sleep(LOOK_AGAIN)
            if git_directory(path) is not None:
                yield


async def _changes(repository: Path, branch: str) -> AsyncGenerator[None, None]:
    """Hints until one of the watched directories is replaced or comes into being: a watch follows the old one."""
    reference = repository / "refs/heads" / branch
    telling = {str(reference), str(repository / "packed-refs"), str(repository / "HEAD")}

    def tells(_: Change, changed: str) -> bool:
        return changed in telling

    watched = directories(repository, reference)
    watch = awatch(
        *watched,
        watch_filter=tells,
        debounce=50,
        step=40,
        rust_timeout=int(LOOK_AGAIN * 1000),
        yield_on_timeout=True,
        recursive=False,
    )
    try:
        async with aclosing(watch):
            async for changes in watch:
                is_replaced = directories(repository, reference) != watched
                if changes or is_replaced:
                    yield
                if is_replaced:
                    return
    except OSError:
        await asyncio.sleep(LOOK_AGAIN)  # gone between two looks, or the machine allows no more watches


def directories(repository: Path, reference: Path) -> dict[Path, int]:
    """What to watch, with inodes: the repository itself and the nearest directory of the branch that exists."""
    nearest = next((parent for parent in reference.parents if parent.is_dir()), repository)
    return {path: path.stat().st_ino for path in (repository, nearest) if path.is_dir()}


def git_directory(path: Path) -> Path | None:
    """Where git keeps the refs of a bare repository or a work tree, written with or without ``.git``."""
    candidates = (path / ".git", path, path.with_name(f"{path.name}.git"))
    return next((found.resolve() for found in candidates if (found / "HEAD").is_file()), None)


def local_path(url: str) -> Path | None:
    if url.startswith("/"):
        return Path(url)
    parts = urlsplit(url)
    return Path(unquote(parts.path)) if parts.scheme == "file" else None
