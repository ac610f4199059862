"""A person's evening in a real browser: look, follow a log, filter, copy. Debian's Chromium, no network."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import replace
from datetime import UTC, datetime
from threading import Thread
from typing import TYPE_CHECKING, Literal

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from readonly_ui.app import create_app
from readonly_ui.serve import serve
from reconciler.core.status import ProjectPhase
from tests.ui.evening_nodes import measured

if TYPE_CHECKING:
    from tests.ui.conftest import FakeReader

ARGUMENTS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync"
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    chromium = shutil.which("chromium")
    if chromium is None:
        missing = "no browser here: apt-get install chromium"
        if os.environ.get("WINSLOW_REQUIRE_BROWSER") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS.split())
        yield browser
        browser.close()


@pytest.fixture
def site(reader: FakeReader) -> Iterator[str]:
    """The page, served on a port of its own for the time of one test."""
    started: Future[tuple[str, asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def work() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        app = create_app(reader, refresh=0.1)
        await serve(app, "127.0.0.1", 0, stop, ready=lambda where: started.set_result((where, loop, stop)))

    thread = Thread(target=lambda: asyncio.run(work()))
    thread.start()
    where, loop, stop = started.result(10)
    yield where
    loop.call_soon_threadsafe(stop.set)
    thread.join(10)


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """A tab that reports every error on its console."""
    context = browser.new_context(base_url=site, permissions=["clipboard-read", "clipboard-write"])
    context.set_default_timeout(10_000)
    tab = context.new_page()
    said: list[str] = []
    tab.on("console", lambda message: said.append(message.text))
    tab.on("pageerror", lambda error: said.append(str(error)))
    yield tab
    context.close()
    assert said == []


def test_a_person_looks_follows_a_log_and_filters(page: Page, reader: FakeReader) -> None:
    reader.write("loading weights")
    page.goto("/")
    expect(page).to_have_title("(3) Winslow")
    expect(page.get_by_role("heading", name="Needs you")).to_be_visible()

    page.get_by_label("Filter").fill("highway")
    expect(page.locator("tbody tr:visible")).to_have_count(1)
    page.get_by_label("Filter").fill("no such thing")
    expect(page.get_by_text("No project matches the filter.")).to_be_visible()
    page.get_by_label("Filter").fill("")
    expect(page.locator("tbody tr:visible")).to_have_count(8)

    page.locator("#running-ulm-07").get_by_role("link").click()
    lines = page.locator("#log-3 li")
    expect(lines).to_have_count(1)
    page.evaluate("window.same = true")
    reader.write("frame 12 of 48000")
    reader.write("<b>bold</b> exposure jumped", "stderr")

    expect(lines).to_have_count(3)
    expect(lines.nth(2)).to_contain_text("stderr <b>bold</b> exposure jumped")
    assert page.evaluate("window.same"), "the page was loaded again"


def test_what_changes_arrives_and_what_a_person_does_stays(page: Page, reader: FakeReader) -> None:
    page.goto("/")
    page.get_by_text("Last lines of its log").click()
    filter_box = page.get_by_label("Filter")
    filter_box.fill("ulm")
    page.evaluate("scrollTo(0, 200)")
    renamed = [replace(one, name=f"{one.name} (renamed)") for one in reader.now.projects]
    renamed[0] = replace(renamed[0], phase=ProjectPhase.SUCCEEDED)
    reader.now = replace(reader.now, projects=tuple(renamed))

    expect(page.locator("#project-ulm-07")).to_contain_text("Ulm crossing, flight 07 (renamed) Succeeded")
    expect(page.get_by_text("Nothing runs at the moment.")).to_be_visible()
    expect(page.locator("details[open]")).to_contain_text("frame 1200 of 48000")
    expect(filter_box).to_be_focused()
    expect(filter_box).to_have_value("ulm")
    expect(page.locator("tbody tr:visible")).to_have_count(3)
    assert page.evaluate("scrollY") == 200


def test_the_text_to_paste_is_copied(page: Page) -> None:
    page.goto("/")
    with page.expect_response(lambda answer: answer.request.headers.get("x-fragment") == "main"):
        page.locator("#needs-a8-north").get_by_role("button", name="Copy").click()

    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == "next:\n  stage: report\n  after: 3\n"


def test_earlier_lines_are_loaded_above_what_one_reads(page: Page, reader: FakeReader) -> None:
    for number in range(1500):
        reader.write(f"line {number}.")
    page.goto("/projects/ulm-07")
    expect(page.locator("#log-3 li").first).to_contain_text("line 844.")

    page.get_by_role("link", name="Load earlier lines").click()

    expect(page.locator("#log-3 li").first).to_contain_text("line 0.")
    lines = page.locator("#log-3 .lines")
    assert lines.evaluate("it => it.scrollHeight - it.scrollTop - it.clientHeight") < 2


def test_a_lost_server_is_said_and_forgotten_when_it_is_back(page: Page) -> None:
    page.goto("/nodes")
    page.route(
        "**/nodes", lambda route: route.fulfill(status=200, content_type="text/html", body="a proxy's error page")
    )
    expect(page.get_by_text("This page can't reach its server")).to_be_visible()

    page.unroute("**/nodes")

    expect(page.get_by_text("This page can't reach its server")).to_be_hidden()
    expect(page.get_by_role("heading", name="gpu-1")).to_be_visible()


@pytest.mark.parametrize(
    "path", ["/", "/projects/ulm-07", "/projects/ulm-08", "/projects/ulm-01/runs/4", "/nodes", "/nodes/gpu-1"]
)
def test_a_phone_shows_everything_without_scrolling_sideways(page: Page, reader: FakeReader, path: str) -> None:
    reader.measured = measured()
    page.set_viewport_size({"width": 360, "height": 700})
    page.goto(path)

    assert page.evaluate("document.documentElement.scrollWidth") <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_charts_line_is_seen_on_its_sheet(page: Page, reader: FakeReader, scheme: Literal["light", "dark"]) -> None:
    reader.measured = measured(now=datetime.now(UTC))  # the page's clock goes on while the other tests run
    page.emulate_media(color_scheme=scheme)
    page.goto("/nodes/gpu-1")

    line = page.get_by_role("img", name="CPU, Machine").locator("path.line")
    stroke = line.evaluate("it => getComputedStyle(it).stroke")
    sheet = page.locator("figure").first.evaluate("it => getComputedStyle(it).backgroundColor")
    assert abs(brightness(stroke) - brightness(sheet)) > 100
    box = line.bounding_box()
    assert box is not None
    assert box["width"] > 150


def brightness(colour: str) -> float:
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_a_person_looks_for_a_gpu_and_at_its_last_day(page: Page, reader: FakeReader) -> None:
    reader.measured = measured()
    page.goto("/nodes")
    gpus = page.get_by_role("table", name="GPUs of gpu-1")
    expect(gpus.get_by_role("row")).to_contain_text(["Now", "In use ulm-07/0003-detect", "Free", "Faulty", "python"])
    expect(page.get_by_text("AMD EPYC 7302")).to_have_count(3)
    expect(page.get_by_text("AMD EPYC 7302").first).to_be_hidden()
    page.get_by_role("heading", name="gpu-1").get_by_role("link").click()
    expect(page.get_by_role("img")).to_have_count(12)

    page.get_by_text("This machine").click()
    expect(page.get_by_text("AMD EPYC 7302")).to_be_visible()
    page.get_by_role("link", name="Last day").click()

    expect(page).to_have_url(re.compile(r"/nodes/gpu-1\?span=day$"))
    expect(page.get_by_role("img").first).to_contain_text("1 d ago")
    page.goto("/nodes")
    gpus.get_by_role("link", name="ulm-07/0003-detect").click()
    expect(page.get_by_role("heading", name="0003-detect Running")).to_be_visible()


def test_charts_move_on_while_one_looks_and_what_is_unfolded_stays(page: Page, reader: FakeReader) -> None:
    reader.measured = measured()
    page.goto("/nodes/gpu-1")
    page.get_by_text("This machine").click()
    full = {name: (1.0,) * len(values) for name, values in reader.measured.columns.items()}

    reader.measured = replace(reader.measured, columns=full)

    expect(page.locator("#chart-1 figcaption")).to_contain_text("100 % peak 100 %")
    expect(page.get_by_text("AMD EPYC 7302")).to_be_visible()


def test_a_person_sees_why_no_node_takes_the_stage(page: Page) -> None:
    page.goto("/projects/ulm-08")

    answers = page.get_by_role("table", name="Each node's answer").get_by_role("row")
    expect(answers.nth(1)).to_have_text(re.compile(r"gpu-1\s*1 of 4 GPUs free and fitting, needs 2"))
    answers.nth(1).get_by_role("link").click()
    expect(page).to_have_url(re.compile("/nodes/gpu-1$"))


def test_a_report_with_a_script_does_not_run_it(browser: Browser, site: str, reader: FakeReader) -> None:
    reader.files = {"report.html": b"<h1>Report</h1><script>document.title = 'ran'</script>"}
    context = browser.new_context(base_url=site)
    tab = context.new_page()
    tab.goto("/projects/ulm-01/runs/4/output/report.html")

    expect(tab.get_by_role("heading", name="Report")).to_be_visible()
    assert tab.title() != "ran"
    context.close()
