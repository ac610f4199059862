from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.codec.yaml import MAX_BYTES, MAX_DEPTH, NotYaml, compose

PARSERS = [pytest.param(yaml.CSafeLoader, id="libyaml"), pytest.param(yaml.SafeLoader, id="python")]

words = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
json_like = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False) | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=20,
)


def faults(data: bytes, parser: type[Any]) -> list[str]:
    with pytest.raises(NotYaml) as caught:
        compose(data, "f.yaml", parser)
    return [f"{problem.line}:{problem.column}: {problem.message}" for problem in caught.value.problems]


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("yes", "yes"),
        ("on", "on"),
        ("true", True),
        ("False", False),
        ("010", 10),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("1.", 1.0),
        ("-.inf", float("-inf")),
        ("1:30", "1:30"),
        ("2024-01-01", "2024-01-01"),
        ("1_000", "1_000"),
        ("~", None),
        ("null", None),
        ('"1"', "1"),
        ("'true'", "true"),
        ("!!str 1", "1"),
        ("! 1", "1"),
        ("!!float 1", 1),
        ("9" * 101, "9" * 101),
    ],
)
def test_a_scalar_is_read_as_yaml_1_2_says(text: str, value: object, parser: type[Any]) -> None:
    read = compose(f"a: {text}\n".encode(), "f.yaml", parser).data["a"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize(
    ("data", "fault"),
    [
        (b"a: 1\nb: 2\na: 3\n", "3:1: the key 'a' stands here twice, first in 1:1; keep one"),
        (b"a: 1\n---\nb: 2\n", "2:1: a second document begins here; a file holds one: remove the '---' line"),
        (b"x:\n  <<: {a: 1}\n", "2:3: merge keys (<<) are not used here"),
        (b"1: x\n", '1:1: a key must be text: write "1" in quotes'),
        (b"? [a]\n: 1\n", "1:3: a key can't be a list or a mapping"),
        (b"a: &x k\n*x : 1\n", "2:1: a key can't be the alias *x; write it out"),
        (b"a: *x\n", "1:4: the alias *x names no value above"),
        (b"a: &x [*x]\n", "1:8: the alias *x names no value above"),
        (b"a: !!python/name:os.system x\n", "1:4: the tag '!!python/name:os.system' is not used here"),
        (b"a: !mine x\n", "1:4: the tag '!mine' is not used here"),
        (b"a: !!int x\n", "1:4: the tag '!!int' is not used here"),
        (b"a: !!map [1]\n", "1:4: the tag '!!map' is not used here"),
        (b"a: 1\nb: \xff\n", "2:4: this is not UTF-8 text"),
        (b"a: \x07\n", "1:4: the control character U+0007 can't stand in YAML"),
        (b'a: "\\0"\n', "1:4: this text holds a character that no program accepts"),
        (b"a:\n\t- b\n", "2:1: a tab stands here; YAML is indented with spaces"),
        (b"a: [1, 2\nb: 3\n", "2:2: the '[' opened in 1:4 is not closed: a ',' or ']' is missing"),
        (b"a: 1\nnext: [\n  foo\n", "4:1: the '[' opened in 2:7 is not closed: a ',' or ']' is missing"),
        (b"next: {stage: x\nb: 3\n", "2:2: the '{' opened in 1:7 is not closed: a ',' or '}' is missing"),
        (b"a: b: c\n", "1:5: a ': ' can't stand here"),
        (b"a: @x\n", "1:4: this character can't begin a value here; put the text in quotes"),
        (b"a: 'x\n", "2:1: the file ends inside quotes; write the closing quote"),
        (b"a: 1\nb 2\nc: 3\n", "3:1: a ':' is missing"),
        (b"a: 1\n<<<<<<< HEAD\nb: 2\n=======\nb: 3\n>>>>>>> theirs\n", "2:1: a merge left both sides here"),
        (b"a:\n<<<<<<< HEAD\n  b: 2\n=======\n  b: 3\n>>>>>>> theirs\n", "2:1: a merge left both sides here"),
        (b"a:\n  - 1\n b: 3\n", "3:2: this line does not fit the ones above; check the indentation"),
    ],
)
def test_what_is_no_yaml_of_ours_is_told_with_its_place(data: bytes, fault: str, parser: type[Any]) -> None:
    (told,) = faults(data, parser)
    assert told.startswith(fault)


@pytest.mark.parametrize("parser", PARSERS)
@pytest.mark.parametrize("piece", [b"[", b"{a: ", b"- ", b"? "])
def test_deep_nesting_is_an_error_and_no_crash(piece: bytes, parser: type[Any]) -> None:
    (told,) = faults(piece * (100_000 // len(piece)), parser)
    assert told.endswith(f"values are nested more than {MAX_DEPTH} deep")


def test_nesting_up_to_the_limit_is_read() -> None:
    assert compose(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH, "f.yaml").data
    assert faults(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1), yaml.CSafeLoader)


def test_a_bomb_of_aliases_is_an_error() -> None:
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20)]
    (told,) = faults("\n".join(levels).encode(), yaml.CSafeLoader)
    assert "more than 200,000 values (aliases expanded)" in told


