"""Tasks that stop in the middle: killed ones end where they are, frozen machines miss nothing but time."""

import random

from tests.simulation.cooperative import Event, Lock
from tests.simulation.scheduler import Life, Tasks
from tests.simulation.story import Story


def tasks() -> Tasks:
    return Tasks(random.Random(1), Story())  # noqa: S311  # a history, not a secret


def test_a_killed_task_does_nothing_more_not_even_what_its_finally_says() -> None:
    all_, machine, done = tasks(), Life("a"), list[str]()
    process = Life("a", within=machine)

    def work() -> None:
        try:
            all_.sleep(10)
            done.append("slept")
        finally:
            all_.pause("unlink")
            done.append("cleaned up")

    all_.spawn(process, "work", work)
    all_.run(5)
    all_.end(process)
    all_.run(30)
    assert done == []


def test_a_frozen_machine_goes_on_where_it_was_while_others_did_not_wait() -> None:
    all_, a, b, done = tasks(), Life("a"), Life("b"), list[tuple[str, float]]()

    def work(name: str) -> None:
        all_.sleep(1)
        done.append((name, all_.now()))

    all_.spawn(a, "a", lambda: work("a"))
    all_.spawn(b, "b", lambda: work("b"))
    all_.after(0.5, lambda: all_.freeze(a))
    all_.run(60)
    all_.thaw(a)
    all_.run(61)
    assert done == [("b", 1.0), ("a", 60.0)]


def test_a_blocked_call_goes_on_once_it_can() -> None:
    all_, a, heals, done = tasks(), Life("a"), list[bool](), list[float]()

    def work() -> None:
        all_.wait_until(lambda: bool(heals), "the share")
        done.append(round(all_.now()))

    all_.spawn(a, "a", work)
    all_.after(30, lambda: heals.append(True))
    all_.run(60)
    assert done == [30]


def test_locks_and_events_are_those_of_the_simulation() -> None:
    all_, a, done = tasks(), Life("a"), list[str]()
    lock, event = Lock(all_), Event(all_)

    def first() -> None:
        with lock:
            all_.sleep(5)
            done.append("first")
        event.set()

    def second() -> None:
        all_.sleep(1)
        with lock:
            done.append("second")

    def third() -> None:
        done.append("woken" if event.wait(60) else "waited in vain")

    for work in (first, second, third):
        all_.spawn(a, work.__name__, work)
    all_.run(10)
    assert done[0] == "first"
    assert {*done[1:]} == {"second", "woken"}
