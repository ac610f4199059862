"""Plain values as YAML on one line, quoted wherever some reader might see something else."""

import re
from typing import Any

import yaml

from reconciler.codec.scalars import resolve

Value = Any
"""Text, whole numbers, booleans, None, and lists and mappings of these."""

_WORDS = re.compile(r"\w[\w./-]*(?: [\w./-]+)*")
_PROSE = re.compile(r"\w[\w./,()'-]*(?: [\w./,()'-]+)*")
_ONE_LETTER_WORDS = {"y", "Y", "n", "N"}
_RESOLVER: Any = yaml.resolver.Resolver()
_TEXT = "tag:yaml.org,2002:str"
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\t": "\\t"}


def flow(value: Value) -> str:
    """``{stage: track, after: 3}``, ``[a, "4"]``, ``"0.5"``."""
    match value:
        case dict():
            return "{" + ", ".join(f"{text(key)}: {flow(inner)}" for key, inner in value.items()) + "}"
        case list():
            return "[" + ", ".join(map(flow, value)) + "]"
        case str():
            return text(value)
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case _:
            raise TypeError(f"{type(value).__name__} is nothing that our files hold")


def text(value: str, *, within_flow: bool = True, like: str = "") -> str:
    """``within_flow``: a comma would end it. ``like``: a quote to use if it can be."""
    if like == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    plain = _WORDS if within_flow else _PROSE
    bare = like != '"' and plain.fullmatch(value) and value.isprintable() and _stays_text(value)
    return value if bare else _quoted(value)


def _stays_text(value: str) -> bool:
    """For us (YAML 1.2) and for everybody's YAML 1.1, where ``no``, ``1:30`` and a date are none."""
    tag = _RESOLVER.resolve(yaml.ScalarNode, value, (True, False))
    return isinstance(resolve(value), str) and tag == _TEXT and value not in _ONE_LETTER_WORDS


def _quoted(value: str) -> str:
    return '"' + "".join(_ESCAPES.get(one) or (one if one.isprintable() else _escaped(one)) for one in value) + '"'


def _escaped(one: str) -> str:
    code = ord(one)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
