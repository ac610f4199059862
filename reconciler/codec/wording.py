"""What a fault found by a schema is called: in words of the file's author, saying what to write instead."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from jsonschema import ValidationError

from reconciler.codec.quantities import meant_size
from reconciler.codec.yaml import Document, Node
from reconciler.core.problems import Problem

_SECRETIVE = {"environment", "secret", "url"}
"""Below these somebody may have written a password where it does not belong: never repeat a value from there."""


def worded(error: ValidationError, document: Document, file: str) -> Iterator[Problem]:
    """The problems behind one finding of the validator; it may name several fields at once."""
    path = tuple(error.absolute_path)
    schema: Any = error.schema
    written: Any = error.instance
    node = document.node(path)

    def problem(at: Node, message: str) -> Problem:
        return Problem(file=file, line=at.line, column=at.column, message=message)

    if "propertyNames" in error.schema_path:
        yield problem(document.key((*path, str(error.instance))), _name_fault(path, error))
    elif error.validator == "additionalProperties":
        known = list(schema["properties"])
        for name in sorted(set(written) - set(known)):
            yield problem(document.key((*path, name)), f"unknown field '{short(name)}'{instead(name, known)}")
    elif error.validator == "required":
        for name in schema["required"]:
            if name not in written:
                yield problem(node, _missing(path, name, schema))
    elif error.validator == "uniqueItems":
        yield problem(*_doubled(path, node))
    else:
        yield problem(node, _value_fault(path, node, error))


def instead(name: str, known: Sequence[str]) -> str:
    """``; did you mean 'command'?``, or what exists, or nothing."""
    if close := get_close_matches(name, known, n=1):
        return f"; did you mean '{close[0]}'?"
    return f"; known here: {', '.join(known)}" if 0 < len(known) <= 20 else ""


def label(path: Sequence[str | int]) -> str:
    """The innermost names of a place, as people say them: ``gpus.count``, ``entry 2 of inputs``.

    Below limits all of them: their names are people's own, and say nothing by themselves.
    """
    if not path:
        return "the file"
    if path[0] == "limits":
        return ".".join(short(str(part)) for part in path)
    *before, last = path
    if isinstance(last, int):
        return f"entry {last + 1} of {label(before)}"
    outer = before[-1] if before and isinstance(before[-1], str) else None
    return f"{short(outer)}.{short(last)}" if outer else short(last)


def short(text: str, longest: int = 60) -> str:
    """For messages: one line, not too long."""
    text = text.encode("unicode_escape").decode("ascii") if not text.isprintable() else text
    return text if len(text) <= longest else text[: longest - 1] + "…"


def choice(words: Sequence[object]) -> str:
    *most, last = [str(word) for word in words]
    return f"{', '.join(most)} or {last}" if most else last


def _name_fault(path: Sequence[str | int], error: ValidationError) -> str:
    where = f" in {label(path)}" if path else ""
    schema: Any = error.schema
    expected = schema.get("patternErrorMessage", "must be a name")
    return f"the name '{short(str(error.instance))}'{where} {expected}"


def _missing(path: Sequence[str | int], name: str, schema: Mapping[str, Any]) -> str:
    field = schema["properties"][name]
    examples = field.get("examples") or ([field["const"]] if "const" in field else [])
    where = f" in {label(path)}" if path else ""
    return f"the field '{name}' is missing{where}" + (
        f"; write for example {name}: {_flow(examples[0])}" if examples else ""
    )


def _doubled(path: Sequence[str | int], node: Node) -> tuple[Node, str]:
    seen: list[object] = []
    for number, value in enumerate(node.value):
        if value in seen:
            return node.children[number], f"{label((*path, number))} stands there twice; keep one"
        seen.append(value)
    return node, f"{label(path)} holds an entry twice; keep one"


def _value_fault(path: Sequence[str | int], node: Node, error: ValidationError) -> str:
    schema: Any = error.schema
    if error.validator in ("minItems", "maxItems"):
        most = f"at most {schema['maxItems']} entries" if error.validator == "maxItems" else "at least one entry"
        return f"{label(path)} must hold {most}"
    if error.validator == "minProperties":
        return f"{label(path)} is empty; write at least one of {', '.join(schema['properties'])}"
    hidden = not _SECRETIVE.isdisjoint(path)
    if "requires_environment" in path and "patternErrorMessage" in schema:
        return f"the name {_shown(node)} in {label(path[:-1])} {schema['patternErrorMessage']}"
    message = f"{label(path)} {_expected(error)}"
    if not hidden:
        message += f", not {_shown(node)}"
    if error.validator == "const" and path == ("version",):
        message += "; another version needs another Winslow"
    if isinstance(node.value, str) and "enum" in schema and not hidden:
        close = get_close_matches(node.value, [str(word) for word in schema["enum"]], n=1)
        message += f"; did you mean '{close[0]}'?" if close else ""
    if schema.get("title") == "Memory" and (size := meant_size(_written(node))):
        message += f"; did you mean {size}?"
    if not hidden and isinstance(node.value, str) and _is_number_for(schema, node.value):
        message += f"; write {node.value} without quotes"
    if _wants_text(schema) and isinstance(node.value, bool | int | float):
        message += "; put it in quotes" if hidden else f'; write "{short(node.text)}" in quotes'
    return message


def _written(node: Node) -> str:
    return node.value if isinstance(node.value, str) else node.text


def _is_number_for(schema: Mapping[str, Any], text: str) -> bool:
    """Would the text be right if it stood there without its quotes?"""
    is_whole = "integer" in schema.get("type", ())
    if not is_whole and schema.get("type") != "number":
        return False
    if not re.fullmatch(r"[0-9]{1,9}" if is_whole else r"[0-9]{1,9}(\.[0-9]{1,9})?", text):
        return False
    return bool(schema.get("minimum", 0) <= float(text) <= schema.get("maximum", float("inf")))


def _wants_text(schema: Mapping[str, Any]) -> bool:
    return "string" in schema.get("type", ()) and "patternErrorMessage" not in schema


def _expected(error: ValidationError) -> str:
    schema: Any = error.schema
    if "patternErrorMessage" in schema:
        return str(schema["patternErrorMessage"])
    if "enum" in schema:
        return f"must be {choice(schema['enum'])}"
    if "const" in schema:
        return f"must be {schema['const']}"
    match schema.get("type"):
        case "integer":
            what = "a whole number" + _bounds(schema)
        case "number":
            what = "a number" + _bounds(schema)
        case ["integer", "object"]:
            what = "a whole number" + _bounds(schema) + ", or a mapping such as {count: 1, memory: 8GiB}"
        case "boolean":
            what = "true or false"
        case "string":
            what = "text" + (f" of at most {schema['maxLength']} characters" if "maxLength" in schema else "")
            what += " that is not empty" if error.validator == "minLength" else ""
        case "array":
            what = "a list" + _such_as(schema, " of '- ' lines")
        case "object":
            what = "a mapping" + _such_as(schema, " of 'name: value' lines")
        case _:
            what = "text, null or {secret: name}"
    return f"must be {what}"


def _such_as(schema: Mapping[str, Any], otherwise: str) -> str:
    return f" such as {_flow(schema['examples'][0])}" if "examples" in schema else otherwise


def _bounds(schema: Mapping[str, Any]) -> str:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        return f" from {least} to {most}"
    return f" of at least {least}" if least is not None else f" of at most {most}" if most is not None else ""


def _shown(node: Node) -> str:
    match node.value:
        case None:
            return "nothing (null)"
        case str(text):
            return f"'{short(text)}'"
        case list():
            return "a list"
        case dict():
            return "a mapping"
        case _:
            return short(node.text)


def _flow(value: object) -> str:
    """An example as YAML on one line."""
    match value:
        case str(text):
            return text
        case list(entries):
            return f"[{', '.join(map(_flow, entries))}]"
        case dict(fields):
            return f"{{{', '.join(f'{name}: {_flow(entry)}' for name, entry in fields.items())}}}"
        case _:
            return json.dumps(value)
