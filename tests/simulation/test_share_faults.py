"""Each fault of the simulated share is the one that was measured, and the share's real code lives with it."""

import errno
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.core.names import Token
from reconciler.core.records import Claim
from reconciler.errors import ShareUnavailable
from tests.fakes.build import CROSSING, a_claim, a_created, a_seen
from tests.simulation.plain_scheduler import PlainScheduler
from tests.simulation.share import SimMount, SimServer

ROOT = Path("/share")
CREATED = a_created(1, "detect", number=2)
RECORDS = "projects/crossing/runs/0001-detect/records"
SEEDS = range(30)


class Killed(BaseException):
    """As a scheduler ends a task."""


@pytest.fixture
def scheduler() -> PlainScheduler:
    return PlainScheduler()


@pytest.fixture
def server(scheduler: PlainScheduler) -> SimServer:
    return furnished(scheduler)


def furnished(scheduler: PlainScheduler, *, sync: bool = True) -> SimServer:
    """A share with one project that has one run, which nobody has claimed."""
    server = SimServer(scheduler, root=ROOT, sync=sync)
    admin = server.mount("admin")
    SharedDirectory.create(ROOT, files=admin)
    share = SharedDirectory(ROOT, files=admin)
    for record in (a_seen(1), CREATED):
        assert share.publish_project(CROSSING, record)
    return server


@pytest.fixture
def a(server: SimServer) -> SimMount:
    return server.mount("a")


@pytest.fixture
def b(server: SimServer) -> SimMount:
    return server.mount("b")


def share(mount: SimMount) -> SharedDirectory:
    return SharedDirectory(ROOT, writer=mount.name, files=mount)


def claim(token: str) -> Claim:
    return replace(a_claim(1), token=Token(token))


def claims(mount: SimMount) -> bool:
    return share(mount).publish_run(CROSSING, CREATED, claim(f"token of {mount.name}"))


def pairs(scheduler: PlainScheduler | None = None) -> Iterator[tuple[SimMount, SimMount]]:
    """Mounts of several machines, with other luck each."""
    for seed in SEEDS:
        server = furnished(scheduler or PlainScheduler(seed))
        yield server.mount("a"), server.mount("b")


def is_there(mount: SimMount, name: str) -> bool:
    try:
        mount.read(ROOT / name)
    except FileNotFoundError:
        return False
    return True


def killed_at(scheduler: PlainScheduler, word: str, call: Callable[[], object]) -> None:
    def kill() -> None:
        raise Killed

    scheduler.meanwhile = [(word, kill)]
    with pytest.raises(Killed):
        call()


def during(scheduler: PlainScheduler, seconds: float, act: Callable[[], object]) -> None:
    """Do this when the next call has been blocked for so long."""

    def tick() -> None:
        if scheduler.time < end:
            scheduler.meanwhile.append(("a second passes", tick))
        else:
            act()

    end = scheduler.time + seconds
    scheduler.meanwhile.append(("a second passes", tick))


# --- what a client remembers ---


def test_a_failed_lookup_may_stay_failed_until_the_directory_is_opened() -> None:
    answers = set()
    for a, b in pairs():
        assert not is_there(a, "tmp/new")
        b.create(ROOT / "tmp/new", b"x")
        answers.add(is_there(a, "tmp/new"))
        a.refresh(ROOT / "tmp")
        assert is_there(a, "tmp/new")
    assert answers == {True, False}


def test_a_failed_lookup_is_forgotten_after_a_minute(scheduler: PlainScheduler) -> None:
    for a, b in pairs(scheduler):
        assert not is_there(a, "tmp/new")
        b.create(ROOT / "tmp/new", b"x")
        scheduler.time += 61
        assert is_there(a, "tmp/new")
        b.unlink(ROOT / "tmp/new")


