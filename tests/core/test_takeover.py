"""Who may take a claim over, and when: a silent owner that answers is waited for, but not for ever."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.core.actions import PublishRun
from reconciler.core.conditions import owner_silent
from reconciler.core.desired import Site
from reconciler.core.draft import Plan
from reconciler.core.ledger import Run
from reconciler.core.names import Token
from reconciler.core.nodes import Inquiry, Node
from reconciler.core.plan import plan
from reconciler.core.records import Claim
from reconciler.core.takeover import DEADLINE, PATIENCE, Standing, is_reachable, standing, to_ask, ttl_of
from tests.fakes.build import (
    CROSSING,
    A,
    a_claim,
    a_desired,
    a_history,
    a_ledger,
    a_node,
    a_pipeline,
    a_run,
    a_stage,
    me,
)

CLAIM = a_claim(1, "b")
RUN = a_run(1, "detect", CLAIM)
TTL, PERIOD = 60.0, 5.0
FRESH = 3 * (PERIOD + DEADLINE)
ADDRESS = "lab-2.example:9464"

seconds = st.floats(0.0, 2000.0)


def yes(age: float = 1.0, token: Token = CLAIM.token) -> Inquiry:
    return Inquiry(ended=age, vouched={token: age})


NO = Inquiry(ended=1.0)


def owner(silent_for: float, inquiry: Inquiry | None, **fields: Any) -> Node:
    return replace(a_node("b", silent_for=silent_for, health=ADDRESS, **fields), inquiry=inquiry)


def stands(silent_for: float, inquiry: Inquiry | None, **fields: Any) -> Standing:
    return standing(owner(silent_for, inquiry, **fields), CLAIM, ttl=TTL, period=PERIOD)


def todo(node: Node, run: Run = RUN) -> Plan:
    return plan(a_desired(), a_ledger(run), (a_node("a"), node), me())


def takes_over(planned: Plan) -> bool:
    return any(isinstance(one, PublishRun) and isinstance(one.record, Claim) for one in planned.actions)


# --- the rule ---


def test_a_silent_owner_that_answers_for_its_claim_is_waited_for() -> None:
    planned = todo(owner(100.0, yes()))
    assert not planned.actions
    told = planned.waiting[CROSSING]
    assert told.because == "OwnerAnswers"
    assert "still for 100 s" in told.message
    assert "at the latest in 500 s" in told.message
    assert "abort: 1" in told.message


@pytest.mark.parametrize("silent_for", [PATIENCE * TTL, PATIENCE * TTL + 100])
def test_after_ten_ttl_no_answer_helps(silent_for: float) -> None:
    assert takes_over(todo(owner(silent_for, yes())))


def test_a_no_is_as_good_as_silence() -> None:
    """Refused, timed out, another incarnation, or an answer that lacks the claim's token."""
    assert takes_over(todo(owner(TTL, NO)))
    assert takes_over(todo(owner(TTL, yes(token=Token("of another claim")))))


def test_an_answer_grows_old() -> None:
    assert stands(100.0, Inquiry(ended=0.5, vouched={CLAIM.token: FRESH - 1})) is Standing.ANSWERS
    assert stands(100.0, Inquiry(ended=0.5, vouched={CLAIM.token: FRESH + 1})) is Standing.GONE


def test_nobody_is_taken_for_gone_before_the_first_question_has_an_end() -> None:
    assert not todo(owner(TTL, Inquiry())).actions
    assert todo(owner(TTL, Inquiry())).waiting[CROSSING].because == "Starting"


def test_an_owner_that_nobody_can_ask_is_gone_after_its_ttl() -> None:
    assert takes_over(todo(owner(TTL, None)))


def test_a_newer_boot_ends_it_whatever_is_answered() -> None:
    assert takes_over(todo(owner(0.0, yes(), boot="boot-2")))


@pytest.mark.parametrize("boot", ["boot-1", "boot-2"])
def test_what_is_known_of_a_nodes_earlier_life_says_nothing_of_its_newest_claim(boot: str) -> None:
    """It was dead for long, comes back and claims at once, before others have looked at it again."""
    run = a_run(1, "detect", a_claim(1, "b", incarnation="b-new", boot=boot))
    assert not takes_over(todo(owner(PATIENCE * TTL, None), run))
    assert not takes_over(todo(owner(PATIENCE * TTL, NO), run))


@given(silent_for=seconds, ended=st.none() | seconds, said=st.none() | seconds, ttl=st.floats(1.0, 600.0))
def test_the_rule_has_three_bounds(silent_for: float, ended: float | None, said: float | None, ttl: float) -> None:
    """Never before the ttl, never later than ten, and in between only a fresh word of the owner itself saves it."""
    asked = Inquiry(ended=ended, vouched={} if said is None else {CLAIM.token: said})
    found = standing(owner(silent_for, asked), CLAIM, ttl=ttl, period=PERIOD)
    if silent_for < ttl:
        assert found is Standing.LIVES
    if silent_for >= PATIENCE * ttl:
        assert found is Standing.GONE
    if found is Standing.ANSWERS:
        assert said is not None
        assert said <= FRESH
    if found is Standing.GONE and silent_for < PATIENCE * ttl:
        assert ended is not None, "taken over before anybody knew whether it answers"
        assert ended <= FRESH
        assert said is None or said > FRESH, "taken from an owner that has just answered"


