"""A node's name belongs to one machine: what a second one that uses it meets, however the two are timed."""

import re
import shutil
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.agent.joining import advertised
from reconciler.agent.namesake import next_start
from reconciler.agent.observe import Identity
from reconciler.agent.ports import Answer, NodeFiles
from reconciler.codec.heartbeat import beats_every
from reconciler.compose import alone
from reconciler.config import NodeConfig
from reconciler.core.desired import Site
from reconciler.core.names import NodeName, RecordNumber
from reconciler.errors import BadInput
from tests.fakes.build import A, a_node
from tests.fakes.lab import FakeClock, FakeSource, Lab

ADDRESS = "lab-2.example:9464"


class Moving(FakeClock):
    """Goes on by ``step`` whenever it is asked: minutes pass at once, and nobody waits for them."""

    def __init__(self, step: float) -> None:
        super().__init__()
        self.step = step

    def monotonic(self) -> float:
        self.seconds += self.step
        return self.seconds


class Watched:
    """A share on which the first start of node a is recorded. ``moves_after``: its heartbeat changes at that look."""

    def __init__(self, *, every: float, moves_after: int = 10**9, health: str = "", boot: str = "boot-1") -> None:
        self.record = a_node("a", health=health, boot=boot).record
        self.every = every
        self.moves_after = moves_after
        self.looks = 0

    def read_nodes(self) -> Mapping[NodeName, NodeFiles]:
        self.looks += 1
        beat = f'{{"count": {self.looks > self.moves_after:d}, "node": "a", "every": {self.every}}}'
        return {A: NodeFiles(records=(self.record,), heartbeat=beat.encode().ljust(4095))}


def me(*, boot: str = "boot-2", home: str = "home-x") -> Identity:
    return Identity(name=A, boot=boot, incarnation="a-2", home=home, runtime="docker")


def starts(
    share: object, *, clock: FakeClock | None = None, identity: Identity | None = None, **answers: object
) -> int:
    def ask(address: str) -> Answer | None:
        found = answers.get("says")
        return found if isinstance(found, Answer) else None

    period = Site().heartbeat.total_seconds()
    return next_start(share, clock or Moving(0.5), ask, identity or me(), period=period)  # type: ignore[arg-type]  # of the share it reads nodes alone


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The clock moves by itself: nobody really waits."""
    monkeypatch.setattr(threading.Event, "wait", lambda *_: False)


def test_a_name_whose_heartbeat_stands_still_is_free() -> None:
    assert starts(Watched(every=5.0)) == RecordNumber(2)


def test_it_is_watched_for_three_periods_of_its_own() -> None:
    """One that beats every two minutes moves long after our own three periods of five seconds."""
    slow = Watched(every=120.0, moves_after=200)
    with pytest.raises(BadInput, match="alive already"):
        starts(slow)
    usual = Watched(every=5.0, moves_after=200)
    assert starts(usual) == 2
    assert usual.looks < 100 < slow.looks


def test_a_fast_original_is_watched_no_shorter_than_our_own_periods() -> None:
    with pytest.raises(BadInput):
        starts(Watched(every=0.1, moves_after=20))


def test_a_clone_that_slept_while_it_watched_has_not_watched() -> None:
    """A frozen machine, or a share that hung for both: the original needs its turn to beat again."""
    with pytest.raises(BadInput):
        starts(Watched(every=5.0, moves_after=5), clock=Moving(3600.0))


def test_the_same_installation_under_the_same_boot_starts_at_once() -> None:
    share = Watched(every=5.0)
    assert starts(share, identity=me(boot="boot-1", home="home-a")) == 2
    assert share.looks == 1


@pytest.mark.parametrize(
    "identity", [me(boot="boot-1", home="copied"), me(boot="boot-2", home="home-a"), me()], ids=["home", "boot", "both"]
)
def test_another_installation_or_boot_looks_first(identity: Identity) -> None:
    """A cloned container has the machine's boot id, a cloned disk has the installation's files."""
    with pytest.raises(BadInput):
        starts(Watched(every=5.0, moves_after=3), identity=identity)


ALIVE = Answer(node=A, incarnation="a-1", claims=frozenset())


def test_an_original_whose_heartbeat_stalls_is_asked() -> None:
    with pytest.raises(BadInput, match=re.escape(f"it answers at {ADDRESS}")):
        starts(Watched(every=5.0, health=ADDRESS), says=ALIVE)


def test_a_stranger_that_answers_at_its_address_is_not_it() -> None:
    other = Answer(node=A, incarnation="of another site", claims=frozenset())
    assert starts(Watched(every=5.0, health=ADDRESS), says=other) == 2


def test_a_loopback_address_of_another_machine_is_our_own() -> None:
    """Whoever answers there is somebody else on this machine."""
    assert starts(Watched(every=5.0, health="127.0.0.1:9464"), says=ALIVE) == 2
    with pytest.raises(BadInput):
        starts(Watched(every=5.0, health="127.0.0.1:9464"), identity=me(boot="boot-1"), says=ALIVE)


@pytest.mark.parametrize(
    ("content", "every"),
    [
        (b'{"count": 1, "every": 30.0, "x": 1}', 30.0),
        (b'{"count": 1, "every": 30, "conditions": {"cut o', 30.0),
        (b'{"count": 1}', 0.0),
        (b'{"every": 1e400}', 0.0),
        (b'{"every": -5}', 0.0),
        (b"\xff\x00", 0.0),
        (None, 0.0),
    ],
)
def test_a_heartbeats_period_is_read_even_where_it_was_cut_off(content: bytes | None, every: float) -> None:
    assert beats_every(content) == every


# --- two that start ---


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    SharedDirectory.create(tmp_path / "share")
    found = Lab(tmp_path / "share", tmp_path, clock=Moving(0.01))
    yield found
    found.close()


def test_of_two_that_start_at_the_same_instant_one_gets_the_name(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both have watched an empty name, or a dead one; the second meets a record that it has not seen."""
    lab.write()
    lab.join("a")
    lab.kill("a")
    publish = SharedDirectory.publish_node
    raced: list[object] = []

    def while_it_publishes(share: SharedDirectory, record: object) -> bool:
        if not raced:
            raced.append(record)
            lab.join("a", home="first", boot="boot-2")
        return publish(share, record)  # type: ignore[arg-type]  # passed on

    monkeypatch.setattr(SharedDirectory, "publish_node", while_it_publishes)
    with pytest.raises(BadInput, match="another reconciler started as 'a'"):
        lab.join("a", home="second", boot="boot-3")
    numbers = [record.number for record in SharedDirectory(lab.root).read_nodes()[A].records]
    assert numbers == [1, 2]


