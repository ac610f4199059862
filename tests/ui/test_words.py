"""Times, sizes and foreign text as a person reads them."""

from datetime import UTC, datetime, timedelta

import pytest

from readonly_ui import words

NOW = datetime(2026, 11, 4, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("passed", "said"),
    [
        (timedelta(seconds=-30), "just now"),
        (timedelta(seconds=59), "just now"),
        (timedelta(minutes=3, seconds=59), "3 min ago"),
        (timedelta(hours=23, minutes=59), "23 h ago"),
        (timedelta(hours=30), "yesterday"),
        (timedelta(days=12), "12 days ago"),
    ],
)
def test_ago_is_coarse(passed: timedelta, said: str) -> None:
    assert words.ago(NOW - passed, NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(-5, "0 s"), (48, "48 s"), (720, "12 min"), (11520, "3 h 12 min"), (7200, "2 h"), (187200, "2 d 4 h")],
)
def test_a_duration_has_at_most_two_units(seconds: int, said: str) -> None:
    assert words.duration(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("rank 0", "first choice"),
        ("rank 1: emptier", "second choice: emptier"),
        ("rank 10", "11th choice"),
        ("rank 21", "22nd choice"),
        ("drained (nodes/rank 1.yaml)", "drained (nodes/rank 1.yaml)"),
    ],
)
def test_a_rank_reads_as_a_choice(answer: str, said: str) -> None:
    assert words.choice(answer) == said


@pytest.mark.parametrize(
    ("count", "said"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (128 * 1024**3, "128 GiB"), (2**41, "2.0 TiB")]
)
def test_sizes(count: int, said: str) -> None:
    assert words.size(count) == said


def test_plain_text_keeps_lines_and_tabs_and_loses_tricks() -> None:
    assert words.plain("a\tb\nc") == "a\tb\nc"
    assert words.plain("\x1b[1;31mred\x1b[m \x9b2Jclear \x00\x07 \u202eevil\udcff") == "red clear  evil\ufffd"


def test_an_unfinished_escape_does_not_swallow_the_rest() -> None:
    assert words.plain("\x1b]0;title without end\nnext line").endswith("next line")


def test_links_quote_each_part() -> None:
    assert words.link("projects", "a b?#", "runs", 3) == "/projects/a%20b%3F%23/runs/3"
    assert words.link("output", "plots/ä.png") == "/output/plots/%C3%A4.png"


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "//elsewhere", "http://[", "", None])
def test_only_web_addresses_become_links(url: str | None) -> None:
    assert words.web_address(url) is None
