"""The page can do nothing but read, and nothing that people or programs wrote can act in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import datetime
from enum import Enum
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from reconciler.core.status import Offer, WaitingFor
from reconciler.readers import LogLine
from tests.ui.evening_nodes import measured

if TYPE_CHECKING:
    from tests.ui.conftest import FakeReader, Get

EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>\x1b[31m\x07\u202e\udc80"
PAGES = (
    "/",
    "/nodes",
    "/nodes/gpu-1",
    "/projects/ulm-07",
    "/projects/ulm-08",
    "/projects/b10-bridge",
    "/projects/ulm-01/runs/4",
    "/projects/b10-bridge/runs/2",
    "/no",
)

LEAD_THERE = frozenset({"ProjectStatus.project", "NodeStatus.node"})


def poisoned(value: Any, *, keep: frozenset[str] = LEAD_THERE) -> Any:
    """The same value with EVIL in every string, but for the names that lead to the pages."""
    if isinstance(value, Enum | datetime):
        return value
    if isinstance(value, str):
        return value + EVIL
    if is_dataclass(value) and not isinstance(value, type):
        names = [one.name for one in fields(value) if f"{type(value).__name__}.{one.name}" not in keep]
        changed = {name: poisoned(getattr(value, name)) for name in names}
        return replace(value, **changed)
    if isinstance(value, tuple):
        return tuple(poisoned(one) for one in value)
    if isinstance(value, Mapping):
        return {poisoned(key): poisoned(one) for key, one in value.items()}
    return value


class Tags(HTMLParser):
    """All elements and attributes that a browser would see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def test_every_route_only_reads(app: Starlette) -> None:
    assert app.routes
    methods = {method for route in app.routes if isinstance(route, Route) for method in route.methods or {"ANY"}}
    assert all(isinstance(route, Route) for route in app.routes)
    assert methods == {"GET", "HEAD"}


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_other_methods_are_refused(get: Get, method: str) -> None:
    assert get("/", method=method).status_code == 405


@pytest.mark.parametrize("path", PAGES)
def test_no_text_from_outside_becomes_markup(reader: FakeReader, get: Get, path: str) -> None:
    reader.now = poisoned(reader.now)
    reader.measured = poisoned(measured())
    reader.files = {f"{EVIL[:-1]}.png": b"", f"{EVIL[:-1]}.csv": b""}
    reader.lines = [LogLine(time=datetime.fromisoformat("2026-11-04T22:00:00+00:00"), stream=EVIL, line=EVIL)]

    html = get(path).text

    tags = Tags()
    tags.feed(html)
    assert "alert(1)" in html or path == "/no"
    assert [attributes for tag, attributes in tags.seen if tag == "script"] == [
        {"src": "/static/page.js", "defer": None}
    ]
    assert not [tag for tag, attributes in tags.seen if any(name.startswith("on") for name in attributes)]
    assert not [tag for tag, attributes in tags.seen if "style" in attributes or attributes.get("src") == "x"]
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", html)


def test_the_poison_is_in_every_field(reader: FakeReader) -> None:
    """Guards the test above: a field it forgets would never fail there."""
    text = repr(poisoned(reader.now))

    assert text.count("alert(1)") > 300
    assert repr(poisoned(WaitingFor(reason="a", message="b", edit="c", url="d"))).count("<script>") == 4


def test_a_link_is_only_made_of_web_addresses(reader: FakeReader, get: Get) -> None:
    waiting = WaitingFor(reason="Confirm", message="Look.", url="javascript:alert(1)")
    offers = (Offer(branch="proposals/ulm/1-continue", title="Go on", url="javascript:alert(2)"),)
    changed = tuple(replace(one, waiting_for=waiting, offers=offers) for one in reader.now.projects)
    reader.now = replace(reader.now, projects=changed)

    assert "javascript:" not in get("/").text


@pytest.mark.parametrize("path", [*PAGES, "/api/status", "/healthz", "/static/page.js", "/projects/ulm-07/runs/3/log"])
def test_every_response_carries_the_safe_headers(get: Get, path: str) -> None:
    headers = get(path).headers

    assert headers["content-security-policy"].startswith("default-src 'none'")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize("path", PAGES)
def test_the_page_needs_nothing_from_elsewhere(reader: FakeReader, get: Get, path: str) -> None:
    tags = Tags()
    tags.feed(get(path).text)

    loaded = [value for _, attributes in tags.seen for name, value in attributes.items() if name == "src"]
    loaded += [attributes["href"] for tag, attributes in tags.seen if tag == "link"]
    assert loaded
    assert all(value and value.startswith("/") for value in loaded)
    assert "://" not in get("/static/page.css").text + get("/static/page.js").text


@pytest.mark.parametrize(
    ("name", "media_type", "how"),
    [
        ("report.html", "text/html; charset=utf-8", "inline"),
        ("plot.svg", "image/svg+xml", "inline"),
        ("counts.csv", "text/plain; charset=utf-8", "inline"),
        ("tracks.bin", "application/octet-stream", "attachment"),
        ("run.js", "application/octet-stream", "attachment"),
        ("page.xhtml", "application/octet-stream", "attachment"),
    ],
)
def test_a_stages_files_are_shown_in_a_sandbox_or_downloaded(
    reader: FakeReader, get: Get, name: str, media_type: str, how: str
) -> None:
    reader.files = {name: b"<script>fetch('/api/status')</script>"}

    headers = get(f"/projects/ulm-01/runs/4/output/{name}").headers

    assert headers["content-type"] == media_type
    assert headers["content-disposition"].startswith(how)
    assert headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert headers["x-content-type-options"] == "nosniff"
