"""The follower on a real share: who is told what, how often, and what happens when that does not work."""

import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from reconciler.adapters.share import SharedDirectory
from reconciler.agent.followers import telling
from reconciler.agent.followers.notifying import LATE, Notifying
from reconciler.agent.followers.telling import Sink
from reconciler.agent.ports import Seen
from reconciler.core.desired import Command, Notification, Site
from reconciler.core.ledger import Ledger, Run
from reconciler.core.names import Token
from reconciler.core.report import report
from reconciler.core.transitions import Transition
from reconciler.errors import BadInput, SecretMissing, ShareUnavailable, Transient, TryLater
from tests.fakes.build import CROSSING, SHARE, a_claim, a_desired, a_history, a_project, a_run, a_seen, failed
from tests.fakes.lab import FakeClock
from tests.notify.conftest import until

CHAT = Notification(name="chat", sink=Command(name="chat"))
MAIL = Notification(name="mail", sink=Command(name="mail"))


class Recorder:
    """A sink that keeps what it gets; ``faults`` are raised first, one a delivery, for whom they concern."""

    def __init__(self) -> None:
        self.got: list[Transition] = []
        self.asked = 0
        self.faults: list[Exception] = []
        self.refuses: Callable[[Transition], bool] = lambda _: False
        self.remark = ""

    def deliver(self, transition: Transition) -> str:
        self.asked += 1
        if self.faults:
            raise self.faults.pop(0)
        if self.refuses(transition):
            raise BadInput("chat answered 400 Bad Request")
        self.got.append(transition)
        return self.remark

    @property
    def runs(self) -> list[int | None]:
        return [one.run for one in self.got]


def bad_end(number: int) -> Run:
    return a_run(number, "detect", a_claim(), replace(failed(), token=Token(f"end-{number}")))


def seen(*failures: int, entries: Iterable[Notification] = (CHAT,), **fields: Any) -> Seen:
    """Runs of the project that failed, one after the other."""
    runs = tuple(bad_end(number) for number in failures)
    projects = {CROSSING: a_history(*runs, seen=(a_seen(),))}
    desired = a_desired(a_project(**fields), site=Site(notifications=tuple(entries)))
    ledger = Ledger(share=SHARE, projects=projects)
    return Seen(desired=desired, ledger=ledger, status=report(desired, ledger, (), branch="main"))


class Bench:
    """A share, a clock that stands still, and followers that come and go."""

    def __init__(self, root: Path) -> None:
        SharedDirectory.create(root)
        self.root = root
        self.share = SharedDirectory(root)
        self.clock = FakeClock()
        self.sinks: dict[str, Any] = {"chat": Recorder(), "mail": Recorder()}
        self.follower = self.another()

    def another(self, share: SharedDirectory | None = None) -> Notifying:
        """The follower of a node that has just begun to publish."""

        def open_sink(entry: Notification) -> Sink:
            found: Sink = self.sinks[entry.name]
            return found

        return Notifying(share or SharedDirectory(self.root), self.clock, open_sink, patience=30.0)

    @property
    def chat(self) -> Recorder:
        found: Recorder = self.sinks["chat"]
        return found

    def follow(self, now: Seen) -> tuple[str, float | None]:
        """What is told as a condition, and when to look again."""
        try:
            return "", self.follower.follow(now)
        except TryLater as error:
            return str(error), error.after

    def after(self, seconds: float, now: Seen) -> tuple[str, float | None]:
        self.clock.seconds += seconds
        return self.follow(now)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path / "share")


def test_a_new_entry_tells_nothing_of_the_past(bench: Bench) -> None:
    """Nobody wants a hundred mails about last year."""
    bench.follow(seen(1, 2))
    assert bench.chat.got == []
    bench.follow(seen(1, 2, 3))
    assert bench.chat.runs == [3]


def test_an_entry_that_begins_while_all_is_quiet_tells_the_first_failure(bench: Bench) -> None:
    bench.follow(seen())
    bench.follow(seen(1))
    assert bench.chat.runs == [1]


def test_a_transition_is_told_once_however_often_one_looks(bench: Bench) -> None:
    bench.follow(seen())
    for _ in range(5):
        assert bench.after(60, seen(1)) == ("", None)
    assert bench.chat.runs == [1]


def test_several_are_told_in_the_order_of_time(bench: Bench) -> None:
    bench.follow(seen())
    bench.follow(seen(1, 2, 3))
    assert bench.chat.runs == [1, 2, 3]


def test_a_new_publisher_tells_nothing_twice(bench: Bench) -> None:
    """What was told stands on the share, not on the node."""
    bench.follow(seen())
    bench.follow(seen(1))
    bench.follower = bench.another()
    bench.follow(seen(1))
    bench.follow(seen(1, 2))
    assert bench.chat.runs == [1, 2]


class DyingShare(SharedDirectory):
    """The node dies between a delivery and its mark."""

    def mark(self, group: str, names: Iterable[str]) -> None:
        raise SystemExit("killed")


