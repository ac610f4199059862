"""A site whose main was rewritten: nodes, records and the publisher, before and after somebody accepts it."""

from readonly_ui.overview import source_troubles
from reconciler.adapters.share import SharedDirectory
from reconciler.agent.node import Agent
from reconciler.core.actions import CreateRun, PublishProject
from reconciler.core.desired import Project
from reconciler.core.names import Commit, ProjectName, RecordNumber, Token
from reconciler.core.records import RewriteAccepted
from reconciler.readers.live import LiveReader
from tests.fakes.build import CROSSING, NOW, a_next, a_pipeline, a_project, a_seen
from tests.fakes.lab import FakeSource, Lab

ULM = ProjectName("ulm")
PIPELINE = a_pipeline("detect")


def accept(lab: Lab, head: Commit, *superseded: Commit) -> RewriteAccepted:
    share = SharedDirectory(lab.root, writer="person")
    ledger = share.read()
    record = RewriteAccepted(
        number=RecordNumber(len(ledger.site) + 1),
        token=Token(f"acceptance-{len(ledger.site) + 1}"),
        share=ledger.share,
        node=lab.agents[next(iter(lab.agents))].config.name,
        at=NOW,
        head=head,
        superseded=superseded,
    )
    assert share.publish_site(record)
    return record


def again(project: str = "crossing", after: int = 1) -> Project:
    return a_project(project, next=a_next("detect", after))


def look(lab: Lab) -> None:
    """What the loop does at once when the ledger is ahead of the clone, and at every poll."""
    lab.turn()
    for agent in lab.agents.values():
        agent.fetch()


def rewritten(lab: Lab, *projects: Project) -> tuple[Commit, Commit]:
    """One run has succeeded; then main is another history from its first commit on. (the old head, the new one)"""
    lab.write(a_project(paused=True), pipeline=PIPELINE)
    old = lab.write(a_project(), pipeline=PIPELINE).commit
    lab.join()
    lab.until(lambda: lab.phases() == ["Succeeded"])
    lab.source.rewrite(keep=1)
    new = lab.write(*(projects or (again(),)), pipeline=PIPELINE).commit
    return old, new


def working_from(agent: Agent) -> Commit | None:
    desired = agent.desired()
    return desired.commit if desired else None


def test_work_goes_on_from_the_old_commit_until_the_new_one_is_accepted(lab: Lab) -> None:
    old, new = rewritten(lab)
    [agent] = lab.agents.values()
    for _ in range(3):
        look(lab)
    assert working_from(agent) == old
    assert [one.type for one in agent.conditions()] == ["SourceRewritten"]
    accept(lab, new, old)
    look(lab)
    assert working_from(agent) == new
    assert not agent.conditions()
    lab.until(lambda: lab.phases() == ["Succeeded", "Succeeded"])


def test_a_node_that_has_not_followed_decides_nothing_and_asks_git(lab: Lab) -> None:
    old, new = rewritten(lab, a_project(tags=("new",)), a_project("ulm"))
    [agent] = lab.agents.values()
    accept(lab, new, old)
    lab.turn()
    assert agent.is_behind
    assert not agent.last_plan.actions
    agent.fetch()
    lab.until(lambda: [run.phase.value for run in lab.history(ULM).runs] == ["Succeeded"])


def test_going_back_to_an_ancestor_sets_no_two_nodes_against_each_other(lab: Lab) -> None:
    """The held commit contains the accepted head: by descent alone each node would think the other one older."""
    lab.write(a_project(), pipeline=PIPELINE)
    old = lab.write(a_project(tags=("more",)), pipeline=PIPELINE).commit
    lab.join("a")
    asleep = FakeSource()
    asleep.commits = list(lab.source.commits)
    lab.join("b", source=asleep)
    lab.until(lambda: lab.phases() == ["Succeeded"])
    lab.source.rewrite(keep=1)
    accept(lab, lab.source.commits[0].commit, old)
    asleep.error = "no route to host"
    look(lab)
    lab.until(lambda: working_from(lab.agents["a"]) != old)
    lab.turn()
    records = len(lab.history().records)
    for _ in range(10):
        look(lab)
    assert len(lab.history().records) == records
    assert not lab.agents["b"].last_plan.actions
    asleep.error = ""
    asleep.rewrite(keep=1)
    look(lab)
    assert working_from(lab.agents["b"]) == working_from(lab.agents["a"])


