"""Mail over SMTP: one message a transition, one thread a project."""

import hashlib
import platform
import smtplib
import ssl
from collections.abc import Callable
from email.message import EmailMessage
from email.utils import localtime

from reconciler.adapters.notify.letter import body
from reconciler.codec.events import headline, printable
from reconciler.core.desired import Email, Secret
from reconciler.core.transitions import Transition
from reconciler.errors import BadInput, Transient

TIMEOUT = 10.0
PORTS = {"none": 25, "starttls": 587, "tls": 465}


class EmailSink:
    def __init__(self, email: Email, read: Callable[[Secret], str]) -> None:
        self._email = email
        self._read = read

    def deliver(self, transition: Transition) -> str:
        """What it says: whom the server refused, if it took the message for the others.

        Transient: another time; BadInput: refused; SecretMissing.
        """
        email = self._email
        password = self._read(email.password) if email.password is not None else None
        server = f"{email.host}:{self._port}"
        try:
            with self._connect() as smtp:
                if email.user is not None and password is not None:
                    smtp.login(email.user, password)
                refused = smtp.send_message(message(email, transition), email.sender, list(email.to))
        except smtplib.SMTPRecipientsRefused as error:
            raise _refusal(
                server, _words(error.recipients), min(code for code, _ in error.recipients.values())
            ) from error
        except smtplib.SMTPResponseException as error:
            raise _refusal(server, _text(error.smtp_error), error.smtp_code) from error
        except UnicodeError as error:
            raise BadInput(f"'{email.host}' can't be the name of a host; correct it in winslow.yaml") from error
        except smtplib.SMTPNotSupportedError as error:
            raise BadInput(f"{server} can't do what this entry asks for: {error}") from error
        except ssl.SSLCertVerificationError as error:
            raise Transient(
                f"{server} shows a certificate that this machine does not trust ({error.verify_message}); "
                f"write the host as its certificate names it, or install its authority's certificate here"
            ) from error
        except TimeoutError as error:
            raise Transient(f"{server} gave no answer within {TIMEOUT:.0f} seconds") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Transient(f"{server} can't be reached: {getattr(error, 'strerror', None) or error}") from error
        return f"{server} refused: {_words(refused)}; the others were told" if refused else ""

    @property
    def _port(self) -> int:
        return self._email.port or PORTS[self._email.security]

    def _connect(self) -> smtplib.SMTP:
        """Our own name is given: smtplib would ask the name server for it, and wait for ever."""
        host, port, me = self._email.host, self._port, platform.node() or "localhost"
        if self._email.security == "tls":
            context = ssl.create_default_context()
            return smtplib.SMTP_SSL(host, port, local_hostname=me, timeout=TIMEOUT, context=context)
        smtp = smtplib.SMTP(host, port, local_hostname=me, timeout=TIMEOUT)
        if self._email.security == "starttls":
            try:
                smtp.starttls(context=ssl.create_default_context())
            except BaseException:
                smtp.close()
                raise
        return smtp


def message(email: Email, transition: Transition) -> EmailMessage:
    """The same transition has the same Message-ID: mail programs show one that was sent twice once."""
    domain = email.sender.rsplit("@", 1)[-1]
    thread = hashlib.sha256(f"{domain} {transition.project}".encode(errors="replace")).hexdigest()[:32]
    made = EmailMessage()
    made["Subject"] = f"[winslow] {headline(transition)}"
    made["From"] = email.sender
    made["To"] = ", ".join(email.to)
    made["Date"] = localtime()
    made["Message-ID"] = f"<{transition.id}@{domain}>"
    made["In-Reply-To"] = made["References"] = f"<{thread}@winslow.invalid>"  # always short enough for one line
    made["Auto-Submitted"] = "auto-generated"  # no answers from people on holiday
    made.set_content(body(transition), charset="utf-8")
    return made


def _refusal(server: str, said: str, code: int) -> Exception:
    """SMTP: 4xx means "not now", 5xx "not like this"; a connection that broke has no code at all."""
    text = f"{server} refused: {said} ({code})" if code > 0 else f"{server} broke the connection off"
    return BadInput(text) if code >= 500 else Transient(text)


def _words(recipients: dict[str, tuple[int, bytes]]) -> str:
    return "; ".join(f"{address}: {_text(said)}" for address, (_, said) in recipients.items())


def _text(said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join(printable(text).split())[:300]
