"""Asking a node at its port: what counts as an answer, what it costs, and how it becomes evidence."""

import threading
import time
from http.server import BaseHTTPRequestHandler

import pytest

from reconciler.adapters.health import MAX_ANSWER, ask_node
from reconciler.agent.inquiries import Inquiries
from reconciler.agent.ports import Answer
from reconciler.core.names import NodeName, Token
from reconciler.core.nodes import Inquiry, Node
from reconciler.core.takeover import DEADLINE
from tests.fakes.build import a_node
from tests.fakes.lab import FakeClock
from tests.vouching.conftest import free_port, health, listening, says

TOKEN = Token("t-1")
YES = Answer(node=NodeName("b"), incarnation="b-1", claims=frozenset({TOKEN}))


# --- over the wire ---


@pytest.mark.parametrize("code", [200, 503])
def test_a_node_says_what_it_acts_on_also_while_it_calls_itself_ill(code: int) -> None:
    """Its heartbeat hangs: of course it is ill."""
    with listening(says(code, health("b", "b-1", TOKEN))) as port:
        assert ask_node(port.address) == YES
    assert port.asked == ["/healthz"]


def test_nobody_there_is_no_answer() -> None:
    assert ask_node(f"127.0.0.1:{free_port()}") is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"{}",
        b'"text"',
        b'{"node": "b", "incarnation": "b-1"}',
        b'{"node": "b", "incarnation": "b-1", "claims": [{}]}',
        b'{"node": "b", "incarnation": "b-1", "claims": 3}',
        b"[" * 100_000,
        b"\xff\xfe",
    ],
)
def test_what_no_node_says_is_no_answer(body: bytes) -> None:
    with listening(says(200, body)) as port:
        assert ask_node(port.address) is None


@pytest.mark.parametrize("code", [204, 404, 500])
def test_another_page_is_no_answer(code: int) -> None:
    with listening(says(code, health("b", "b-1", TOKEN) if code != 204 else b"")) as port:
        assert ask_node(port.address) is None


def test_a_redirect_is_not_followed() -> None:
    with listening(says(200, health("b", "b-1", TOKEN))) as other:
        with listening(says(302, b"", Location=f"http://{other.address}/healthz")) as port:
            assert ask_node(port.address) is None
        assert other.asked == []


def test_an_answer_without_end_is_cut_off() -> None:
    def endless(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while True:
            handler.wfile.write(b" " * (MAX_ANSWER // 8))

    with listening(endless) as port:
        assert ask_node(port.address) is None


def test_an_answer_that_drips_is_given_up() -> None:
    """Each byte comes in time, the whole never."""
    stop = threading.Event()

    def drips(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        while not stop.wait(0.1):
            handler.wfile.write(b" ")
            handler.wfile.flush()

    began = time.monotonic()
    with listening(drips) as port:
        assert ask_node(port.address) is None
        stop.set()
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("address", ["a b:1", "b:99999", "[zz]:1", "b\n:80", "\x00:1", "no such name.invalid:80"])
def test_an_address_that_is_none_is_no_answer(address: str) -> None:
    """A record on the share may say anything."""
    assert ask_node(address) is None


# --- as evidence ---


def silent(incarnation: str = "b-1") -> Node:
    return a_node("b", silent_for=100.0, health="b:1", incarnation=incarnation)


class Asked:
    """Answers what a test has laid out, and lets it wait for the question's end."""

    def __init__(self, clock: FakeClock) -> None:
        self.answer: Answer | None = YES
        self.fault: Exception | None = None
        self.may_end = threading.Event()
        self.may_end.set()
        self.count = 0
        self.inquiries = Inquiries(self.ask, clock)

    def ask(self, address: str) -> Answer | None:
        assert address == "b:1"
        self.count += 1
        self.may_end.wait(30)
        if self.fault:
            raise self.fault
        return self.answer

    def once(self, node: Node) -> Inquiry:
        """Ask and wait for the end."""
        before = threading.active_count()
        self.inquiries.begin([node])
        end = time.monotonic() + 30
        while threading.active_count() > before or self.told(node).ended is None:
            assert time.monotonic() < end
            time.sleep(0.005)
        return self.told(node)

    def told(self, node: Node) -> Inquiry:
        [found] = self.inquiries.told([node], [node])
        assert found.inquiry is not None
        return found.inquiry


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def asked(clock: FakeClock) -> Asked:
    return Asked(clock)


def test_a_yes_ages_on_our_own_clock(asked: Asked, clock: FakeClock) -> None:
    assert asked.once(silent()).vouched == {TOKEN: 0.0}
    clock.seconds += 7
    found = asked.told(silent())
    assert (found.ended, found.vouched) == (7.0, {TOKEN: 7.0})


def test_one_lost_answer_takes_nothing_back(asked: Asked, clock: FakeClock) -> None:
    """Owners in a storm answer late; what they said grows old by itself."""
    asked.once(silent())
    clock.seconds += 5
    asked.answer = None
    found = asked.once(silent())
    assert (found.ended, found.vouched) == (0.0, {TOKEN: 5.0})


@pytest.mark.parametrize(
    "answer",
    [
        Answer(node=NodeName("b"), incarnation="b-1", claims=frozenset()),
        Answer(node=NodeName("b"), incarnation="b-2", claims=frozenset({TOKEN})),
        Answer(node=NodeName("c"), incarnation="b-1", claims=frozenset({TOKEN})),
    ],
    ids=["gave it up", "a clone, or a later start", "another node"],
)
def test_a_no_takes_back_what_was_said(asked: Asked, answer: Answer) -> None:
    asked.once(silent())
    asked.answer = answer
    assert asked.once(silent()).vouched == {}


def test_a_new_start_of_the_node_is_asked_anew(asked: Asked) -> None:
    asked.once(silent())
    asked.may_end.clear()
    asked.inquiries.begin([silent("b-2")])
    assert asked.told(silent("b-2")) == Inquiry()
    asked.may_end.set()


def test_who_beats_again_is_forgotten(asked: Asked) -> None:
    asked.once(silent())
    asked.inquiries.begin([])
    [found] = asked.inquiries.told([silent()], [])
    assert found.inquiry is None
    assert asked.told(silent()) == Inquiry(), "an old answer came back"


def test_of_who_is_yet_to_be_asked_nothing_is_known(asked: Asked) -> None:
    """A look that came late may count two periods at once: past the ttl before anybody has asked."""
    assert asked.told(silent()) == Inquiry()


def test_a_question_that_hangs_is_a_no_and_asked_once(asked: Asked, clock: FakeClock) -> None:
    """A name that nobody resolves can hang for minutes; neither the heartbeat nor memory may pay for it."""
    asked.may_end.clear()
    for _ in range(5):
        asked.inquiries.begin([silent()])
        clock.seconds += 1
    assert asked.told(silent()).ended == 0.0
    assert clock.seconds - 1000.0 > DEADLINE
    assert asked.count == 1
    asked.may_end.set()


def test_a_fault_of_ours_is_no_answer(asked: Asked) -> None:
    asked.fault = RuntimeError("a bug")
    assert asked.once(silent()).vouched == {}
