"""What images are called, how far a pull of one is, and how a heartbeat names many."""

import hashlib
from dataclasses import dataclass
from functools import cache

HUB = ("docker.io/library/", "index.docker.io/library/", "docker.io/", "index.docker.io/")
"""What the engine leaves out when it tells names."""


def is_exact(image: str) -> bool:
    """Does it name one image for all time: by its digest, or by the id that one engine knows it by?"""
    return image.startswith("sha256:") or "@sha256:" in image


def familiar(image: str) -> str:
    """The name as the engine tells it: with its tag, without what is understood; a digest makes a tag superfluous."""
    if image.startswith("sha256:"):
        return image
    short = next((image.removeprefix(hub) for hub in HUB if image.startswith(hub)), image)
    name, _, digest = short.partition("@")
    repository, tag = _split(name)
    return f"{repository}@{digest}" if digest else f"{repository}:{tag or 'latest'}"


def repository(image: str) -> str:
    return _split(familiar(image).partition("@")[0])[0]


def registry(image: str) -> str:
    """Who is asked for it: ``registry.example:5000``."""
    first, slash, _ = image.partition("/")
    is_host = bool(slash) and (first == "localhost" or "." in first or ":" in first)
    return first if is_host and not image.startswith(HUB) else "docker.io"


@cache
def image_mark(image: str) -> str:
    """A short sign for it, so that a heartbeat can name many; that two share one costs a pull."""
    return hashlib.sha256(familiar(image).encode()).hexdigest()[:8]


def _split(name: str) -> tuple[str, str]:
    """A registry's port is no tag."""
    head, colon, tag = name.rpartition(":")
    return (head, tag) if colon and "/" not in tag else (name, "")


@dataclass(frozen=True, slots=True)
class PullProgress:
    """Bytes over all layers. ``total`` is 0 until the size of each is known, for registries tell them one by one."""

    done: int = 0
    total: int = 0

    def __str__(self) -> str:
        if not self.total:
            return _size(self.done) if self.done else ""
        return f"{100 * self.done // self.total} % of {_size(self.total)}"


def _size(count: int) -> str:
    return f"{count / 2**30:.1f} GiB" if count >= 2**30 else f"{count / 2**20:.1f} MiB"
