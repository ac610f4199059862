"""From a template to a response: escaping, ETags, and the headers that keep a page to itself."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from readonly_ui import words
from reconciler.core.proposals import merge_command

HERE = Path(__file__).parent
STATIC_TYPES = {"page.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}

HEADERS: Mapping[bytes, bytes] = {
    b"content-security-policy": b"default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    b"x-content-type-options": b"nosniff",
    b"referrer-policy": b"no-referrer",
    b"cache-control": b"no-cache",
}


class SafeHeaders:
    """Adds the headers that every response needs, unless a route has set a stricter one itself."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                names = {name.lower() for name, _ in given}
                message["headers"] = [*given, *(pair for pair in HEADERS.items() if pair[0] not in names)]
            await send(message)

        await self._app(scope, receive, send_safely if scope["type"] == "http" else send)


class Renderer:
    """Templates with everything escaped and made plain; ``X-Fragment`` asks for ``<main>`` alone."""

    def __init__(self, *, title: str, refresh: float) -> None:
        self._site = {"title": title, "refresh": refresh}
        self._jinja = Environment(
            loader=FileSystemLoader(HERE / "templates"),
            autoescape=select_autoescape(default=True),
            undefined=StrictUndefined,
            finalize=words.finalize,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        names = ("tone", "spaced", "size", "quoted", "web_address", "log_text", "shell", "choice")
        self._jinja.filters.update({name: getattr(words, name) for name in names})
        self._jinja.globals.update(link=words.link, merge_command=merge_command)

    def __call__(self, request: Request, template: str, *, code: int = 200, **facts: object) -> Response:
        now = datetime.now(UTC)
        body = self._jinja.get_template(template).render(
            site=self._site,
            path=request.url.path,
            fragment="x-fragment" in request.headers,
            ago=lambda then: words.ago(then, now),
            span=lambda began, ended=None: words.duration((ended or now) - began),
            duration=lambda seconds: words.duration(timedelta(seconds=seconds)),
            **facts,
        )
        return tagged(request, body.encode(), "text/html", code=code, headers={"vary": "x-fragment"})


def tagged(
    request: Request, body: bytes, media_type: str, *, code: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """The response, or 304 when the browser holds these very bytes already."""
    etag = f'"{sha256(body).hexdigest()[:32]}"'
    headers = {**(headers or {}), "etag": etag}
    if code == 200 and etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(body, status_code=code, media_type=media_type, headers=headers)


def static_files() -> Mapping[str, bytes]:
    """In memory: neither a hanging share nor a path from outside can come between the page and its style."""
    return {name: (HERE / "static" / name).read_bytes() for name in STATIC_TYPES}