def test_a_node_that_dies_after_a_delivery_tells_twice_under_the_same_id(bench: Bench) -> None:
    """At least once, and receivers can tell."""
    bench.follow(seen())
    dying = bench.another(DyingShare(bench.root))
    with pytest.raises(SystemExit):
        dying.follow(seen(1))
    bench.follower = bench.another()
    bench.follow(seen(1))
    assert bench.chat.runs == [1, 1]
    assert len({one.id for one in bench.chat.got}) == 1


class HalvingShare(SharedDirectory):
    """The node dies before the last of the marks."""

    def mark(self, group: str, names: Iterable[str]) -> None:
        super().mark(group, list(names)[:-1])
        raise SystemExit("killed")


def test_a_begin_that_was_cut_short_begins_again(bench: Bench) -> None:
    """Some of the past was marked, but not the word that all of it is."""
    with pytest.raises(SystemExit):
        bench.another(HalvingShare(bench.root)).follow(seen(1, 2))
    bench.follow(seen(1, 2, 3))
    assert bench.chat.got == []
    bench.follow(seen(1, 2, 3, 4))
    assert bench.chat.runs == [4]


class FullShare(SharedDirectory):
    is_full = True

    def mark(self, group: str, names: Iterable[str]) -> None:
        if self.is_full:
            raise ShareUnavailable("the share is full")
        super().mark(group, names)


def test_a_full_share_does_not_make_anybody_hear_the_same_all_night(bench: Bench) -> None:
    bench.follow(seen())
    share = FullShare(bench.root)
    bench.follower = bench.another(share)
    for _ in range(3):
        with pytest.raises(ShareUnavailable):
            bench.after(60, seen(1))
    assert bench.chat.runs == [1]
    share.is_full = False
    assert bench.after(60, seen(1)) == ("", None)
    bench.follower = bench.another()
    bench.follow(seen(1))
    assert bench.chat.runs == [1]


def test_only_what_concerns_an_entry_is_told(bench: Bench) -> None:
    entry = replace(CHAT, tags=("night",))
    bench.follow(seen(entries=[entry]))
    bench.follow(seen(1, entries=[entry], tags=("day",)))
    assert bench.chat.got == []
    bench.follow(seen(1, 2, entries=[entry], tags=("night",)))
    assert bench.chat.runs == [2]


def test_a_wider_filter_tells_nothing_of_the_past(bench: Bench) -> None:
    narrow = replace(CHAT, phases=("Succeeded",))
    bench.follow(seen(entries=[narrow]))
    bench.follow(seen(1, entries=[narrow]))
    bench.follow(seen(1, entries=[CHAT]))
    assert bench.chat.got == []
    bench.follow(seen(1, 2, entries=[CHAT]))
    assert bench.chat.runs == [2]


def test_attempts_become_rarer_and_somebody_is_told(bench: Bench) -> None:
    """One second, doubling to ten minutes; the condition names the entry, the reason and what to do."""
    bench.follow(seen())
    bench.chat.faults = [Transient("chat gave no answer")] * 13
    waits, told = [], []
    for _ in range(13):
        trouble, wait = bench.follow(seen(1))
        assert wait is not None
        assert bench.after(wait / 2, seen(1))[1] == pytest.approx(wait / 2, abs=0.1)
        waits.append(wait)
        told.append(trouble)
        bench.clock.seconds += wait / 2
    assert waits == [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 600, 600, 600]
    assert told[:2] == ["", ""]
    assert set(told[2:]) == {
        "notification 'chat': chat gave no answer; once that is put right, try it: winslow notify chat"
    }
    assert bench.follow(seen(1)) == ("", None)
    assert bench.chat.runs == [1]


def test_a_receivers_wish_is_respected(bench: Bench) -> None:
    bench.follow(seen())
    bench.chat.faults = [TryLater("busy", after=300.0)]
    assert bench.follow(seen(1)) == ("", 300.0)
    bench.after(299, seen(1))
    assert bench.chat.asked == 1
    bench.after(1, seen(1))
    assert bench.chat.runs == [1]


def test_a_missing_secret_is_told_and_tried_again(bench: Bench) -> None:
    bench.follow(seen())
    bench.chat.faults = [SecretMissing("secret 'chat-url' can't be read")] * 3
    told = [bench.after(10, seen(1))[0] for _ in range(3)]
    assert "secret 'chat-url' can't be read" in told[-1]
    assert bench.after(10, seen(1)) == ("", None)


