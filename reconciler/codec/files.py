"""Which file of a state repository says what, by its path alone."""

import re
from dataclasses import dataclass
from pathlib import PurePosixPath

from reconciler.codec.validate import Kind
from reconciler.codec.wording import instead, short
from reconciler.core.problems import Problem, Severity

SITE_PATH = "winslow.yaml"
DEFAULTS_NAME = "_defaults.yaml"
FOLDERS = {"pipelines": Kind.PIPELINE, "projects": Kind.PROJECT, "nodes": Kind.NODE}

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True, slots=True)
class Place:
    """A file that we read: what it describes and, for pipelines, projects and nodes, under which name."""

    kind: Kind
    path: str
    stem: str


def placed(path: str) -> Place | Problem | None:
    """What the file at ``path`` describes; a Problem if it looks like ours and is not; None if it is none of ours."""
    parts = PurePosixPath(path).parts
    if any(part.startswith(".") for part in parts) or not path.endswith((".yaml", ".yml")):
        return None
    if path == SITE_PATH:
        return Place(Kind.SITE, path, "winslow")
    kind = FOLDERS.get(parts[0]) if len(parts) > 1 else None
    if kind is None:
        return _misplaced(path, _elsewhere(parts))
    if path.endswith(".yml"):
        return _misplaced(path, "files are read only with the ending .yaml; rename it")
    if kind is Kind.PROJECT and parts[-1] == DEFAULTS_NAME:
        return Place(Kind.DEFAULTS, path, "")
    if kind is not Kind.PROJECT and len(parts) > 2:
        return _misplaced(path, f"files lie directly in {parts[0]}/; move it there")
    stem = parts[-1].removesuffix(".yaml")
    if not _NAME.fullmatch(stem):
        message = f"'{short(stem)}' can't name a {kind}; name the file with letters, digits, - and _ (at most 63), "
        return Problem(file=path, line=1, column=1, message=message + "beginning with a letter or digit")
    return Place(kind, path, stem)


def _elsewhere(parts: tuple[str, ...]) -> str:
    if len(parts) == 1:
        return "only winslow.yaml is read at the top; move it to pipelines/, projects/ or nodes/" + instead(
            parts[0], [SITE_PATH]
        )
    return f"the folder {short(parts[0])}/ is not read{instead(parts[0], list(FOLDERS))}"


def _misplaced(path: str, message: str) -> Problem:
    return Problem(file=path, line=1, column=1, message=f"nobody reads this file: {message}", severity=Severity.WARNING)
