"""The real node in a process of its own, which may be told where to die; and so its stages' supervisors.

Forked from a process that has everything imported (``PRELOAD``), since most of a node's start is Python's.
"""

import multiprocessing
import os
from collections.abc import Mapping
from pathlib import Path

from tests.crashes.dying import Dying, Telling

PRELOAD = ["pytest", "reconciler.compose", "reconciler.cli.node", "reconciler.cli.options", "uvicorn", "watchfiles"]

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(PRELOAD)

SUPERVISOR = """\
import runpy, sys
sys.path.insert(0, {checkout!r})
from tests.crashes.dying import Dying, Point, Telling
{dying!r}.arm()
runpy.run_path({supervisor!r}, run_name="__main__")
"""


def be_a_node(
    config: Path,
    log: Path,
    environment: Mapping[str, str],
    *,
    dying: Dying | Telling | None = None,
    dying_supervisor: Dying | Telling | None = None,
) -> None:
    """``winslow node`` until it is killed or gets SIGTERM."""
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ.clear()
    os.environ.update(environment)
    from reconciler.adapters.process import launching
    from reconciler.cli.node import node

    if dying_supervisor is not None:
        launching.SUPERVISOR = _deadly(dying_supervisor, launching.SUPERVISOR, config.parent)
    if dying is not None:
        dying.arm(os.getpid())
    node(config, hand_over=False)


def _deadly(dying: Dying | Telling, supervisor: Path, directory: Path) -> Path:
    """The supervisor's program with a point to die at; its order comes through a pipe as ever."""
    text = SUPERVISOR.format(checkout=str(Path(__file__).parents[2]), dying=dying, supervisor=str(supervisor))
    program = directory / "supervisor.py"
    program.write_text(text, encoding="utf-8")
    return program
