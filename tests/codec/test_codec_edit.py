"""People's files are changed where asked; every other line stays byte for byte, or nothing is changed."""

import random
import re
from typing import Any

import pytest
import yaml
from hypothesis import assume, given
from hypothesis import strategies as st

from reconciler.codec.edit import Change, Drop, Put, edited
from reconciler.codec.editors import schema_line
from reconciler.codec.flow import flow
from reconciler.codec.validate import Kind
from reconciler.codec.yaml import PARSER, compose
from reconciler.errors import BadInput

FILE = "projects/ulm.yaml"
LINE_BREAK = re.compile("\r\n|\n")
NEXT = Put(("next",), {"stage": "track", "after": 3})


def after(text: str, *changes: Change) -> str:
    return edited(text, changes, file=FILE)


def data(text: str) -> Any:
    return compose(text.encode(), FILE).data


PERSONS = """\
# yaml-language-server: $schema=../.winslow/schemas/project.schema.json
# Flight 07: fog until 9:30
name:   'Ulm crossing, flight 07'   # as on the map
pipeline: traffic-flow

tags: [ mec-view,4k ]
inputs:
- resources/ulm/flight-07.mp4   # 12 GB
- input/mask.png
environment: { THRESHOLD: "0.45",   A: {secret: key} }
stages:
    detect:  {requires: {gpus: {count: 2}}}
description_is_long: &x {LINE: "%s"}
next:
  # try it without the mask
  stage: detect   # not track
  after: 2
""" % ("word " * 60)


def test_only_the_meant_lines_of_a_persons_file_change() -> None:
    changed = after(PERSONS, NEXT, Put(("environment", "THRESHOLD"), "0.5"), Drop(("tags",)))
    expected = PERSONS.replace("stage: detect ", "stage: track ").replace("after: 2", "after: 3")
    expected = expected.replace('"0.45"', '"0.5"').replace("tags: [ mec-view,4k ]\n", "")
    assert changed == expected


def test_next_is_written_as_the_documentation_shows_it() -> None:
    assert after("pipeline: a\n", NEXT) == "pipeline: a\nnext: {stage: track, after: 3}\n"


def test_a_next_in_block_style_keeps_its_style_and_remarks() -> None:
    before = "next:\n  # why\n  stage: detect  # s\n  after: 2\n  then: pause\n# end\npaused: true\n"
    assert after(before, NEXT) == "next:\n  # why\n  stage: track  # s\n  after: 3\n# end\npaused: true\n"


def test_fields_are_added_to_a_next_in_its_own_style() -> None:
    put = Put(("next",), {"stage": "a", "after": 1, "then": "pause"})
    assert after("next:\n    stage: a\n    after: 1\n", put) == "next:\n    stage: a\n    after: 1\n    then: pause\n"
    assert after("next: { stage: a,after: 1 }\n", put) == "next: { stage: a,after: 1, then: pause }\n"


@pytest.mark.parametrize("line_break", ["\n", "\r\n"])
@pytest.mark.parametrize("end", [True, False])
def test_line_breaks_and_a_missing_last_one_stay(line_break: str, end: bool) -> None:
    before = line_break.join(["a: 1", "b: {x: 1}", "c: [1]"]) + (line_break if end else "")
    changed = after(before, NEXT, Drop(("b",)))
    lines = ["a: 1", "c: [1]", "next: {stage: track, after: 3}"]
    assert changed == line_break.join(lines) + (line_break if end else "")


def test_removing_the_last_line_leaves_the_missing_line_break_missing() -> None:
    assert after("a: 1\r\nb:\r\n  c: 1", Drop(("b",))) == "a: 1"


def test_a_byte_order_mark_stays() -> None:
    assert after("\ufeffa: 1\n", Put(("a",), 2)) == "\ufeffa: 2\n"


def test_a_change_that_is_there_already_changes_nothing() -> None:
    before = "next: {after: 0x3, stage: 'track'}  # soon\n"
    assert after(before, NEXT, Put(("next", "after"), 3), Drop(("abort",)), Drop(("next", "id"))) == before


def test_a_mapping_that_becomes_empty_goes_with_its_last_field() -> None:
    before = "a: 1\nstages:\n  detect:\n    environment:\n      X: 1\n# end\n"
    assert after(before, Drop(("stages", "detect", "environment", "X"))) == "a: 1\n# end\n"
    assert after("a: {b: {c: 1}, d: 2}\n", Drop(("a", "b", "c"))) == "a: {d: 2}\n"


