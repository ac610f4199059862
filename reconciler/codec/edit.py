"""People's YAML, changed where asked and nowhere else.

Comments, order, quotes, indentation, styles and line ends stay as they are, because only the meant piece
of text is exchanged (``splice``). The outcome is then read again by the strict parser, and must say what
the old text said plus the changes; else nothing is changed and the person is told what to write where.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from reconciler.codec import splice
from reconciler.codec.flow import flow
from reconciler.codec.spans import Item, Span, spans
from reconciler.codec.splice import Unsafe
from reconciler.codec.yaml import Document, NotYaml, compose
from reconciler.errors import BadInput

BOM = "\ufeff"


@dataclass(frozen=True, slots=True)
class Put:
    """Set a field; mappings on the way are made. A mapping's or list's remaining parts keep their text."""

    path: tuple[str, ...]
    value: object  # str, int, bool, None, list or dict of these


@dataclass(frozen=True, slots=True)
class Drop:
    """Remove a field if it is there; a mapping that becomes empty goes, too."""

    path: tuple[str, ...]


Change = Put | Drop


def edited(text: str, changes: Sequence[Change], *, file: str) -> str:
    """The text after all changes, one after the other. BadInput, saying what to edit by hand, if that is not safe."""
    for change in changes:
        text = _after(text, change, file)
    return text


def _after(text: str, change: Change, file: str) -> str:
    document = _read(text, file)
    if document.data is not None and not isinstance(document.data, dict):
        raise BadInput(f"{file}:1:1: this file can't be edited: it holds no fields such as pipeline: NAME")
    meant = _meant(document.data or {}, change)
    bare = text.removeprefix(BOM)
    try:
        outcome = _changed(bare, change, document.data or {})
        if not _same(_read(outcome, file).data or {}, meant):
            raise Unsafe("the same text means something else, too")  # noqa: TRY301
    except (Unsafe, NotYaml, BadInput) as error:
        why = error if isinstance(error, Unsafe) else "the outcome would be no valid YAML"
        raise BadInput(_by_hand(document, change, file, str(why))) from error
    return text[: len(text) - len(bare)] + outcome


def _read(text: str, file: str) -> Document:
    try:
        return compose(text.encode("utf-8", errors="surrogatepass"), file)
    except NotYaml as error:
        raise BadInput(f"{error.problems[0]}; put that right first") from error


# --- what is meant ---


def _meant(data: dict[str, Any], change: Change) -> dict[str, Any]:
    """The data that the new text must say."""
    name, *rest = change.path
    inner = data.get(name)
    others = {key: value for key, value in data.items() if key != name}
    if not rest:
        return {**others, name: change.value} if isinstance(change, Put) else others
    if not isinstance(inner, dict):
        if isinstance(change, Drop):
            return data
        return {**others, name: _nested(tuple(rest), change.value)}
    deeper = Put(tuple(rest), change.value) if isinstance(change, Put) else Drop(tuple(rest))
    after = _meant(inner, deeper)
    emptied = isinstance(change, Drop) and inner and not after
    return others if emptied else {**others, name: after}


def _nested(path: tuple[str, ...], value: object) -> object:
    for name in reversed(path):
        value = {name: value}
    return value


def _same(one: object, other: object) -> bool:
    """Equal in types as well: ``1`` is neither ``true`` nor ``1.0``."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    return one == other or (one != one and other != other)  # noqa: PLR0124  (not a number)


# --- how ---


def _changed(text: str, change: Change, data: dict[str, Any]) -> str:
    root = spans(text)
    if isinstance(change, Drop):
        return _dropped(text, root, change.path) if root else text
    if root is None:
        return _first_key(text, change)
    if not root.mapping:
        raise Unsafe("it says null instead of fields")
    return _put(text, root, change, data)


def _first_key(text: str, change: Put) -> str:
    return splice.key_at_the_end(text, change.path[0], _nested(change.path[1:], change.value))


def _put(text: str, root: Span, change: Put, data: dict[str, Any]) -> str:
    parent, inner = root, data
    for depth, name in enumerate(change.path):
        _check_own(parent)
        rest = change.path[depth + 1 :]
        item = parent.item(name)
        if item is None:
            return splice.item_added(text, parent, name, _nested(rest, change.value))
        held = inner[name]
        if rest and held is not None:
            if not isinstance(held, dict):
                raise Unsafe(f"{name} holds no fields")
            parent, inner = item.value, held
            continue
        return _value_put(text, change, item, held, _nested(rest, change.value))
    raise AssertionError("a path names at least one field")


def _value_put(text: str, change: Put, item: Item, held: object, value: object) -> str:
    """Parts that stay keep their text; only a value of another kind is written anew."""
    if _same(held, value):
        return text
    if item.value.alias or not held or not value:
        return _replaced(text, item, value)
    if isinstance(held, dict) and isinstance(value, dict):
        path = change.path
        parts = [*(Put((*path, key), one) for key, one in value.items())]
        gone = [Drop((*path, key)) for key in held if key not in value]
        return _stepwise(text, [*parts, *gone])
    if isinstance(held, list) and isinstance(value, list):
        return _list_put(text, change, item, held, value)
    return _replaced(text, item, value)


def _list_put(text: str, change: Put, item: Item, held: list[object], value: list[object]) -> str:
    """One entry less or more at a time; lists in another order are written anew."""
    kept = [entry for entry in held if entry in value]
    if [*kept, *(entry for entry in value if entry not in held)] != value or not kept:
        return _replaced(text, item, value)
    _check_own(item.value)
    gone = next((index for index, entry in enumerate(held) if entry not in value), None)
    if gone is None:
        text = splice.item_added(text, item.value, None, value[len(kept)])
    else:
        _check_free(item.value.items[gone].value)
        text = splice.item_removed(text, item.value, item.value.items[gone])
    return _stepwise(text, [change])


def _stepwise(text: str, changes: Sequence[Change]) -> str:
    for change in changes:
        text = _changed(text, change, compose(text.encode(), "").data or {})
    return text


def _replaced(text: str, item: Item, value: object) -> str:
    _check_free(item.value)
    return splice.value_replaced(text, item, value)


def _dropped(text: str, root: Span, path: tuple[str, ...]) -> str:
    """Takes the outermost mapping that nothing else is in."""
    parent, outer, found = root, root, root.item(path[0])
    for depth, name in enumerate(path):
        item = parent.item(name) if parent.mapping else None
        if item is None:
            return text
        if depth == 0 or len(parent.items) > 1:
            outer, found = parent, item
        if depth < len(path) - 1 or parent is not root:
            _check_own(parent)
        parent = item.value
    assert found is not None  # noqa: S101  (the loop has found it)
    _check_free(found.value)
    if len(outer.items) == 1 and outer.flow:
        return text[: outer.start] + "{}" + text[outer.end :]
    return splice.item_removed(text, outer, found)


def _check_own(span: Span) -> None:
    if span.alias or span.shared:
        raise Unsafe("an anchor (&) shares this value with another place")


def _check_free(span: Span) -> None:
    if any(inner.shared for inner in span.within()):
        raise Unsafe("an alias (*) elsewhere names a part of this value")


def _by_hand(document: Document, change: Change, file: str, why: str) -> str:
    name, *rest = change.path
    line = max(document.key(change.path[:depth]).line for depth in range(1, len(change.path) + 1))
    if isinstance(change, Drop):
        todo = f"remove {'.'.join(change.path)} yourself in line {line}"
    else:
        todo = f"write {name}: {flow(_nested(tuple(rest), change.value))} yourself in line {line}"
    return f"{file}:{line}: this file can't be edited safely: {why}; {todo}"
