"""A container's output, followed into log.jsonl.

The engine keeps the output with times until the container is removed. Two requests follow it, one a stream,
for only so is it known which stream a line came from; one thread writes what they bring, in order of
arrival. After any interruption each stream goes on behind the last line of it in the file.
"""

import contextlib
import queue
import re
import threading
import time
from collections.abc import Iterable, Iterator

from docker.errors import DockerException, NotFound
from docker.types.daemon import CancellableStream

from reconciler.adapters.docker.engine import LOST, Engine
from reconciler.codec.log_file import LogFile, Summary, Tally
from reconciler.codec.log_lines import STDERR, STDOUT, Entry, Splitter, stamp_of
from reconciler.errors import ShareUnavailable

STREAMS = (STDOUT, STDERR)
BATCH = 2000
PATIENCE = 30.0
"""Seconds for which an engine that went away is asked again before the caller hears of it."""

UNREADABLE = 5.0
"""Seconds before a log that the engine can't read is tried again, while its program runs."""

CLOSED = (ValueError, AttributeError)
"""What reading from a socket raises that somebody closes meanwhile."""

STAMP = re.compile(rb"\d{4}-\d\d-\d\dT")


class Unreadable(Exception):  # never leaves this module
    """Not the program's words but the engine's, in their place: its file is torn, by a full disk or a power loss."""


class Follower:
    """Follows one container's output; ``follow`` blocks until all of it is written."""

    def __init__(self, engine: Engine, container: str, log: LogFile) -> None:
        self._engine = engine
        self._container = container
        self._log = log

    def follow(self) -> Summary:
        """Whether it runs is asked before each round: the round after its end misses nothing."""
        give_up_at, written = 0.0, -1
        running = True
        while running:
            try:
                running = self._is_running()
                self._round(follow=running)
            except NotFound:
                running = False
            except Unreadable as error:  # what comes behind is lost; the end of the program is not
                if running:
                    time.sleep(UNREADABLE)
                else:
                    told = f"winslow: the container engine can't read the rest of this log: {error}"
                    self._write([Entry(stamp_of(time.time_ns()), STDERR, told)])
            except (DockerException, *LOST) as error:
                if written != self._log.tally.bytes:  # it came on since the last failure
                    give_up_at, written = time.monotonic() + PATIENCE, self._log.tally.bytes
                if time.monotonic() > give_up_at:
                    raise self._engine.unavailable(error) from error
                running = True
                time.sleep(0.5)
        return self._log.tally.summary()

    def _is_running(self) -> bool:
        return bool(self._engine.api.inspect_container(self._container)["State"]["Running"])

    def _round(self, *, follow: bool) -> None:
        """Read both streams to their ends; if one failed, so does the round, once everything is written."""
        arrived = _Arrivals()
        readers = {stream: _Reader(self._engine, self._container, stream, self._log.tally) for stream in STREAMS}
        try:
            for stream, reader in readers.items():
                threading.Thread(target=reader.run, args=(arrived, follow), daemon=True, name=f"log {stream}").start()
            self._write_all(arrived)
        finally:  # a silent stream would keep its thread and its connection until the program ends
            arrived.closed.set()
            for reader in readers.values():
                reader.close()

    def _write_all(self, arrived: "_Arrivals") -> None:
        failure: Exception | None = None
        ends = 0
        while ends < len(STREAMS):
            batch: list[Entry] = []
            for item in arrived.take():
                if isinstance(item, list):
                    batch += item
                else:
                    ends += 1
                    failure = item or failure
            self._write(batch)
        if failure is not None:
            raise failure

    def _write(self, batch: list[Entry]) -> None:
        try:
            if batch:
                self._log.write(batch)
            self._log.sync_if_due()
        except OSError as error:
            raise ShareUnavailable(f"the log can't be written: {error.strerror}") from error


class _Arrivals:
    """What the readers bring: lines; at last None, or what went wrong. Bounded, so that a slow share slows them."""

    def __init__(self) -> None:
        self.closed = threading.Event()
        self._queue: queue.Queue[list[Entry] | Exception | None] = queue.Queue(maxsize=1000)

    def put(self, item: list[Entry] | Exception | None) -> bool:
        """False: nobody takes it any more."""
        while not self.closed.is_set():
            try:
                self._queue.put(item, timeout=1.0)
            except queue.Full:
                continue
            return True
        return False

    def take(self) -> Iterator[list[Entry] | Exception | None]:
        """All that has arrived; waits a little if that is nothing, so that the log gets synced when it is due."""
        try:
            yield self._queue.get(timeout=0.5)
            for _ in range(BATCH):
                yield self._queue.get_nowait()
        except queue.Empty:
            return


class _Reader:
    """One stream of one round."""

    def __init__(self, engine: Engine, container: str, stream: str, tally: Tally) -> None:
        position = tally.position(stream)
        self._engine = engine
        self._container = container
        self._stream = stream
        self._since = position.since
        self._skip = position.skip
        self._source: CancellableStream[bytes] | None = None

    def close(self) -> None:
        """End a read that may wait for ever. Any thread."""
        if self._source is not None:
            with contextlib.suppress(DockerException, *LOST, *CLOSED):
                self._source.close()

    def run(self, arrived: _Arrivals, follow: bool) -> None:
        try:
            self._source = self._open(follow)
            if arrived.closed.is_set():  # meanwhile, so that ``close`` found nothing to close
                self.close()
                return
            for entries in self._entries(self._source, follow):
                if not arrived.put(entries):
                    return
            arrived.put(None)
        except (Unreadable, DockerException, *LOST, *CLOSED) as error:
            arrived.put(error)

    def _entries(self, messages: Iterable[bytes], follow: bool) -> Iterator[list[Entry]]:
        splitter, stamp = Splitter(), ""
        for message in messages:
            if not STAMP.match(message):
                raise Unreadable(message.decode(errors="replace").strip())
            stamp_bytes, _, data = message.partition(b" ")
            stamp = stamp_bytes.decode("ascii", errors="replace")
            texts = list(splitter.feed(data))
            if not data.endswith(b"\n"):
                texts += splitter.glimpse()
            yield self._fresh(stamp, texts)
        if not follow:  # only then is it the program's end, and not an engine going down inside a line
            yield self._fresh(stamp, list(splitter.finish()))

    def _open(self, follow: bool) -> "CancellableStream[bytes]":
        """Each item is one line or a part of a long one, with its time in front."""
        stream: CancellableStream[bytes] = self._engine.api.logs(
            self._container,
            stdout=self._stream == STDOUT,
            stderr=self._stream == STDERR,
            stream=True,
            follow=follow,
            timestamps=True,
            since=self._since,
        )
        return stream

    def _fresh(self, stamp: str, texts: list[str]) -> list[Entry]:
        known = min(self._skip, len(texts))
        self._skip -= known
        return [Entry(stamp, self._stream, text) for text in texts[known:]]
