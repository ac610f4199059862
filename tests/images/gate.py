"""A way to a registry that a test can hold up in the middle: a relay that lets only so many bytes through."""

import contextlib
import socket
import threading

PART = 16_384


class Gate:
    """Listens on loopback. Closed it lets ``budget`` bytes of all answers through, and the rest once it is opened."""

    def __init__(self, port: int, budget: int) -> None:
        self._to = port
        self._left = budget
        self._lock = threading.Lock()
        self.opened = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.host = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.opened.set()
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                for source, target, is_answer in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._copy, args=(source, target, is_answer), daemon=True).start()

    def _copy(self, source: socket.socket, target: socket.socket, is_answer: bool) -> None:
        with contextlib.suppress(OSError), source, target:
            while data := source.recv(PART):
                if is_answer:
                    with self._lock:
                        self._left -= len(data)
                        is_over = self._left < 0
                    if is_over:
                        self.opened.wait()
                target.sendall(data)
