"""One file's content read once: its data with places, or what is wrong with it."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from reconciler.codec import checks
from reconciler.codec.files import Place
from reconciler.codec.validate import Kind, validate
from reconciler.codec.yaml import Document, NotYaml, compose
from reconciler.core.names import Blob
from reconciler.core.problems import Problem


@dataclass(frozen=True, slots=True)
class Parsed:
    """``problems`` empty: the document is good. Their file is the one that was read first."""

    document: Document | None
    problems: tuple[Problem, ...] = ()

    def problems_at(self, path: str) -> tuple[Problem, ...]:
        return tuple(replace(problem, file=path) for problem in self.problems)


def parse(kind: Kind, data: bytes, path: str) -> Parsed:
    """Form, then shape, then meaning; a later step runs only on what passed the one before."""
    try:
        document = compose(data, path)
    except NotYaml as fault:
        return Parsed(None, fault.problems)
    return Parsed(document, validate(kind, document, path) or checks.of_file(kind, document, path))


class Cache:
    """Parsed files by what they are and their blob, so that an unchanged file is read once.

    It holds what the last ``load`` used; keep one as long as you load the same repository.
    """

    def __init__(self) -> None:
        self._parsed: dict[tuple[Kind, Blob], Parsed] = {}
        self._used: set[tuple[Kind, Blob]] = set()

    def parsed(self, place: Place, blob: Blob, read: Callable[[Blob], bytes]) -> Parsed:
        key = (place.kind, blob)
        self._used.add(key)
        if key not in self._parsed:
            self._parsed[key] = parse(place.kind, read(blob), place.path)
        return self._parsed[key]

    def forget_unused(self) -> None:
        self._parsed = {key: parsed for key, parsed in self._parsed.items() if key in self._used}
        self._used.clear()