@given(silent_for=seconds, more=seconds)
def test_who_is_gone_does_not_come_back_by_more_silence(silent_for: float, more: float) -> None:
    if stands(silent_for, NO) is Standing.GONE:
        assert stands(silent_for + more, NO) is Standing.GONE


# --- what people are told ---


def conditions(node: Node) -> list[str]:
    return [one.type for one in owner_silent(a_desired(), [node], a_history(RUN))]


def test_people_see_that_the_owner_answers_and_how_long_that_helps() -> None:
    [told] = owner_silent(a_desired(), [owner(100.0, yes())], a_history(RUN))
    assert told.type == "OwnerAnswers"
    assert "at the latest after 10 minutes of silence" in told.message


def test_who_has_asked_nobody_says_what_it_depends_on() -> None:
    [told] = owner_silent(a_desired(), [owner(100.0, None)], a_history(RUN))
    assert told.type == "NodeSilent"
    assert f"unless it answers at {ADDRESS}" in told.message
    [known] = owner_silent(a_desired(), [owner(100.0, NO)], a_history(RUN))
    assert "unless" not in known.message
    assert conditions(owner(30.0, None)) == []
    assert conditions(owner(0.0, None, boot="boot-2")) == [], "it is back, and has yet to release what it ran"


# --- whom to ask ---


def asked(node: Node, *, boot: str = "boot-x", run: Run = RUN) -> bool:
    return bool(to_ask(a_ledger(run), [a_node("a"), node], Site(), me=A, boot=boot))


def test_only_owners_that_grow_silent_are_asked() -> None:
    assert not asked(owner(TTL / 2 - 1, None))
    assert asked(owner(TTL / 2, None))
    assert not asked(owner(PATIENCE * TTL, None)), "no answer would count any more"
    assert not asked(owner(100.0, None), run=a_run()), "its claim is over: nothing depends on the answer"
    assert not asked(a_node("b", silent_for=100.0)), "it has no port"
    mine = replace(a_node("a", silent_for=100.0, health=ADDRESS))
    assert not to_ask(a_ledger(a_run(1, "detect", a_claim(1, "a"))), [mine], Site(), me=A, boot="boot-1")


@pytest.mark.parametrize("address", ["127.0.0.1:9464", "[::1]:9464", "localhost:9464", "LOCALHOST:1"])
def test_a_loopback_address_is_for_the_same_machine_alone(address: str) -> None:
    """On any other it would ask a stranger, at best oneself."""
    near = a_node("b", silent_for=100.0, health=address)
    assert not asked(near, boot="another machine")
    assert asked(near, boot=near.record.boot)


@pytest.mark.parametrize("address", ["", "nonsense", ":9464"])
def test_what_is_no_address_is_never_asked(address: str) -> None:
    assert not is_reachable(address, same_machine=True)


# --- a stage's own ttl ---


def with_ttl(own: float | None) -> Run:
    return a_run(1, "detect", CLAIM, ttl=own)


def test_a_stages_own_ttl_is_frozen_in_its_run() -> None:
    flow = a_pipeline(a_stage("detect", ttl=timedelta(minutes=5)))
    [begun] = [
        one for one in plan(a_desired(pipeline=flow), a_ledger(), (a_node("a"),), me()).actions if hasattr(one, "claim")
    ]
    assert begun.record.ttl == 300.0  # type: ignore[union-attr]  # it is a CreateRun


@pytest.mark.parametrize(
    ("own", "silent_for", "taken"), [(300.0, 299.0, False), (300.0, 300.0, True), (20.0, 25.0, True)]
)
def test_a_takeover_goes_by_the_runs_own_ttl(own: float, silent_for: float, taken: bool) -> None:
    assert takes_over(todo(a_node("b", silent_for=silent_for), with_ttl(own))) is taken


def test_a_stages_ttl_never_makes_a_living_node_dead() -> None:
    """Below three heartbeats, these count; also after somebody made the site's heartbeat slower."""
    assert ttl_of(with_ttl(1.0), Site()) == 15.0
    assert ttl_of(with_ttl(30.0), Site(heartbeat=timedelta(seconds=20))) == 60.0
    assert ttl_of(with_ttl(None), Site(ttl=timedelta(seconds=60))) == 60.0


def test_new_work_goes_by_the_sites_ttl_alone() -> None:
    """A node silent past it gets nothing new, however patient a stage is."""
    planned = plan(a_desired(), a_ledger(), (a_node("b", silent_for=70.0),), me())
    assert planned.waiting[CROSSING].because == "NoNodeFree"
