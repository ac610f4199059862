"""Does a declared input exist? Both runtimes ask before they start a stage."""

import os
from pathlib import Path


def input_exists(path: str) -> bool:
    """On NFS a failed look-up may be a minute old; opening the directory first makes it ask the server."""
    try:
        os.close(os.open(Path(path).parent, os.O_RDONLY | os.O_DIRECTORY))
    except OSError:
        return False
    return Path(path).exists()