def test_a_file_that_was_replaced_or_removed_may_be_read_as_it_was_until_the_directory_is_opened() -> None:
    replaced, removed = set(), set()
    for a, b in pairs():
        a.create(ROOT / "tmp/old", b"old")
        assert b.read(ROOT / "tmp/old") == b"old"
        a.create(ROOT / "tmp/new", b"new")
        a.rename(ROOT / "tmp/new", ROOT / "tmp/old")
        assert a.read(ROOT / "tmp/old") == b"new", "who changes a directory knows it"
        replaced.add(b.read(ROOT / "tmp/old"))
        b.refresh(ROOT / "tmp")
        assert b.read(ROOT / "tmp/old") == b"new"
        a.unlink(ROOT / "tmp/old")
        removed.add(is_there(b, "tmp/old"))
        b.refresh(ROOT / "tmp")
        assert not is_there(b, "tmp/old")
    assert replaced == {b"old", b"new"}
    assert removed == {True, False}


def test_a_file_written_in_place_is_read_as_it_is_at_opening(a: SimMount, b: SimMount) -> None:
    kept = a.keep_open(ROOT / "tmp/beat")
    for beat in (b"1", b"2", b"3"):
        kept.write(beat)
        assert b.read(ROOT / "tmp/beat") == beat


def test_a_new_name_shows_in_a_listing_at_once_and_exclusive_creation_always_asks(a: SimMount, b: SimMount) -> None:
    assert not is_there(a, "tmp/new")
    b.create(ROOT / "tmp/new", b"x")
    calls: tuple[Callable[[], None], ...] = (
        lambda: a.create(ROOT / "tmp/new", b"y"),
        lambda: a.link(ROOT / "winslow.json", ROOT / "tmp/new"),
        lambda: a.mkdir(ROOT / "tmp/new"),
    )
    for refused in calls:
        with pytest.raises(FileExistsError):
            refused()
    assert "new" in a.names(ROOT / "tmp")


def test_a_directory_that_was_moved_may_be_taken_to_be_where_it_was() -> None:
    """A client goes by handles: so a purge may happen below a node that does not look."""
    here, there = ROOT / "projects/crossing", ROOT / "retired/crossing.00000003"
    late = set()
    for a, b in pairs():
        assert a.names(here / "records") == {"00000001.json", "00000002.json"}
        b.rename(here, there)
        with suppress(FileNotFoundError):
            a.create(here / "records/late", b"x")
        late.add("late" in b.names(there / "records"))
        assert a.names(ROOT / "projects") == set()
        with pytest.raises(FileNotFoundError):
            a.names(here / "records")
    assert late == {True, False}


# --- one winner ---


@pytest.mark.parametrize("moment", ["link", "mkdir", "create", "open", "read"])
def test_of_two_that_claim_at_once_one_wins(
    scheduler: PlainScheduler, server: SimServer, a: SimMount, b: SimMount, moment: str
) -> None:
    won: list[bool] = []
    scheduler.meanwhile = [(moment, lambda: won.append(claims(b)))]
    won.append(claims(a))
    assert sorted(won) == [False, True]
    assert server.names(RECORDS) == {"00000001.json"}
    assert not server.names("tmp")


# --- errors and lost replies ---


@pytest.mark.parametrize("heals", [True, False])
def test_an_error_may_hide_a_success_and_the_token_decides(heals: bool) -> None:
    """The link fails, and stands or not; then it can be read back, or that fails as well."""
    outcomes = set()
    for seed in SEEDS:
        scheduler = PlainScheduler(seed)
        server = furnished(scheduler)
        a = server.mount("a")
        losing: tuple[Callable[[], None], ...] = (
            lambda a=a: setattr(a, "lossy", 1.0),  # type: ignore[misc]  # of this seed
            lambda a=a: setattr(a, "lossy", 0.0 if heals else 1.0),  # type: ignore[misc]
        )
        scheduler.meanwhile = list(zip(("link 0001-detect/records", "unlink"), losing, strict=True))
        try:
            said: object = claims(a)
        except ShareUnavailable:
            said = None
        outcomes.add((said, server.content(f"{RECORDS}/00000001.json") is not None))
    assert outcomes == ({(True, True), (None, False)} if heals else {(None, True), (None, False)})


