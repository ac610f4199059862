"""A forge that refuses, fails or leads astray: the message says what to do, and the token stays here."""

import logging
import socket
import traceback
from collections.abc import Iterator

import pytest

from reconciler.adapters.forge import api, open_forge
from reconciler.agent.ports import Forge
from reconciler.core.commit_status import CommitState
from reconciler.core.desired import Forge as ForgeSettings
from reconciler.core.names import Commit
from reconciler.errors import ForgeRefused, ForgeUnavailable, StatusRefused, WinslowError
from tests.forge.conftest import MakeStub
from tests.forge.stub import TOKEN, Answer, StubForge, settings_of

ONE = Commit("1" * 40)


@pytest.fixture
def gitlab(make_stub: MakeStub) -> StubForge:
    """For what is the same with every kind."""
    return make_stub("gitlab")


@pytest.fixture
def to_gitlab(gitlab: StubForge) -> Iterator[Forge]:
    opened = open_forge(settings_of(gitlab), TOKEN, branch="main")
    yield opened
    opened.close()


def tell(client: Forge) -> None:
    client.set_status(ONE, CommitState.SUCCESS, context="winslow/ulm", description="run 1")


def refusal(client: Forge) -> WinslowError:
    with pytest.raises(WinslowError) as caught:
        tell(client)
    return caught.value


REFUSALS = [
    (Answer(401, {"message": "401 Unauthorized"}), ForgeRefused, "put a valid one into the secret"),
    (Answer(403, {"message": "insufficient_scope"}), ForgeRefused, "it needs"),
    (Answer(404, {"message": "404 Project Not Found"}), ForgeRefused, "check forge.url, forge.kind"),
    (Answer(405), ForgeRefused, "is forge.kind right?"),
    (Answer(422, {"message": "Validation Failed"}), StatusRefused, "Validation Failed"),
    (Answer(429, {"message": "slow down"}, {"Retry-After": "120"}), ForgeUnavailable, "asks for patience"),
    (Answer(403, {"message": "x"}, {"X-RateLimit-Remaining": "0"}), ForgeUnavailable, "asks for patience"),
    (Answer(403, {"message": "You have exceeded a secondary rate limit"}), ForgeUnavailable, "asks for patience"),
    (Answer(409, {"message": "pipeline is locked"}), ForgeUnavailable, "pipeline is locked"),
    (Answer(502, None), ForgeUnavailable, "failed (502"),
    (Answer(500, ["odd"]), ForgeUnavailable, "odd"),
]


@pytest.mark.parametrize(("answer", "error", "says"), REFUSALS)
def test_a_refusal_says_what_to_do(
    gitlab: StubForge, to_gitlab: Forge, answer: Answer, error: type[WinslowError], says: str
) -> None:
    gitlab.next_answers.append(answer)
    refused = refusal(to_gitlab)
    assert type(refused) is error
    assert says in str(refused)
    tell(to_gitlab)  # and the connection is as good as before
    assert len(gitlab.posted) == 1


def test_a_wrong_token_names_the_scopes_of_its_forge(stub: StubForge, client: Forge) -> None:
    stub.next_answers.append(Answer(401))
    scope = {"gitlab": "'api'", "github": "'repo:status'"}.get(stub.kind, "'write:repository'")
    assert scope in str(refusal(client))


def test_the_forge_may_say_how_long_to_wait(gitlab: StubForge, to_gitlab: Forge) -> None:
    gitlab.next_answers.append(Answer(429, None, {"Retry-After": "120"}))
    told = refusal(to_gitlab)
    assert isinstance(told, ForgeUnavailable)
    assert told.after == 120.0


def test_a_commit_that_the_forge_lacks_is_refused_alone(stub: StubForge, client: Forge) -> None:
    """Another status may well pass; so this is no reason to check the repository's address."""
    stub.unknown.add(ONE)
    told = refusal(client)
    assert isinstance(told, StatusRefused)
    assert ONE[:12] in str(told)


