"""What is sent to a forge is what its documentation asks for, and does what it should."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from reconciler.adapters.forge import open_forge
from reconciler.agent.ports import Forge
from reconciler.core.commit_status import CommitState
from reconciler.core.desired import Forge as ForgeSettings
from reconciler.core.names import Commit
from tests.forge.conftest import MakeStub
from tests.forge.stub import TOKEN, Answer, Posted, StubForge, settings_of

ONE, TWO = Commit("1" * 40), Commit("2" * 40)
ULM = "winslow/ulm"
BRANCH = "proposals/ulm/3-continue"
STATES = {"pending": "pending", "running": "pending", "success": "success", "failed": "failure"}


def test_a_status_stands_beside_its_commit(stub: StubForge, client: Forge) -> None:
    """The stub checks method, path, headers, fields and values; here stands what it understood."""
    client.set_status(ONE, CommitState.SUCCESS, context=ULM, description="run 1", target_url="http://x.invalid/1")
    assert stub.posted == [Posted(ONE, "success", ULM, "run 1", "http://x.invalid/1")]


@pytest.mark.parametrize("state", list(CommitState))
def test_every_state_has_a_word_of_the_forge(stub: StubForge, client: Forge, state: CommitState) -> None:
    client.set_status(ONE, state, context=ULM, description="")
    assert stub.states(ULM) == [state.value if stub.kind == "gitlab" else STATES[state.value]]


def test_the_same_status_again_is_no_error(stub: StubForge, client: Forge) -> None:
    """GitLab refuses a transition into the state that is there already, and from running back to pending."""
    for state in (CommitState.RUNNING, CommitState.RUNNING, CommitState.PENDING, CommitState.SUCCESS):
        client.set_status(ONE, state, context=ULM, description="")
    assert stub.states(ULM)[-1] == "success"
    assert len(stub.states(ULM)) == (2 if stub.kind == "gitlab" else 4)


def test_gitlab_is_told_the_branch(make_stub: MakeStub) -> None:
    """Without it, GitLab hangs the status on the first branch it finds that holds the commit."""
    stub = make_stub("gitlab")
    client = open_forge(settings_of(stub), TOKEN, branch="desired")
    client.set_status(ONE, CommitState.PENDING, context=ULM, description="")
    client.close()
    assert stub.calls[0].body["ref"] == "desired"


def test_several_statuses_share_a_connection(stub: StubForge, client: Forge) -> None:
    for commit in (ONE, TWO):
        client.set_status(commit, CommitState.SUCCESS, context=ULM, description="")
    assert stub.connections == 1


def test_a_branchs_open_requests_are_closed_and_no_others(stub: StubForge, client: Forge) -> None:
    stub.open_request(1, BRANCH)
    stub.open_request(2, "proposals/ulm/3-redo")
    stub.open_request(3, BRANCH, from_fork=True)
    client.close_requests(BRANCH)
    assert stub.closed() == [1]


def test_no_open_request_is_no_error(stub: StubForge, client: Forge) -> None:
    client.close_requests(BRANCH)
    assert stub.closed() == []


def test_a_request_is_found_on_a_later_page(stub: StubForge, client: Forge) -> None:
    """The list says by its header Link that there is more; its address is not asked."""
    stub.page_size = 2
    for number in range(1, 8):
        stub.open_request(number, BRANCH if stub.kind in ("gitlab", "github") or number == 7 else f"topic-{number}")
    client.close_requests(BRANCH)
    assert stub.closed()[-1] == 7


@pytest.mark.parametrize("kind", ["forgejo", "gitea"])
def test_an_agit_request_is_found_by_its_topic(make_stub: MakeStub, kind: str) -> None:
    """The list shows neither its branch nor its topic."""
    stub = make_stub(kind)
    stub.open_request(1, "proposals/ulm/2-continue", topic_of="Winslow")
    stub.open_request(2, BRANCH, topic_of="Winslow")
    client = open_forge(settings_of(stub), TOKEN, branch="main")
    client.close_requests(BRANCH)
    client.close()
    assert stub.closed() == [2]


def test_an_agit_request_is_found_though_its_topic_was_used_before(make_stub: MakeStub) -> None:
    """Asked for a topic's request, Forgejo answers with the first it ever had."""
    stub = make_stub("forgejo")
    for number in (1, 2):
        stub.open_request(number, BRANCH, topic_of="Winslow")
    stub.open_request(3, "proposals/ulm/2-continue", topic_of="Winslow")
    stub.requests[0]["state"] = "closed"
    client = open_forge(settings_of(stub), TOKEN, branch="main")
    client.close_requests(BRANCH)
    client.close()
    assert stub.closed() == [1, 2]


