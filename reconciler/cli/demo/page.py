"""The status page in a thread of the demo, so that it ends with it."""

import asyncio
import threading
from contextlib import suppress
from types import TracebackType

from starlette.applications import Starlette

from readonly_ui import serve
from reconciler.errors import BadInput, Transient

HOST = "127.0.0.1"
TRIES = 100
START = 10.0


class Page:
    """Serves from ``__enter__``, when it answers already, to ``__exit__``."""

    def __init__(self, app: Starlette, port: int) -> None:
        self._app = app
        self._port = port
        self._ready = threading.Event()
        self._failed: Exception | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)
        self.url = ""

    def __enter__(self) -> "Page":
        self._thread.start()
        if not self._ready.wait(START):
            raise Transient(f"the page did not start within {START:.0f} seconds")
        if self._failed is not None:
            raise self._failed
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._loop is not None and self._stop is not None:
            with suppress(RuntimeError):  # it has ended already
                self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START)

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except Exception as error:  # noqa: BLE001  # handed over to whoever waits for the page
            self._failed = error
        self._ready.set()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        await serve.serve(self._app, HOST, self._port, self._stop, ready=self._answers)

    def _answers(self, url: str) -> None:
        """The socket listens: a request from here on is answered as soon as the server's loop turns."""
        self.url = url
        self._ready.set()


def port_to_use(asked: int | None, usual: int) -> int:
    """The port that was asked for if it is free, else BadInput; unasked, the first free one from ``usual`` on."""
    if asked is not None:
        serve.listen(HOST, asked).close()
        return asked
    for port in range(usual, usual + TRIES):
        with suppress(BadInput):
            serve.listen(HOST, port).close()
            return port
    raise BadInput(f"all ports from {usual} to {usual + TRIES - 1} are in use; name another one with --port")
