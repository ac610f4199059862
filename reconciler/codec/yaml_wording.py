"""What libyaml and PyYAML complain about, in words of the file's author."""

import yaml

_REWORDED = (
    ("cannot start any token", "this character can't begin a value here; put the text in quotes"),
    ("could not find expected ':'", "a ':' is missing: a line in a mapping reads 'key: value'"),
    (
        "mapping values are not allowed",
        "a ': ' can't stand here; put text that holds it in quotes, or check the indentation",
    ),
    ("expected key", "this line does not fit the ones above; check the indentation and the ':' after the key"),
    ("expected <block end>", "this line does not fit the ones above; check the indentation"),
    ("expected '-' indicator", "a list's entry beginning with '- ' is missing; check the indentation"),
    ("expected node content", "a value or a closing bracket is missing before this place"),
    ("expected the node content", "a value or a closing bracket is missing before this place"),
    ("end of stream", "the file ends inside quotes; write the closing quote"),
    ("expected <document start>", "this line does not fit the ones above; check the indentation"),
    ("block sequence entries are not allowed", "a list's entry can't begin here; put the '- ' on a line of its own"),
)


_BRACKETS = {"while parsing a flow sequence": ("[", "]"), "while parsing a flow mapping": ("{", "}")}


def reworded(error: yaml.MarkedYAMLError, text: str, line: int, column: int) -> str:
    """The parser's complaint in a person's words; its own words where we know none better."""
    lines = text.splitlines()
    if line <= len(lines) and lines[line - 1][column - 1 : column] == "\t":
        return "a tab stands here; YAML is indented with spaces"
    if (brackets := _BRACKETS.get(str(error.context))) and error.context_mark and "expected" in str(error.problem):
        opening, closing = brackets
        opened = f"the '{opening}' opened in {error.context_mark.line + 1}:{error.context_mark.column + 1}"
        return f"{opened} is not closed: a ',' or '{closing}' is missing before this place"
    problem = str(error.problem or error.context or "it ends too early")
    return next((words for part, words in _REWORDED if part in problem), f"this is not valid YAML: {problem}")
