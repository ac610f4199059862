"""Mail against a real SMTP server."""

import email
import email.policy
import re
from collections.abc import Iterator
from email.message import EmailMessage
from typing import Any

import pytest
from aiosmtpd.smtp import Envelope

from reconciler.adapters.notify import EmailSink
from reconciler.core.desired import Email, Secret
from reconciler.core.names import ProjectName
from reconciler.core.status import Offer, ProjectPhase
from reconciler.errors import BadInput, SecretMissing, Transient
from tests.notify.conftest import Certificate, Post, a_transition, secrets

ADA, BEN = "ada@lab.example", "ben@lab.example"


def sink(port: int, *, to: tuple[str, ...] = (ADA,), host: str = "127.0.0.1", **fields: Any) -> EmailSink:
    known = {"post": fields.pop("password_is", "open sesame")} if "user" in fields else {}
    password = Secret("post") if "user" in fields else None
    made = Email(to=to, sender="winslow@lab.example", host=host, port=port, password=password, **fields)
    return EmailSink(made, secrets(**known))


def read(envelope: Envelope) -> EmailMessage:
    assert isinstance(envelope.content, bytes)
    found = email.message_from_bytes(envelope.content, policy=email.policy.default)
    assert isinstance(found, EmailMessage)
    return found


def sent(post: Post, **fields: Any) -> EmailMessage:
    sink(post.port).deliver(a_transition(**fields))
    return read(post.mails[-1])


def test_a_mail_says_what_where_and_how_to_go_on(post: Post) -> None:
    """To somebody who reads it in bed."""
    offer = Offer(branch="proposals/ulm/4-redo", title="Start stage 'detect' again", url="https://git.example/mr/7")
    mail = sent(post, offers=(offer,))
    assert mail["Subject"] == "[winslow] ulm: Failed (ExitCode)"
    assert (mail["From"], mail["To"]) == ("winslow@lab.example", ADA)
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert mail.get_content().splitlines() == [
        "Ulm crossing, flight 07 (ulm)",
        "",
        "run 4 (detect) failed: exited with code 1; its log says why",
        "",
        "state   Failed (ExitCode)",
        "run     4 (detect) on lab-2, exit code 1",
        "when    2026-11-23 22:58 UTC",
        "tags    mec-view",
        "log     projects/ulm/runs/0004-detect/1/log.jsonl on the share, or: winslow logs ulm 4",
        "",
        "To go on:",
        "  Start stage 'detect' again: merge https://git.example/mr/7",
        "  or write in projects/ulm.yaml:",
        "    next: {stage: detect, after: 4}",
        "  here: https://git.example/lab/state/-/edit/main/projects/ulm.yaml",
        "",
        "The log's last lines:",
        "  reading frames",
        "  no such camera",
        "",
        "https://git.example/lab/state",
    ]


def test_success_brings_its_results(post: Post) -> None:
    mail = sent(post, phase=ProjectPhase.SUCCEEDED, reason="Finished", results={"vehicles": "412"}, edit=None, url=None)
    lines = mail.get_content().splitlines()
    assert lines[lines.index("Results:") + 1] == "  vehicles = 412"
    assert not {"To go on:", "The log's last lines:"} & set(lines)


def test_the_same_transition_is_the_same_mail_and_a_project_one_thread(post: Post) -> None:
    """Told twice after a crash, a mail program shows it once."""
    first, again, other, elsewhere = (
        sent(post),
        sent(post),
        sent(post, id="f" * 32),
        sent(post, project=ProjectName("jena"), id="e" * 32),
    )
    assert first["Message-ID"] == again["Message-ID"] == "<0123456789abcdef0123456789abcdef@lab.example>"
    assert other["Message-ID"] != first["Message-ID"]
    assert first["References"] == other["References"] == first["In-Reply-To"]
    assert elsewhere["References"] != first["References"]


def test_threads_survive_long_names(post: Post) -> None:
    """A header that has to be folded is no message's id any more."""
    mail = sent(post, project=ProjectName("x" * 63))
    assert re.fullmatch(r"<[0-9a-f]{32}@winslow\.invalid>", mail["References"])
    assert f"References: {mail['References']}\r\n".encode() in (post.mails[0].original_content or b"")


