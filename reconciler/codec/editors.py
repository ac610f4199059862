"""What editors read in our files: the comment that names a file's schema."""

from pathlib import PurePosixPath

from reconciler.codec.validate import Kind

SCHEMAS = ".winslow/schemas"
"""Where a state repository keeps the schemas, seen from its top."""


def schema_line(kind: Kind, path: str) -> str:
    """The first line of a file at ``path`` (from the repository's top), without a line break."""
    up = "../" * (len(PurePosixPath(path).parts) - 1)
    return f"# yaml-language-server: $schema={up}{SCHEMAS}/{kind}.schema.json"
