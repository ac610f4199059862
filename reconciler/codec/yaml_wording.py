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
    ("',' or ']'", "a ',' or the closing ']' of a list is missing"),
    ("',' or '}'", "a ',' or the closing '}' of a mapping is missing"),
    ("expected node content", "a value or a closing bracket is missing before this place"),
    ("expected the node content", "a value or a closing bracket is missing before this place"),
    ("end of stream", "the file ends inside quotes; write the closing quote"),
    ("expected <document start>", "this line does not fit the ones above; check the indentation"),
    ("block sequence entries are not allowed", "a list's entry can't begin here; put the '- ' on a line of its own"),
)


def reworded(error: yaml.MarkedYAMLError, text: str, line: int, column: int) -> str:
    """The parser's complaint in a person's words; its own words where we know none better."""
    lines = text.splitlines()
    if line <= len(lines) and lines[line - 1][column - 1 : column] == "\t":
        return "a tab stands here; YAML is indented with spaces"
    problem = str(error.problem or error.context or "it ends too early")
    return next((words for part, words in _REWORDED if part in problem), f"this is not valid YAML: {problem}")
