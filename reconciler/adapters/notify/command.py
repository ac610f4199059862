"""A program of this node that gets the event as JSON on its standard input."""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from typing import BinaryIO

from reconciler.codec.events import dump_event, printable
from reconciler.core.desired import Command
from reconciler.core.transitions import Transition
from reconciler.errors import Transient

TIMEOUT = 30.0
INHERITED = ("PATH", "HOME", "LANG")
TAIL = 4096


class CommandSink:
    """Git names the command, the node's own node.yaml says what it is."""

    def __init__(self, command: Command, commands: Mapping[str, tuple[str, ...]], timeout: float = TIMEOUT) -> None:
        self._name = command.name
        self._commands = commands
        self._timeout = timeout

    def deliver(self, transition: Transition) -> str:
        """Transient: it is not there, did not end in time, or ended with another code than 0."""
        arguments = self._commands.get(self._name)
        if arguments is None:
            known = ", ".join(sorted(self._commands)) or "none"
            raise Transient(
                f"the node.yaml of this node has no command '{self._name}' (it has: {known}); "
                f"add it under commands, on every node that may publish, and start the node again"
            )
        with tempfile.TemporaryFile() as event, tempfile.TemporaryFile() as said:
            event.write(dump_event(transition))
            event.seek(0)
            code = self._run(arguments, event, said)
            if code != 0:
                raise Transient(f"'{self._name}' {_ended(code)}{_last_line(said)}")
        return ""

    def _run(self, arguments: tuple[str, ...], event: BinaryIO, said: BinaryIO) -> int:
        """Files rather than pipes: nothing that it or its children keep open can hold us up."""
        try:
            process = subprocess.Popen(
                arguments,
                stdin=event,
                stdout=subprocess.DEVNULL,
                stderr=said,
                cwd="/",
                env={name: os.environ[name] for name in INHERITED if name in os.environ},
                start_new_session=True,
            )
        except OSError as error:
            raise Transient(f"'{self._name}' can't be started: {arguments[0]}: {error.strerror}") from error
        try:
            return process.wait(self._timeout)
        except subprocess.TimeoutExpired as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise Transient(
                f"'{self._name}' had not ended after {self._timeout:.0f} seconds and was killed{_last_line(said)}"
            ) from error


def _ended(code: int) -> str:
    return f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"


def _last_line(said: BinaryIO) -> str:
    said.seek(max(said.seek(0, os.SEEK_END) - TAIL, 0))
    lines = [line for line in printable(said.read().decode(errors="replace")).splitlines() if line.strip()]
    return f": {lines[-1].strip()[:200]}" if lines else ""
