"""YAML to write: block style, one line a string, and quoted wherever some reader might see no string.

PyYAML quotes what YAML 1.1 would misread; we add what 1.2 would (``1e3``, ``0o17``) and 1.1's y and n.
"""

import re
from typing import Any

import yaml

from reconciler.codec.scalars import resolve

_BASE: type[Any] = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
_HALF_CHARACTERS = re.compile("[\ud800-\udfff]")
_ONE_LETTER_WORDS = {"y", "Y", "n", "N"}
_WIDTH = 1 << 20  # never fold a line: a folded log line can't be searched for


class _Dumper(_BASE):  # type: ignore[misc]
    def ignore_aliases(self, data: object) -> bool:
        return True


def _text(dumper: Any, text: str) -> Any:
    text = _HALF_CHARACTERS.sub("\ufffd", text)
    style = None
    if not isinstance(resolve(text), str) or text in _ONE_LETTER_WORDS:
        style = "'"
    elif "\n" in text:
        style = "|"
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def dump_yaml(data: Any) -> str:
    """Plain data (mappings, lists, text, numbers, booleans, None) in the given order of keys."""
    text: str = yaml.dump(
        data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=_WIDTH
    )
    return text
