"""Proposals on real remotes: what appears, what ``git merge`` makes of it, and whose commits are never touched."""

import shutil
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.adapters.git import GitSource, ProposalBranches, StateRepository
from reconciler.agent.followers import proposing
from reconciler.agent.followers.forges import CurrentForge
from reconciler.agent.followers.proposing import LOOK, SOON, Proposing
from reconciler.agent.ports import Forge as ForgePort
from reconciler.agent.ports import Seen
from reconciler.agent.secrets import Secrets
from reconciler.codec.desired import load
from reconciler.codec.parsed import Cache
from reconciler.core.commit_status import CommitState
from reconciler.core.decide import StartStage, decide
from reconciler.core.desired import Desired, Secret
from reconciler.core.desired import Forge as ForgeSettings
from reconciler.core.ledger import Run
from reconciler.core.names import Commit, NodeName, ProjectName
from reconciler.core.proposals import Draft, Standing
from reconciler.core.report import report
from reconciler.errors import BadInput, ForgeUnavailable, TryLater
from tests.fakes.build import CROSSING, NOW, a_claim, a_history, a_ledger, a_node, a_run
from tests.fakes.lab import FakeClock
from tests.git.conftest import IDENTITY, Forge

PIPELINE = """\
stages:
  - {name: detect, image: "i:1"}
  - {name: track, image: "i:1", confirm: before}
"""
PROJECT = """\
# Ulm, flight 07
pipeline: flow
environment: {THRESHOLD: "0.5"}  # as in spring
"""
ONWARD, REDO = "proposals/crossing/1-continue", "proposals/crossing/1-redo"
URL = "https://forge.example/ulm/state"


class FakeForge:
    def __init__(self) -> None:
        self.closed: list[str] = []
        self.error = ""

    def close_requests(self, branch: str) -> None:
        if self.error:
            raise ForgeUnavailable(self.error, after=60.0)
        self.closed.append(branch)

    def set_status(
        self, commit: Commit, state: CommitState, *, context: str, description: str, target_url: str | None = None
    ) -> None:
        raise AssertionError("proposals set no status")

    def close(self) -> None:
        pass


class Node:
    """The part of a node that proposes, with a ledger that the test makes up."""

    def __init__(self, repository: StateRepository, secrets: Path | None = None, name: str = "lab-1") -> None:
        cache = Cache()
        self.source = GitSource(repository, lambda tree: load(tree, cache))
        self.branches = ProposalBranches(repository, NodeName(name))
        self.clock = FakeClock()
        self.forge = FakeForge()
        self.settings: ForgeSettings | None = None
        self.proposing = Proposing(self.branches, CurrentForge(Secrets(secrets), self._open), self.clock)

    def _open(self, settings: ForgeSettings, token: str) -> ForgePort:
        return self.forge

    def desired(self) -> Desired:
        desired = self.source.fetch().desired
        assert desired is not None
        return replace(desired, site=replace(desired.site, forge=self.settings))

    def look(self, *runs: Run, other: Run | None = None) -> float | None:
        """Fetch, and follow the publication of a project with these runs (none: its first stage still runs)."""
        desired = self.desired()
        ledger = a_ledger(*(runs or (a_run(1, "detect", a_claim()),)))
        if other is not None:
            ledger = replace(ledger, projects={**ledger.projects, ProjectName("other"): a_history(other)})
        status = report(desired, ledger, [a_node()], branch="main")
        return self.proposing.follow(Seen(desired=desired, ledger=ledger, status=status))


@pytest.fixture
def state(forge: Forge) -> Forge:
    forge.write("pipelines/flow.yaml", PIPELINE)
    forge.write("winslow.yaml", "version: 1\n")
    forge.save("projects/ulm/crossing.yaml", PROJECT)
    return forge


@pytest.fixture
def node(state: Forge, clone_of: Callable[..., StateRepository]) -> Node:
    return Node(clone_of(state.url))


def heads(forge: Forge) -> dict[str, str]:
    lines = forge.git("for-each-ref", "--format=%(refname) %(objectname)", cwd=forge.bare).splitlines()
    return {name.removeprefix("refs/heads/"): commit for name, commit in (line.split() for line in lines)}


def proposed(forge: Forge) -> set[str]:
    return {name for name in heads(forge) if name.startswith("proposals/")}


def merge(forge: Forge, branch: str) -> None:
    """What a person does, in any clone."""
    forge.git("pull", "-q", "--no-rebase", "--no-edit", str(forge.bare), "main")
    forge.git("pull", "-q", "--no-rebase", "--no-edit", str(forge.bare), branch)
    forge.push()