def test_mappings_on_the_way_are_made() -> None:
    put = Put(("stages", "detect", "environment", "X"), "1")
    assert after("a: 1\n", put) == 'a: 1\nstages: {detect: {environment: {X: "1"}}}\n'
    assert after("stages:\na: 1\n", put) == 'stages: {detect: {environment: {X: "1"}}}\na: 1\n'
    assert after("stages:\n  track: {}\n", put) == 'stages:\n  track: {}\n  detect: {environment: {X: "1"}}\n'
    assert after("stages: {detect: {}}\n", put) == 'stages: {detect: {environment: {X: "1"}}}\n'


def test_lists_lose_and_gain_entries_and_keep_the_others_text() -> None:
    block = "tags:\n  - a   # first\n  - 'b'\n"
    assert after(block, Put(("tags",), ["a", "c"])) == "tags:\n  - a   # first\n  - c\n"
    assert after("tags: [ a,  'b' ]\n", Put(("tags",), ["b", "c d"])) == "tags: [ 'b', c d ]\n"
    assert after(block, Put(("tags",), ["z"])) == "tags: [z]\n"
    assert after(block, Put(("tags",), ["b", "a"])) == "tags: [b, a]\n"


def test_remarks_in_brackets_over_several_lines_stay() -> None:
    before = 'environment: {\n  A: "1",  # first\n  B: "2"   # second\n}\n'
    changed = after(before, Put(("environment", "C"), "3"), Drop(("environment", "A")))
    assert changed == 'environment: {\n  # first\n  B: "2", C: "3"   # second\n}\n'


@pytest.mark.parametrize(
    "word", ["0.5", "no", "1e3", "0x10", "", "1:30", "010", "~", "null", "y", "a: b", "#x", "-", "="]
)
def test_text_that_could_be_read_as_something_else_is_quoted(word: str) -> None:
    changed = after("a: 1\n", Put(("environment", "X"), word))
    assert changed == f'a: 1\nenvironment: {{X: "{word}"}}\n'


def test_a_values_quotes_are_kept() -> None:
    before = "a: 'x'\nb: \"x\"\nc: x\n"
    changed = after(before, Put(("a",), "it's"), Put(("b",), "z"), Put(("c",), "z"))
    assert changed == "a: 'it''s'\nb: \"z\"\nc: z\n"


def test_remarks_that_belong_to_the_last_field_stay_with_it() -> None:
    before = "stages:\n  detect:\n    timeout: 1h\n    # or 2h?\n# end\n"
    assert after(before, NEXT) == before.replace("# end", "next: {stage: track, after: 3}\n# end")


def test_files_without_a_word_get_their_first_one() -> None:
    assert after("", NEXT) == "next: {stage: track, after: 3}\n"
    assert after("# why", NEXT) == "# why\nnext: {stage: track, after: 3}\n"
    assert after("{}\n", NEXT) == "{next: {stage: track, after: 3}}\n"


def test_an_alias_is_replaced_and_what_it_names_stays() -> None:
    before = "environment: &e {A: x}\nstages: {d: {environment: *e}}\n"
    changed = after(before, Put(("stages", "d", "environment"), {"A": "z"}))
    assert changed == "environment: &e {A: x}\nstages: {d: {environment: {A: z}}}\n"


REFUSED: list[tuple[str, Change, str]] = [
    ("a: &e {A: x}\nb: *e\n", Put(("a", "A"), "z"), "{A: z}"),
    ("a: &e {A: x}\nb: *e\n", Put(("b", "A"), "z"), "write b: {A: z} yourself in line 2"),
    ("a: &e {A: x}\nb: *e\n", Drop(("a",)), "remove a yourself in line 1"),
    ("a: &e {A: x, B: z}\nb: *e\n", Drop(("b", "A")), "remove b.A yourself"),
    ("a: &e {A: x, B: z}\nb: *e\n", Put(("a",), "y"), "an alias (*) elsewhere"),
    ("a: 1\na: 2\n", NEXT, "put that right first"),
    ("a: 1\n---\nb: 2\n", NEXT, "ulm.yaml:2:1: a second document"),
    ("base: &b {x: 1}\nc: {<<: *b}\n", NEXT, "merge keys"),
    ("a:\n\tb: 1\n", NEXT, "ulm.yaml:2:1"),
    ("a: [\n", NEXT, "put that right first"),
    ("- a\n- b\n", NEXT, "it holds no fields"),
    ("a: text\n", Put(("a", "b"), 1), "a holds no fields; write a: {b: 1} yourself in line 1"),
    ("? a\n: b\n", Drop(("a",)), "yourself in line 1"),
    ("a: 1\n...\n# end\n", Put(("a",), "\ud800"), "yourself in line 1"),
    ("a: !!set {x}\n", NEXT, "the tag"),
    ("&a\n", NEXT, "null instead of fields; write next: {stage: track, after: 3}"),
]


