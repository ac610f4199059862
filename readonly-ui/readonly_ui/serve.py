"""Serving the page: the port is ours before the server starts, so a taken one is a sentence, not a traceback."""

import asyncio
import errno
import os
import socket
from collections.abc import Callable
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette

from reconciler.errors import BadInput


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 lets the system choose one."""
    if not 0 <= port <= 65535:
        raise BadInput(f"a port is a number from 0 to 65535, not {port}")
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    except OSError as error:
        raise BadInput(f"{host} port {port} is no address of this machine: {error}") from error
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(128)
    except OSError as error:
        listening.close()
        raise BadInput(_why(error, host, port)) from error
    return listening


def _why(error: OSError, host: str, port: int) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return f"port {port} on {host} is in use by another program; choose another one with --port"
        case errno.EACCES:
            return f"port {port} on {host} needs more rights than this program has; choose one above 1023 with --port"
        case errno.EADDRNOTAVAIL:
            return f"{host} is no address of this machine; use 127.0.0.1 or 0.0.0.0 with --host"
        case code:
            return f"can't listen on port {port} of {host}: {os.strerror(code) if code else error}"


def address(listening: socket.socket) -> str:
    """Where a browser finds it."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def serve(
    app: Starlette,
    host: str,
    port: int,
    stop: asyncio.Event | None = None,
    *,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until ``stop`` is set or a signal asks to end; ``ready`` hears the address once it is ours."""
    listening = listen(host, port)
    config = uvicorn.Config(
        app, lifespan="off", access_log=False, log_level="warning", server_header=False, timeout_graceful_shutdown=3
    )
    server = uvicorn.Server(config)
    if ready is not None:
        ready(address(listening))

    async def end_when_asked() -> None:
        if stop is not None:
            await stop.wait()
            server.should_exit = True

    asking = asyncio.create_task(end_when_asked())
    try:
        await server.serve(sockets=[listening])
    finally:
        asking.cancel()
        listening.close()


def run(app: Starlette, host: str, port: int, *, ready: Callable[[str], None] | None = None) -> None:
    """``serve`` for the command line; Ctrl-C is a normal way to end."""
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(app, host, port, ready=ready))
