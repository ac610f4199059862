"""One connection to a forge's API: how it is asked, and what its refusals mean to a person.

Nothing is redirected: a redirect turns a POST into a GET, and may lead the token to another host.
"""

import re
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from reconciler import __version__
from reconciler.errors import ForgeRefused, ForgeUnavailable

TIMEOUT = 10.0
PAGES = 50
"""At most so many pages of a list; a state repository never has thousands of open requests."""
EXCERPT = 200
LARGEST = 16 * 2**20
"""Bytes of an answer, and LONGEST: seconds for all of it. Nobody's server fills our memory or holds us for ever."""
LONGEST = 30.0
AGAIN = 15.0
"""Seconds after which a fault may be over."""
ENCODED = ("content-encoding", "content-length", "transfer-encoding")


class Api:
    def __init__(self, base: str, token: str, headers: Mapping[str, str], *, scopes: str) -> None:
        """``headers`` carry the token; ``scopes`` says which rights a token of this forge needs."""
        if not re.fullmatch(r"[!-~]+", token):
            raise ForgeRefused("the forge's token holds blanks or other characters that no token has; put it alone")
        self._base = base
        self._token = token
        self._scopes = scopes
        agent = {"User-Agent": f"winslow/{__version__}"}
        try:
            self._client = httpx.Client(headers={**agent, **headers}, timeout=TIMEOUT, follow_redirects=False)
        except (OSError, ValueError) as error:  # certificates or a proxy that the environment names
            raise ForgeRefused(f"SSL_CERT_FILE or a proxy in this node's environment can't be used: {error}") from error

    def close(self) -> None:
        self._client.close()

    def get(self, path: str, **params: str) -> Any:
        """What is there; None if nothing is."""
        answer = self._send("GET", path, params=params)
        return None if answer.status_code == 404 else self._parsed(self.checked(answer))

    def pages(self, path: str, number: str, size: str, **params: str) -> Iterator[dict[str, Any]]:
        """Every entry of a list, page by page; ``number`` names an entry's own, ``size`` a page's length.

        The header Link says whether there is more. Its address is not followed: the token goes nowhere else.
        """
        for page in range(1, PAGES + 1):
            answer = self.checked(self._send("GET", path, params={**params, size: "50", "page": str(page)}))
            found = self._parsed(answer)
            if not isinstance(found, list):
                raise self._not_an_api()
            for entry in found:
                if isinstance(entry, dict) and isinstance(entry.get(number), int):
                    yield entry
                elif entry is not None:  # Forgejo: what it can't show
                    raise self._not_an_api()
            if "next" not in answer.links:
                return

    def send(self, method: str, path: str, body: Mapping[str, str]) -> httpx.Response:
        """The answer as it is: the caller knows which refusals are none; the others go through ``checked``."""
        return self._send(method, path, json=dict(body))

    def checked(self, answer: httpx.Response) -> httpx.Response:
        """The answer, if it is a success."""
        code, says = answer.status_code, self.message(answer)
        if answer.is_success:
            return answer
        if answer.is_redirect:
            raise ForgeRefused(
                f"the forge's API at {self._base} redirects to {_host(answer)}; write the address it has now in"
                " winslow.yaml, as forge.url or forge.api"
            )
        if code == 429 or (code == 403 and _is_about_rates(answer, says)):
            raise ForgeUnavailable(f"the forge's API asks for patience ({code} {says})", after=_patience(answer))
        if code == 401:
            raise ForgeRefused(
                f"the forge does not accept the token ({code} {says}): put a valid one into the secret of"
                f" forge.token on every node; it needs {self._scopes}"
            )
        if code == 403:
            raise ForgeRefused(f"the forge's token may not do this ({code} {says}): it needs {self._scopes}")
        if code == 404:
            raise ForgeRefused(
                f"the forge's API at {self._base} does not know the repository ({code} {says}): check forge.url,"
                " forge.kind and forge.api in winslow.yaml, and that the token may see the repository"
            )
        if code >= 500 or code in (408, 409):
            raise ForgeUnavailable(f"the forge's API failed ({code} {says})", after=_patience(answer))
        raise ForgeRefused(f"the forge's API refused a request ({code} {says}); is forge.kind right?")

    def message(self, answer: httpx.Response) -> str:
        """The forge's own words, short, and without the token, whatever it echoes."""
        try:
            found = answer.json()
        except ValueError:
            found = answer.reason_phrase
        if isinstance(found, dict):
            found = found.get("message") or found.get("error_description") or found.get("error") or ""
        words = " ".join(str(found).replace(self._token, "***").split()).removeprefix(f"{answer.status_code} ")
        return words if len(words) <= EXCERPT else words[: EXCERPT - 1] + "…"

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            with self._client.stream(method, self._base + path, **options) as answer:
                return self._whole(answer)
        except httpx.TimeoutException as error:
            raise ForgeUnavailable(
                f"the forge's API at {self._base} did not answer in {TIMEOUT:.0f} s", after=AGAIN
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ForgeUnavailable(f"the forge's API at {self._base} can't be reached: {error}", after=AGAIN) from error

    def _whole(self, answer: httpx.Response) -> httpx.Response:
        """With all of its body, which is decoded by now."""
        body, end = bytearray(), time.monotonic() + LONGEST
        for part in answer.iter_bytes():
            body += part
            if len(body) > LARGEST or time.monotonic() > end:
                raise ForgeUnavailable(f"the forge's API at {self._base} sends an answer without end", after=AGAIN)
        headers = [(name, value) for name, value in answer.headers.multi_items() if name not in ENCODED]
        return httpx.Response(answer.status_code, headers=headers, content=bytes(body), request=answer.request)

    def _parsed(self, answer: httpx.Response) -> Any:
        try:
            return answer.json()
        except ValueError as error:
            raise self._not_an_api() from error

    def _not_an_api(self) -> ForgeRefused:
        return ForgeRefused(
            f"what answers at {self._base} is not the forge's API; check forge.kind and forge.api in winslow.yaml"
        )


def _host(answer: httpx.Response) -> str:
    return urlsplit(answer.headers.get("Location", "")).netloc or "another path"


def _is_about_rates(answer: httpx.Response, says: str) -> bool:
    """GitHub answers 403 to who asks too often, and says so in one of three ways."""
    spent = answer.headers.get("X-RateLimit-Remaining") == "0"
    return spent or "Retry-After" in answer.headers or "rate limit" in says.lower()


def _patience(answer: httpx.Response) -> float:
    """Seconds to wait; where a date stands instead of a number, we ask again as after any fault."""
    asked = answer.headers.get("Retry-After", "")
    return float(asked) if re.fullmatch(r"\d{1,6}", asked) else AGAIN
