"""Webhooks against a real server: what arrives, how it is signed, what becomes of every answer."""

import base64
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from reconciler.adapters.notify import WebhookSink, webhook
from reconciler.codec.events import event_data
from reconciler.core.desired import Secret, Webhook
from reconciler.core.names import ProjectName
from reconciler.core.status import Offer
from reconciler.errors import BadInput, SecretMissing, Transient, TryLater
from tests.docs.conftest import ROOT, read_page
from tests.notify.conftest import Answer, Certificate, Hook, a_transition, secrets

KEY = Secret("hook-key")


def sink(url: str | Secret, key: Secret | None = None, **known: str) -> WebhookSink:
    return WebhookSink(Webhook(url=url, key=key), secrets(**known))


def test_an_event_arrives_with_everything(hook: Hook) -> None:
    """All that the mail says, as fields; and a text for chats."""
    offer = Offer(branch="proposals/ulm/4-redo", title="Start stage 'detect' again", url="https://git.example/mr/7")
    assert sink(hook.url).deliver(a_transition(offers=(offer,))) == ""
    (request,) = hook.requests
    assert (request.path, request.headers["content-type"]) == ("/hooks/sesame", "application/json")
    assert request.headers["webhook-id"] == request.event["id"] == a_transition().id
    assert "webhook-signature" not in request.headers
    event = request.event
    assert (event["event"], event["project"], event["phase"], event["reason"]) == (
        "project.failed",
        "ulm",
        "Failed",
        "ExitCode",
    )
    assert (event["run"], event["stage"], event["node"], event["at"]) == (4, "detect", "lab-2", "2026-11-23T22:58:00Z")
    assert event["offers"] == [{"branch": offer.branch, "title": offer.title, "url": offer.url}]
    assert event["text"].splitlines() == [
        "ulm: Failed (ExitCode): run 4 (detect) failed: exited with code 1; its log says why",
        "Start stage 'detect' again: merge https://git.example/mr/7",
        "in projects/ulm.yaml write: `next: {stage: detect, after: 4}`",
        "edit: https://git.example/lab/state/-/edit/main/projects/ulm.yaml",
    ]


def test_no_field_is_one_that_chats_take_for_their_own() -> None:
    """Mattermost refuses a ``type`` of its senders', and would take these for orders."""
    assert set(event_data(a_transition())).isdisjoint(
        {"type", "props", "channel", "username", "attachments", "icon_url"}
    )


def checker() -> Any:
    """The function that the documentation gives to receivers."""
    page = read_page(ROOT / "docs/site.md")
    (code,) = [block for block in page.blocks("python") if "def is_genuine" in block]
    found: dict[str, Any] = {}
    exec(code, found)  # noqa: S102  # our own page
    return found["is_genuine"]


@pytest.mark.parametrize("key", ["a long and secret text", "whsec_" + base64.b64encode(bytes(range(24))).decode()])
def test_the_documented_check_accepts_what_we_sign_and_nothing_else(hook: Hook, key: str) -> None:
    """With both kinds of keys."""
    sink(hook.url, KEY, **{"hook-key": key}).deliver(a_transition())
    (request,) = hook.requests
    is_genuine = checker()
    headers = dict(request.headers)
    assert is_genuine(headers, request.body, key)
    assert not is_genuine(headers, request.body + b" ", key)
    assert not is_genuine(headers, request.body, "another key")
    assert not is_genuine({**headers, "webhook-id": "another"}, request.body, key)
    assert not is_genuine({**headers, "webhook-timestamp": str(int(time.time()) - 3600)}, request.body, key)


def test_the_signature_is_the_standards() -> None:
    """The example of the specification."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    assert webhook.sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body) == (
        "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    )


@pytest.mark.parametrize("status", [500, 502, 503, 408, 429])
def test_a_server_in_trouble_is_asked_again(hook: Hook, status: int) -> None:
    hook.answers = [Answer(status, body=b"try  later\n")]
    with pytest.raises(Transient, match=rf"127.0.0.1 answered {status} .*\(try later\)") as error:
        sink(hook.url).deliver(a_transition())
    assert not isinstance(error.value, TryLater)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
def test_a_refusal_is_told_with_the_servers_words(hook: Hook, status: int) -> None:
    hook.answers = [Answer(status, body=b"no_team")]
    with pytest.raises(BadInput, match=rf"127.0.0.1 answered {status} .*\(no_team\)"):
        sink(hook.url).deliver(a_transition())


def test_a_servers_words_do_not_drive_a_terminal() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 400 B\x1b[31mad\r\nContent-Length: 5\r\n\r\n\x1b[2Jx")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(BadInput) as error:
            sink(f"http://127.0.0.1:{server.getsockname()[1]}/x").deliver(a_transition())
        thread.join()
    assert "ad" in str(error.value)
    assert "\x1b" not in str(error.value)


@pytest.mark.parametrize("status", [429, 503])
def test_a_server_says_when_to_come_again(hook: Hook, status: int) -> None:
    soon = format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)
    for header, least, most in (("120", 120, 120), (soon, 400, 600), ("999999", 3600, 3600), ("0", 1, 1)):
        hook.answers = [Answer(status, {"Retry-After": header})]
        with pytest.raises(TryLater) as error:
            sink(hook.url).deliver(a_transition())
        assert least <= error.value.after <= most


def test_a_nonsensical_wish_is_no_wish(hook: Hook) -> None:
    hook.answers = [Answer(503, {"Retry-After": "tomorrow"})]
    with pytest.raises(Transient) as error:
        sink(hook.url).deliver(a_transition())
    assert not isinstance(error.value, TryLater)


def test_nobody_is_redirected(hook: Hook) -> None:
    """A signed event goes where the site's owner said, or nowhere."""
    elsewhere = Hook()
    try:
        hook.answers = [Answer(307, {"Location": elsewhere.url})]
        with pytest.raises(BadInput, match="redirects to another address"):
            sink(hook.url).deliver(a_transition())
        assert elsewhere.requests == []
    finally:
        elsewhere.close()


