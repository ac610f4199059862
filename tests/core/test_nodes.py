"""Silence: only what a healthy observer sees on its own clock counts, and never more than it can have seen."""

from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.nodes import Pulse, listen
from tests.fakes.build import a_node

PERIOD = 5.0


def heard(before: Pulse | None, at: float, content: bytes = b"1", *, healthy: bool = True, start: str = "a-1") -> Pulse:
    return listen(before, incarnation=start, content=content, now=at, healthy=healthy, period=PERIOD)


def test_the_first_look_knows_of_no_silence() -> None:
    assert heard(None, 100.0).silent_for == 0.0


def test_bytes_that_stay_the_same_are_silence() -> None:
    pulse = None
    for at in (0.0, 5.0, 10.0, 15.0):
        pulse = heard(pulse, at)
    assert pulse is not None
    assert pulse.silent_for == 15.0


def test_any_change_of_the_bytes_ends_the_silence() -> None:
    assert heard(heard(heard(None, 0.0), 5.0), 10.0, b"2").silent_for == 0.0


def test_bytes_that_go_back_are_a_sign_of_life_too() -> None:
    """A stale cache may show old bytes: they count as a change, never as more silence."""
    pulse = heard(heard(None, 0.0, b"2"), 5.0, b"1")
    assert pulse.silent_for == 0.0


def test_silence_counts_only_while_our_own_writes_succeed() -> None:
    pulse = heard(None, 0.0)
    for at in (5.0, 10.0, 15.0):
        pulse = heard(pulse, at, healthy=False)
    assert pulse.silent_for == 0.0
    assert heard(pulse, 20.0).silent_for == 5.0


def test_a_gap_between_two_looks_counts_for_two_periods_at_most() -> None:
    """Whoever slept for an hour has not watched for an hour."""
    assert heard(heard(None, 0.0), 3600.0).silent_for == 2 * PERIOD


def test_a_new_incarnation_begins_a_new_life() -> None:
    pulse = heard(heard(None, 0.0), 5.0)
    assert heard(pulse, 10.0, start="a-2").silent_for == 0.0


@given(st.lists(st.tuples(st.floats(0.0, 100.0), st.booleans()), max_size=30))
def test_silence_never_exceeds_the_time_that_was_watched(looks: list[tuple[float, bool]]) -> None:
    at, watched, pulse = 0.0, 0.0, heard(None, 0.0)
    for pause, healthy in looks:
        at += pause
        watched += min(pause, 2 * PERIOD) if healthy else 0.0
        pulse = heard(pulse, at, healthy=healthy)
    assert pulse.silent_for <= watched + 1e-6


def test_a_node_lives_until_its_silence_reaches_the_limit() -> None:
    assert a_node(silent_for=59.9).is_live(60.0)
    assert not a_node(silent_for=60.0).is_live(60.0)


def test_another_boot_means_that_everything_of_the_old_one_has_ended() -> None:
    assert a_node(boot="boot-2").booted_since("boot-1")
    assert not a_node(boot="boot-1").booted_since("boot-1")
