"""YAML to plain data with the place of every key and value, safe on anything people or machines write.

An own composer over the parser's events, because PyYAML's loaders crash the process on deep nesting,
keep the last of two equal keys without a word, and read ``no`` as false. It uses no recursion, and
aliases share what they name, so a bomb of aliases costs counting and no memory.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

import yaml

from reconciler.codec.scalars import resolve
from reconciler.codec.yaml_wording import reworded
from reconciler.core.problems import Problem

MAX_BYTES = 1 << 20
MAX_DEPTH = 64
MAX_NODES = 200_000

Path = Sequence[str | int]
"""Keys and list positions from the document's root."""

PARSER: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_CORE = "tag:yaml.org,2002:"
_SCALAR_TAGS: dict[str, tuple[type, ...]] = {
    "str": (str,),
    "int": (int,),
    "float": (float, int),
    "bool": (bool,),
    "null": (type(None),),
}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONFLICT = re.compile("^(?:<{7}|>{7}) ", re.MULTILINE)
_BOTH_SIDES = "a merge left both sides here; keep one of them, and remove the lines of <<<<<<<, ======= and >>>>>>>"
_NEVER_IN_TEXT = re.compile("[\0\ud800-\udfff]")


@dataclass(slots=True, eq=False)
class Node:
    """One value and where it begins. ``text``: how a scalar is written; ``size``: nodes, aliases expanded."""

    value: Any
    line: int
    column: int
    text: str = ""
    size: int = 1
    keys: dict[str, "Node"] = field(default_factory=dict)
    children: dict[str | int, "Node"] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Document:
    root: Node

    @property
    def data(self) -> Any:
        return self.root.value

    def node(self, path: Path) -> Node:
        """The value at ``path``, or the innermost one around it that exists."""
        node = self.root
        for step in path:
            if step not in node.children:
                break
            node = node.children[step]
        return node

    def key(self, path: Path) -> Node:
        """The key that names the value at ``path``; for a list's entry the entry itself."""
        *parent, last = path
        return self.node(parent).keys.get(str(last)) or self.node(path)


