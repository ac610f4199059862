"""Which charts a node's and a run's page show: few, the same for everything of one kind, with what they may reach."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from readonly_ui.charts import Axis, Chart, Line, Window, chart
from readonly_ui.resources import percent
from readonly_ui.words import size
from reconciler.core.measurements import Series
from reconciler.core.records import GpuUsed
from reconciler.core.status import DeviceStatus, NodeStatus, RunStatus

SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "month": timedelta(days=31)}
SHARE = Axis(show=percent, top=1.0)
RATE = Axis(show=lambda rate: f"{size(rate)}/s", top=1024, base=1024)


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    title: str
    charts: Sequence[Chart]


def of_node(node: NodeStatus, series: Series, since: datetime, now: datetime) -> Sequence[Panel]:
    window = Window(began=since.timestamp(), ended=now.timestamp(), until_now=True)
    draw = _Drawing(series, window)
    swapped = {"swap": "swap"} if any(series.columns.get("swap", ())) else {}
    machine = [
        draw("CPU", {"cpu": ""}, SHARE),
        draw("Memory", {"memory": "", **swapped}, _bytes(node.inventory.memory or node.memory)),
        *draw.moved(),
    ]
    titles = {device.uuid: (index, device) for index, device in enumerate(node.devices)}
    panels: list[tuple[str, Sequence[Chart | None]]] = [("Machine", machine)]
    for uuid in draw.gpus:
        index, device = titles.get(uuid, (None, None))
        name = f"GPU {index} · {device.model}" if device else f"GPU {uuid}"
        panels.append((name, draw.gpu(uuid, device.memory if device else 0)))
    return _panels(panels)


def of_run(run: RunStatus, gpus: Sequence[GpuUsed | DeviceStatus], series: Series, now: datetime) -> Sequence[Panel]:
    """From its beginning on, also where it was started again. ``gpus`` are those it has or had."""
    if run.started_at is None or not series.times:
        return ()
    began = min(run.started_at.timestamp(), series.times[0])
    window = Window(began=began, ended=(run.ended_at or now).timestamp(), until_now=False)
    draw = _Drawing(series, window)
    requires = run.requires
    cpus = Axis(show=lambda cpus: f"{cpus:.3g}", top=requires.cpus if requires else 0.0)
    common = [
        draw("CPUs in use", {"cpu": ""}, cpus),
        draw("Memory", {"memory": ""}, _bytes(requires.memory if requires else 0)),
        *draw.moved(),
    ]
    models = {gpu.uuid: gpu.model for gpu in gpus}
    return _panels([("", common), *((f"GPU {models.get(uuid) or uuid}", draw.gpu(uuid, 0)) for uuid in draw.gpus)])


def _panels(found: Sequence[tuple[str, Sequence[Chart | None]]]) -> Sequence[Panel]:
    """Without what nobody measured."""
    known = [(title, [one for one in charts if one is not None]) for title, charts in found]
    return [Panel(title=title, charts=charts) for title, charts in known if charts]


def _bytes(top: float) -> Axis:
    return Axis(show=size, top=top, base=1024)


class _Drawing:
    """Charts of one series over one window."""

    def __init__(self, series: Series, window: Window) -> None:
        self._series = series
        self._window = window
        self._drawn = 0  # numbers the charts: what is measured has names that make no good ids

    def __call__(self, title: str, columns: Mapping[str, str], axis: Axis) -> Chart | None:
        """``columns``: name -> label of its line."""
        series = self._series
        lines = [
            Line(label=label, values=series.columns[name], peaks=series.peaks.get(name, ()))
            for name, label in columns.items()
            if name in series.columns
        ]
        self._drawn += 1
        return chart(f"chart-{self._drawn}", title, series.times, lines, self._window, axis)

    @property
    def gpus(self) -> Sequence[str]:
        """UUIDs in the order of their columns."""
        return list(dict.fromkeys(name.split(":", 1)[1] for name in self._series.columns if ":" in name))

    def moved(self) -> Sequence[Chart | None]:
        return (
            self("Network", {"received": "received", "sent": "sent"}, RATE),
            self("Disk", {"read": "read", "written": "written"}, RATE),
        )

    def gpu(self, uuid: str, memory: int) -> Sequence[Chart | None]:
        return (
            self("Use", {f"gpu_utilisation:{uuid}": ""}, SHARE),
            self("Memory", {f"gpu_memory:{uuid}": ""}, _bytes(memory)),
            self("Temperature", {f"gpu_temperature:{uuid}": ""}, Axis(show=lambda heat: f"{heat:.0f} °C", top=100)),
            self("Power", {f"gpu_power:{uuid}": ""}, Axis(show=lambda power: f"{power:.0f} W")),
        )
