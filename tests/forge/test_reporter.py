"""The publisher's follower: what it posts, how often, and what it does when the forge won't have it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from reconciler.adapters.forge import open_forge
from reconciler.adapters.share import SharedDirectory
from reconciler.agent.followers.forges import CurrentForge
from reconciler.agent.followers.reporting import CommitReporter
from reconciler.agent.ports import Forge, Seen
from reconciler.agent.secrets import Secrets
from reconciler.core.desired import Forge as ForgeSettings
from reconciler.core.desired import Site
from reconciler.core.ledger import Ledger, ProjectHistory, Run
from reconciler.core.names import Commit, ProjectName
from reconciler.core.status import Status
from reconciler.errors import ForgeRefused, ForgeUnavailable, SecretMissing, StatusRefused, TryLater, WinslowError
from tests.fakes.build import NOW, SHARE, a_claim, a_created, a_desired, a_project, a_seen, done
from tests.fakes.lab import FakeClock
from tests.forge.conftest import MakeStub
from tests.forge.stub import TOKEN, Answer, StubForge, settings_of


def commit_of(name: str) -> Commit:
    return Commit(name.encode().hex().rjust(40, "0"))


@dataclass
class Lab:
    """A share, a forge, and what the publisher has seen; each ``reporter`` is another publisher's."""

    share: SharedDirectory
    secrets: Path
    stub: StubForge
    clock: FakeClock = field(default_factory=FakeClock)
    runs: dict[str, Run] = field(default_factory=dict)
    opened: list[Forge] = field(default_factory=list)
    settings: ForgeSettings | None = None

    def started(self, name: str) -> None:
        created = a_created(1, "report", number=2)
        self.runs[name] = Run(created=created, records=(a_claim(),), started_at=NOW)

    def ended(self, name: str) -> None:
        self.started(name)
        self.runs[name] = replace(self.runs[name], records=(a_claim(), done()))

    @property
    def seen(self) -> Seen:
        projects = {
            ProjectName(name): ProjectHistory(records=(a_seen(1, commit=commit_of(name)), run.created), runs=(run,))
            for name, run in self.runs.items()
        }
        site = Site(forge=self.settings or settings_of(self.stub))
        desired = a_desired(*(a_project(name) for name in self.runs), site=site)
        return Seen(
            desired=desired, ledger=Ledger(share=SHARE, projects=projects), status=Status(projects=(), nodes=())
        )

    def reporter(self) -> CommitReporter:
        def opened(settings: ForgeSettings, token: str) -> Forge:
            self.opened.append(open_forge(settings, token, branch="main"))
            return self.opened[-1]

        forges = CurrentForge(Secrets(self.secrets), opened)
        return CommitReporter(self.share, forges, self.clock, observed_branch="observed")


@pytest.fixture
def lab(tmp_path: Path, make_stub: MakeStub) -> Iterator[Lab]:
    """The token lies on this node; the forge has been met, so that ends count."""
    (tmp_path / "forge-token").write_text(TOKEN + "\n", encoding="utf-8")
    SharedDirectory.create(tmp_path / "share")
    found = Lab(SharedDirectory(tmp_path / "share"), tmp_path, make_stub("gitlab"))
    found.reporter().follow(found.seen)
    yield found
    for client in found.opened:
        client.close()


def fails(call: Callable[[], object]) -> WinslowError:
    with pytest.raises(WinslowError) as caught:
        call()
    return caught.value


def test_a_run_is_told_from_its_start_to_its_end(lab: Lab) -> None:
    reporter = lab.reporter()
    lab.started("ulm")
    reporter.follow(lab.seen)
    lab.ended("ulm")
    reporter.follow(lab.seen)
    assert lab.stub.states("winslow/ulm") == ["running", "success"]
    assert {one.commit for one in lab.stub.posted} == {commit_of("ulm")}
    assert lab.stub.posted[0].target_url == f"{lab.stub.url}/-/blob/observed/projects/ulm/runs/0001-report.yaml"


def test_what_was_told_is_not_told_again_by_anybody(lab: Lab) -> None:
    lab.started("ulm")
    for reporter in (lab.reporter(), lab.reporter()):
        for _ in range(3):
            reporter.follow(lab.seen)
    assert len(lab.stub.calls) == 1


def test_two_publishers_in_turn_tell_each_thing_once(lab: Lab) -> None:
    """The first one comes back with an old memory of what was posted."""
    first, second = lab.reporter(), lab.reporter()
    lab.started("ulm")
    first.follow(lab.seen)
    lab.ended("ulm")
    second.follow(lab.seen)
    first.follow(lab.seen)
    assert lab.stub.states("winslow/ulm") == ["running", "success"]


def test_what_ended_before_a_forge_is_met_is_not_told(lab: Lab) -> None:
    """Turning it on must not flood years of commits; what goes on now is told."""
    lab.settings = settings_of(lab.stub, api=lab.stub.root + "/api/v4")
    lab.settings = replace(lab.settings, url=lab.stub.url + ".git")  # another address: never met
    for number in range(100):
        lab.ended(f"old-{number}")
    lab.started("ulm")
    lab.reporter().follow(lab.seen)
    assert [one.context for one in lab.stub.posted] == ["winslow/ulm"]


