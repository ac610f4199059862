"""The lab's checks must be able to fail: a share as it should be, and what they say of each damaged one."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.codec.log_file import LogFile
from reconciler.codec.log_lines import STDOUT, Entry
from reconciler.core.draft import Header
from reconciler.core.ledger import Run
from reconciler.core.names import (
    Blob,
    Commit,
    NodeName,
    PipelineName,
    ProjectName,
    RecordNumber,
    RunNumber,
    StageName,
    Token,
)
from reconciler.core.records import Claim, DesiredSeen, Done, RunCreated
from tests.lab.checks import check_logs, check_share
from tests.lab.waiting import Broken

AT = datetime(2026, 1, 1, tzinfo=UTC)
COMMIT, FLIGHT, COUNT = Commit("c" * 40), ProjectName("flight"), StageName("count")
RUN = "projects/flight/runs/0001-count"


class Kept:
    """A share whose only run was begun by n1, taken over by n2, and done by it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.identity = SharedDirectory.create(root)
        self.share = SharedDirectory(root)
        self.share.publish_project(FLIGHT, DesiredSeen(**self._header(1, "n1"), commit=COMMIT, blob=Blob("b" * 40)))
        self.created = RunCreated(
            **self._header(2, "n1"),
            run=RunNumber(1),
            stage=COUNT,
            commit=COMMIT,
            pipeline=PipelineName("counting"),
            pipeline_blob=Blob("b" * 40),
        )
        self.share.publish_project(FLIGHT, self.created)
        claims = [self.claim(1, "n1"), self.claim(2, "n2")]
        for claim in claims:
            self.share.publish_run(FLIGHT, self.created, claim)
        run = Run(created=self.created, records=tuple(claims))
        paths = self.share.prepare(FLIGHT, run, claims[1])
        Path(paths.output, "result").write_text("3 lines by attempt 2\n")
        Path(paths.workspace, "lines").write_text("1\n2\n3\n")
        self.log("line 1", "line 2", "line 3", "end 3")
        self.share.publish_run(FLIGHT, self.created, self.done(3))
        self.share.publish_output(FLIGHT, run)

    def claim(self, number: int, node: str) -> Claim:
        return Claim(**self._header(number, node), because="Fresh", boot="b", incarnation="i", runtime="process")

    def done(self, number: int) -> Done:
        return Done(**self._header(number, "n2"), exit_code=0)

    def log(self, *lines: str) -> None:
        path = self.root / RUN / "2" / "log.jsonl"
        path.unlink(missing_ok=True)
        log = LogFile(str(path))
        log.write([Entry(f"2026-01-01T00:00:0{number}.000000000Z", STDOUT, line) for number, line in enumerate(lines)])
        log.close()

    def _header(self, number: int, node: str) -> Header:
        token = Token(f"{number:032x}")
        return Header(number=RecordNumber(number), token=token, share=self.identity, node=NodeName(node), at=AT)


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    return Kept(tmp_path / "share")


def test_a_share_as_it_should_be_passes(kept: Kept) -> None:
    check_share(kept.root)


def publish_a_late_end(kept: Kept) -> None:
    kept.share.publish_run(FLIGHT, kept.created, kept.done(4))


def take_a_record_away(kept: Kept) -> None:
    (kept.root / RUN / "records" / "00000003.json").unlink()


def end_it_by_somebody_else(kept: Kept) -> None:
    path = kept.root / RUN / "records" / "00000003.json"
    path.write_text(path.read_text().replace('"n2"', '"n1"'))


def lose_a_line(kept: Kept) -> None:
    kept.log("line 1", "line 3", "end 3")


def double_a_line(kept: Kept) -> None:
    kept.log("line 1", "line 2", "line 2", "line 3", "end 3")


def lose_a_write(kept: Kept) -> None:
    (kept.root / RUN / "2" / "workspace" / "lines").write_text("1\n3\n")


def publish_the_other_attempts_result(kept: Kept) -> None:
    (kept.root / "projects/flight/output/0001-count/result").write_text("3 lines by attempt 1\n")


def publish_nothing(kept: Kept) -> None:
    (kept.root / "projects/flight/output/0001-count/result").unlink()


@pytest.mark.parametrize(
    ("damage", "complaint"),
    [
        (publish_a_late_end, "after"),
        (take_a_record_away, "ended as"),
        (end_it_by_somebody_else, "after"),
        (lose_a_line, "lost, doubled or swapped"),
        (double_a_line, "lost, doubled or swapped"),
        (lose_a_write, "not whole"),
        (publish_the_other_attempts_result, "its result says"),
        (publish_nothing, "has 0 results"),
    ],
)
def test_a_damaged_share_is_noticed(kept: Kept, damage: Callable[[Kept], None], complaint: str) -> None:
    damage(kept)
    with pytest.raises(Broken, match=complaint):
        check_share(kept.root)


def test_a_node_that_met_what_nobody_foresaw_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "n1.log").write_text('{"event": "unexpected_fault"}\n')
    with pytest.raises(Broken, match="n1 has met"):
        check_logs(tmp_path)