def own_commit(forge: Forge, branch: str, *options: str) -> str:
    """Somebody puts a commit onto the branch, or changes the newest one."""
    forge.git("fetch", "-q", str(forge.bare), branch)
    forge.git("checkout", "-q", "--detach", "FETCH_HEAD")
    forge.write("projects/ulm/note.txt", "mine\n")
    forge.git("add", "-A")
    forge.git("commit", "-q", *(options or ("-m", "And another threshold")))
    forge.push(branch, "--force")
    commit = forge.git("rev-parse", "HEAD")
    forge.git("checkout", "-q", "main")
    return commit


# --- what appears, and merging it ---


def test_a_waiting_project_gets_a_branch_for_each_answer(state: Forge, node: Node) -> None:
    assert node.look(a_run(1)) is None
    assert proposed(state) == {ONWARD, REDO}
    changed = state.git("diff", "--unified=0", f"main..{ONWARD}", cwd=state.bare).splitlines()
    assert [line for line in changed if line[0] in "+-"][2:] == ["+next: {stage: track, after: 1}"]
    assert state.git("rev-parse", f"{ONWARD}^", cwd=state.bare) == state.head("main")
    assert PROJECT in state.git("show", f"{ONWARD}:projects/ulm/crossing.yaml", cwd=state.bare)
    facts = state.git("log", "-1", "--format=%an <%ae> %cn: %s%n%b", ONWARD, cwd=state.bare)
    assert facts.startswith(
        "Winslow (lab-1) <winslow@lab-1> Winslow (lab-1): crossing: start stage 'track' after run 1"
    )
    assert "Run 1 (detect) succeeded on a, exit code 0." in facts
    assert state.git("fsck", "--strict", cwd=state.bare) == ""


def test_a_plain_merge_is_the_answer_also_after_main_went_on(state: Forge, node: Node) -> None:
    node.look(a_run(1))
    state.save("projects/ulm/other.yaml", "pipeline: flow\npaused: true\n")
    merge(state, ONWARD)

    desired = node.desired()
    decision = decide(desired, desired.projects[CROSSING], a_ledger(a_run(1)).history(CROSSING))
    assert isinstance(decision, StartStage)
    assert decision.stage.name == "track"
    assert node.look(a_run(1)) is None
    assert proposed(state) == set(), "nobody is awaited any more"


def test_a_branch_merged_late_changes_nothing(state: Forge, node: Node) -> None:
    node.look(a_run(1))
    state.git("fetch", "-q", str(state.bare), f"{REDO}:late")
    merge(state, ONWARD)
    node.look(a_run(1), a_run(2, "track", a_claim()))
    state.git("merge", "-q", "--no-edit", "-X", "theirs", "late")
    state.push()
    desired = node.desired()
    later = a_ledger(a_run(1), a_run(2, "track", is_last=True)).history(CROSSING)
    request = desired.projects[CROSSING].next
    assert request is not None
    assert request.stage == "detect"
    assert not isinstance(decide(desired, desired.projects[CROSSING], later), StartStage)


def test_merging_twice_is_no_second_commit_and_reverting_makes_a_new_branch(state: Forge, node: Node) -> None:
    node.look(a_run(1))
    before = heads(state)[ONWARD]
    merge(state, ONWARD)
    merge(state, ONWARD)
    assert state.head("main") == before, "fast forward, once"
    state.git("revert", "--no-edit", "HEAD")
    state.push()
    node.clock.seconds += LOOK
    node.look(a_run(1))
    assert heads(state)[ONWARD] != before, "git would call the old one merged already"
    merge(state, ONWARD)
    assert "next: {stage: track, after: 1}" in state.git("show", "HEAD:projects/ulm/crossing.yaml")


def test_publishing_works_over_http(state: Forge, served: str, clone_of: Callable[..., StateRepository]) -> None:
    node = Node(clone_of(served))
    node.look(a_run(1))
    assert proposed(state) == {ONWARD, REDO}
    node.look()
    assert proposed(state) == set()


# --- kept, replaced, withdrawn ---


def test_a_branch_stays_the_same_however_far_main_moves_on(state: Forge, node: Node) -> None:
    node.look(a_run(1))
    before = heads(state)
    state.save("projects/ulm/other.yaml", "pipeline: flow\npaused: true\n")
    node.clock.seconds += LOOK
    node.look(a_run(1))
    assert {name: heads(state)[name] for name in (ONWARD, REDO)} == {name: before[name] for name in (ONWARD, REDO)}