def test_each_kind_of_error_comes_with_and_without_its_effect() -> None:
    seen = set()
    for seed in SEEDS:
        scheduler = PlainScheduler(seed)
        server = furnished(scheduler)
        a = server.mount("a")
        a.lossy = 1.0
        with pytest.raises(OSError, match="tmp/new") as error:
            a.link(ROOT / "winslow.json", ROOT / "tmp/new")
        seen.add((error.value.errno, "new" in server.names("tmp")))
    assert seen == {(errno.EIO, True), (errno.EIO, False), (errno.EEXIST, True), (errno.EEXIST, False)}


@pytest.mark.parametrize("direction", ["in", "out", "both"])
def test_a_call_that_is_cut_off_blocks_and_succeeds_after_the_cut(
    scheduler: PlainScheduler, server: SimServer, a: SimMount, direction: str
) -> None:
    a.cut(direction)
    stood: list[bool] = []

    def heal() -> None:
        stood.append("new" in server.names("tmp"))
        a.heal()

    during(scheduler, 30, heal)
    a.create(ROOT / "tmp/new", b"x")
    assert scheduler.time >= 30
    assert stood == [direction == "in"], "only a lost reply leaves its effect before the heal"
    assert server.content("tmp/new") == b"x"


@pytest.mark.parametrize("direction", ["in", "out"])
def test_a_soft_mount_gives_up_whether_or_not_it_happened(
    scheduler: PlainScheduler, server: SimServer, direction: str
) -> None:
    soft = server.mount("soft", soft=True)
    soft.cut(direction)
    with pytest.raises(OSError, match="tmp/new") as error:
        soft.create(ROOT / "tmp/new", b"x")
    assert error.value.errno == errno.EIO
    assert ("new" in server.names("tmp")) is (direction == "in")
    assert 15 < scheduler.time < 30


def test_what_a_killed_process_asked_for_may_happen_after_others_went_on() -> None:
    winners = set()
    for seed in SEEDS:
        scheduler = PlainScheduler(seed)
        server = furnished(scheduler)
        a, b = server.mount("a"), server.mount("b")
        killed_at(scheduler, "link 0001-detect/records/00000001.json", lambda a=a: claims(a))  # type: ignore[misc]
        scheduler.time += 2
        assert claims(b) or b"token of a" in (server.content(f"{RECORDS}/00000001.json") or b"")
        scheduler.time += 10
        b.names(ROOT)
        winners.add(server.content(f"{RECORDS}/00000001.json"))
        assert server.names(RECORDS) == {"00000001.json"}
    assert len(winners) == 2, "now the dead one, now the other"


def test_a_killed_process_does_nothing_more(scheduler: PlainScheduler, server: SimServer, a: SimMount) -> None:
    """Not even what its code would do in passing: its draft stays."""
    killed_at(scheduler, "link 0001-detect/records/00000001.json", lambda: claims(a))
    assert len(server.names("tmp")) == 1


@pytest.mark.parametrize("power", [True, False])
def test_a_request_that_the_cut_held_back_arrives_only_from_a_machine_that_runs(power: bool) -> None:
    arrived = set()
    for seed in SEEDS:
        scheduler = PlainScheduler(seed)
        server = furnished(scheduler)
        a, b = server.mount("a"), server.mount("b")
        a.cut("out")
        killed_at(scheduler, "a second passes", lambda a=a: a.create(ROOT / "tmp/late", b"x"))  # type: ignore[misc]
        if not power:
            a.lose_power()
        scheduler.time += 20
        assert "late" not in b.names(ROOT / "tmp")
        a.heal()
        b.refresh(ROOT)
        arrived.add("late" in server.names("tmp"))
    assert arrived == ({True, False} if power else {False})


# --- a server that refuses ---


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_on_a_full_share_links_and_heartbeats_go_on(server: SimServer, a: SimMount, code: int) -> None:
    kept = a.keep_open(ROOT / "tmp/beat")
    kept.write(b"1")
    server.full = code
    calls: tuple[Callable[[], None], ...] = (
        lambda: a.create(ROOT / "tmp/new", b"x"),
        lambda: a.append(ROOT / "tmp/beat", b"x"),
        lambda: a.mkdir(ROOT / "tmp/directory"),
    )
    for refused in calls:
        with pytest.raises(OSError, match="tmp/") as error:
            refused()
        assert error.value.errno == code
    kept.write(b"2")
    a.link(ROOT / "tmp/beat", ROOT / "tmp/link")
    assert server.content("tmp/link") == b"2"


