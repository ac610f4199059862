"""Reading the kernel's small files, many of them each two seconds: by the bare calls, a third of what pathlib takes."""

import os

MOST = 65536


def read_text(path: str) -> str | None:
    """None: it has ended meanwhile, this kernel has no such file, or it is not for us."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(file, MOST).decode(errors="replace")
        finally:
            os.close(file)
    except OSError:
        return None