def test_a_refused_transition_is_told_at_once_and_holds_up_no_other(bench: Bench) -> None:
    """One that the receiver will never take must not silence the rest."""
    bench.follow(seen())
    bench.chat.refuses = lambda one: one.run == 1
    trouble, wait = bench.follow(seen(1))
    assert ("400 Bad Request" in trouble, wait) == (True, 60.0)
    trouble, _ = bench.after(1, seen(1, 2))
    assert bench.chat.runs == [2]
    assert "400 Bad Request" in trouble
    asked = bench.chat.asked
    bench.after(58, seen(1, 2))
    assert bench.chat.asked == asked
    assert bench.after(1, seen(1, 2))[1] == 120.0
    assert bench.chat.asked == asked + 1


def test_a_receiver_that_refuses_everything_is_left_alone_for_a_while(bench: Bench) -> None:
    """A hook that is gone does not get the whole backlog every minute."""
    bench.follow(seen())
    bench.chat.refuses = lambda _: True
    assert bench.follow(seen(*range(1, 11)))[1] == 60.0
    assert bench.chat.asked == 2
    bench.after(59, seen(*range(1, 11)))
    assert bench.chat.asked == 2
    bench.after(1, seen(*range(1, 11)))
    assert bench.chat.asked == 4


def test_a_corrected_entry_need_not_wait(bench: Bench) -> None:
    bench.follow(seen())
    bench.chat.refuses = lambda _: True
    bench.follow(seen(1))
    bench.chat.refuses = lambda _: False
    bench.follow(seen(1, entries=[replace(CHAT, sink=Command(name="other"))]))
    assert bench.chat.runs == [1]


def test_a_broken_entry_holds_up_no_other(bench: Bench) -> None:
    both = [CHAT, MAIL]
    bench.follow(seen(entries=both))
    bench.chat.refuses = lambda _: True
    trouble, _ = bench.follow(seen(1, entries=both))
    assert "notification 'chat'" in trouble
    assert "mail" not in trouble
    assert bench.sinks["mail"].runs == [1]


class Stuck(Recorder):
    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def deliver(self, transition: Transition) -> str:
        super().deliver(transition)
        assert self.go_on.wait(60)
        return ""


def test_an_entry_that_hangs_holds_up_no_other_and_is_not_started_twice(bench: Bench) -> None:
    both = [CHAT, MAIL]
    bench.sinks["chat"] = stuck = Stuck()
    bench.follow(seen(entries=both))
    bench.follower._patience = 0.05
    assert bench.follow(seen(1, entries=both)) == ("", LATE)
    until(lambda: all(future.done() for entry, future in bench.follower._busy.items() if entry == MAIL))
    assert bench.sinks["mail"].runs == [1]
    bench.follower._patience = 30.0
    trouble, wait = bench.follow(seen(1, 2, entries=both))
    assert ("notification 'chat': an attempt does not come to an end" in trouble, wait) == (True, LATE)
    assert bench.sinks["mail"].runs == [1, 2]
    assert stuck.asked == 1
    stuck.go_on.set()
    until(lambda: bench.follow(seen(1, 2, entries=both)) == ("", None) and stuck.runs == [1, 2])


def test_whom_a_server_left_out_is_told(bench: Bench) -> None:
    bench.follow(seen())
    bench.chat.remark = "mail:25 refused: ben@lab.example: no such user; the others were told"
    trouble, _ = bench.follow(seen(1))
    assert "no such user" in trouble
    bench.chat.remark = ""
    assert bench.follow(seen(1, 2)) == ("", None)


def test_what_nobody_waits_for_any_more_is_given_up_after_three_days(bench: Bench) -> None:
    """What still stands is not."""
    bench.follow(seen())
    bench.chat.refuses = lambda _: True
    bench.follow(seen(1, 2))
    for _ in range(80):
        bench.after(3600, seen(1, 2))
    group = bench.share.marks("notifications.chat")
    assert len([name for name in group if name.endswith(".undeliverable")]) == 1
    bench.chat.refuses = lambda _: False
    bench.after(3600, seen(1, 2))
    assert bench.chat.runs == [2]


@pytest.mark.parametrize("fault", [BadInput("no"), Transient("not now")])
def test_what_is_answered_before_it_could_be_told_is_dropped(bench: Bench, fault: Exception) -> None:
    """A broken file that was put right is no trouble any more, nor is the receiver."""
    bench.follow(seen())
    bench.chat.faults = [fault] * 3
    invalid = seen(pipeline="nowhere")
    assert any(bench.after(3600, invalid)[0] for _ in range(3))
    assert bench.follow(seen()) == ("", None)
    assert bench.chat.got == []


def test_many_are_told_in_batches(bench: Bench) -> None:
    bench.follow(seen())
    runs = range(1, telling.AT_ONCE + 6)
    assert bench.follow(seen(*runs)) == ("", 0.1)
    assert len(bench.chat.got) == telling.AT_ONCE
    assert bench.follow(seen(*runs)) == ("", None)
    assert bench.chat.runs == list(runs)


def test_without_entries_nothing_is_looked_at(bench: Bench) -> None:
    assert bench.follow(seen(1, entries=[])) == ("", None)
    assert bench.share.marks("notifications.chat") == frozenset()