def test_a_server_that_does_not_answer_is_asked_again(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "TIMEOUT", 0.5)
    hook.answers = [Answer(hang=True)]
    with pytest.raises(Transient, match="gave no answer within"):
        sink(hook.url).deliver(a_transition())


def test_a_server_that_is_not_there_is_asked_again() -> None:
    with pytest.raises(Transient, match=r"127.0.0.1 can't be reached"):
        sink("http://127.0.0.1:9/x").deliver(a_transition())


def test_an_address_may_be_a_secret_and_stays_one(hook: Hook) -> None:
    """Whoever knows a chat's address can write there: no message may hold it."""
    hook.answers = [Answer(404, body=b""), Answer(503), Answer(307, {"Location": "/sesame"})]
    for _ in range(3):
        with pytest.raises((BadInput, Transient)) as error:
            sink(Secret("address"), address=f"{hook.url}\n").deliver(a_transition())
        assert "sesame" not in str(error.value)
    sink(Secret("address"), address=hook.url).deliver(a_transition())
    assert len(hook.requests) == 4


@pytest.mark.parametrize(
    "text", ["", "chat", "ftp://chat.example/x", "http:///x", "https://", "http://a..b/", "http://xn--/", "http://x:y/"]
)
def test_a_secret_that_is_no_address_is_told_without_its_value(text: str) -> None:
    with pytest.raises(BadInput, match="the webhook's url is no address") as error:
        sink(Secret("address"), address=text).deliver(a_transition())
    assert not text or f"'{text}'" not in str(error.value)


def test_a_missing_key_sends_nothing(hook: Hook) -> None:
    with pytest.raises(SecretMissing):
        sink(hook.url, KEY).deliver(a_transition())
    assert hook.requests == []


@pytest.mark.parametrize("key", ["whsec_not base64!", ""])
def test_an_unusable_key_sends_nothing(hook: Hook, key: str) -> None:
    with pytest.raises(BadInput, match="secret 'hook-key'") as error:
        sink(hook.url, KEY, **{"hook-key": key}).deliver(a_transition())
    assert "not base64!" not in str(error.value)
    assert hook.requests == []


def test_the_environments_proxy_is_not_asked(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    sink(hook.url).deliver(a_transition())
    assert len(hook.requests) == 1


def test_a_file_whose_name_is_no_text_is_told_all_the_same(hook: Hook) -> None:
    """Git takes any bytes for a name."""
    odd = a_transition(project=ProjectName("ulm\udcff\n"), name="ulm\udcff\n", path="projects/ulm\udcff.yaml")
    sink(hook.url).deliver(odd)
    assert hook.requests[0].event["text"].startswith("ulm� : Failed (ExitCode)")
    assert hook.requests[0].event["project"] == "ulm?\n"


@pytest.fixture
def secure(certificate: Certificate) -> Iterator[Hook]:
    made = Hook(certificate.context())
    yield made
    made.close()


def test_certificates_are_checked_against_this_machines_authorities(
    secure: Hook, certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A lab's own authority is installed in the system, not in a Python package."""
    with pytest.raises(Transient, match="certificate"):
        sink(secure.url).deliver(a_transition())
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    sink(secure.url).deliver(a_transition())
    assert len(secure.requests) == 1


def test_a_test_event_says_so(hook: Hook) -> None:
    sink(hook.url).deliver(replace(a_transition(), is_test=True))
    assert hook.requests[0].event["event"] == "test"


def test_the_documented_fields_are_the_events() -> None:
    page = read_page(ROOT / "docs/site.md")
    assert page.section("The event").first_cells() == list(event_data(a_transition()))