@pytest.mark.parametrize(("text", "change", "told"), REFUSED)
def test_what_cannot_be_edited_safely_is_refused_with_the_place(text: str, change: Change, told: str) -> None:
    with pytest.raises(BadInput) as refused:
        after(text, change)
    assert told in str(refused.value)
    assert str(refused.value).startswith(f"{FILE}:")


def test_the_check_notices_a_wrong_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """The outcome is read again, so a fault in the cutting can never reach a file."""
    monkeypatch.setattr("reconciler.codec.splice.value_replaced", lambda source, item, value: source + "other: 1\n")
    with pytest.raises(BadInput, match=r"can't be edited safely.*write a: 2 yourself in line 1"):
        after("a: 1\n", Put(("a",), 2))


@pytest.mark.parametrize(
    ("path", "way"),
    [("projects/a.yaml", "../"), ("projects/ulm/may/a.yaml", "../../../"), ("winslow.yaml", "")],
)
def test_the_schemas_line_leads_from_the_file_to_the_schema(path: str, way: str) -> None:
    assert schema_line(Kind.PROJECT, path) == (
        f"# yaml-language-server: $schema={way}.winslow/schemas/project.schema.json"
    )


# --- files as people might write them ---

WORDS = [
    "a",
    "b",
    "stage",
    "after",
    "x y",
    "no",
    "1.5",
    "0x10",
    "äöü",
    "it's",
    'say "x"',
    "",
    "long " * 30,
    "{",
    "#",
    ": ",
]
NAMES = ["next", "environment", "stage", "A", "B", "tags", "x y", "ü"]
scalars = st.sampled_from([*WORDS, 1, 10, True, False, None])
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=8,
)
files = st.dictionaries(st.sampled_from(NAMES), values, max_size=6)
paths = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(tuple)
changes = st.builds(Put, paths, values) | st.builds(Drop, paths)


class Writer:
    """Lays data out as carelessly as people do; ``luck`` decides what stands where."""

    def __init__(self, luck: random.Random) -> None:
        self.luck = luck

    def file(self, fields: dict[str, Any]) -> str:
        start = self.luck.choice(["", "# one\n", "---\n", "\n\n# two\n"])
        body = "".join(self.block(fields, self.luck.choice([0, 0, 2]))) if fields else self.luck.choice(["", "{}\n"])
        text = start + body + self.luck.choice(["", "# end\n", "\n\n"])
        text = text if self.luck.random() < 0.7 else text.removesuffix("\n")
        return text.replace("\n", self.luck.choice(["\n", "\n", "\r\n"]))

    def block(self, fields: dict[str, Any], indent: int) -> list[str]:
        lines: list[str] = []
        for name, value in fields.items():
            lines += self.between(indent)
            lines += self.field(" " * indent + flow(name) + self.luck.choice([":", " :"]), value, indent)
        return lines

    def field(self, begin: str, value: Any, indent: int) -> list[str]:
        if value and isinstance(value, dict | list) and self.luck.random() < 0.6:
            deeper = indent + self.luck.choice([1, 2, 4])
            head = begin + self.remark() + "\n"
            if isinstance(value, dict):
                return [head, *self.block(value, deeper)]
            dash = " " * self.luck.choice([indent, deeper]) + self.luck.choice(["- ", "-   "])
            return [
                head,
                *(part for one in value for part in [*self.between(deeper), dash + self.one_line(one) + "\n"]),
            ]
        return [begin + self.luck.choice([" ", "  "]) + self.one_line(value) + self.remark() + "\n"]

    def one_line(self, value: Any) -> str:
        space = self.luck.choice(["", " "])
        if isinstance(value, dict):
            return (
                "{"
                + space
                + ", ".join(f"{flow(key)}: {self.one_line(one)}" for key, one in value.items())
                + space
                + "}"
            )
        if isinstance(value, list):
            return "[" + space + f",{space}".join(map(self.one_line, value)) + space + "]"
        if isinstance(value, str) and value.isprintable() and self.luck.random() < 0.3:
            return "'" + value.replace("'", "''") + "'"
        return flow(value)

    def remark(self) -> str:
        return self.luck.choice(["", "", "   # why: {not} [this]"])

    def between(self, indent: int) -> list[str]:
        return self.luck.choice([[], [], [" " * indent + "# above\n"], ["\n"], ["# left\n"]])


