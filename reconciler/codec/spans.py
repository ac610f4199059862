"""Where in the text each value of a YAML document stands: what ``edit`` cuts and pastes by.

Offsets come from the parser's events. The text has passed ``yaml.compose`` before: it is one document,
not too deep, without duplicate or odd keys.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from reconciler.codec.yaml import PARSER


@dataclass(slots=True, eq=False)
class Span:
    """One value; ``text[start:end]``. A block collection begins at its first key or dash's value.

    ``shared``: an alias elsewhere means this very value. ``alias``: it is one itself.
    """

    start: int
    end: int
    mapping: bool = False
    sequence: bool = False
    flow: bool = False
    shared: bool = False
    alias: bool = False
    items: list["Item"] = field(default_factory=list)

    def item(self, key: str) -> "Item | None":
        return next((item for item in self.items if item.name == key), None)

    def within(self) -> Iterator["Span"]:
        """This value and all that are written in it."""
        yield self
        for item in self.items:
            yield from item.value.within()


@dataclass(slots=True, eq=False)
class Item:
    """A key with its value, or an entry of a list (then ``key`` is None)."""

    value: Span
    key: Span | None = None
    name: str | None = None

    @property
    def start(self) -> int:
        return (self.key or self.value).start

    @property
    def end(self) -> int:
        return max(self.value.end, self.key.end if self.key else 0)


def spans(text: str) -> Span | None:
    """The root value's span; None if the document is empty."""
    events: list[Any] = list(yaml.parse(text, Loader=PARSER))
    aliased = {event.anchor for event in events if isinstance(event, yaml.AliasEvent) and event.anchor}
    reader = _Reader(text, iter(events), aliased)
    for event in reader.events:
        if isinstance(event, yaml.DocumentStartEvent):
            root = reader.value(next(reader.events))
            return None if root.start == root.end else root
    return None


@dataclass(frozen=True, slots=True)
class _Reader:
    text: str
    events: Iterator[Any]
    aliased: set[str]

    def value(self, event: Any) -> Span:
        span = Span(event.start_mark.index, event.end_mark.index)
        span.alias = isinstance(event, yaml.AliasEvent)
        span.shared = not span.alias and event.anchor in self.aliased
        span.mapping = isinstance(event, yaml.MappingStartEvent)
        span.sequence = isinstance(event, yaml.SequenceStartEvent)
        if span.mapping or span.sequence:
            self._fill(span, event)
        elif not span.alias and event.style in ("|", ">"):
            span.end = self._without_space(span)
        return span

    def _fill(self, span: Span, begin: Any) -> None:
        span.flow = bool(begin.flow_style)
        for event in self.events:
            after: int = event.end_mark.index
            if isinstance(event, yaml.CollectionEndEvent):
                # A block collection's own end lies behind the comments after it.
                span.end = after if span.flow else max(item.end for item in span.items)
                return
            first = self.value(event)
            if span.mapping:
                span.items.append(Item(self.value(next(self.events)), first, event.value))
            else:
                span.items.append(Item(first))

    def _without_space(self, span: Span) -> int:
        """A block scalar ends where its last word does; what the parser calls its end may be lines below."""
        return span.start + len(self.text[span.start : span.end].rstrip())