def test_a_full_share_is_told_and_nothing_half_written_stays(server: SimServer, a: SimMount) -> None:
    server.full = errno.ENOSPC
    with pytest.raises(ShareUnavailable, match="the share is full"):
        claims(a)
    assert not server.names("tmp")
    server.full = 0
    assert claims(a)


def test_a_read_only_share_is_read_and_not_written(server: SimServer, a: SimMount) -> None:
    server.read_only = True
    before = dict(server.files())
    for refused in (lambda: claims(a), lambda: share(a).try_lock("publisher")):
        with pytest.raises(ShareUnavailable, match="mounted read-only"):
            refused()
    assert share(a).read().history(CROSSING).records
    assert dict(server.files()) == before


def test_a_stale_mount_fails_with_every_call(a: SimMount) -> None:
    a.stale = True
    with pytest.raises(ShareUnavailable, match="remount it"):
        share(a).read()
    a.stale = False
    assert share(a).read().history(CROSSING).records


# --- a server that crashes ---


@pytest.mark.parametrize("sync", [True, False])
def test_only_an_async_server_forgets_what_it_acknowledged(scheduler: PlainScheduler, sync: bool) -> None:
    server = furnished(scheduler, sync=sync)
    a = server.mount("a")
    scheduler.time += 20
    before = dict(server.files())
    assert claims(a)
    scheduler.time += 1
    server.crash(lost=3)
    server.restart()
    assert (server.content(f"{RECORDS}/00000001.json") is not None) is sync
    assert (dict(server.files()) == before) is not sync
    assert claims(server.mount("b")) is not sync, "then two have won the same number"


def test_calls_block_while_the_server_is_down(scheduler: PlainScheduler, server: SimServer, a: SimMount) -> None:
    server.crash()
    during(scheduler, 6, server.restart)
    assert claims(a)
    assert scheduler.time >= 6


def test_a_restarted_server_has_forgotten_its_reply(scheduler: PlainScheduler, server: SimServer, a: SimMount) -> None:
    """The client asks again, and hears EEXIST of its own link: the record is still ours."""

    a.create(ROOT / "tmp/draft", b"x")
    scheduler.meanwhile = [("link share/tmp/new", lambda: None), ("link share/tmp/new", server.crash)]
    during(scheduler, 6, server.restart)
    with pytest.raises(FileExistsError):
        a.link(ROOT / "tmp/draft", ROOT / "tmp/new")
    scheduler.meanwhile = [("link 0001-detect/records", lambda: None), ("link 0001-detect/records", server.crash)]
    during(scheduler, 6, server.restart)
    assert claims(a)
    assert not scheduler.meanwhile


def test_creating_and_appending_are_not_done_twice_by_a_restart(
    scheduler: PlainScheduler, server: SimServer, a: SimMount
) -> None:
    for word, call in (("create", a.create), ("append", a.append)):
        scheduler.meanwhile = [(word, lambda: None), (word, server.crash)]
        during(scheduler, 6, server.restart)
        call(ROOT / f"tmp/{word}", b"once")
        assert server.content(f"tmp/{word}") == b"once"


def test_a_share_restored_from_a_backup_is_as_it_was_for_all(server: SimServer, a: SimMount, b: SimMount) -> None:
    kept = a.keep_open(ROOT / "tmp/beat")
    yesterday = server.backup()
    before = dict(server.files())
    assert claims(a)
    kept.write(b"x")
    reader = share(b)
    assert reader.read_run(CROSSING, CREATED).records
    server.restore(yesterday)
    assert dict(server.files()) == before
    assert share(a).read_run(CROSSING, CREATED).records == ()
    with pytest.raises(OSError, match="Stale file handle"):
        kept.write(b"x")
    assert claims(b)
    server.restore(yesterday)
    assert dict(server.files()) == before, "a backup is good for more than once"


# --- locks ---


