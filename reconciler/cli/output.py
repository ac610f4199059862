"""Printing: data to stdout, everything said about it to stderr; other people's text never drives the terminal."""

import json
import shlex
import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from readonly_ui.words import plain

STYLES = {
    "Running": "cyan",
    "Starting": "cyan",
    "Succeeded": "green",
    "Failed": "bold red",
    "Invalid": "bold red",
    "Aborted": "red",
    "Lost": "red",
    "AwaitingInput": "bold yellow",
    "Paused": "yellow",
    "Queued": "blue",
}


def out() -> Console:
    """Made anew each time: tests and pipes exchange stdout. Without a terminal a line is as long as it is."""
    return _console(stderr=False)


def err() -> Console:
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    console = Console(stderr=stderr, highlight=False, markup=False, emoji=False, soft_wrap=True)
    if not console.is_terminal:
        console.width = 4096
    return console


def print_json(value: object) -> None:
    """One JSON value, readable also for people."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def called() -> str:
    """This command for commands that people shall type next, wherever they stand then."""
    typed = Path(sys.argv[0])
    return shlex.quote(str(typed.absolute())) if typed.name == "winslow" and typed.exists() else "winslow"


def text(value: str, style: str = "") -> Text:
    """Somebody's words: no markup, no control characters."""
    return Text(plain(value), style=style)


def phase(word: str) -> Text:
    return Text(word, style=STYLES.get(word, ""))
