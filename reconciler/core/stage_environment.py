"""What a stage sees of Winslow: the ``WINSLOW_*`` variables, the same on every runtime.

Programs use these instead of fixed paths, so one pipeline serves fifty videos, in containers and without.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass

from reconciler.core.containers import Order
from reconciler.errors import StartFailed


@dataclass(frozen=True, slots=True, kw_only=True)
class Directories:
    """The four directories as the program sees them."""

    workspace: str
    output: str
    input: str
    resources: str

    def locate(self, declared: str) -> str:
        """Where a declared input lies: ``resources/a.mp4`` or ``input/b.json``."""
        area, _, rest = declared.partition("/")
        return f"{self.resources if area == 'resources' else self.input}/{rest}"


IN_CONTAINER = Directories(workspace="/workspace", output="/output", input="/input", resources="/resources")


def on_node(order: Order) -> Directories:
    """The directories as this node sees them: what plain processes get, and what containers mount."""
    paths = order.paths
    return Directories(workspace=paths.workspace, output=paths.output, input=paths.input, resources=paths.resources)


def stage_environment(order: Order, seen: Directories) -> dict[str, str]:
    """The order's environment with everything that Winslow says added; ours is stronger."""
    key = order.key
    return {
        **order.environment,
        "WINSLOW_WORKSPACE": seen.workspace,
        "WINSLOW_OUTPUT": seen.output,
        "WINSLOW_INPUT": seen.input,
        "WINSLOW_RESOURCES": seen.resources,
        "WINSLOW_INPUTS": json.dumps([seen.locate(declared) for declared in order.inputs], ensure_ascii=False),
        "WINSLOW_PROJECT": key.project,
        "WINSLOW_STAGE": key.stage,
        "WINSLOW_RUN": str(key.run),
        "WINSLOW_ATTEMPT": str(order.attempt),
        "WINSLOW_CPUS": str(max(1, int(order.cpus))),  # a number of threads to use, hence whole
        "WINSLOW_GPUS": ",".join(gpu.uuid for gpu in order.gpus),
    }


def require_inputs(order: Order, exists: Callable[[str], bool]) -> None:
    """Refuse to start a stage whose declared input is not there: it would fail later and say less."""
    here = on_node(order)
    for declared in order.inputs:
        if not exists(here.locate(declared)):
            raise StartFailed(
                "InputMissing",
                f"input '{declared}' of project '{order.key.project}' does not exist: put it at "
                f"{here.locate(declared)}, or correct `inputs` in the project's file",
            )
