"""What a node's earlier starts left on the share when they were killed: names tell whose they are.

Drafts in ``tmp/`` (``<node>.<start>.<random>``, both in hex), heartbeats of starts before the last, and workspaces half
cloned for claims that are over. Nobody looks at any of them.
"""

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

from reconciler.adapters.share.files import Files
from reconciler.adapters.share.layout import PARTIAL, Layout
from reconciler.adapters.share.names import is_there
from reconciler.core.ledger import Ledger
from reconciler.core.names import NodeName
from reconciler.core.records import Claim, Done


def find(layout: Layout, files: Files, ledger: Ledger, node: NodeName, *, incarnation: str, writer: str) -> set[Path]:
    """Nothing of another node's, and nothing of the start that asks (``incarnation``, ``writer``)."""
    draft = re.compile(rf"{re.escape(node)}\.[0-9a-f]+\.[0-9a-f]{{16}}")
    drafts = (name for name in files.names(layout.tmp) if draft.fullmatch(name) and not name.startswith(f"{writer}."))
    beats = (name for name in files.names(layout.node(node)) if name.startswith("heartbeat."))
    return {
        *(layout.tmp / name for name in drafts),
        *(layout.node(node) / name for name in beats if name != layout.heartbeat(node, incarnation).name),
        *(path for path in _half_cloned(layout, ledger, node, incarnation) if is_there(files, path)),
    }


def _half_cloned(layout: Layout, ledger: Ledger, node: NodeName, incarnation: str) -> Iterator[Path]:
    """Where there may be one: the claim in force is not among them, for it goes on from what there is."""
    for project, history in ledger.projects.items():
        for run in history.runs:
            for claim, after in pairwise(run.records):
                is_ours = isinstance(claim, Claim) and claim.node == node and claim.incarnation != incarnation
                if is_ours and not isinstance(after, Done):
                    yield layout.claim(project, run.number, run.stage, claim.number) / PARTIAL


def remove(files: Files, found: Iterable[Path]) -> tuple[int, list[OSError]]:
    """How many are gone now, and what withstood."""
    removed, withstood = 0, []
    for path in sorted(found):
        try:
            if is_there(files, path):
                files.remove(path)
                removed += 1
        except OSError as error:
            withstood.append(error)
    return removed, withstood
