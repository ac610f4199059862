import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from reconciler.codec.emit import dump_yaml
from reconciler.codec.yaml import compose

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40) | st.text(
    "\n\t x:#'-", max_size=20
)
data = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**18), 10**18) | st.floats(allow_nan=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=15,
)


@given(data=data)
def test_readers_of_yaml_1_1_and_1_2_read_what_was_written(data: object) -> None:
    written = dump_yaml({"data": data})
    assert compose(written.encode(), "f.yaml").data == {"data": data}
    assert yaml.safe_load(written) == {"data": data}


@pytest.mark.parametrize(
    "word", ["no", "1:30", "010", "1e3", "0o17", "y", "N", "~", "", "2024-01-01", "1.5", "<<", "="]
)
def test_text_that_some_reader_takes_for_something_else_is_quoted(word: str) -> None:
    assert dump_yaml({"a": word}) == f"a: '{word}'\n"


def test_output_is_block_style_in_the_given_order_and_never_folded() -> None:
    written = dump_yaml({"b": ["x " * 200 + "end"], "a": {"tail": "one\ntwo\n"}, "empty": []})
    assert written == f"b:\n- {'x ' * 200}end\na:\n  tail: |\n    one\n    two\nempty: []\n"


def test_half_a_surrogate_becomes_the_replacement_character() -> None:
    assert yaml.safe_load(dump_yaml({"a": "x\ud800"})) == {"a": "x\ufffd"}
