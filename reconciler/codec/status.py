"""The status as plain data with exactly the names of ``core.status``, for JSON and YAML, and back."""

from collections.abc import Mapping
from typing import Any, TypeVar

from reconciler.codec.convert import converter
from reconciler.core.status import STATUS_VERSION, NodeStatus, ProjectStatus, RunStatus, Status
from reconciler.errors import RecordUnreadable

_CONVERTER = converter("milliseconds")
_T = TypeVar("_T")


def dump_status(status: Status) -> dict[str, Any]:
    return _dump(status)


def dump_project(project: ProjectStatus) -> dict[str, Any]:
    return _dump(project)


def dump_node(node: NodeStatus) -> dict[str, Any]:
    return _dump(node)


def dump_part(part: Status | ProjectStatus | RunStatus | NodeStatus) -> dict[str, Any]:
    return _dump(part)


def load_status(data: Mapping[str, Any]) -> Status:
    """Fields of a newer Winslow are left out. Raises RecordUnreadable."""
    version = data.get("version", STATUS_VERSION)
    if not isinstance(version, int) or version > STATUS_VERSION:
        raise RecordUnreadable(
            f"the status has version {version!r} and this Winslow reads {STATUS_VERSION}; update Winslow here"
        )
    return _load(data, Status)


def load_project(data: Mapping[str, Any]) -> ProjectStatus:
    return _load(data, ProjectStatus)


def load_node(data: Mapping[str, Any]) -> NodeStatus:
    return _load(data, NodeStatus)


def _dump(value: Status | ProjectStatus | RunStatus | NodeStatus) -> dict[str, Any]:
    data: dict[str, Any] = _CONVERTER.unstructure(value)
    return data


def _load(data: Mapping[str, Any], type_: type[_T]) -> _T:
    try:
        return _CONVERTER.structure(data, type_)
    except Exception as error:
        told = f"no {error}" if isinstance(error, KeyError) else str(error)[:200]
        raise RecordUnreadable(f"this is no status as Winslow writes it: {told}") from error
