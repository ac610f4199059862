"""Is this really the share? A file names it, and says in which form things lie there."""

import contextlib
import json
import secrets
import uuid
from pathlib import Path

from reconciler.adapters.share.faults import translated
from reconciler.adapters.share.files import Files
from reconciler.adapters.share.layout import Layout
from reconciler.core.names import ShareId
from reconciler.errors import ShareUnavailable

FORMAT = 1


def make_share(layout: Layout, files: Files) -> None:
    """Directories and an identity; those that are there already stay."""
    with translated(layout.root):
        needed = (layout.tmp, layout.resources, layout.projects, layout.nodes, layout.locks, layout.all_retired)
        for path in needed:
            files.mkdir(path, parents=True)
        draft = layout.tmp / f"identity.{secrets.token_hex(8)}"
        content = json.dumps({"format": FORMAT, "share": str(uuid.uuid4())}) + "\n"
        files.create(draft, content.encode())
        try:
            with contextlib.suppress(FileExistsError):
                files.link(draft, layout.identity)
        finally:
            files.unlink(draft)


class Identity:
    """Remembers which share this process began with: it must not go on with another."""

    def __init__(self, layout: Layout, files: Files) -> None:
        self._layout = layout
        self._files = files
        self._share: ShareId | None = None

    def read(self) -> ShareId:
        """Anew each time. ShareUnavailable if this is not a share, or not the one we began with."""
        root, path = self._layout.root, self._layout.identity
        share, form = self._parse(path)
        if form > FORMAT:
            raise ShareUnavailable(f"{path} has format {form} and this Winslow reads {FORMAT}; update Winslow here")
        if self._share is not None and share != self._share:
            raise ShareUnavailable(f"{root} is now another share ({share}, was {self._share})")
        self._share = share
        return share

    def _parse(self, path: Path) -> tuple[ShareId, int]:
        root = self._layout.root
        try:
            with translated(root):
                self._files.refresh(root)
                found = json.loads(self._files.read(path))
                return ShareId(str(found["share"])), int(found.get("format", FORMAT))
        except ShareUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise ShareUnavailable(
                    f"{root} holds no winslow.json: is the share mounted there? "
                    f"To make a new share of it: winslow init --share {root}"
                ) from None
            raise
        except (ValueError, KeyError, TypeError) as error:
            raise ShareUnavailable(f"{path} is not a share's identity file; restore it from a backup") from error