@pytest.mark.parametrize("body", ["<html>", {"message": "hello"}, ["a", "b"], [{"id": 4}]])
def test_what_is_no_api_is_said(stub: StubForge, client: Forge, body: object) -> None:
    """A login page, say, answers 200 to anything."""
    stub.next_answers.append(Answer(200, body))
    with pytest.raises(ForgeRefused, match=r"is not the forge's API; check forge.kind and forge.api"):
        client.close_requests("proposals/ulm/1-redo")


def test_a_forge_that_is_not_there_is_unavailable() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/lab/state"
        client = open_forge(ForgeSettings(kind="gitea", url=url), TOKEN, branch="main")
        assert isinstance(refusal(client), ForgeUnavailable)
        client.close()


def test_a_forge_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api, "TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as mute:
        url = f"http://127.0.0.1:{mute.getsockname()[1]}/lab/state"
        client = open_forge(ForgeSettings(kind="gitea", url=url), TOKEN, branch="main")
        assert "did not answer" in str(refusal(client))
        client.close()


@pytest.mark.parametrize(("limit", "value"), [("LARGEST", 100), ("LONGEST", -1.0)])
def test_an_answer_without_end_is_cut_off(
    gitlab: StubForge, to_gitlab: Forge, monkeypatch: pytest.MonkeyPatch, limit: str, value: float
) -> None:
    gitlab.next_answers.append(Answer(200, {"message": "x" * 200_000}))
    with monkeypatch.context() as smaller:
        smaller.setattr(api, limit, value)
        told = refusal(to_gitlab)
    assert isinstance(told, ForgeUnavailable)
    assert "sends an answer without end" in str(told)
    tell(to_gitlab)
    assert len(gitlab.posted) == 1


@pytest.mark.parametrize("code", [301, 302, 307, 308])
def test_a_redirect_never_carries_the_token_elsewhere(
    gitlab: StubForge, to_gitlab: Forge, make_stub: MakeStub, code: int
) -> None:
    elsewhere = make_stub("gitlab")
    gitlab.next_answers.append(Answer(code, None, {"Location": elsewhere.url}))
    told = str(refusal(to_gitlab))
    assert elsewhere.calls == []
    assert "redirects to 127.0.0.1" in told
    assert "forge.url or forge.api" in told


@pytest.fixture
def all_logs(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        yield caplog


@pytest.mark.parametrize("code", [301, 400, 401, 500])
def test_the_token_stands_in_no_log_and_no_message(
    stub: StubForge, client: Forge, all_logs: pytest.LogCaptureFixture, code: int
) -> None:
    """Not even if the forge echoes it."""
    stub.next_answers.extend([Answer(code, {"message": f"bad token {TOKEN} for {ONE}"}, {"Location": "/x"})] * 2)
    said = ""
    try:
        tell(client)
        client.close_requests("proposals/ulm/1-redo")
    except WinslowError:
        said += traceback.format_exc()
    assert TOKEN in str(stub.calls[0].headers)
    assert TOKEN not in said + all_logs.text + repr(client) + repr(vars(client))


@pytest.mark.parametrize("token", ["", "two words", "line\r", "schlüssel"])
def test_a_token_that_can_be_none_is_refused_unshown(token: str) -> None:
    """httpx would quote it in an error."""
    settings = ForgeSettings(kind="gitlab", url="http://127.0.0.1:1/lab/state")
    with pytest.raises(ForgeRefused, match="no token has") as caught:
        open_forge(settings, token, branch="main")
    assert not token or token not in str(caught.value)


@pytest.mark.parametrize("kind", ["gitlab", "github", "gitea"])
@pytest.mark.parametrize("url", ["http://git.example", "http://git.example/alone", "http://[::1/lab/state"])
def test_a_page_that_is_no_repository_is_refused(kind: str, url: str) -> None:
    with pytest.raises(ForgeRefused, match=r"forge\.url"):
        open_forge(ForgeSettings(kind=kind, url=url), TOKEN, branch="main")