@pytest.mark.parametrize("kind", ["forgejo", "gitea"])
def test_a_request_whose_branch_is_gone_already_is_closed(make_stub: MakeStub, kind: str) -> None:
    stub = make_stub(kind)
    stub.open_request(1, BRANCH, is_gone=True)
    client = open_forge(settings_of(stub), TOKEN, branch="main")
    client.close_requests(BRANCH)
    client.close()
    assert stub.closed() == [1]


@pytest.mark.parametrize(("kind", "code"), [("github", 422), ("forgejo", 412), ("gitea", 412)])
def test_a_request_that_was_merged_meanwhile_is_no_error(make_stub: MakeStub, kind: str, code: int) -> None:
    stub = make_stub(kind)
    client = open_forge(settings_of(stub), TOKEN, branch="main")
    listed = {"number": 1, "head": {"ref": BRANCH, "repo": {"id": 7}}, "base": {"repo": {"id": 7}}}
    stub.next_answers.extend([Answer(200, [listed]), Answer(code, {"message": "it was already merged"})])
    client.close_requests(BRANCH)
    client.close()


PLACES = [
    ("github", "https://github.com/lab/state", None, "https://api.github.com/repos/lab/state"),
    ("github", "https://www.github.com/lab/state", None, "https://api.github.com/repos/lab/state"),
    ("github", "https://git.example/lab/state.git", None, "https://git.example/api/v3/repos/lab/state"),
    ("forgejo", "https://git.example/lab/state", None, "https://git.example/api/v1/repos/lab/state"),
    ("gitea", "http://git.example:3000/git/lab/state", None, "http://git.example:3000/git/api/v1/repos/lab/state"),
    ("gitlab", "https://git.example/a/b/c", None, "https://git.example/api/v4/projects/a%2Fb%2Fc"),
    (
        "gitlab",
        "https://git.example/gitlab/a/b",
        "https://git.example/gitlab/api/v4",
        "https://git.example/gitlab/api/v4/projects/a%2Fb",
    ),
    ("forgejo", "https://git.example/a/b", "http://10.0.0.1:3000/api/v1", "http://10.0.0.1:3000/api/v1/repos/a/b"),
]


@pytest.mark.parametrize(("kind", "url", "api", "expected"), PLACES)
def test_the_api_is_found_from_the_repositorys_page(
    monkeypatch: pytest.MonkeyPatch, kind: str, url: str, api: str | None, expected: str
) -> None:
    """forge.api is for whoever keeps it elsewhere."""
    asked: list[str] = []

    @contextmanager
    def record(self: httpx.Client, method: str, url: str, **options: Any) -> Iterator[httpx.Response]:
        asked.append(url)
        yield httpx.Response(201, json={}, request=httpx.Request(method, url))

    monkeypatch.setattr(httpx.Client, "stream", record)
    client = open_forge(ForgeSettings(kind=kind, url=url, api=api), TOKEN, branch="main")
    client.set_status(ONE, CommitState.SUCCESS, context=ULM, description="")
    client.close()
    assert asked == [f"{expected}/statuses/{ONE}"]
