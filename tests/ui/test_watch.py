"""One read for many browsers, and a page that neither empties nor hangs when reading does."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING

from readonly_ui.calls import MOST_WAITING
from readonly_ui.watch import Known, Watch
from reconciler.errors import ShareUnavailable

if TYPE_CHECKING:
    from tests.ui.conftest import FakeReader, Get


async def recovered(watch: Watch) -> Known:
    async with asyncio.timeout(5):
        while (known := await watch.known()).problem is not None:  # noqa: ASYNC110 - as browsers do
            await asyncio.sleep(0.01)
    return known


def test_many_browsers_cost_one_read(reader: FakeReader) -> None:
    async def ask() -> None:
        watch = Watch(reader, keep=60, patience=5)
        await asyncio.gather(*(watch.known() for _ in range(20)))
        await watch.known()

    asyncio.run(ask())

    assert reader.reads == 1


def test_a_status_is_read_again_once_it_is_old(reader: FakeReader) -> None:
    async def ask() -> None:
        watch = Watch(reader, keep=0, patience=5)
        await watch.known()
        await watch.known()

    asyncio.run(ask())

    assert reader.reads == 2


def test_a_failing_reader_leaves_the_last_status_with_since_and_why(reader: FakeReader) -> None:
    async def ask() -> None:
        watch = Watch(reader, keep=0, patience=5)
        good = await watch.known()
        reader.error = ShareUnavailable("/mnt/share is not mounted")
        first, second = await watch.known(), await watch.known()
        assert first.status is good.status
        assert first.problem == "/mnt/share is not mounted"
        assert second.failing_since == first.failing_since is not None
        reader.error = None
        assert await watch.known() == good

    asyncio.run(ask())


def test_while_a_read_hangs_nobody_starts_another_and_only_the_first_wait(reader: FakeReader) -> None:
    async def ask() -> None:
        watch = Watch(reader, keep=0, patience=0.2)
        await watch.known()
        reader.hanging = True
        hung = await watch.known()
        before = monotonic()
        again = [await watch.known() for _ in range(10)]
        assert monotonic() - before < 0.2
        assert reader.reads == 2
        assert "hanging" in (hung.problem or "")
        assert all(known.status is not None for known in again)
        reader.hanging = False
        reader.release.set()
        assert (await recovered(watch)).status is not None

    asyncio.run(ask())


def test_the_page_shows_a_banner_instead_of_a_traceback(reader: FakeReader, get: Get) -> None:
    reader.error = RuntimeError("a bug in the reader")

    page = get("/")

    assert page.status_code == 503
    assert "Nothing is known yet" in page.text
    assert "a bug in the reader" in page.text
    assert "Traceback" not in page.text


def test_health_tells_a_monitor_that_the_page_is_behind(reader: FakeReader, get: Get) -> None:
    assert get("/healthz").json() == {"ok": True, "problem": None}


def test_health_is_503_while_reading_fails(reader: FakeReader, get: Get) -> None:
    reader.error = ShareUnavailable("/mnt/share is not mounted")

    answer = get("/healthz")

    assert answer.status_code == 503
    assert answer.json()["problem"] == "/mnt/share is not mounted"


def test_hanging_logs_use_up_no_more_than_a_bounded_number_of_threads(reader: FakeReader, get: Get) -> None:
    get("/")
    reader.hanging = True
    log = reader.log
    asked = []
    reader.log = lambda *names, **rest: (asked.append(names), log(*names, **rest))[1]  # type: ignore[method-assign,func-returns-value]

    answers = [get("/projects/ulm-07/runs/3/log") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [503] * 3
    assert len(asked) == 3 < MOST_WAITING
    reader.release.set()


def test_a_bug_in_the_page_is_a_plain_500_with_the_safe_headers(reader: FakeReader, get: Get) -> None:
    reader.now = object()  # type: ignore[assignment]

    page = get("/")

    assert page.status_code == 500
    assert "Traceback" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]