def test_another_node_goes_on_with_the_same_branches(
    state: Forge, node: Node, clone_of: Callable[..., StateRepository]
) -> None:
    node.look(a_run(1))
    before = heads(state)
    other = Node(clone_of(state.url, "two"), name="lab-2")
    other.look(a_run(1))
    assert heads(state) == before
    other.look()
    assert proposed(state) == set()


def test_a_changed_file_gets_a_new_branch(state: Forge, node: Node) -> None:
    node.look(a_run(1))
    state.save("projects/ulm/crossing.yaml", PROJECT.replace("0.5", "0.6"))
    node.look(a_run(1))
    text = state.git("show", f"{ONWARD}:projects/ulm/crossing.yaml", cwd=state.bare)
    assert '"0.6"' in text
    assert state.git("rev-parse", f"{ONWARD}^", cwd=state.bare) == state.head("main")


def test_what_nobody_waits_for_goes(state: Forge, node: Node) -> None:
    node.look(a_run(1))
    node.look()
    assert proposed(state) == set()


def test_switching_proposals_off_takes_them_away(state: Forge, node: Node) -> None:
    node.look(a_run(1))
    state.save("winslow.yaml", "version: 1\nproposals: false\n")
    node.look(a_run(1))
    assert proposed(state) == set()


@pytest.mark.parametrize("options", [(), ("--amend", "--no-edit")], ids=["on top", "amended"])
def test_somebodys_own_commit_is_neither_replaced_nor_removed(state: Forge, node: Node, options: Sequence[str]) -> None:
    node.look(a_run(1))
    commit = own_commit(state, ONWARD, *options)
    state.save("projects/ulm/crossing.yaml", PROJECT.replace("0.5", "0.6"))
    node.look(a_run(1))
    assert heads(state)[ONWARD] == commit
    node.look()
    assert heads(state)[ONWARD] == commit
    assert proposed(state) == {ONWARD}


def test_a_branch_whose_message_alone_was_reworded_is_somebodys(state: Forge, node: Node) -> None:
    node.look(a_run(1))
    state.git("fetch", "-q", str(state.bare), ONWARD)
    state.git("checkout", "-q", "--detach", "FETCH_HEAD")
    message = state.git("log", "-1", "--format=%B")
    state.git("commit", "-q", "--amend", "-m", f"Looks good to me\n\n{message}")
    state.push(ONWARD, "--force")
    node.look()
    assert proposed(state) == {ONWARD}


def test_a_commit_made_on_the_node_by_hand_is_somebodys(state: Forge, node: Node) -> None:
    """Under the very name that Winslow commits with, and with its message."""
    node.look(a_run(1))
    state.git("fetch", "-q", str(state.bare), ONWARD)
    message = state.git("log", "-1", "--format=%B", "FETCH_HEAD")
    person = ["-c", "user.name=Winslow (lab-1)", "-c", "user.email=winslow@lab-1"]
    identity = {name: value for name, value in IDENTITY.items() if not name.startswith("GIT_COMMITTER")}
    tree = state.git("rev-parse", "main^{tree}")
    command = ["git", *person, "commit-tree", tree, "-p", "main", "-m", message]
    made = subprocess.run(command, cwd=state.work, env=identity, capture_output=True, text=True, check=True).stdout
    state.git("push", "-q", "--force", str(state.bare), f"{made.strip()}:refs/heads/{ONWARD}")
    node.look()
    assert proposed(state) == {ONWARD}


def test_branches_of_people_below_proposals_are_theirs(state: Forge, node: Node) -> None:
    state.push("proposals/my-idea")
    node.look(a_run(1))
    node.look()
    assert proposed(state) == {"proposals/my-idea"}


def test_a_deleted_branch_is_offered_again_after_a_while(state: Forge, node: Node) -> None:
    """Asking the remote at each publication would be a burden; nothing hangs on it."""
    node.look(a_run(1))
    state.git("update-ref", "-d", f"refs/heads/{ONWARD}", cwd=state.bare)
    node.look(a_run(1))
    assert proposed(state) == {REDO}
    node.clock.seconds += LOOK
    node.look(a_run(1))
    assert proposed(state) == {ONWARD, REDO}


class Meanwhile:
    """Something happens between the look at the remote and the push."""

    def __init__(self, branches: ProposalBranches, happens: Callable[[], None]) -> None:
        self._branches = branches
        self._happens = happens
        self.read, self.push, self.withdraw = branches.read, branches.push, branches.withdraw

    def standing(self, main: Commit) -> tuple[Standing, ...]:
        found = self._branches.standing(main)
        self._happens()
        self._happens = lambda: None
        return found


