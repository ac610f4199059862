"""One change to a YAML text, by cutting and pasting: what is not meant stays byte for byte.

No round trip through a dumper: that lays out anew what nobody asked about (brackets' spaces, columns of
comments, long lines). Each function returns the whole text, changed in one place; whether the outcome
says what was meant is ``edit``'s to check.
"""

import re
from typing import Any

from reconciler.codec.flow import flow, text
from reconciler.codec.spans import Item, Span

_BREAK = re.compile("\r\n|[\n\r]")
_BEFORE_ENTRY = re.compile(r"[ ]*-[ ]+")


class Unsafe(Exception):
    """Why this text can't be changed here without touching something else."""


def value_replaced(source: str, item: Item, value: Any) -> str:
    """Another value for a key or an entry that exists."""
    old = item.value
    new = _rendered(source, old, value)
    if old.start == old.end:  # nothing stands behind the colon
        return source[: old.start] + " " + new + source[old.end :]
    begin = _line_start(source, old.start)
    if item.key is None or begin <= item.key.start:
        return source[: old.start] + new + source[old.end :]
    colon = re.compile(r"[ \t]*:").match(source, item.key.end)
    if colon is None:
        raise Unsafe("its key stands on lines of its own")
    behind = source[colon.end() : begin]  # a remark, the line break
    return source[: colon.end()] + " " + new + behind.rstrip("\r\n ") + source[_line_end(source, old.end) :]


def item_added(source: str, parent: Span, name: str | None, value: Any) -> str:
    """One more key (``name``) or entry, at the end of ``parent``."""
    if parent.flow:
        return _added_in_flow(source, parent, name, value)
    last = parent.items[-1]
    indent = _indent(source, parent.items[0])
    at = _line_end(source, last.end)
    if deeper := re.compile(rf"(?:(?:\r\n|[\n\r]) {{{len(indent) + 1},}}#[^\r\n]*)+").match(source, at):
        at = deeper.end()  # remarks that belong to the last one
    new = f"- {flow(value)}" if name is None else _entry(name, value, within_flow=False)
    return source[:at] + line_break(source) + indent + new + source[at:]


def _added_in_flow(source: str, parent: Span, name: str | None, value: Any) -> str:
    new = flow(value) if name is None else _entry(name, value, within_flow=True)
    if parent.items:
        at = parent.items[-1].end
        return source[:at] + ", " + new + source[at:]
    at = source.index("{" if parent.mapping else "[", parent.start) + 1
    closing = source[at : parent.end].lstrip(" ")
    return source[:at] + new + (closing if len(closing) == 1 else source[at : parent.end]) + source[parent.end :]


def key_at_the_end(source: str, name: str, value: Any) -> str:
    """The first key of a document that says nothing yet."""
    joint = "" if not source or _BREAK.fullmatch(source[-1]) else line_break(source)
    return source + joint + _entry(name, value, within_flow=False) + line_break(source)


def item_removed(source: str, parent: Span, item: Item) -> str:
    """Without a key or an entry that is not the only one. Remarks on lines of their own stay."""
    if parent.flow:
        return _removed_from_flow(source, parent, item)
    _indent(source, item)
    begin, end = _line_start(source, item.start), _line_end(source, item.end)
    if joint := _BREAK.match(source, end):
        return source[:begin] + source[joint.end() :]
    joints = list(_BREAK.finditer(source, 0, begin))  # the last line, and it has no line break to take along
    return source[: joints[-1].start() if joints and joints[-1].end() == begin else begin] + source[end:]


def _removed_from_flow(source: str, parent: Span, item: Item) -> str:
    begin, end = item.start, item.end
    index = parent.items.index(item)
    before = parent.items[index - 1].end if index else begin
    if comma := re.compile(r"[ \t]*,[ \t]*").match(source, end):
        end = comma.end()
    elif re.fullmatch(r"\s*,\s*", source[before:begin]):
        begin = before
    rest = source[:begin] + source[end:]
    first, last = _line_start(rest, begin), _line_end(rest, begin)
    if not rest[first:last].strip(" \t") and (joint := _BREAK.match(rest, last)):
        return rest[:first] + rest[joint.end() :]
    return rest


def line_break(source: str) -> str:
    found = _BREAK.search(source)
    return found.group() if found else "\n"


def _entry(name: str, value: Any, *, within_flow: bool) -> str:
    told = text(value, within_flow=within_flow) if isinstance(value, str) else flow(value)
    return f"{text(name)}: {told}"


def _rendered(source: str, old: Span, value: Any) -> str:
    """In the quotes that the old value had."""
    if not isinstance(value, str):
        return flow(value)
    return text(value, like=source[old.start : old.start + 1])


def _indent(source: str, item: Item) -> str:
    """What stands before a block collection's item: spaces, or spaces for an entry's dash."""
    before = source[_line_start(source, item.start) : item.start]
    if item.key is not None and not before.strip(" "):
        return before
    if item.key is None and _BEFORE_ENTRY.fullmatch(before):
        return before.partition("-")[0]
    raise Unsafe("something else stands before it on its line")


def _line_start(source: str, at: int) -> int:
    return max(source.rfind("\n", 0, at), source.rfind("\r", 0, at)) + 1


def _line_end(source: str, at: int) -> int:
    """Before the line break that follows ``at``; a remark on that line belongs to it."""
    found = _BREAK.search(source, at)
    return found.start() if found else len(source)
