"""One file against its schema, every fault with its place.

The schemas in ``schemas/`` are the same that editors use; compiled once. What a fault is called is
decided in ``wording``.
"""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from enum import StrEnum
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator, ValidationError
from jsonschema.protocols import Validator
from jsonschema.validators import extend
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT202012

from reconciler.assets import asset
from reconciler.codec.wording import worded
from reconciler.codec.yaml import Document
from reconciler.core.problems import Problem

MOST_PROBLEMS = 20
"""Of one file: the twenty-first helps nobody."""


class Kind(StrEnum):
    """What a file describes; the word is its schema's name."""

    SITE = "site"
    PIPELINE = "pipeline"
    PROJECT = "project"
    DEFAULTS = "defaults"
    NODE = "node"
    NODE_CONFIG = "node-config"


def validate(kind: Kind, document: Document, file: str) -> tuple[Problem, ...]:
    """All faults of the file's shape in the order of their places. A file without a word is an empty mapping."""
    data = {} if document.data is None else document.data
    errors = islice(_validator(kind).iter_errors(data), 50 * MOST_PROBLEMS)
    return worst({problem for error in errors for problem in worded(error, document, file)})


def worst(problems: set[Problem]) -> tuple[Problem, ...]:
    """The first ones in reading order, saying how many more there are."""
    ordered = sorted(problems)
    shown, more = ordered[:MOST_PROBLEMS], len(ordered) - MOST_PROBLEMS
    if more > 0:
        shown[-1] = replace(shown[-1], message=f"{shown[-1].message} (and {more} more in this file)")
    return tuple(shown)


@cache
def _validator(kind: Kind) -> Validator:
    registry: Registry[Any] = Registry().with_resources(
        (path.name, _resource(path)) for path in sorted(asset("schemas").glob("*.schema.json"))
    )
    validator: Validator = _Strict({"$ref": f"{kind}.schema.json"}, registry=registry)
    return validator


def _resource(path: Path) -> Resource[Any]:
    """Without ``$schema``, which would make jsonschema go on with its own validator instead of ours."""
    contents = json.loads(path.read_text(encoding="utf-8"))
    del contents["$schema"]
    return DRAFT202012.create_resource(contents)


def _is_integer(_checker: object, value: object) -> bool:
    """Stricter than JSON Schema, which takes 1.0 for a whole number."""
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(_checker: object, value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _pattern(_validator: object, pattern: str, value: object, _schema: object) -> Iterator[ValidationError]:
    """Python's ``$`` also matches before a last line break; a name with one must not pass."""
    if isinstance(value, str) and ("\n" in value or re.search(pattern, value) is None):
        yield ValidationError("pattern")


_Strict: Any = extend(  # type: ignore[no-untyped-call]
    Draft202012Validator,
    {"pattern": _pattern},
    type_checker=Draft202012Validator.TYPE_CHECKER.redefine_many({"integer": _is_integer, "number": _is_number}),
)
