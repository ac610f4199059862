"""Whole histories: people merge, withdraw, revert and merge again what they like while nodes lag, freeze and die.

The files are real text, read by the real codec; the invariants look at what is recorded. Longer hunts:
``HYPOTHESIS_PROFILE=long pytest tests/core/test_histories.py``.
"""

import os
from typing import Any

import pytest
import yaml
from hypothesis import note, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from reconciler.core.actions import PublishRun
from reconciler.core.decide import Decision, RunOpen, StartStage, Wait, decide
from reconciler.core.draft import Plan
from reconciler.core.ledger import Ledger, ProjectHistory, Retired
from reconciler.core.lifecycle import known_projects
from reconciler.core.names import NodeName, ProjectName
from reconciler.core.records import Aborted, DesiredSeen
from reconciler.core.requests import canonical
from tests.fakes.build import a_node
from tests.fakes.history import CONFLICT, Files, Fleet, History, changed, path_of
from tests.fakes.invariants import check

NODES = ("a", "b", "c")
PROJECTS = ("crossing", "ulm")
STAGES = ("detect", "track", "report")
FLOW, SHORT, DEFAULTS = "pipelines/flow.yaml", "pipelines/short.yaml", "projects/_defaults.yaml"
LISTED = 75  # an exit code that is tried again


def a_stage(name: str, **fields: Any) -> dict[str, Any]:
    retries = {"limit": 1, "backoff": "1m", "exit_codes": [LISTED]}
    return {"name": name, "image": "image:1", "retries": retries, "requires": {"cpus": 1}, **fields}


FILES: Files = {
    "winslow.yaml": {"version": 1},
    FLOW: {"stages": [a_stage(name) for name in STAGES]},
    SHORT: {"stages": [a_stage("detect"), a_stage("count")]},
    DEFAULTS: {"pipeline": "flow"},
    **{path_of(name): {"name": name} for name in PROJECTS},
}

DRAINED: dict[str, Any] = {"drained": True}
HANDS_OVER: dict[str, Any] = {"drained": True, "hand_over": True}
nodes = st.sampled_from(NODES).map(NodeName)
projects = st.sampled_from(PROJECTS).map(ProjectName)
numbers = st.sampled_from([0, 0, 0, 0, 0, 0, 0, -1, 1, 2])
"""Of a run, counted from the project's last one: most people look before they write."""


