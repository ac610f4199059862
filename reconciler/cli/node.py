"""``winslow node``: be this machine's reconciler until a signal says to stop."""

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import NoReturn

import structlog
from structlog.tracebacks import ExceptionDictTransformer

from reconciler.adapters.spawner import Spawner
from reconciler.cli.codes import Exit
from reconciler.cli.options import node_config
from reconciler.cli.output import err
from reconciler.config import NodeConfig


def node(config: Path | None, *, hand_over: bool) -> None:
    """Run this machine's reconciler; the options are those of ``node_commands``."""
    loaded = node_config(config)
    log_to_stderr()
    from reconciler.compose import run_node  # noqa: PLC0415  # before the fork, so that both have it in memory once

    spawner = Spawner()
    if not asyncio.run(_until_signal(partial(run_node, loaded, hand_over=hand_over, spawn=spawner))):
        _end_at_once(loaded)
    spawner.close()
    if hand_over:
        err().print(f"winslow: {loaded.name} has ended and released its stages")
    else:
        err().print(f"winslow: {loaded.name} has ended; its stages go on, and its next start adopts them")


def _end_at_once(config: NodeConfig) -> NoReturn:
    """Without closing anything: an orderly end waits for threads and files that hang in the share."""
    err().print(
        f"winslow: {config.name} has ended while the share at {config.share} did not answer; what it runs and had not "
        "released goes on, and its next start adopts it"
    )
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(Exit.UNAVAILABLE)


async def _until_signal(run: Callable[[asyncio.Event], Awaitable[bool]]) -> bool:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return await run(stop)


def log_to_stderr() -> None:
    """For people on a terminal, else one JSON object a line. Tracebacks without local variables: they hold secrets."""
    terminal = sys.stderr.isatty()
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    tracebacks = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%H:%M:%S" if terminal else "iso", utc=not terminal),
            console if terminal else tracebacks,
            *([] if terminal else [structlog.processors.JSONRenderer()]),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