def test_a_host_that_can_be_none_is_told() -> None:
    with pytest.raises(BadInput, match="can't be the name of a host"):
        sink(25, host="a..b").deliver(a_transition())


def test_names_in_any_language_survive(post: Post) -> None:
    mail = sent(post, project=ProjectName("Übergang-北"), name="Übergang 北京 🎥", tail=("naïve",))
    assert mail["Subject"] == "[winslow] Übergang-北: Failed (ExitCode)"
    assert "Übergang 北京 🎥" in mail.get_content()
    assert "naïve" in mail.get_content()


def test_nobody_writes_headers_into_a_mail(post: Post) -> None:
    """Names of broken files are whatever somebody pushed; logs print what they like."""
    evil = "x\r\nBcc: all@lab.example\n\nhello\x1b[31m\udcff"
    mail = sent(post, project=ProjectName(evil), name=evil, reason=evil, message=evil, tail=(evil, "\r\n.\r\nQUIT"))
    assert mail["Bcc"] is None
    assert "Bcc: all@lab.example" in mail["Subject"]
    assert post.mails[0].rcpt_tos == [ADA]
    assert "\x1b" not in mail.get_content()
    assert len(post.mails) == 1


def test_whoever_is_refused_is_told_about_and_the_others_get_it(post: Post) -> None:
    post.refuse = {BEN: "550 no such user"}
    remark = sink(post.port, to=(ADA, BEN)).deliver(a_transition())
    assert "ben@lab.example: no such user; the others were told" in remark
    assert post.mails[0].rcpt_tos == [ADA]


@pytest.mark.parametrize(("answer", "kind"), [("550 no such user", BadInput), ("450 mailbox busy", Transient)])
def test_a_refusal_is_for_good_or_for_now(post: Post, answer: str, kind: type[Exception]) -> None:
    post.refuse = {ADA: answer}
    with pytest.raises(kind, match=rf"127.0.0.1:{post.port} refused: ada@lab.example: {answer[4:]} \({answer[:3]}\)"):
        sink(post.port).deliver(a_transition())


def test_a_server_that_is_not_there_is_asked_again() -> None:
    with pytest.raises(Transient, match=r"127.0.0.1:9 can't be reached: Connection refused"):
        sink(9).deliver(a_transition())


def test_a_server_without_encryption_is_told(post: Post) -> None:
    """Nothing is sent in the clear that was meant to be secret."""
    with pytest.raises(BadInput, match="can't do what this entry asks for"):
        sink(post.port, security="starttls").deliver(a_transition())
    assert post.mails == []


@pytest.fixture(params=["starttls", "tls"])
def secure(request: pytest.FixtureRequest, certificate: Certificate) -> Iterator[tuple[Post, str]]:
    made = Post(certificate.context(), tls_at_once=request.param == "tls")
    yield made, request.param
    made.close()


def test_a_mail_goes_encrypted_and_with_a_password(
    secure: tuple[Post, str], certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    post, security = secure
    sink(post.port, host="localhost", security=security, user="winslow").deliver(a_transition())
    assert post.logins == [(b"winslow", b"open sesame")]
    assert len(post.mails) == 1


def test_a_wrong_password_is_a_refusal(
    secure: tuple[Post, str], certificate: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate.file))
    post, security = secure
    with pytest.raises(BadInput, match="refused: ") as error:
        sink(post.port, host="localhost", security=security, user="w", password_is="wrong").deliver(a_transition())
    assert "wrong" not in str(error.value)


def test_a_strangers_certificate_gets_neither_password_nor_mail(secure: tuple[Post, str]) -> None:
    post, security = secure
    with pytest.raises(Transient, match="does not trust"):
        sink(post.port, host="localhost", security=security, user="winslow").deliver(a_transition())
    assert (post.logins, post.mails) == ([], [])


def test_a_missing_password_sends_nothing(post: Post) -> None:
    entry = Email(to=(ADA,), sender="w@x", host="127.0.0.1", port=post.port, user="w", password=Secret("none"))
    with pytest.raises(SecretMissing):
        EmailSink(entry, secrets()).deliver(a_transition())
    assert post.mails == []
