"""Is this really the share? A file names it, and says in which form things lie there."""

import contextlib
import json
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reconciler.adapters.share.faults import translated
from reconciler.adapters.share.files import Files
from reconciler.adapters.share.layout import Layout
from reconciler.core.names import ShareId
from reconciler.errors import BadInput, ShareUnavailable

FORMAT, REBUILT = 1, 2
"""REBUILT: the file tells of former identities, and records of a kind that FORMAT does not know may lie there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What the file says."""

    share: ShareId
    replaced: frozenset[ShareId] = frozenset()
    is_being_rebuilt: bool = False

    def dump(self) -> bytes:
        form = REBUILT if self.replaced or self.is_being_rebuilt else FORMAT
        fields: dict[str, object] = {"format": form, "share": self.share}
        if form == REBUILT:
            fields |= {"replaces": sorted(self.replaced), "rebuilding": self.is_being_rebuilt}
        return (json.dumps(fields) + "\n").encode()


def make_share(layout: Layout, files: Files) -> None:
    """Directories and an identity; those that are there already stay."""
    with translated(layout.root):
        needed = (layout.tmp, layout.resources, layout.projects, layout.nodes, layout.locks, layout.all_retired)
        for path in needed:
            files.mkdir(path, parents=True)
        draft = layout.tmp / f"identity.{secrets.token_hex(8)}"
        files.create(draft, Named(share=ShareId(str(uuid.uuid4()))).dump())
        try:
            with contextlib.suppress(FileExistsError):
                files.link(draft, layout.identity)
        finally:
            files.unlink(draft)


class Identity:
    """Remembers which share this process began with: it must not go on with another."""

    def __init__(self, layout: Layout, files: Files, *, rebuilds: bool = False) -> None:
        """``rebuilds``: we are who rebuilds it."""
        self._layout = layout
        self._files = files
        self._rebuilds = rebuilds
        self._share: ShareId | None = None
        self.replaced: frozenset[ShareId] = frozenset()

    def read(self) -> ShareId:
        """Anew each time. ShareUnavailable if this is not a share, or not the one we began with; BadInput if it was
        rebuilt since: nothing that we know of it holds any more.
        """
        found = self.named()
        root, share = self._layout.root, found.share
        if found.is_being_rebuilt and not self._rebuilds:
            raise ShareUnavailable(
                f"{root} is being rebuilt; if somebody's winslow rebuild was interrupted, run it once more"
            )
        if self._share is not None and self._share in found.replaced:
            raise BadInput(f"{root} was rebuilt and has a new identity ({share}, was {self._share}): start this again")
        if self._share is not None and share != self._share:
            raise ShareUnavailable(f"{root} is now another share ({share}, was {self._share})")
        self._share, self.replaced = share, found.replaced
        return share

    def write(self, named: Named) -> None:
        """In place of what stands there; only who rebuilds the share does that."""
        draft = self._layout.tmp / f"identity.{secrets.token_hex(8)}"
        with translated(self._layout.root):
            self._files.create(draft, named.dump())
            self._files.rename(draft, self._layout.identity)

    def named(self) -> Named:
        """What the file says, whoever we are. ShareUnavailable if there is none, or none that we understand."""
        path = self._layout.identity
        found, form = self._parse(path)
        if form > REBUILT:
            raise ShareUnavailable(f"{path} has format {form} and this Winslow reads {REBUILT}; update Winslow here")
        try:
            return Named(
                share=ShareId(str(found["share"])),
                replaced=frozenset(ShareId(str(one)) for one in found.get("replaces", [])),
                is_being_rebuilt=found.get("rebuilding") is True,
            )
        except (KeyError, TypeError) as error:
            raise ShareUnavailable(f"{path} is not a share's identity file; restore it from a backup") from error

    def _parse(self, path: Path) -> tuple[dict[str, Any], int]:
        root = self._layout.root
        try:
            with translated(root):
                self._files.refresh(root)
                found = json.loads(self._files.read(path))
                return found, int(found.get("format", FORMAT))
        except ShareUnavailable as error:
            if isinstance(error.__cause__, FileNotFoundError):
                raise ShareUnavailable(
                    f"{root} holds no winslow.json: is the share mounted there? "
                    f"To make a new share of it: winslow init --share {root}"
                ) from None
            raise
        except (ValueError, AttributeError, TypeError) as error:
            raise ShareUnavailable(f"{path} is not a share's identity file; restore it from a backup") from error