def test_many_are_told_in_portions(lab: Lab) -> None:
    for number in range(35):
        lab.started(f"p-{number}")
    reporter = lab.reporter()
    assert reporter.follow(lab.seen) == 30.0  # seconds to the next portion
    assert len(lab.stub.posted) == 30
    assert reporter.follow(lab.seen) is None
    assert len(lab.stub.posted) == 35


def test_nothing_is_asked_of_a_forge_that_nobody_wants_statuses_from(lab: Lab) -> None:
    lab.started("ulm")
    lab.settings = replace(settings_of(lab.stub), commit_status=False)
    assert lab.reporter().follow(lab.seen) is None
    assert lab.stub.calls == []


def test_a_forge_that_fails_is_left_alone_for_longer_and_longer(lab: Lab) -> None:
    reporter = lab.reporter()
    lab.started("ulm")
    lab.stub.next_answers.extend([Answer(502, {"message": "sorry"})] * 4)
    assert isinstance(fails(lambda: reporter.follow(lab.seen)), ForgeUnavailable)
    rests = []
    for _ in range(3):
        told = fails(lambda: reporter.follow(lab.seen))
        assert isinstance(told, TryLater)
        assert "sorry" in str(told)  # the condition stands meanwhile
        rests.append(told.after)
        lab.clock.seconds += told.after
        fails(lambda: reporter.follow(lab.seen))
    assert rests == [15.0, 30.0, 60.0]
    assert len(lab.stub.calls) == 4
    lab.clock.seconds += 120.0
    assert reporter.follow(lab.seen) is None
    assert lab.stub.states("winslow/ulm") == ["running"]
    lab.ended("ulm")
    lab.stub.next_answers.append(Answer(502))
    fails(lambda: reporter.follow(lab.seen))
    lab.clock.seconds += 15.0  # what is over does not count any more
    assert reporter.follow(lab.seen) is None


def test_a_forge_that_asks_for_patience_gets_it(lab: Lab) -> None:
    reporter = lab.reporter()
    lab.started("ulm")
    lab.stub.next_answers.append(Answer(429, None, {"Retry-After": "90"}))
    fails(lambda: reporter.follow(lab.seen))
    lab.clock.seconds += 89.0
    fails(lambda: reporter.follow(lab.seen))
    assert len(lab.stub.calls) == 1
    lab.clock.seconds += 1.0
    reporter.follow(lab.seen)
    assert len(lab.stub.calls) == 2


def test_one_refused_status_keeps_no_other_back_and_is_given_up_in_the_end(lab: Lab) -> None:
    reporter = lab.reporter()
    lab.started("mirrored-late")
    lab.started("ulm")
    lab.stub.unknown.add(commit_of("mirrored-late"))
    assert isinstance(fails(lambda: reporter.follow(lab.seen)), StatusRefused)
    assert [one.context for one in lab.stub.posted] == ["winslow/ulm"]
    calls = len(lab.stub.calls)
    fails(lambda: reporter.follow(lab.seen))
    assert len(lab.stub.calls) == calls  # not at once
    for _ in range(4):
        lab.clock.seconds += 600.0
        fails(lambda: reporter.follow(lab.seen))
    lab.clock.seconds += 600.0
    reporter.follow(lab.seen)  # the sixth time
    assert len(lab.stub.calls) == calls + 5
    lab.clock.seconds += 600.0
    reporter.follow(lab.seen)
    lab.reporter().follow(lab.seen)
    assert len(lab.stub.calls) == calls + 5


def test_a_commit_that_arrives_late_gets_its_status(lab: Lab) -> None:
    reporter = lab.reporter()
    lab.started("ulm")
    lab.stub.unknown.add(commit_of("ulm"))
    fails(lambda: reporter.follow(lab.seen))
    lab.stub.unknown.clear()
    lab.clock.seconds += 15.0
    assert reporter.follow(lab.seen) is None
    assert lab.stub.states("winslow/ulm") == ["running"]


def test_a_new_token_counts_at_once(lab: Lab) -> None:
    """Whoever has just put the right one there does not wait for a back-off."""
    reporter = lab.reporter()
    lab.started("ulm")
    token = lab.secrets / "forge-token"
    token.write_text("expired", encoding="utf-8")
    assert isinstance(fails(lambda: reporter.follow(lab.seen)), ForgeRefused)
    token.write_text(TOKEN, encoding="utf-8")
    assert reporter.follow(lab.seen) is None
    assert lab.stub.states("winslow/ulm") == ["running"]


def test_a_node_without_the_token_says_so(lab: Lab) -> None:
    lab.started("ulm")
    (lab.secrets / "forge-token").unlink()
    told = fails(lambda: lab.reporter().follow(lab.seen))
    assert isinstance(told, SecretMissing)
    assert "secret 'forge-token' can't be read" in str(told)


def test_another_forge_is_asked_as_soon_as_the_site_names_it(lab: Lab, make_stub: MakeStub) -> None:
    reporter = lab.reporter()
    lab.started("ulm")
    reporter.follow(lab.seen)
    other = make_stub("forgejo")
    lab.settings = settings_of(other)
    reporter.follow(lab.seen)
    assert (lab.stub.states("winslow/ulm"), other.states("winslow/ulm")) == (["running"], ["pending"])