class Histories(RuleBasedStateMachine):
    @initialize(count=st.integers(1, 3))
    def begin(self, count: int) -> None:
        self.git = History(FILES)
        self.world = Fleet(self.git.head, tuple(a_node(name, cpus=1.0) for name in NODES[:count]), git=self.git)
        self.proposed: list[tuple[str, dict[str, Any]]] = []
        self.asked_early: set[tuple[ProjectName, Retired | None, str | None]] = set()
        self.noted: dict[tuple[ProjectName, Retired | None], int] = {}
        self.checked: Ledger | None = None

    # --- people ---

    def edit(self, project: str, **fields: Any) -> None:
        note(f"commit {self.git.newest + 1}: {project} {fields}")
        self.git.commit(changed(self.git.files, path_of(project), fields))

    def is_busy(self, project: ProjectName) -> bool:
        run = self.world.ledger.history(project).last_run
        return run is not None and not run.is_final

    def last(self, project: ProjectName) -> int:
        run = self.world.ledger.history(project).last_run
        return run.number if run else 0

    @rule(
        project=projects,
        stage=st.sampled_from([*STAGES, *STAGES, "count"]),
        after=numbers,
        base=st.sampled_from([None, None, None, None, 1, 9]),
        then=st.sampled_from([None, "pause"]),
        environment=st.sampled_from([None, {"HEIGHT": "12"}]),
        id=st.sampled_from([None, None, "again"]),
        abort=st.sampled_from([False, False, False, True]),
        promptly=st.booleans(),
    )
    def ask(
        self, project: ProjectName, after: int, base: int | None, abort: bool, promptly: bool, **fields: Any
    ) -> None:
        last = self.last(project)
        request = {**fields, "after": last + after if last + after > 0 else None, "from": base}
        asked = {name: value for name, value in request.items() if value is not None}
        self.edit(project, next=asked, **({"abort": max(last, 1)} if abort else {}))
        if promptly:
            self.undisturbed(rounds=6, code=None if self.is_busy(project) else 0)

    @rule(
        project=projects,
        fields=st.one_of(
            st.just({"next": None}),
            st.sampled_from([True, False, None]).map(lambda paused: {"paused": paused}),
            st.sampled_from(["flow", "short", None]).map(lambda pipeline: {"pipeline": pipeline}),
            st.sampled_from([None, {"HEIGHT": "3"}, {"OTHER": "1"}]).map(lambda found: {"environment": found}),
        ),
    )
    def change_a_field(self, project: ProjectName, fields: dict[str, Any]) -> None:
        self.edit(project, **fields)

    @rule(project=projects, run=st.none() | numbers)
    def abort(self, project: ProjectName, run: int | None) -> None:
        self.edit(project, abort=None if run is None else max(self.last(project) + run, 1))

    @rule(project=projects, stage=st.sampled_from(STAGES))
    def abort_what_a_request_waits_for(self, project: ProjectName, stage: str) -> None:
        """Two people: one asks for what comes after the run, another aborts that."""
        self.undisturbed(rounds=6, code=None)
        if self.is_busy(project):
            last = self.last(project)
            self.edit(project, next={"stage": stage, "after": last}, abort=None)
            self.undisturbed(rounds=3, code=None)
            self.edit(project, abort=last)
            self.undisturbed(rounds=6, code=None)

    @rule(
        stages=st.sampled_from([STAGES, STAGES[:2], STAGES[1:]]),
        confirm=st.sampled_from(["never", "never", "never", "before", "once"]),
        needs=st.sampled_from([[], [], [], ["HEIGHT"]]),
    )
    def change_the_pipelines_file(self, stages: tuple[str, ...], confirm: str, needs: list[str]) -> None:
        made = [a_stage(name) for name in stages]
        made[-1] |= {"confirm": confirm, "requires_environment": needs}
        note(f"commit {self.git.newest + 1}: flow has {stages}, {confirm}, {needs}")
        self.git.commit({**self.git.files, FLOW: {"stages": made}})

    @rule(project=projects, days=st.sampled_from([None, None, 0, 8]))
    def delete(self, project: ProjectName, days: int | None) -> None:
        """Some stay away until their files are gone: what comes back then is a namesake."""
        note(f"commit {self.git.newest + 1}: delete {project}")
        self.git.commit({path: content for path, content in self.git.files.items() if path != path_of(project)})
        if days is not None:
            self.undisturbed(rounds=4)
            self.world.now += days * 86400.0
            self.undisturbed(rounds=4)

    @rule(node=nodes, policy=st.sampled_from([None, DRAINED, HANDS_OVER, HANDS_OVER]), promptly=st.booleans())
    def drain(self, node: NodeName, policy: dict[str, Any] | None, promptly: bool) -> None:
        """Or take it back into service; nodes with an older view must not release what it is to keep."""
        note(f"commit {self.git.newest + 1}: {node} {policy}")
        others = {path: content for path, content in self.git.files.items() if path != f"nodes/{node}.yaml"}
        self.git.commit(others if policy is None else {**others, f"nodes/{node}.yaml": policy})
        if promptly:
            self.undisturbed(rounds=4, code=None)

    @rule(project=projects)
    def put_back(self, project: ProjectName) -> None:
        if path_of(project) not in self.git.files:
            self.edit(project, name="back again")

    @rule(project=projects)
    def merge_carelessly(self, project: ProjectName) -> None:
        """Conflict markers stay in the file: its last good version goes on."""
        if path_of(project) not in self.git.files:
            return
        self.git.commit({**self.git.files, path_of(project): CONFLICT})
        assert self.git.desired[-2].projects.get(project) == self.git.head.projects.get(project)

    @rule(back=st.integers(0, 6))
    def revert(self, back: int) -> None:
        number = max(self.git.newest - back, 1)
        if number > self.git.newest:
            return
        before = {name: self.wish(name) for name in PROJECTS}
        spent = [name for name in PROJECTS if self.is_spent(ProjectName(name), number)]
        note(f"commit {self.git.newest + 1}: revert {number}")
        self.git.revert(number)
        assert {name: self.wish(name) for name in spent} == {name: before[name] for name in spent}

    @rule(back=st.integers(0, 6))
    def merge_again(self, back: int) -> None:
        if self.git.newest > 0:
            note(f"commit {self.git.newest + 1}: merge {max(self.git.newest - back, 1)} again")
            self.git.merge_again(max(self.git.newest - back, 1))

    @rule(project=projects)
    def propose(self, project: ProjectName) -> None:
        """The answer that the status offers is kept, to be merged some time."""
        decision = self.decided(project)
        if isinstance(decision, Wait) and decision.edit is not None:
            self.proposed.append((project, yaml.safe_load(decision.edit)))

    @precondition(lambda self: self.proposed)
    @rule(which=st.integers(0, 9))
    def merge_a_proposal(self, which: int) -> None:
        project, fields = self.proposed[which % len(self.proposed)]
        self.edit(project, **fields)

    @rule(project=projects)
    def answer(self, project: ProjectName) -> None:
        """What the status offers moves the project, at once or to its next question."""
        before = self.decided(project)
        if isinstance(before, Wait) and before.edit is not None and path_of(project) not in self.git.head.stale:
            self.edit(project, **yaml.safe_load(before.edit))
            after = self.decided(project)
            assert after != before, f"{before.edit} changes nothing"
            assert not isinstance(after, Wait) or after.reason != before.reason, f"{before.edit} leads nowhere"

    answer_again = answer
    ask_again = ask

    # --- nodes ---

    def node(self, name: NodeName) -> NodeName:
        return name if name in {node.name for node in self.world.nodes} else self.world.nodes[0].name

    @rule(node=nodes, commits=st.sampled_from([1, 2, None]))
    def fetch(self, node: NodeName, commits: int | None) -> None:
        self.world.catch_up(self.node(node), commits)

    @rule(node=nodes, kept=st.sampled_from([None, None, None, 1, 2]))
    def tick(self, node: NodeName, kept: int | None) -> None:
        """Some ticks are cut short by a crash."""
        name = self.node(node)
        todo = self.world.plan(name)
        self.is_explained(name, todo)
        self.world.carry_out(name, todo.actions[:kept])

    @rule(
        rounds=st.sampled_from([1, 3, 6, 12, 24]),
        code=st.sampled_from([0, 0, 0, None, None, 1, LISTED]),
        commits=st.sampled_from([0, 1, None]),
    )
    def work(self, rounds: int, code: int | None, commits: int | None) -> None:
        """Nothing special happens: the usual case, so that there are histories to speak of."""
        self.undisturbed(rounds, code, commits)

    work_on = go_on = work

    def undisturbed(self, rounds: int, code: int | None = 0, commits: int | None = None) -> None:
        """Programs go on if there is no ``code``."""
        self.world.exit_code = lambda container: code or 0
        for node in self.world.nodes:
            self.world.catch_up(node.name, commits)
        for _ in range(rounds):
            for node in self.world.nodes:
                todo = self.world.plan(node.name)
                self.is_explained(node.name, todo)
                self.world.carry_out(node.name, todo.actions)
                self.check()
            self.world.now += 3.0
            if code is not None:
                self.world.run_programs()

    @rule(node=nodes)
    def freeze(self, node: NodeName) -> None:
        self.world.freeze(self.node(node))

    @precondition(lambda self: self.world.frozen)
    @rule(which=st.integers(0, 2), kept=st.sampled_from([None, 1]))
    def thaw(self, which: int, kept: int | None) -> None:
        """A plan from the past is carried out."""
        names = sorted(self.world.frozen)
        self.world.thaw(names[which % len(names)], kept)

    @rule(code=st.sampled_from([0, 0, 1, 137, LISTED]))
    def programs_end(self, code: int) -> None:
        self.world.exit_code = lambda container: code
        self.world.run_programs()

    @rule(node=nodes)
    def fall_silent(self, node: NodeName) -> None:
        self.world.silent ^= {self.node(node)}

    @rule(node=nodes, whole=st.booleans())
    def go_down_and_come_back(self, node: NodeName, whole: bool) -> None:
        (self.world.reboot if whole else self.world.restart)(self.node(node))

    @rule(seconds=st.sampled_from([1.0, 61.0, 3700.0, 8 * 86400.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.now += seconds

    # --- what must hold ---

    @invariant()
    def check(self) -> None:
        if self.world.ledger is self.checked:
            return
        self.checked = self.world.ledger
        check(self.world.ledger, self.git)
        for name, history in self.world.ledger.projects.items():
            self.note_early_requests(name, history)
            self.no_early_request_survived_a_failure(name, history)

    def note_early_requests(self, name: ProjectName, history: ProjectHistory) -> None:
        """Requests that came before the run they name had ended, and not with the order to abort it."""
        seen = [record for record in history.records if isinstance(record, DesiredSeen)]
        for before, record in zip((None, *seen), seen, strict=False):
            is_known = record.number <= self.noted.get((name, history.retired), 0)
            if is_known or record.request is None or (before is not None and before.request == record.request):
                continue
            asked = (name, history.retired, record.request)
            request = self.git.at(record.commit).projects[name].next
            assert request is not None
            run = history.run(request.after) if request.after else None
            self.asked_early.discard(asked)
            if request.after and (run is None or not run.is_final) and record.abort != request.after:
                self.asked_early.add(asked)

    def no_early_request_survived_a_failure(self, name: ProjectName, history: ProjectHistory) -> None:
        for before, run in zip(history.runs, history.runs[1:], strict=False):
            if before.phase != "Succeeded" and run.created.number > self.noted.get((name, history.retired), 0):
                early = (name, history.retired, run.created.request) in self.asked_early
                assert not early, "nobody knew of the failure"
        self.noted[name, history.retired] = history.records[-1].number if history.records else 0

    def is_explained(self, name: NodeName, todo: Plan) -> None:
        view = self.world.desired_of(name)
        accounted = {action.project for action in todo.actions} | set(todo.waiting)
        assert accounted >= known_projects(view, self.world.ledger)
        assert all(waiting.message for waiting in todo.waiting.values())
        for action in todo.actions:
            if isinstance(action, PublishRun) and isinstance(action.record, Aborted):
                history = self.world.ledger.history(action.project)
                newest = history.last_desired
                assert newest is not None
                assert newest.abort == action.run.number or history.is_deleted, "an order that was withdrawn"

    def decided(self, project: str) -> Decision | None:
        name = ProjectName(project)
        found = self.git.head.projects.get(name)
        return decide(self.git.head, found, self.world.ledger.history(name)) if found else None

    def wish(self, project: str) -> object:
        """What the newest files make of the project, without the words."""
        decision = self.decided(project)
        return decision.stage.name if isinstance(decision, StartStage) else type(decision)

    def is_spent(self, project: ProjectName, number: int) -> bool:
        """Did this commit change nothing of the project but a request and an order that are over and done with?"""
        changed_fields = {
            name for path, name, _, _ in self.git.changes(number) if path in (path_of(project), FLOW, DEFAULTS)
        }
        before, after = (self.git.desired[at].projects.get(project) for at in (number - 1, number))
        if before is None or after is None or project not in self.git.head.projects:
            return False
        if not changed_fields <= {"next", "abort"} or before.next is not None or self.is_busy(project):
            return False
        answered = {run.created.request for run in self.world.ledger.history(project).runs}
        return after.next is None or canonical(after.next) in answered

    def teardown(self) -> None:
        """Once everybody is back, the world comes to rest, and every project says why."""
        self.git.commit({path: content for path, content in self.git.files.items() if not path.startswith("nodes/")})
        self.world.recover()
        self.world.exit_code = lambda container: 0
        self.world.settle(turns=300, seconds=7200.0)
        self.check()
        for node in self.world.nodes:
            self.is_explained(node.name, self.world.plan(node.name))
        for project in PROJECTS:
            assert not isinstance(self.decided(project), StartStage | RunOpen)
            self.answer(ProjectName(project))


LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
Histories.TestCase.settings = settings(
    derandomize=not LONG,
    database=None,
    max_examples=2000 if LONG else 100,
    stateful_step_count=80 if LONG else 50,
    report_multiple_bugs=False,
)
TestHistories = pytest.mark.timeout(3600 if LONG else 180)(Histories.TestCase)
