"""Starting a supervisor; done wherever the node starts programs from."""

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reconciler.adapters.process import state
from reconciler.errors import EngineUnavailable

SUPERVISOR = Path(__file__).with_name("supervisor.py")
START_WITHIN = 30.0


def launch(spec: state.Spec) -> Mapping[str, Any]:
    """Hand the order to a new supervisor; its answer comes as soon as the program runs or can't."""
    try:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", str(SUPERVISOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd="/",
            env={"LANG": "C.UTF-8"},
            start_new_session=True,
        )
    except OSError as error:
        raise EngineUnavailable(f"no process can be started on this node: {error.strerror}") from error
    with process:
        try:
            answer, _ = process.communicate(json.dumps(spec).encode(), timeout=START_WITHIN)
            return dict(json.loads(answer or b"{}"))
        except (subprocess.TimeoutExpired, ValueError) as error:
            process.kill()
            raise EngineUnavailable(f"the supervisor did not answer within {START_WITHIN:g} s") from error