def test_an_alias_stands_for_its_value() -> None:
    assert compose(b"a: &x {k: [1]}\nb: *x\n", "f.yaml").data == {"a": {"k": [1]}, "b": {"k": [1]}}


def test_a_huge_file_is_an_error_before_it_is_read() -> None:
    (told,) = faults(b"#" * (MAX_BYTES + 1), yaml.CSafeLoader)
    assert told == "1:1: the file is longer than 1,048,576 bytes; nothing here needs that: split it"
    assert compose(b"#" * MAX_BYTES, "f.yaml").data is None


def test_all_faults_that_let_reading_go_on_are_told_at_once() -> None:
    assert len(faults(b"a: 1\na: 2\n5: x\nb: !x y\n", yaml.CSafeLoader)) == 3


@pytest.mark.parametrize("parser", PARSERS)
def test_keys_and_values_know_their_places(parser: type[Any]) -> None:
    document = compose(b"\xef\xbb\xbfname: x\nstages:\n  - name: detect\n    gpus: {count: 2x}\n", "f.yaml", parser)
    places = {
        path: ((key := document.key(path)).line, key.column, (node := document.node(path)).line, node.column)
        for path in [("name",), ("stages", 0), ("stages", 0, "gpus", "count"), ("stages", 0, "missing")]
    }
    assert places == {
        ("name",): (1, 1, 1, 7),
        ("stages", 0): (3, 5, 3, 5),
        ("stages", 0, "gpus", "count"): (4, 12, 4, 19),
        ("stages", 0, "missing"): (3, 5, 3, 5),
    }


@pytest.mark.parametrize("parser", PARSERS)
@given(data=st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "replace")))
def test_any_bytes_are_read_or_refused(parser: type[Any], data: bytes) -> None:
    try:
        compose(data, "f.yaml", parser)
    except NotYaml as refused:
        places = [(problem.line, problem.column) for problem in refused.problems]
    else:
        places = [(1, 1)]
    assert places
    assert min(min(place) for place in places) >= 1


@given(text=st.text(alphabet="ab:-[]{}&*!|>'\"#%,? \n<0", max_size=60))
def test_both_parsers_agree_on_what_is_read(text: str) -> None:
    def read(parser: type[Any]) -> object:
        try:
            return compose(text.encode(), "f.yaml", parser).data
        except NotYaml:
            return NotYaml

    ours, fallback = read(yaml.CSafeLoader), read(yaml.SafeLoader)
    if NotYaml not in (ours, fallback):
        assert ours == fallback


@given(data=json_like)
def test_json_like_data_is_read_as_pyyaml_reads_it(data: object) -> None:
    """Quoted, because what PyYAML leaves plain (``1e3``) YAML 1.2 reads differently."""
    written = yaml.safe_dump(data, default_style='"')
    assert compose(written.encode(), "f.yaml").data == yaml.safe_load(written) == data
