"""Where the files lie that a user needs beside the code: schemas, the state repository's template, the example."""

from pathlib import Path

from reconciler.errors import WinslowError

_PACKAGE = Path(__file__).resolve().parent


def asset(name: str) -> Path:
    """``schemas``, ``state-repo-template`` or ``examples/traffic-flow``: installed, or of a checkout."""
    for place in (_PACKAGE / "_assets" / name, _PACKAGE.parent / name):
        if place.is_dir():
            return place
    raise WinslowError(f"this installation of Winslow lacks its {name}; install the package again")
