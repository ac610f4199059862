"""Options that several commands share, and what they lead to.

What stands behind a configuration (git, engines, the share) is imported when it is asked for: ``--help`` must
not wait for a container library.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from reconciler.cli.git import enclosing_repository
from reconciler.cli.output import err, text
from reconciler.codec.config import load_config
from reconciler.config import NodeConfig
from reconciler.errors import BadInput

if TYPE_CHECKING:
    from reconciler.readers import Reader
    from reconciler.readers.live import LiveReader

VARIABLE = "WINSLOW_CONFIG"
STATE = ("winslow.yaml", "pipelines", "projects")
"""What lies at the top of a state repository."""
USUAL_CONFIG = Path("/etc/winslow/node.yaml")


class Output(StrEnum):
    TEXT = "text"
    JSON = "json"


ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE", help=f"The node's node.yaml; else ${VARIABLE}, else {USUAL_CONFIG}."),
]
CloneOption = Annotated[
    Path | None,
    typer.Option(
        "--clone",
        metavar="DIR",
        help="Read the branch observed of this clone of the state repository, not the share. "
        "Without any configuration: the clone you stand in.",
    ),
]
OutputOption = Annotated[Output, typer.Option("--output", help="Text for people, or JSON for programs.")]
ProjectArgument = Annotated[str, typer.Argument(metavar="PROJECT", help="The project's name: its file without .yaml.")]


def node_config(given: Path | None) -> NodeConfig:
    """``given`` is the command's own ``--config`` or, by the group's callback, the one before the command."""
    return load_config(_config_file(given))


def found_config(given: Path | None) -> NodeConfig | None:
    """For those who can do without: the configuration that is named, or lies where it usually does."""
    is_named = given is not None or VARIABLE in os.environ
    return node_config(given) if is_named or os.access(USUAL_CONFIG, os.R_OK) else None


def _config_file(given: Path | None) -> Path:
    return given or Path(os.environ.get(VARIABLE) or USUAL_CONFIG)


def _check_named(given: Path | None, ways: str) -> None:
    """Who only looks has probably named nothing at all, rather than a file to write."""
    path = _config_file(given)
    if not path.exists():
        raise BadInput(f"there is no {path}; name the site to look at: {ways}")


def _clone_here() -> Path | None:
    """The clone of a state repository that we stand in, anywhere in it."""
    top = enclosing_repository(Path())
    return top if top is not None and any((top / name).exists() for name in STATE) else None


def live_reader(config: Path | None, *, purpose: str = "cli") -> "LiveReader":
    from reconciler.compose import open_reader  # noqa: PLC0415

    in_clone = config is None and not _config_file(None).exists() and _clone_here() is not None
    why = " (this command reads the share, too, so a clone alone is not enough)" if in_clone else ""
    _check_named(config, f"--config FILE or ${VARIABLE}, a node.yaml{why}")
    return open_reader(node_config(config), purpose=purpose)


def reader(config: Path | None, clone: Path | None, *, purpose: str = "cli") -> "Reader":
    """The share and the state repository or, with ``--clone``, what the branch ``observed`` says.

    Whoever stands in a clone and names nothing means that clone.
    """
    if clone is None and config is None and not _config_file(None).exists():
        clone = _clone_here()
    if clone is None:
        _check_named(config, f"--config FILE, ${VARIABLE}, or --clone DIR for a clone of the state repository")
        return live_reader(config, purpose=purpose)
    from reconciler.cli.clone_reader import CloneReader  # noqa: PLC0415

    return CloneReader(clone, say=lambda told: err().print(text(f"winslow: {told}")))
