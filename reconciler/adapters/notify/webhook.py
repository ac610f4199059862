"""A POST of JSON, signed as Standard Webhooks says (standardwebhooks.com), so that receivers find libraries for it.

The address is asked directly: no proxy of this process' environment, and no redirect that leads a signed event
elsewhere. Messages name the host alone, because in chats the whole address is as good as a password.
"""

import base64
import binascii
import hashlib
import hmac
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

import httpx

from reconciler import __version__
from reconciler.codec.events import dump_event, printable
from reconciler.core.desired import Secret, Webhook
from reconciler.core.transitions import Transition
from reconciler.errors import BadInput, Transient, TryLater

TIMEOUT = 10.0
LONGEST_WAIT = 3600.0
"""Seconds: whoever asks for more patience than this is asked again all the same."""
MARK = "whsec_"
NOT_NOW = (408, 425, 429)


class WebhookSink:
    def __init__(self, webhook: Webhook, read: Callable[[Secret], str]) -> None:
        self._webhook = webhook
        self._read = read

    def deliver(self, transition: Transition) -> str:
        """Transient, TryLater: another time; BadInput: refused; SecretMissing."""
        url = self._url()
        body = dump_event(transition)
        headers = self._headers(transition.id, body)
        try:
            with (
                httpx.Client(trust_env=False, verify=ssl.create_default_context(), timeout=TIMEOUT) as client,
                client.stream("POST", url, content=body, headers=headers) as answer,
            ):
                _judge(answer, url.host)
        except httpx.TimeoutException as error:
            raise Transient(f"{url.host} gave no answer within {TIMEOUT:.0f} seconds") from error
        except httpx.HTTPError as error:
            raise Transient(f"{url.host} can't be reached: {str(error) or type(error).__name__}") from error
        return ""

    def _url(self) -> httpx.URL:
        text = self._webhook.url
        if isinstance(text, Secret):
            text = self._read(text).strip()
        try:
            url = httpx.URL(text)
            usable = url.scheme in ("http", "https") and bool(url.host.encode("idna"))
        except (httpx.InvalidURL, ValueError):  # UnicodeError is one: a host with a part that is empty or too long
            usable = False
        if not usable:
            raise BadInput("the webhook's url is no address such as https://chat.example/hooks/winslow; correct it")
        return url

    def _headers(self, identity: str, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "User-Agent": f"winslow/{__version__}",
            "webhook-id": identity,
            "webhook-timestamp": str(int(time.time())),
        }
        if self._webhook.key is not None:
            key = _key(self._read(self._webhook.key), self._webhook.key.secret)
            headers["webhook-signature"] = sign(key, identity, headers["webhook-timestamp"], body)
        return headers


def sign(key: bytes, identity: str, timestamp: str, body: bytes) -> str:
    content = f"{identity}.{timestamp}.".encode() + body
    return "v1," + base64.b64encode(hmac.digest(key, content, hashlib.sha256)).decode("ascii")


def _key(secret: str, name: str) -> bytes:
    """As the standard writes keys, ``whsec_`` and base64; any other text counts as its bytes."""
    if not secret:
        raise BadInput(f"secret '{name}' is empty; write a key into it")
    if not secret.startswith(MARK):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(MARK), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadInput(f"secret '{name}' begins with {MARK}, but what follows is no base64; correct it") from error


def _judge(answer: httpx.Response, host: str) -> None:
    if answer.is_success:
        return
    if answer.has_redirect_location:
        raise BadInput(f"{host} redirects to another address ({answer.status_code}); write the one that it leads to")
    said = f"{host} answered {answer.status_code} {printable(answer.reason_phrase)}".rstrip() + _words(answer)
    if answer.status_code < 500 and answer.status_code not in NOT_NOW:
        raise BadInput(said)
    after = _seconds(answer.headers.get("Retry-After", ""))
    raise Transient(said) if after is None else TryLater(said, after=after)


def _words(answer: httpx.Response) -> str:
    """The beginning of what it says: chats explain there which part they don't like."""
    try:
        said = next(answer.iter_raw(), b"")[:200].decode(errors="replace")
    except httpx.HTTPError:
        return ""
    line = " ".join(printable(said).split())
    return f" ({line})" if line and not line.startswith("<") else ""


def _seconds(text: str) -> float | None:
    """``Retry-After``: seconds, or a date."""
    try:
        wait = float(text) if text.isdecimal() else (parsedate_to_datetime(text) - datetime.now(UTC)).total_seconds()
    except (ValueError, TypeError):
        return None
    return min(max(wait, 1.0), LONGEST_WAIT)
