"""The checker must be able to fail: each rule of the protocol is broken once, and some history has to tell.

Faults are drawn from those that put the rule to the test, so that few histories are needed.
"""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.ledger import LedgerFiles
from reconciler.adapters.share.records import RecordStore, record_name
from reconciler.agent import joining, liveness
from reconciler.core import fitting, plan, supervise, takeover
from reconciler.core.draft import Draft
from reconciler.core.names import RecordNumber
from reconciler.core.nodes import NodeRecord, Pulse
from reconciler.core.records import Done, Failed, Released
from tests.simulation.history import Broken, Site, live
from tests.simulation.machine import Machine
from tests.simulation.setting import Setting, drawn

SEEDS = 60
"""Some history among so many has to break; most mutations need fewer than ten."""


def caught(
    *invariants: str, kinds: tuple[str, ...], prepare: Callable[[Site], None] = lambda site: None, **fields: Any
) -> None:
    """Live until an invariant breaks, which has to be one of these."""
    fields = {"faults": 12, "edits": 0, "trouble": 60.0, "projects": 2, "stages": 3, **fields}
    for seed in range(SEEDS):
        setting: Setting = replace(drawn(seed), kinds=kinds, **fields)
        if told := _told(setting, prepare):
            assert any(name in told for name in invariants), told
            return
    pytest.fail(f"{SEEDS} histories, and none of {invariants} noticed")


def _told(setting: Setting, prepare: Callable[[Site], None]) -> str:
    """What broke; empty: nothing did."""
    try:
        live(setting, prepare)
    except Broken as broken:
        return str(broken)
    return ""


def test_trusting_errno_instead_of_what_stands_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reply that was lost says EEXIST, or EIO, of a record that is ours."""

    def publish(
        store: RecordStore[Any], directory: Path, number: int, content: bytes, token: str, *, within: Path | None = None
    ) -> bool:
        store._files.mkdir(within or directory, parents=True)
        store._files.mkdir(directory, parents=True)
        draft = store._draft(content)
        try:
            store._files.link(draft, directory / record_name(number))
        except FileExistsError:
            return False
        return True

    monkeypatch.setattr(RecordStore, "publish", publish)
    caught("a_name_is_given_up_to_another_alone", kinds=("kill",), prepare=losing_replies)


def losing_replies(site: Site) -> None:
    """For all machines and most of the time."""
    for machine in site.facts.machines:
        for moment, share in ((3.0, 0.1), (site.setting.trouble - 1, 0.0)):
            site.tasks.after(moment, lambda machine=machine, share=share: setattr(machine.mount.now, "lossy", share))  # type: ignore[misc]


def test_publishing_an_end_at_the_next_free_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not right after the own claim: then a zombie's result comes after its successor's claim."""
    original = LedgerFiles.publish_run

    def publish_run(ledger: LedgerFiles, project: Any, created: Any, record: Any) -> bool:
        while not original(ledger, project, created, record):
            if not isinstance(record, Done | Failed | Released):
                return False
            record = replace(record, number=RecordNumber(record.number + 1))
        return True

    monkeypatch.setattr(LedgerFiles, "publish_run", publish_run)
    caught(
        "only_the_claimant_says_how_it_ended",
        "nothing_follows_a_final_record",
        kinds=("lose_share", "freeze"),
        latency=0.03,
        nodes=3,
    )


def test_counting_silence_that_nobody_could_hear(monkeypatch: pytest.MonkeyPatch) -> None:
    """While the share was away, or the observer itself was frozen."""

    def listen(before: Pulse | None, *, incarnation: str, content: bytes, now: float, **_: object) -> Pulse:
        if before is None or before.incarnation != incarnation or before.content != content:
            return Pulse(incarnation=incarnation, content=content, seen_at=now)
        return replace(before, seen_at=now, silent_for=before.silent_for + now - before.seen_at)

    monkeypatch.setattr(liveness, "listen", listen)
    caught("taking_over_needs_evidence", kinds=("share_cut_off", "share_restarts", "freeze"))


def test_taking_over_from_the_living(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any evidence."""
    monkeypatch.setattr(supervise, "standing", lambda *_, **__: takeover.Standing.GONE)
    caught("taking_over_needs_evidence", kinds=("kill",))


def test_starting_without_a_second_look_at_the_claim(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever froze while it prepared starts what has been superseded."""

    class Anything:
        def __getattr__(self, name: str) -> "Anything":
            return self

        def __eq__(self, other: object) -> bool:
            return True

        def __hash__(self) -> int:
            return 0

    monkeypatch.setattr(SharedDirectory, "read_run", lambda *_: Anything())
    caught(
        "what_was_superseded_before_it_was_prepared_is_not_started",
        kinds=("freeze", "lose_share"),
        latency=0.03,
        nodes=3,
        faults=16,
    )


def test_believing_ends_from_before_a_reboot(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without boot ids the exit code that a power loss leaves is the program's own."""
    monkeypatch.setattr(Machine, "boot", lambda machine: f"{machine.name}-boot")
    caught("a_failure_is_the_programs_own", kinds=("lose_power",))


def test_joining_without_watching_the_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clone takes a live original's name."""

    def next_start(share: Any, clock: Any, ask: Any, identity: Any, **_: object) -> RecordNumber:
        files = share.read_nodes().get(identity.name)
        records: tuple[NodeRecord, ...] = files.records if files else ()
        return RecordNumber(len(records) + 1)

    monkeypatch.setattr(joining, "next_start", next_start)
    caught("a_live_original_keeps_its_name", kinds=("clone",), latency=0.003)


def test_claiming_on_a_drained_node(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "_unavailable", lambda *_: "")
    caught("a_drained_node_claims_nothing", kinds=("kill",), edits=12, projects=3)


def test_acting_on_an_older_view_of_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """A node that lacks the newest record's commit decides all the same."""
    monkeypatch.setattr(Draft, "is_behind", lambda draft, history: False)
    caught("commits_never_go_back", kinds=("lose_git",), edits=12)


def test_leaving_superseded_containers_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "sweep", lambda draft: None)
    caught("no_container_is_left", kinds=("lose_share",), faults=4)
