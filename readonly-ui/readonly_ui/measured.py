"""What was measured of a node or a run, read and drawn off the loop: a hanging share costs the charts alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from readonly_ui import panels
from readonly_ui.calls import Calls
from readonly_ui.panels import SPANS, Panel
from reconciler.core.names import ProjectName
from reconciler.core.records import GpuUsed
from reconciler.core.status import DeviceStatus, NodeStatus, RunStatus
from reconciler.errors import WinslowError
from reconciler.readers import Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """``problem``: why there are no charts, where there should be some."""

    panels: Sequence[Panel] = ()
    problem: str | None = None


class Measurements:
    def __init__(self, reader: Reader, calls: Calls) -> None:
        self._reader = reader
        self._calls = calls

    async def of_node(self, node: NodeStatus, span: str) -> Measured:
        return await self._drawn(partial(self._node, node, span))

    async def of_run(self, project: ProjectName, run: RunStatus, gpus: Sequence[GpuUsed | DeviceStatus]) -> Measured:
        return await self._drawn(partial(self._run, project, run, gpus))

    async def _drawn(self, draw: Callable[[], Sequence[Panel]]) -> Measured:
        try:
            return Measured(panels=await self._calls(draw))
        except WinslowError as error:
            return Measured(problem=str(error))

    def _node(self, node: NodeStatus, span: str) -> Sequence[Panel]:
        now = datetime.now(UTC)
        since = now - SPANS[span]
        return panels.of_node(node, self._reader.node_series(node.node, since), since, now)

    def _run(self, project: ProjectName, run: RunStatus, gpus: Sequence[GpuUsed | DeviceStatus]) -> Sequence[Panel]:
        return panels.of_run(run, gpus, self._reader.run_series(project, run.run), datetime.now(UTC))