written = st.builds(lambda fields, luck: Writer(luck).file(fields), files, st.randoms(use_true_random=False))


def expected(fields: dict[str, Any], change: Change) -> dict[str, Any]:
    """Written apart from the code: what the file says afterwards."""
    way = [fields]
    for name in change.path[:-1]:
        inner = way[-1].get(name)
        if not isinstance(inner, dict):
            if isinstance(change, Drop):
                return fields
            assume(inner is None)
            inner = way[-1][name] = {}
        way.append(inner)
    if isinstance(change, Put):
        way[-1][change.path[-1]] = change.value
    elif change.path[-1] in way[-1]:
        del way[-1][change.path[-1]]
        for depth in range(len(way) - 1, 0, -1):
            if not way[depth]:
                del way[depth - 1][change.path[depth - 1]]
    return fields


@given(text=written, change=changes)
def test_every_carelessly_written_file_says_what_was_meant_afterwards(text: str, change: Change) -> None:
    """None of these is refused: nothing in them is shared."""
    wanted = expected(data(text) or {}, change)
    changed = after(text, change)
    assert (data(changed) or {}) == wanted
    assert (yaml.safe_load(changed) is None) == (not wanted) or wanted == {}


@given(text=written, change=changes)
def test_lines_that_are_not_meant_stay_byte_for_byte(text: str, change: Change) -> None:
    fields = data(text) or {}
    expected(data(text) or {}, change)  # leaves out what is refused
    lines, kept = LINE_BREAK.split(text), LINE_BREAK.split(after(text, change))
    first, last = extent(text, fields, change.path[0])
    left = iter(kept)
    assert all(line in left for line in [*lines[:first], *lines[last:]])  # and in the same order


@given(text=written, change=changes)
def test_all_lines_end_as_they_did(text: str, change: Change) -> None:
    expected(data(text) or {}, change)
    breaks = set(LINE_BREAK.findall(text)) or {"\n"}
    assert set(LINE_BREAK.findall(after(text, change))) <= breaks


def extent(text: str, fields: dict[str, Any], name: str) -> tuple[int, int]:
    """The lines of a field at the top, by the parser's own marks."""
    root: Any = yaml.compose(text, Loader=PARSER)
    if getattr(root, "flow_style", False):
        return 0, text.count("\n") + 1
    if name not in fields:
        return 0, 0
    key, value = next((key, value) for key, value in root.value if key.value == name)
    return key.start_mark.line, max(value.end_mark.line, key.end_mark.line) + (value.end_mark.column > 0)


@given(text=written, change=changes)
def test_the_same_change_again_changes_nothing(text: str, change: Change) -> None:
    expected(data(text) or {}, change)
    once = after(text, change)
    assert after(once, change) == once


@given(value=values, place=st.sampled_from(["a: {}\n", "", "a:\n  b: 1\n", "a: {c: 'd'}\n"]))
def test_every_value_is_read_back_by_us_and_by_others(value: Any, place: str) -> None:
    changed = after(place, Put(("a", "b"), value))
    assert data(changed)["a"]["b"] == value
    assert yaml.safe_load(changed)["a"]["b"] == value


@given(st.text(max_size=30))
def test_any_text_is_read_back_or_refused(word: str) -> None:
    try:
        changed = after("a: 'x'\nb: x\n", Put(("a",), word), Put(("b",), word))
    except BadInput:
        assert "\0" in word
        return
    assert data(changed) == {"a": word, "b": word}
    assert yaml.safe_load(changed) == {"a": word, "b": word}


@given(st.text(alphabet="ab:{}[],-#&*|>\"' \n\t\r!?%", max_size=40), changes)
def test_no_text_at_all_breaks_it(text: str, change: Change) -> None:
    """Answers are a file that says what was meant, or a message with the place."""
    try:
        changed = after(text, change)
    except BadInput as refused:
        assert str(refused).startswith(f"{FILE}:")  # noqa: PT017
        return
    assert data(changed) is None or isinstance(data(changed), dict)
