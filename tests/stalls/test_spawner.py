"""Programs start although a file of the share that this process has open can't be written out."""

import os
import resource
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from reconciler.adapters.git import GitTree, StateRepository
from reconciler.adapters.spawner import HERE, Spawn, Spawner
from reconciler.errors import BadInput
from tests.stalls.conftest import Mount

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
"""A node forks while it has one thread; pytest may have more."""

PROGRAM = """
import os, sys, threading, time
from pathlib import Path
from reconciler.adapters.git import StateRepository
from reconciler.adapters.spawner import Spawner
url, clone, share = sys.argv[1:]
repository = StateRepository(url, Path(clone), spawn=Spawner())
repository.fetch_head()
held = os.open(share, os.O_RDWR | os.O_CREAT)
print("holding", flush=True)
sys.stdin.readline()  # the share hangs now
def fetch():
    print("fetched", bool(repository.fetch_head().commit), flush=True)
threading.Thread(target=fetch, daemon=True).start()
while True:
    time.sleep(0.1)
    print("turning", flush=True)
"""


@contextmanager
def program(*arguments: str | Path) -> Iterator["subprocess.Popen[str]"]:
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        try:
            yield process
        finally:
            process.kill()  # what waits for a hanging file dies once that is healed


def said(process: "subprocess.Popen[str]", wanted: Callable[[str], bool]) -> str:
    """The first line that is wanted; the test's own time limit ends the wait."""
    assert process.stdout is not None
    return next(line for line in process.stdout if wanted(line))


def test_git_goes_on_while_the_share_hangs(mount: Mount, remote: str, tmp_path: Path) -> None:
    """Started by the process itself it would hang: its child closes the open file that it never asked for."""
    with program(remote, tmp_path / "clone.git", mount.point / "held") as process:
        assert process.stdin is not None
        said(process, lambda line: line == "holding\n")
        mount.hang()
        try:
            process.stdin.write("\n")
            process.stdin.flush()
            assert said(process, lambda line: line.startswith("fetched")) == "fetched True\n"
        finally:
            mount.heal()


@pytest.fixture(autouse=True)
def vfork(monkeypatch: pytest.MonkeyPatch) -> None:
    """A spawner switches it off for the rest of the process: put it back."""
    monkeypatch.setattr(subprocess, "_USE_VFORK", True)


@pytest.fixture
def spawner() -> Iterator[Spawner]:
    made = Spawner()
    yield made
    made.close()
    os.waitpid(made.pid, 0)


@pytest.fixture(params=["here", "elsewhere"])
def spawn(request: pytest.FixtureRequest) -> Spawn:
    found: Spawn = HERE if request.param == "here" else request.getfixturevalue("spawner")
    return found


def refuse(message: str) -> None:
    raise BadInput(message)


def printed(*command: str) -> str:
    return subprocess.check_output(command, text=True)


@contextmanager
def lend_nothing(message: str) -> Iterator[tuple[int, ...]]:
    raise BadInput(message)
    yield ()


def test_results_and_errors_come_back(spawn: Spawn) -> None:
    assert spawn.do(divmod, 17, 5) == (3, 2)
    with pytest.raises(BadInput, match="write another"):
        spawn.do(refuse, "write another")
    with pytest.raises(BadInput, match="write another"), spawn.lend(lend_nothing, "write another"):
        pass


def test_many_threads_may_ask_at_once(spawner: Spawner) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda n=n: found.append(spawner.do(abs, -n))) for n in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30.0)
    assert sorted(found) == list(range(20))


def test_jobs_are_done_by_another_process(spawner: Spawner) -> None:
    assert spawner.do(os.getpid) == spawner.pid != os.getpid()


def test_a_tree_is_read_wherever_git_runs(spawn: Spawn, remote: str, tmp_path: Path) -> None:
    repository = StateRepository(remote, tmp_path / "clone.git", spawn=spawn)
    commit = repository.fetch_head().commit
    assert commit is not None
    with repository.tree(commit) as tree:
        assert isinstance(tree, GitTree)
        assert {tree.read(blob) for blob in tree.files().values()} == {b"version: 1\n"}


def test_a_deadline_holds_wherever_git_runs(spawn: Spawn, tmp_path: Path, silent: str) -> None:
    repository = StateRepository(silent, tmp_path / "clone.git", spawn=spawn, timeout=timedelta(seconds=0.5))
    head = repository.fetch_head()
    assert (head.reachable, "no answer within" in head.error) == (False, True)


def test_a_killed_spawner_costs_its_service_and_no_more(remote: str, tmp_path: Path) -> None:
    made = Spawner()
    os.kill(made.pid, 9)
    os.waitpid(made.pid, 0)
    repository = StateRepository(remote, tmp_path / "clone.git", spawn=made)
    commit = repository.fetch_head().commit
    assert commit is not None
    with repository.tree(commit) as tree:
        assert [tree.read(blob) for blob in tree.files().values()]
    made.close()


def test_a_killed_spawner_is_told_once_and_leaves_no_zombie() -> None:
    made = Spawner()
    os.kill(made.pid, 9)
    os.waitid(os.P_PID, made.pid, os.WEXITED | os.WNOWAIT)
    with capture_logs() as told:
        assert [made.do(abs, -n) for n in range(3)] == [0, 1, 2]
    assert [one["event"] for one in told] == ["spawner_gone"]
    with pytest.raises(ChildProcessError):
        os.waitpid(made.pid, os.WNOHANG)
    made.close()


def test_a_spawner_at_its_limit_of_open_files_goes_on_after_it(spawner: Spawner) -> None:
    limits = resource.prlimit(spawner.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(spawner.pid, resource.RLIMIT_NOFILE, (0, limits[1]))
    assert spawner.do(os.getpid) == os.getpid(), "done here instead"
    resource.prlimit(spawner.pid, resource.RLIMIT_NOFILE, limits)
    assert spawner.do(os.getpid) == spawner.pid


def test_it_ends_with_its_node() -> None:
    made = Spawner()
    made.close()
    assert os.waitpid(made.pid, 0)[1] == 0


def test_signals_to_the_group_do_not_end_it(spawner: Spawner) -> None:
    """Ctrl-C reaches all of a terminal's processes; the node may need programs to end well."""
    for number in (1, 2, 15):
        os.kill(spawner.pid, number)
    assert spawner.do(abs, -1) == 1


def test_what_it_starts_can_be_asked_to_end(spawner: Spawner) -> None:
    """An ignored signal would be inherited by every program."""
    shown = spawner.do(printed, "cat", "/proc/self/status")
    ignored = int(next(line for line in shown.splitlines() if line.startswith("SigIgn")).split()[1], 16)
    assert ignored & (1 << 14 | 1 << 1 | 1) == 0


def test_no_descriptor_of_ours_reaches_a_program(spawner: Spawner) -> None:
    shown = spawner.do(printed, "ls", "/proc/self/fd").split()
    assert len(shown) <= 4, "its three, and the one ls itself has open"
