"""``winslow demo``: its options, and what ends it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from reconciler.cli.codes import Exit
from reconciler.cli.demo.asked import Asked
from reconciler.cli.options import Output, OutputOption

NAMES = ("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta")
PORT = 8080


def demo(
    directory: Annotated[Path, typer.Option("--dir", metavar="DIR", help="Everything of the demo lies in here.")],
    nodes: Annotated[int, typer.Option(min=1, max=len(NAMES), help="How many nodes to start.")] = 2,
    runtime: Annotated[Asked, typer.Option(help="How stages run; auto: Docker if an engine answers.")] = Asked.AUTO,
    port: Annotated[int | None, typer.Option(help=f"The page's port; without it {PORT}, or the next free one.")] = None,
    exit_when_done: Annotated[bool, typer.Option("--exit-when-done", help="End when the project has.")] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show it all on this machine.

    Two nodes, the page, and the example pipeline on a real video. Ctrl-C ends what it started; starting it again in
    the same DIR goes on. Once the project has ended, the exit code is 0 if it succeeded, else 1.
    """
    from reconciler.cli.demo.course import Course  # noqa: PLC0415
    from reconciler.cli.demo.layout import held  # noqa: PLC0415
    from reconciler.cli.demo.page import port_to_use  # noqa: PLC0415

    free_port = port_to_use(port, PORT)
    with _ended_by_signals(), held(directory.absolute()) as layout:
        course = Course(layout, NAMES[:nodes], as_json=output is Output.JSON)
        succeeded = course.run(runtime, port=free_port, serve_on=not exit_when_done)
    if not succeeded:
        raise typer.Exit(Exit.FAILED)


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM and a closed terminal end the demo like Ctrl-C, with everything that it started.

    SIGINT too is set: scripts start what runs in the background with SIGINT ignored.
    """
    ending = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, _interrupt) for number in ending}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
