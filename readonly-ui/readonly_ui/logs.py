"""A run's log, for reading along: its end with the page, then only what is new, or all of it as text."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from readonly_ui.calls import Calls
from readonly_ui.words import log_text
from reconciler.core.names import ProjectName, RunNumber
from reconciler.errors import WinslowError
from reconciler.readers import LogLine, LogPage, Reader

TAIL = 64 * 1024
MOST = 4 * 1024 * 1024
PAGE = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Tail:
    """The end of a log. ``earlier``: how many bytes to ask for to see more of it; None: that is all we show."""

    lines: Sequence[LogLine] = ()
    next_offset: int = 0
    ended: bool = False
    earlier: int | None = None
    problem: str | None = None


class Logs:
    def __init__(self, reader: Reader, calls: Calls) -> None:
        self._reader = reader
        self._calls = calls

    async def page(self, project: ProjectName, run: RunNumber, *, offset: int, limit: int = PAGE) -> LogPage:
        call: Callable[[], LogPage] = partial(self._reader.log, project, run, offset=offset, limit=limit)
        return await self._calls(call)

    async def tail(self, project: ProjectName, run: RunNumber, *, length: int) -> Tail:
        """The last ``length`` bytes. An unreadable log is a sentence in its place, not an error page."""
        length = min(max(length, TAIL), MOST)
        try:
            page = await self.page(project, run, offset=-length, limit=length + TAIL)  # it may have grown meanwhile
        except WinslowError as error:
            return Tail(problem=str(error), ended=True)
        more = page.next_offset > length and length < MOST
        return Tail(
            lines=page.lines,
            next_offset=page.next_offset,
            ended=page.ended,
            earlier=4 * length if more else None,
        )

    async def text(self, project: ProjectName, run: RunNumber, first: LogPage) -> AsyncIterator[bytes]:
        """All lines from ``first`` to what is written by now, never more than one page in memory."""
        offset, page = 0, first
        while page.next_offset > offset:
            yield "".join(f"{log_text(line.line)}\n" for line in page.lines).encode()
            offset = page.next_offset
            try:
                page = await self.page(project, run, offset=offset)
            except WinslowError as error:
                yield f"[winslow] the log can't be read further now: {error}\n".encode()
                return


def as_json(page: LogPage) -> dict[str, object]:
    lines = [{"t": line.time.isoformat(), "s": line.stream, "l": log_text(line.line)} for line in page.lines]
    return {"lines": lines, "next_offset": page.next_offset, "ended": page.ended}