def test_a_lock_keeps_others_out_until_it_is_released_or_its_process_ends(a: SimMount, b: SimMount) -> None:
    first = share(a).try_lock("publisher")
    assert first is not None
    assert share(b).try_lock("publisher") is None
    first.release()
    second = share(b).try_lock("publisher")
    assert second is not None
    b.process_died()
    assert share(a).try_lock("publisher") is not None
    assert share(b).try_lock("publisher") is None


def test_a_lock_that_a_process_died_for_is_nobodys(scheduler: PlainScheduler) -> None:
    for a, b in pairs(scheduler):
        killed_at(scheduler, "lock", lambda a=a: a.lock(ROOT / "locks/publisher"))  # type: ignore[misc]  # of this seed
        a.process_died()
        scheduler.time += 20
        assert share(b).try_lock("publisher") is not None


@pytest.mark.parametrize("silent", ["cut", "freeze"])
def test_a_lock_is_lost_silently_once_somebody_asks_after_the_lease(
    scheduler: PlainScheduler, a: SimMount, b: SimMount, silent: str
) -> None:
    begins, ends = {"cut": (a.cut, a.heal), "freeze": (a.freeze, a.thaw)}[silent]
    lock = share(a).try_lock("publisher")
    assert lock is not None
    begins()
    scheduler.time += 6
    assert share(b).try_lock("publisher") is None, "within the lease"
    scheduler.time += 30
    ends()
    assert lock.is_held(), "nobody asked meanwhile: the server was courteous"
    begins()
    scheduler.time += 15
    assert share(b).try_lock("publisher") is not None
    ends()
    assert not lock.is_held()
    assert share(a).try_lock("publisher") is None
    a.create(ROOT / "tmp/anything", b"x")  # the lost lock fences nothing but its own file


def test_the_lock_of_a_machine_without_power_is_free_after_the_lease_or_its_next_boot(
    scheduler: PlainScheduler, server: SimServer, a: SimMount, b: SimMount
) -> None:
    assert share(a).try_lock("publisher") is not None
    a.lose_power()
    assert share(b).try_lock("publisher") is None
    again = server.mount("a")
    assert share(b).try_lock("publisher") is not None
    b.lose_power()
    scheduler.time += 15
    assert share(again).try_lock("publisher") is not None


def test_a_lock_outlives_the_servers_restart(scheduler: PlainScheduler, server: SimServer, a: SimMount) -> None:
    lock = share(a).try_lock("publisher")
    assert lock is not None
    server.crash()
    server.restart()
    assert share(server.mount("b")).try_lock("publisher") is None
    assert lock.is_held()


def test_a_lock_whose_holder_slept_through_the_restart_is_given_away_after_the_grace(
    scheduler: PlainScheduler, server: SimServer, a: SimMount, b: SimMount
) -> None:
    lock = share(a).try_lock("publisher")
    assert lock is not None
    a.freeze()
    server.crash()
    server.restart()
    began = scheduler.time
    assert share(b).try_lock("publisher") is not None
    assert scheduler.time - began >= 9, "new locks wait for the time of grace"
    a.thaw()
    assert not lock.is_held()


# --- for those who watch ---


def test_every_change_is_told_as_the_server_makes_it(scheduler: PlainScheduler) -> None:
    told: list[tuple[str, str, bytes | None]] = []
    server = SimServer(scheduler, root=ROOT, watch=lambda *change: told.append(change))
    a = server.mount("a")
    a.mkdir(ROOT / "x/y", parents=True)
    a.create(ROOT / "x/y/one", b"1")
    a.link(ROOT / "x/y/one", ROOT / "two")
    a.append(ROOT / "two", b"2")
    a.unlink(ROOT / "x/y/one")
    a.rename(ROOT / "x", ROOT / "z")
    before = server.changes
    a.names(ROOT)
    assert server.changes == before
    assert told == [
        ("a", "x", b""),
        ("a", "x/y", b""),
        ("a", "x/y/one", b"1"),
        ("a", "two", b"1"),
        ("a", "two", b"12"),
        ("a", "x/y/one", None),
        ("a", "x", None),
        ("a", "z", b""),
    ]
