"""How a program's bytes become lines of log.jsonl."""

from reconciler.codec.log_lines import LIMIT, Entry, Splitter, decode, stamp_of


def split(*chunks: bytes) -> list[str]:
    splitter = Splitter()
    texts = [text for chunk in chunks for text in splitter.feed(chunk)]
    return texts + list(splitter.finish())


def test_lines_are_put_together_from_any_chunks() -> None:
    data = "größer\n\nsecond line\r\nlast".encode()
    expected = ["größer", "", "second line", "last"]
    assert split(data) == expected
    assert split(*(bytes([byte]) for byte in data)) == expected


def test_a_progress_bar_leaves_only_what_it_showed_last() -> None:
    assert split(b"1 %\r2 %\r", b"100 %\r", b"\nnext\n") == ["100 %", "next"]


def test_a_glimpse_shows_an_unfinished_bar_once() -> None:
    splitter = Splitter()
    assert list(splitter.feed(b"1 %\r2 %\r3")) == []
    assert list(splitter.glimpse()) == ["2 %"]
    assert list(splitter.glimpse()) == []
    assert list(splitter.feed(b" %\r")) == []
    assert list(splitter.glimpse()) == ["3 %"]
    assert list(splitter.feed(b"\ndone\n")) == ["done"]


def test_a_bar_without_an_end_does_not_pile_up() -> None:
    splitter = Splitter()
    texts = [text for number in range(50_000) for text in splitter.feed(b"%d frames\r" % number)]
    assert texts == []
    assert list(splitter.finish()) == ["49999 frames"]


def test_overlong_lines_are_cut_between_characters() -> None:
    line = "é" * LIMIT  # twice as many bytes, and LIMIT itself is even: shift by one
    pieces = split(b"x" + line.encode() + b"\n")
    assert "".join(pieces) == "x" + line
    assert max(len(piece.encode()) for piece in pieces) <= LIMIT


def test_an_overlong_line_is_cut_alike_in_one_chunk_and_in_many() -> None:
    data = b"0123456789" * 20_000 + b"\n"
    assert split(data) == split(*(data[at : at + 16_384] for at in range(0, len(data), 16_384)))


def test_any_text_survives_the_file() -> None:
    entry = Entry(stamp_of(1_795_000_000_000_000_001), "stderr", 'a "b" \\ \x00\x1b\u2028\r\n \U0001f697')
    encoded = entry.encode()
    assert encoded.count(b"\n") == 1
    assert decode(encoded) == entry
    assert entry.stamp.endswith(".000000001Z")


def test_a_torn_or_foreign_line_is_no_entry() -> None:
    whole = Entry(stamp_of(0), "stdout", "x").encode()
    assert decode(whole) is not None
    assert decode(whole[:-1]) is None
    assert decode(b"\0" * 50 + b"\n") is None
    assert decode(b'{"t": 1, "s": "stdout", "l": "x"}\n') is None
    assert decode(b"[]\n") is None
