"""What the demo says while it works: on a terminal one line that lives, else a line a step."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console

from reconciler.cli.output import text


class Report:
    def __init__(self, console: Console) -> None:
        self.console = console

    def say(self, message: str) -> None:
        self.console.print(text(message))

    @contextmanager
    def busy(self, doing: str) -> Iterator["Step"]:
        """While something takes minutes. A spinner shows that it lives, a step's words what it does."""
        self.say(f"{doing} ...")
        if not self.console.is_terminal:
            yield Step(self, None)
            return
        with self.console.status(text(doing, "dim")) as status:
            yield Step(self, lambda words: status.update(text(words, "dim")))


class Step:
    def __init__(self, report: Report, update: Callable[[str], None] | None) -> None:
        self._report = report
        self._update = update

    def __call__(self, words: str) -> None:
        shortened = " ".join(words.split())[:100]
        if not shortened:
            return
        if self._update is None:
            self._report.say(f"  {shortened}")
        else:
            self._update(shortened)
