"""The ledger's records as JSON files: canonical to write, tolerant of fields that a newer Winslow added."""

import json
from typing import Any

from reconciler.codec.convert import converter
from reconciler.core.nodes import NodeRecord
from reconciler.core.records import (
    RECORD_VERSION,
    Aborted,
    Claim,
    Deleted,
    DesiredSeen,
    Done,
    Failed,
    Lost,
    ProjectRecord,
    Purged,
    Rebuilt,
    Released,
    Restored,
    RewriteAccepted,
    RunCreated,
    RunRecord,
    SiteRecord,
)
from reconciler.errors import RecordUnreadable

AnyRecord = ProjectRecord | RunRecord | NodeRecord | SiteRecord

KINDS: dict[str, type[AnyRecord]] = {
    "DESIRED": DesiredSeen,
    "RUN": RunCreated,
    "DELETED": Deleted,
    "RESTORED": Restored,
    "PURGED": Purged,
    "REWRITE_ACCEPTED": RewriteAccepted,
    "REBUILT": Rebuilt,
    "CLAIM": Claim,
    "DONE": Done,
    "FAILED": Failed,
    "RELEASED": Released,
    "ABORTED": Aborted,
    "LOST": Lost,
    "NODE": NodeRecord,
}
_WORDS = {type_: word for word, type_ in KINDS.items()}
_CONVERTER = converter("microseconds")


def dump_record(record: AnyRecord) -> bytes:
    """The same bytes for the same record, on every node. Pure ASCII, so that any text survives."""
    data = {"kind": _WORDS[type(record)], **_CONVERTER.unstructure(record)}
    return (json.dumps(data, sort_keys=True, indent=1, allow_nan=False) + "\n").encode("ascii")


def load_record(data: bytes) -> AnyRecord:
    """Raises RecordUnreadable: the caller knows the file's name and what a missing record means."""
    fields = _fields(data)
    kind = fields.get("kind")
    type_ = KINDS.get(kind) if isinstance(kind, str) else None
    version = fields.get("version", RECORD_VERSION)
    if not isinstance(version, int) or version > RECORD_VERSION:
        raise RecordUnreadable(
            f"the record has version {version!r} and this Winslow reads {RECORD_VERSION}; update Winslow on this node"
        )
    if type_ is None:
        raise RecordUnreadable(f"the record is of kind {kind!r}, which this Winslow does not know; update it")
    try:
        return _CONVERTER.structure(fields, type_)
    except Exception as error:  # whatever a converter meets in foreign data: the record is not ours to repair
        raise RecordUnreadable(f"the {kind} record lacks a field or holds a wrong one: {_told(error)}") from error


def _fields(data: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise RecordUnreadable(f"the record is no JSON (torn, or from something else): {_told(error)}") from error
    if not isinstance(fields, dict):
        raise RecordUnreadable("the record is no JSON object; it was not written by Winslow")
    return fields


def _told(error: Exception) -> str:
    return f"no {error}" if isinstance(error, KeyError) else str(error)[:200]