def test_a_new_node_and_one_that_was_off_reach_the_same_commit(lab: Lab) -> None:
    old, new = rewritten(lab)
    accept(lab, new, old)
    asleep = FakeSource()
    asleep.commits = lab.source.commits[:1]
    lab.join("asleep", source=asleep)
    asleep.commits = list(lab.source.commits)
    begun = FakeSource()
    begun.commits = list(lab.source.commits)
    lab.join("begun", source=begun)
    look(lab)
    lab.until(lambda: lab.phases() == ["Succeeded", "Succeeded"])
    assert {working_from(agent) for agent in lab.agents.values()} == {new}
    assert not any(agent.is_behind for agent in lab.agents.values())
    assert not any(agent.last_plan.waiting[CROSSING].because == "SourceBehind" for agent in lab.agents.values())


def test_before_it_is_accepted_a_new_node_waits_with_projects_of_the_old_history(lab: Lab) -> None:
    rewritten(lab)
    lab.kill("a")
    begun = FakeSource()
    begun.commits = list(lab.source.commits)
    agent = lab.join("begun", source=begun)
    lab.turn()
    assert agent.last_plan.waiting[CROSSING].because == "SourceBehind"
    assert not any(isinstance(action, CreateRun | PublishProject) for action in agent.last_plan.actions)


def test_what_an_older_view_recorded_later_waits_until_it_is_accepted_as_well(lab: Lab) -> None:
    old, new = rewritten(lab)
    accept(lab, new)  # nobody knew of ``old`` when this was published
    look(lab)
    [agent] = lab.agents.values()
    assert working_from(agent) == new
    lab.turn()
    assert agent.last_plan.waiting[CROSSING].because == "SourceBehind"
    accept(lab, new, old)
    look(lab)
    lab.until(lambda: lab.phases() == ["Succeeded", "Succeeded"])


def test_a_second_rewrite_is_held_again(lab: Lab) -> None:
    old, new = rewritten(lab)
    accept(lab, new, old)
    look(lab)
    newer = lab.write(again(), again("ulm", after=0), pipeline=PIPELINE).commit
    lab.source.rewrite(keep=2)
    other = lab.write(a_project(paused=True), pipeline=PIPELINE).commit
    [agent] = lab.agents.values()
    look(lab)
    assert (working_from(agent), [one.type for one in agent.conditions()]) == (newer, ["SourceRewritten"])
    accept(lab, other, newer)
    look(lab)
    assert working_from(agent) == other


def test_a_reader_shows_the_commit_that_nodes_work_from(lab: Lab) -> None:
    old, new = rewritten(lab)
    [agent] = lab.agents.values()
    reader = LiveReader(agent.config, lab.source, lab.observed, lab.clock)
    assert (reader.status().commit, reader.status().conditions[0].type) == (old, "SourceRewritten")
    accept(lab, new, old)
    lab.clock.seconds += 60
    assert (reader.status().commit, working_from(agent)) == (new, old), "it does not wait for a node to look"


def test_a_reader_that_never_saw_the_old_history_says_that_nodes_work_from_it(lab: Lab) -> None:
    """What it shows as about to start is made from files that no node looks at yet."""
    _, new = rewritten(lab)
    [agent] = lab.agents.values()
    look(lab)
    agent.beat()
    begun = FakeSource()
    begun.commits = list(lab.source.commits)
    status = LiveReader(agent.config, begun, lab.observed, lab.clock).status()
    assert status.commit == new
    assert f"new history (commit {new[:12]}); nodes still work from the old one" in source_troubles(status)[0].message


def test_a_commit_that_no_node_can_fetch_is_told_with_the_way_out(lab: Lab) -> None:
    """Somebody pushed over it, and the one node that had it is gone: nobody may publish, so nobody would hear of it."""
    lab.write(a_project(paused=True))
    agent = lab.join("a")
    lab.turn()
    lost = a_seen(2, commit=Commit("f" * 40))
    assert SharedDirectory(lab.root, writer="gone").publish_project(CROSSING, lost)
    lab.turn()
    assert not agent.publish()
    assert agent.conditions() == (), "the next fetch may bring it"
    lab.clock.seconds += 121.0
    lab.turn()
    [told] = agent.conditions()
    assert told.type == "SourceBehind"
    assert "ffffffffffff" in told.message
    assert "winslow accept-rewrite" in told.message
