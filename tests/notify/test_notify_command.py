"""Commands of the node: real programs."""

import json
import os
import sys
from pathlib import Path

import pytest

from reconciler.adapters.notify import CommandSink
from reconciler.core.desired import Command
from reconciler.errors import Transient
from tests.notify.conftest import a_transition, until


def sink(*command: str, timeout: float = 30.0) -> CommandSink:
    return CommandSink(Command(name="pager"), {"pager": command}, timeout)


def python(code: str, **options: float) -> CommandSink:
    return sink(sys.executable, "-c", code, **options)


def test_a_program_gets_the_event_and_little_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing of the reconciler's environment that might hold a password."""
    monkeypatch.setenv("WINSLOW_TOKEN", "secret")
    out = tmp_path / "out"
    code = f"import os, sys, json; open({str(out)!r}, 'w').write(json.dumps([json.load(sys.stdin), dict(os.environ)]))"
    assert python(code).deliver(a_transition()) == ""
    event, environment = json.loads(out.read_text())
    assert (event["id"], event["project"]) == (a_transition().id, "ulm")
    assert set(environment) <= {"PATH", "HOME", "LANG", "LC_CTYPE"}


def test_a_failing_program_is_told_with_its_last_words() -> None:
    code = "import sys; print('first', file=sys.stderr); print('no modem\\n', file=sys.stderr); sys.exit(3)"
    with pytest.raises(Transient, match=r"'pager' ended with code 3: no modem$"):
        python(code).deliver(a_transition())


def test_a_program_that_is_killed_is_told() -> None:
    with pytest.raises(Transient, match="'pager' was ended by signal 9"):
        python("import os; os.kill(os.getpid(), 9)").deliver(a_transition())


def test_a_program_that_hangs_is_killed_with_its_children(tmp_path: Path) -> None:
    out = tmp_path / "pid"
    shell = f"sleep 300 & echo $! > {out}.part; mv {out}.part {out}; wait"
    for seconds in (1, 5, 25):  # a slow machine may need more to begin at all
        with pytest.raises(Transient, match=f"had not ended after {seconds} seconds and was killed"):
            sink("sh", "-c", shell, timeout=seconds).deliver(a_transition())
        if out.exists():
            break
    child = int(out.read_text())
    until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text().split()[2])


def test_what_a_program_leaves_behind_holds_up_nobody(tmp_path: Path) -> None:
    """A daemon that it started may keep its standard error open."""
    out = tmp_path / "pid"
    sink("sh", "-c", f"sleep 300 & echo $! > {out}").deliver(a_transition())
    os.kill(int(out.read_text()), 9)


def test_a_program_that_reads_nothing_is_well() -> None:
    """However long the event is."""
    sink("true").deliver(a_transition(tail=("x" * 500,) * 2000))


def test_a_missing_program_and_a_missing_entry_are_told() -> None:
    with pytest.raises(Transient, match="'pager' can't be started: /nowhere/pager: No such file"):
        sink("/nowhere/pager").deliver(a_transition())
    with pytest.raises(Transient, match=r"has no command 'horn' \(it has: pager\); add it under commands"):
        CommandSink(Command(name="horn"), {"pager": ("true",)}).deliver(a_transition())
