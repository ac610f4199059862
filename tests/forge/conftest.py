"""Stub forges, and clients of them."""

from collections.abc import Callable, Iterator

import pytest

from reconciler.adapters.forge import open_forge
from reconciler.agent.ports import Forge
from tests.bad_input.conftest import site  # noqa: F401  # a fixture: a real site with real nodes
from tests.forge.stub import TOKEN, StubForge, settings_of

REPOSITORY = {"gitlab": "lab/video/state"}
"""GitLab has groups in groups; the others have an owner and a name."""

MakeStub = Callable[[str], StubForge]


@pytest.fixture
def make_stub() -> Iterator[MakeStub]:
    """A forge of the given kind; at the end none may have been sent what it does not understand."""
    made: list[StubForge] = []

    def make(kind: str) -> StubForge:
        made.append(StubForge(kind, REPOSITORY.get(kind, "lab/state")))
        return made[-1]

    yield make
    for stub in made:
        stub.close()
    assert [fault for stub in made for fault in stub.faults] == []


@pytest.fixture(params=["gitlab", "github", "forgejo", "gitea"])
def stub(request: pytest.FixtureRequest, make_stub: MakeStub) -> StubForge:
    """One of each kind."""
    return make_stub(request.param)


@pytest.fixture
def client(stub: StubForge) -> Iterator[Forge]:
    """As a node opens it."""
    opened = open_forge(settings_of(stub), TOKEN, branch="main")
    yield opened
    opened.close()
