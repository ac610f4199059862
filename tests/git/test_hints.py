"""A commit in a local repository is noticed at once; remote ones are polled."""

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path

import pytest

from reconciler.adapters.hints import watch_local
from tests.git.conftest import Forge

DEADLINE = 10.0


class Hints:
    """Counts the hints of a watch that goes on in the background."""

    def __init__(self) -> None:
        self.count = 0
        self.arrived = asyncio.Event()

    async def listen(self, url: str, branch: str) -> None:
        async with aclosing(watch_local(url, branch=branch)) as hints:
            async for _ in hints:
                self.count += 1
                self.arrived.set()

    async def next(self) -> None:
        await asyncio.wait_for(self.arrived.wait(), DEADLINE)
        self.arrived.clear()


@asynccontextmanager
async def listening(url: str, branch: str = "main") -> AsyncGenerator[Hints, None]:
    hints = Hints()
    task = asyncio.create_task(hints.listen(url, branch))
    try:
        yield hints
    finally:
        started = time.monotonic()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert time.monotonic() - started < 2.0, "a watch ends when it is cancelled"


async def until_heard(hints: Hints, change: Callable[[], Awaitable[object]]) -> None:
    """Repeat a change until its hint arrives: only then the watch is certainly set up."""
    for _ in range(50):
        await change()
        try:
            await asyncio.wait_for(hints.arrived.wait(), 0.3)
        except TimeoutError:
            continue
        await asyncio.sleep(0.2)  # let the hints of this change run out
        hints.arrived.clear()
        return
    pytest.fail("no hint ever arrived")


async def pushed(forge: Forge, branch: str = "main") -> None:
    await asyncio.to_thread(forge.commit)
    await asyncio.to_thread(forge.push, branch)


@pytest.mark.parametrize("packed", [False, True])
def test_a_push_gives_a_hint_within_a_blink(forge: Forge, packed: bool) -> None:
    async def scenario() -> float:
        await pushed(forge)
        async with listening(forge.url) as hints:
            await until_heard(hints, lambda: pushed(forge))
            if packed:
                forge.git("pack-refs", "--all", cwd=forge.bare)
                await hints.next()
            await pushed(forge)
            since = time.monotonic()
            await hints.next()
            return time.monotonic() - since

    assert asyncio.run(scenario()) < 0.5


def test_other_branches_give_no_hint(forge: Forge) -> None:
    async def scenario() -> None:
        await pushed(forge)
        async with listening(str(forge.bare)) as hints:
            await until_heard(hints, lambda: pushed(forge))
            before = hints.count
            await pushed(forge, "observed")
            await asyncio.sleep(0.3)
            assert hints.count == before

    asyncio.run(scenario())


def test_a_branch_with_a_slash_is_watched_too(forge: Forge) -> None:
    async def scenario() -> None:
        await pushed(forge)
        async with listening(forge.url, "team/main") as hints:
            for _ in range(2):  # the first push makes the directory
                await until_heard(hints, lambda: pushed(forge, "team/main"))
            before = hints.count
            await pushed(forge, "team/main")
            await hints.next()
            assert hints.count > before

    asyncio.run(scenario())


def test_a_repository_that_comes_later_is_found(forge: Forge, tmp_path: Path) -> None:
    async def scenario() -> None:
        await pushed(forge)
        away = forge.bare.rename(tmp_path / "later.git")
        async with listening(forge.url) as hints:
            await asyncio.sleep(0.1)
            away.rename(forge.bare)
            await hints.next()
            await until_heard(hints, lambda: pushed(forge))

    asyncio.run(scenario())


def test_a_replaced_repository_is_watched_again(forge: Forge, tmp_path: Path) -> None:
    async def scenario() -> None:
        await pushed(forge)
        async with listening(forge.url) as hints:
            await until_heard(hints, lambda: pushed(forge))
            forge.bare.rename(tmp_path / "old.git")
            forge.git("clone", "-q", "--bare", str(tmp_path / "old.git"), str(forge.bare))
            await hints.next()
            await until_heard(hints, lambda: pushed(forge))

    asyncio.run(scenario())


@pytest.mark.parametrize("url", ["https://forge.example/state.git", "git@forge.example:team/state.git"])
def test_a_remote_address_gives_no_hints(url: str) -> None:
    async def scenario() -> None:
        assert [hint async for hint in watch_local(url)] == []

    asyncio.run(asyncio.wait_for(scenario(), DEADLINE))
