"""What happened, for people: a line an event, the same for the same seed to the last byte."""

from collections import deque

SHOWN, STEPS = 60, 12


class Story:
    """Port ``Told``. Events are kept all; of single steps, which are thousands, only the last few."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._steps: deque[tuple[float, str, str]] = deque(maxlen=STEPS)

    def tell(self, at: float, who: str, what: str) -> None:
        self.lines.append(_line(at, who, what))

    def step(self, at: float, who: str, what: str) -> None:
        self._steps.append((at, who, what))

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"

    def ending(self) -> str:
        """The last events, then the last steps before the end."""
        left_out = len(self.lines) - SHOWN
        first = [f"... {left_out} lines before"] if left_out > 0 else []
        steps = [_line(*step) for step in self._steps]
        return "\n".join([*first, *self.lines[-SHOWN:], "the last steps:", *steps])


def _line(at: float, who: str, what: str) -> str:
    return f"{at:9.3f}  {who:<12} {what}"