def test_an_original_that_was_frozen_meanwhile_stops(lab: Lab) -> None:
    lab.write()
    original = lab.join("a")
    del lab.agents["a"]
    lab.join("a", home="clone", boot="boot-2")
    original.beat()
    assert "another reconciler started as 'a'" in original.superseded
    original.leave()


def test_a_node_says_in_its_heartbeat_how_often_it_beats(lab: Lab) -> None:
    """Before it has fetched the site's settings by the usual period, then by the site's."""
    begun = FakeSource()
    agent = lab.join("a", source=begun)
    assert beats_every(SharedDirectory(lab.root).read_nodes()[A].heartbeat) == 5.0
    begun.commits = [lab.write()]
    agent.fetch()
    agent.beat()
    assert beats_every(SharedDirectory(lab.root).read_nodes()[A].heartbeat) == 0.02


# --- the local directory ---


def test_a_copied_directory_is_another_installation(tmp_path: Path) -> None:
    """A container image made from a running node, say: its lock does not exclude the original's."""
    with alone(tmp_path / "local") as original:
        shutil.copytree(tmp_path / "local", tmp_path / "copy")
        with alone(tmp_path / "copy") as copied:
            assert copied != original
    with alone(tmp_path / "local") as again:
        assert again == original


def test_a_directory_of_an_earlier_winslow_becomes_a_new_installation(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("11111111-2222-3333-4444-555555555555")
    with alone(tmp_path) as home:
        assert "@" in home


# --- where others ask ---


@pytest.mark.parametrize(
    ("listen", "advertise", "told"),
    [
        (None, None, ""),
        (None, "lab-2.example:9464", ""),
        ("127.0.0.1:9464", None, "127.0.0.1:9464"),
        ("10.0.0.7:9464", None, "10.0.0.7:9464"),
        ("0.0.0.0:9464", None, "this-machine:9464"),
        ("[::]:9464", None, "this-machine:9464"),
        ("0.0.0.0:9464", "lab-2.example:9000", "lab-2.example:9000"),
        ("127.0.0.1:0", None, ""),
    ],
)
def test_where_a_node_says_that_it_answers(
    listen: str | None, advertise: str | None, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("socket.gethostname", lambda: "this-machine")
    config = NodeConfig(name=A, state_url="s", share=Path("/s"), listen=listen, advertise=advertise)
    assert advertised(config) == told


def test_the_period_of_a_site_that_was_read_counts_too() -> None:
    """It may have been made longer since the last beat."""
    share = Watched(every=5.0, moves_after=100)
    with pytest.raises(BadInput):
        next_start(share, Moving(0.5), lambda _: None, me(), period=60.0)  # type: ignore[arg-type]  # as above