@pytest.mark.parametrize("still_awaited", [True, False])
def test_a_commit_that_arrives_meanwhile_is_not_lost(state: Forge, node: Node, still_awaited: bool) -> None:
    node.look(a_run(1))
    if still_awaited:
        state.save("projects/ulm/crossing.yaml", PROJECT.replace("0.5", "0.6"))
    made: list[str] = []
    late = Meanwhile(node.branches, lambda: made.append(own_commit(state, ONWARD)))
    node.proposing._branches = late
    runs = [a_run(1)] if still_awaited else []
    assert node.look(*runs) == SOON, "look again"
    assert heads(state)[ONWARD] == made[0]
    assert node.look(*runs) is None
    assert heads(state)[ONWARD] == made[0]


def test_many_branches_take_several_turns(state: Forge, node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proposing, "MOST", 1)
    assert node.look(a_run(1)) == SOON
    assert len(proposed(state)) == 1
    assert node.look(a_run(1)) is None
    assert proposed(state) == {ONWARD, REDO}
    assert node.look() == SOON
    assert node.look() is None
    assert proposed(state) == set()


# --- merge requests ---


@pytest.fixture
def options(state: Forge) -> Iterator[Callable[[], list[str]]]:
    """The remote takes push options, and notes those of each push."""
    noted = state.bare / "options"
    hook = state.bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\n"
        f'for i in $(seq 0 $((${{GIT_PUSH_OPTION_COUNT:-0}} - 1))); do printenv "GIT_PUSH_OPTION_$i"; done >> {noted}\n'
        f"cut -d ' ' -f 3 >> {noted}\n"
    )
    hook.chmod(0o755)
    state.git("config", "receive.advertisePushOptions", "true", cwd=state.bare)
    yield lambda: noted.read_text().splitlines() if noted.exists() else []
    hook.unlink()


def test_gitlab_is_asked_for_a_merge_request(state: Forge, node: Node, options: Callable[[], list[str]]) -> None:
    node.settings = ForgeSettings(kind="gitlab", url=URL)
    node.look(a_run(1))
    noted = options()
    assert noted[:3] == [
        "merge_request.create",
        "merge_request.target=main",
        "merge_request.title=crossing: start stage 'track' after run 1",
    ]
    assert noted[3].startswith(r"merge_request.description=stage 'track' starts only when")
    assert r"\n\nRun 1 (detect) succeeded on a" in noted[3]
    assert noted[4:6] == ["merge_request.remove_source_branch", f"refs/heads/{ONWARD}"]
    assert noted.count("merge_request.create") == 2, "one push a branch: options hold for all branches of a push"
    node.look()
    assert proposed(state) == set()


def test_forgejo_is_asked_for_a_pull_request(state: Forge, node: Node, options: Callable[[], list[str]]) -> None:
    node.settings = ForgeSettings(kind="forgejo", url=URL)
    node.look(a_run(1))
    assert proposed(state) == {ONWARD, REDO}
    assert options()[:3] == [
        f"topic={ONWARD}",
        "title=crossing: start stage 'track' after run 1",
        "force-push=true",
    ]
    assert "refs/for/main" in options()


def test_a_branch_whose_pull_request_is_refused_stays(
    state: Forge, node: Node, options: Callable[[], list[str]]
) -> None:
    hook = state.bare / "hooks/update"
    hook.write_text('#!/bin/sh\ncase "$1" in refs/for/*) echo "no pull requests here" >&2; exit 1;; esac\n')
    hook.chmod(0o755)
    node.settings = ForgeSettings(kind="gitea", url=URL)
    assert node.look(a_run(1)) is None
    assert proposed(state) == {ONWARD, REDO}
    assert "refs/for/main" in options()


@pytest.mark.parametrize("kind", ["gitlab", "forgejo"])
def test_a_remote_without_push_options_gets_plain_branches(state: Forge, node: Node, kind: str) -> None:
    node.settings = ForgeSettings(kind=kind, url=URL)
    node.look(a_run(1))
    assert set(heads(state)) == {"main", ONWARD, REDO}
    node.look()
    assert proposed(state) == set()


def test_push_options_travel_over_http(
    state: Forge, served: str, options: Callable[[], list[str]], clone_of: Callable[..., StateRepository]
) -> None:
    node = Node(clone_of(served))
    node.settings = ForgeSettings(kind="gitlab", url=URL)
    node.look(a_run(1))
    assert "merge_request.create" in options()
    assert proposed(state) == {ONWARD, REDO}


