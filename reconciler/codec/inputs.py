"""The list of a run's input files, as its claim's directory keeps it while the run goes on."""

import json
from collections.abc import Sequence

from reconciler.codec.convert import converter
from reconciler.core.records import InputFile

_CONVERTER = converter("milliseconds")


def dump_inputs(files: Sequence[InputFile]) -> bytes:
    return (json.dumps(_CONVERTER.unstructure(list(files)), indent=1, sort_keys=True) + "\n").encode("ascii")


def load_inputs(data: bytes) -> tuple[InputFile, ...]:
    """Nothing, if that was not written by us, or not whole: then nothing is known of the files."""
    try:
        return _CONVERTER.structure(json.loads(data), tuple[InputFile, ...])
    except Exception:  # noqa: BLE001  # whatever a converter meets in foreign data
        return ()