class NotYaml(Exception):
    """The bytes are no YAML document that we accept."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = tuple(problems)


def compose(data: bytes, file: str, parser: type[Any] = PARSER) -> Document:
    """Read one document. Raises NotYaml with all that is wrong with its form, and nothing else."""
    composer = _Composer(file)
    text = _decode(data, composer)
    try:
        for event in yaml.parse(text, Loader=parser):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        if conflict := _CONFLICT.search(text):
            composer.stop(*_place(text[: conflict.start()]), _BOTH_SIDES)
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        composer.stop(line, column, reworded(error, text, line, column))
    except (yaml.YAMLError, ValueError, OverflowError):
        # Escapes that stand for no character, and the like: the parser does not say where.
        composer.stop(1, 1, "this is not valid YAML: an escape or tag in it stands for no character")
    if composer.problems:
        raise NotYaml(composer.problems)
    return Document(composer.root or Node(None, 1, 1))


def _decode(data: bytes, composer: "_Composer") -> str:
    if len(data) > MAX_BYTES:
        composer.stop(1, 1, f"the file is longer than {MAX_BYTES:,} bytes; nothing here needs that: split it")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        composer.stop(*_place(before), "this is not UTF-8 text; save the file as UTF-8")
    if found := _UNPRINTABLE.search(text):
        code = f"U+{ord(found.group()):04X}"
        composer.stop(*_place(text[: found.start()]), f"the control character {code} can't stand in YAML; remove it")
    return text.removeprefix("\ufeff")


def _place(before: str) -> tuple[int, int]:
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    node: Node
    anchor: str | None
    key: Node | None = None
    skip: bool = False  # the next value belongs to a key that was refused


class _Composer:
    """Takes the parser's events one by one; ``problems`` are those that let reading go on."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node | None = None
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._nodes = 0
        self._documents = 0

    def report(self, line: int, column: int, message: str) -> None:
        self.problems.append(Problem(file=self.file, line=line, column=column, message=message))

    def stop(self, line: int, column: int, message: str) -> NoReturn:
        self.report(line, column, message)
        raise NotYaml(self.problems)

    def take(self, event: Any) -> None:
        line, column = event.start_mark.line + 1, event.start_mark.column + 1
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self.stop(line, column, "a second document begins here; a file holds one: remove the '---' line")
            case yaml.ScalarEvent():
                self._count(1, line, column)
                node = self._scalar(event, line, column)
                self._add(node, event.anchor, _key_fault(node, plain=not event.style))
            case yaml.AliasEvent():
                self._alias(event, line, column)
            case yaml.SequenceStartEvent() | yaml.MappingStartEvent():
                self._begin(event, line, column)
            case yaml.SequenceEndEvent() | yaml.MappingEndEvent():
                self._end()

    def _count(self, nodes: int, line: int, column: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            self.stop(line, column, f"the file has more than {MAX_NODES:,} values (aliases expanded); split it")

    def _scalar(self, event: Any, line: int, column: int) -> Node:
        text, tag = event.value, event.tag
        plain = not event.style
        if _NEVER_IN_TEXT.search(text):
            self.report(line, column, "this text holds a character that no program accepts (NUL or half a surrogate)")
        if tag is None:
            return Node(resolve(text) if plain else text, line, column, text)
        if tag == "!":
            return Node(text, line, column, text)
        kinds = _SCALAR_TAGS.get(tag.removeprefix(_CORE)) if tag.startswith(_CORE) else None
        value = text if kinds == (str,) else resolve(text)
        if kinds is None or not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
            self._refuse_tag(tag, line, column)
        return Node(value, line, column, text)

    def _refuse_tag(self, tag: str, line: int, column: int) -> None:
        shown = tag.replace(_CORE, "!!")
        self.report(line, column, f"the tag {shown!r} is not used here; remove it and write the value alone")

    def _begin(self, event: Any, line: int, column: int) -> None:
        self._count(1, line, column)
        if len(self._open) >= MAX_DEPTH:
            self.stop(line, column, f"values are nested more than {MAX_DEPTH} deep")
        is_list = isinstance(event, yaml.SequenceStartEvent)
        if event.tag not in (None, "!", _CORE + ("seq" if is_list else "map")):
            self._refuse_tag(event.tag, line, column)
        self._open.append(_Open(Node([] if is_list else {}, line, column), event.anchor))

    def _end(self) -> None:
        done = self._open.pop()
        self._add(done.node, done.anchor, "a key can't be a list or a mapping; check the indentation and brackets")

    def _alias(self, event: Any, line: int, column: int) -> None:
        target = self._anchors.get(event.anchor)
        if target is None:
            self.stop(line, column, f"the alias *{event.anchor} names no value above; write &{event.anchor} before one")
        self._count(target.size, line, column)
        place = Node(None, line, column)
        self._add(target, None, f"a key can't be the alias *{event.anchor}; write it out", place)

    def _add(self, node: Node, anchor: str | None, key_fault: str | None, place: Node | None = None) -> None:
        """Put a finished value where it belongs; ``key_fault``: why it can't be a key, should it stand for one."""
        if anchor is not None:
            self._anchors[anchor] = node
        if not self._open:
            self.root = node
            return
        parent = self._open[-1]
        if isinstance(parent.node.value, list):
            parent.node.children[len(parent.node.value)] = node
            parent.node.value.append(node.value)
        elif parent.key is None and not parent.skip:
            self._take_key(parent, node, key_fault, place or node)
        else:
            if parent.key is not None:
                parent.node.value[parent.key.value] = node.value
                parent.node.children[parent.key.value] = node
            parent.key, parent.skip = None, False
        parent.node.size += node.size

    def _take_key(self, parent: _Open, key: Node, fault: str | None, place: Node) -> None:
        if fault is None and (first := parent.node.keys.get(key.value)):
            fault = f"the key {key.value!r} stands here twice, first in {first.line}:{first.column}; keep one"
        if fault is None:
            parent.node.keys[key.value] = key
            parent.key = key
        else:
            parent.skip = True
            self.report(place.line, place.column, fault)


def _key_fault(node: Node, *, plain: bool) -> str | None:
    if plain and node.value == "<<":
        return "merge keys (<<) are not used here; write the fields out, or put an alias on one value"
    if isinstance(node.value, str):
        return None
    return f'a key must be text: write "{node.text}" in quotes' if node.text else "a key is missing before the ':'"
