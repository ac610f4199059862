"""Logs as text and as pages to follow; output files with ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

from readonly_ui.logs import PAGE
from reconciler.errors import ShareUnavailable

if TYPE_CHECKING:
    from tests.ui.conftest import FakeReader, Get

LOG = "/projects/ulm-07/runs/3/log"


def test_the_whole_log_is_plain_text_however_long(reader: FakeReader, get: Get) -> None:
    many = 3 * PAGE // 100
    for number in range(many):
        reader.write(f"line {number}")

    answer = get(LOG)

    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.splitlines() == [f"line {number}" for number in range(many)]


def test_an_empty_log_is_an_empty_text(get: Get) -> None:
    answer = get(LOG)

    assert (answer.status_code, answer.text) == (200, "")


def test_a_log_that_breaks_off_says_so(reader: FakeReader, get: Get) -> None:
    for number in range(PAGE // 100 + 5):
        reader.write(f"line {number}")
    log = reader.log

    def first_page_only(*names: object, offset: int = 0, limit: int = 0) -> object:
        if offset > 0:
            raise ShareUnavailable("/mnt/share is not mounted")
        return log(*names, offset=offset, limit=limit)  # type: ignore[arg-type]

    reader.log = first_page_only  # type: ignore[method-assign,assignment]

    assert get(LOG).text.splitlines()[-1] == "[winslow] the log can't be read further now: /mnt/share is not mounted"


def test_following_gives_only_what_is_new(reader: FakeReader, get: Get) -> None:
    reader.write("first")
    page = get(f"{LOG}?offset=0").json()
    reader.write("second", "stderr")
    reader.log_ended = True

    following = get(f"{LOG}?offset={page['next_offset']}").json()

    assert [line["l"] for line in page["lines"]] == ["first"]
    assert not page["ended"]
    assert [(line["s"], line["l"]) for line in following["lines"]] == [("stderr", "second")]
    assert following["ended"]


def test_terminal_tricks_are_gone_from_log_lines(reader: FakeReader, get: Get) -> None:
    reader.write("\x1b[31mred\x1b[0m \x1b]8;;http://x\x07link\x1b]8;;\x07")
    reader.write("10 %\r20 %\r30 %\r\n")

    assert get(LOG).text == "red link\n30 %\n"
    assert [line["l"] for line in get(f"{LOG}?offset=0").json()["lines"]] == ["red link", "30 %"]


def test_an_offset_that_is_no_number_is_refused_in_words(get: Get) -> None:
    answer = get(f"{LOG}?offset=abc")

    assert answer.status_code == 400
    assert "offset must be a whole number" in answer.text


def test_a_long_log_shows_its_end_and_a_way_to_earlier_lines(reader: FakeReader, get: Get) -> None:
    for number in range(2000):
        reader.write(f"line {number}.")

    html = get("/projects/ulm-07").text
    more = get("/projects/ulm-07?tail=262144").text

    assert "line 1999." in html
    assert "line 1000." not in html
    assert 'href="?tail=262144#log-3"' in html
    assert "line 0." in more
    assert "Load earlier" not in more


def test_a_part_of_an_output_file_can_be_asked_for(reader: FakeReader, get: Get) -> None:
    reader.files = {"clip.mp4": bytes(range(100))}

    answer = get("/projects/ulm-01/runs/4/output/clip.mp4", range="bytes=10-19")

    assert answer.status_code == 206
    assert answer.content == bytes(range(10, 20))


def test_a_file_that_does_not_exist_is_a_404_in_words(get: Get) -> None:
    answer = get("/projects/ulm-01/runs/4/output/gone.csv")

    assert answer.status_code == 404
    assert "run 4 has no output file gone.csv" in answer.text