def test_needless_requests_are_closed_through_the_api(
    state: Forge, clone_of: Callable[..., StateRepository], tmp_path: Path
) -> None:
    (tmp_path / "forge-token").write_text("t0ken\n")
    node = Node(clone_of(state.url), tmp_path)
    node.settings = ForgeSettings(kind="gitlab", url=URL, token=Secret("forge-token"))
    node.look(a_run(1))
    node.forge.error = "the forge is away"
    with pytest.raises(ForgeUnavailable):
        node.look()
    assert proposed(state) == {ONWARD, REDO}, "they remind of their requests until those are closed"
    node.forge.error = ""
    node.look()
    assert node.forge.closed == [ONWARD, REDO]
    assert proposed(state) == set()


# --- what goes wrong ---


def test_a_remote_that_refuses_is_quoted_with_what_to_do(state: Forge, node: Node) -> None:
    hook = state.bare / "hooks/pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho 'proposals are not for robots' >&2\nexit 1\n")
    hook.chmod(0o755)
    told = r"this node's git identity \(.*write proposals: false in winslow.yaml\): .*proposals are not for robots"
    with pytest.raises(TryLater, match=told):
        node.look(a_run(1))
    clone = node.branches._repository.clone
    before = state.git("count-objects", cwd=clone)
    with pytest.raises(TryLater):
        node.look(a_run(1))
    assert state.git("count-objects", cwd=clone) == before, "trying for days fills no disk"
    hook.unlink()
    assert node.look(a_run(1)) is None
    assert proposed(state) == {ONWARD, REDO}


@pytest.mark.parametrize("kind", [None, "gitlab"])
@pytest.mark.usefixtures("options")
def test_what_cannot_be_pushed_keeps_no_other_branch_from_it(state: Forge, node: Node, kind: str | None) -> None:
    """Git can't have a branch below another branch."""
    node.settings = ForgeSettings(kind=kind, url=URL) if kind else None
    state.save("projects/ulm/other.yaml", PROJECT)
    state.push("proposals/crossing")
    with pytest.raises(TryLater, match="'refs/heads/proposals/crossing' exists"):
        node.look(a_run(1), other=a_run(1))
    assert proposed(state) == {"proposals/crossing", "proposals/other/1-continue", "proposals/other/1-redo"}


def test_what_cannot_be_pushed_keeps_nothing_from_being_withdrawn(state: Forge, node: Node) -> None:
    state.save("projects/ulm/other.yaml", PROJECT)
    node.look(a_run(1), other=a_run(1, "detect", a_claim()))
    state.push("proposals/other")
    with pytest.raises(TryLater, match="'refs/heads/proposals/other' exists"):
        node.look(other=a_run(1))
    assert proposed(state) == {"proposals/other"}


def test_a_file_that_cannot_be_edited_is_told_with_what_to_write(state: Forge, node: Node) -> None:
    state.save("projects/ulm/crossing.yaml", "pipeline: flow\nnext: {stage: &what detect}\nname: *what\n")
    told = r"no branch can be offered for crossing: projects/ulm/crossing\.yaml.*an alias \(\*\) elsewhere"
    for _ in range(2):
        with pytest.raises(BadInput, match=told):
            node.look(a_run(1))
    assert proposed(state) == {REDO}, "which leaves the value that is shared as it is"
    state.save("projects/ulm/crossing.yaml", PROJECT)
    assert node.look(a_run(1)) is None
    assert proposed(state) == {ONWARD, REDO}


def test_a_damaged_clone_is_made_again(state: Forge, node: Node) -> None:
    node.look(a_run(1))
    shutil.rmtree(node.branches._repository.clone / "objects")
    node.clock.seconds += LOOK
    node.look(a_run(1))
    node.look()
    assert proposed(state) == set()


def test_a_draft_keeps_every_other_file_and_mode(state: Forge, node: Node) -> None:
    script = state.work / "projects/ulm/ä tool"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    (state.work / "link").symlink_to("winslow.yaml")
    state.commit()
    state.push()
    desired = node.desired()
    draft = Draft(
        branch=ONWARD,
        expected=None,
        path="projects/ulm/crossing.yaml",
        text="pipeline: flow\r\n# ü\r\n",
        key="0" * 16,
        title="t",
        description="d",
        at=NOW,
    )
    assert node.branches.push([draft], desired.commit, forge=None)
    changed = subprocess.run(
        ["git", "diff", "--name-only", "main", ONWARD], cwd=state.bare, capture_output=True, check=True, text=True
    ).stdout
    assert changed == "projects/ulm/crossing.yaml\n"
    blob = ["git", "cat-file", "blob", f"{ONWARD}:projects/ulm/crossing.yaml"]
    written = subprocess.run(blob, cwd=state.bare, capture_output=True, check=True).stdout
    assert written == draft.text.encode()
