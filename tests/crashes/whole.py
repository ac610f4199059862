"""What must be true in the end, whatever was killed on the way."""

import hashlib
import json
import os
import re
from pathlib import Path

from reconciler.codec.config import load_config
from reconciler.codec.observed import fold
from reconciler.compose import open_reader
from reconciler.core.ledger import Run, RunPhase
from reconciler.core.records import Claim, Done
from tests.crashes.place import ULM, Place

DRAFT = re.compile(r"alpha\.[0-9a-f]+\.[0-9a-f]{16}")


def wait_until_over(place: Place, runs: int) -> None:
    """Every run has ended well, its output is published, its container forgotten, and git says so."""
    runtime = place.open_runtime()
    place.until(lambda: place.succeeded(runs), f"{runs} runs with their outputs")
    place.until(lambda: not runtime.list(), "every container is forgotten")
    place.until(lambda: says_what_holds(place), "the branch observed equals the fold of the ledger")


def says_what_holds(place: Place) -> bool:
    reader = open_reader(load_config(place.config), purpose="look")
    return place.observed() == fold(reader.status())


def check(place: Place, *, lines: int, attempts: int = 1) -> None:
    """After all nodes have ended: nothing is lost, nothing is there twice, nothing is left."""
    for run in place.history().runs:
        check_records(run, attempts if run.number == 1 else 1)
        check_output(place, run)
        for claim in run.records:
            if isinstance(claim, Claim):
                check_claim(place, run, claim, lines)
    check_clone(place)
    check_left_behind(place)


def check_left_behind(place: Place) -> None:
    """No process; and drafts only under names that say whose they were, so that the node can take them away."""
    assert [path for path in (place.root / "share/tmp").iterdir() if not DRAFT.fullmatch(path.name)] == []
    place.until(lambda: processes_of(place.root) == [], f"nothing runs: {processes_of(place.root)}")


def check_clone(place: Place) -> None:
    """It is sound, and was made anew at most when it held nothing yet."""
    assert place.git("fsck", "--no-dangling", "--no-progress", directory="local/state.git") == ""
    for aside in place.root.glob("local/state.git.damaged/HEAD"):
        assert place.git("for-each-ref", directory=str(aside.parent)) == "", "the clone did not survive"


def check_records(run: Run, attempts: int) -> None:
    assert run.phase is RunPhase.SUCCEEDED
    assert [type(record) for record in run.records].count(Done) == 1
    assert run.attempts == attempts, f"run {run.number} took {run.attempts} attempts: {run.records}"


def check_output(place: Place, run: Run) -> None:
    output = place.root / f"share/projects/{ULM}/output/{run.number:04d}-{run.stage}"
    assert {path.name: path.read_text() for path in output.iterdir()} == {"result": "whole\n"}


def check_claim(place: Place, run: Run, claim: Claim, lines: int) -> None:
    """Its program was started at most once; its log holds all that it said, in order, each once."""
    directory = place.root / f"share/projects/{ULM}/runs/{run.number:04d}-{run.stage}/{claim.number}"
    is_last = claim == run.last_claim
    attempt = [record for record in run.records if isinstance(record, Claim)].index(claim) + 1
    started = directory / f"workspace/starts.{run.number}.{attempt}"
    starts = started.read_text().count("started") if started.exists() else 0
    assert starts == 1 if is_last else starts <= 1, f"the program of {directory} was started {starts} times"
    log = directory / "log.jsonl"
    if not is_last and not log.exists():
        return
    entries = [json.loads(line) for line in log.read_bytes().splitlines()]
    for stream, word in (("stdout", "line"), ("stderr", "remark")):
        said = [entry["l"] for entry in entries if entry["s"] == stream]
        assert said == [f"{word} {n}" for n in range(1, len(said) + 1)], f"{stream} of {log}"
        assert len(said) == lines if is_last else len(said) <= lines, f"{stream} of {log}"
    if is_last:
        events = [json.loads(line)["event"] for line in (directory / "events.jsonl").read_bytes().splitlines()]
        assert events == ["started"], f"events of {directory}"
        done = run.outcome
        assert done is not None
        assert done.log is not None
        content = log.read_bytes()
        assert done.log.sha256 == hashlib.sha256(content).hexdigest()
        assert (done.log.lines, done.log.bytes) == (len(entries), len(content))


def processes_of(root: Path) -> list[str]:
    """What still runs and has to do with the site: by its directory, its environment or its open files."""
    found = []
    for process in Path("/proc").iterdir():
        if not process.name.isdigit() or int(process.name) == os.getpid():
            continue
        try:
            belongs = str(root).encode() in (process / "environ").read_bytes() + (process / "cmdline").read_bytes()
            links = [process / "cwd", *(process / "fd").iterdir()]
            if belongs or any(os.readlink(link).startswith(str(root)) for link in links):  # noqa: PTH115
                found.append((process / "cmdline").read_bytes().replace(b"\0", b" ").decode())
        except OSError:  # it has ended
            continue
    return found
