"""The report's pictures, drawn by matplotlib onto the empty scene; each comes back as PNG bytes."""

import io
from typing import Any

import matplotlib
import numpy as np
from matplotlib import patheffects
from matplotlib.figure import Figure

from traffic.background import Image
from traffic.drawing import colour_of
from traffic.statistics import Array, Path

matplotlib.rcParams.update(
    {"font.size": 10, "axes.spines.top": False, "axes.spines.right": False, "font.family": "DejaVu Sans"}
)
_OUTLINE = [patheffects.withStroke(linewidth=2.5, foreground="black")]


def trajectories(backdrop: Image, paths: list[Path]) -> bytes:
    """Each person's path from the dot to the arrow head, with the person's number at the start."""
    figure, axes = _scene(backdrop, fade=0.35)
    for path in paths:
        blue, green, red = colour_of(path.track)
        colour = (red / 255, green / 255, blue / 255)
        x, y = path.feet.T
        axes.plot(x, y, color=colour, linewidth=1.8, path_effects=_OUTLINE, solid_capstyle="round")
        axes.plot(x[:1], y[:1], "o", color=colour, markersize=5, markeredgecolor="black")
        back = min(len(x) - 1, 8)
        head = {"arrowstyle": "-|>", "color": colour, "mutation_scale": 16, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (x[-1], y[-1]), (x[-1 - back], y[-1 - back]), arrowprops=head)
        axes.annotate(
            str(path.track),
            (np.clip(x[0], 14, backdrop.shape[1] - 14), np.clip(y[0], 14, backdrop.shape[0] - 8)),
            (0, 6),
            textcoords="offset points",
            color="white",
            fontsize=9,
            ha="center",
            weight="bold",
            path_effects=_OUTLINE,
        )
    axes.set_title(f"Trajectories of {len(paths)} people (dot: first seen, arrow: last seen)")
    return _png(figure)


def heat_map(backdrop: Image, seconds: Array, cell: int = 8) -> bytes:
    """Where people spend their time: `seconds` (rows, columns) per cell of `cell` x `cell` pixels."""
    figure, axes = _scene(backdrop, fade=0.45, room=0.86)
    most = max(float(np.percentile(seconds[seconds > 0.01], 99)) if (seconds > 0.01).any() else 0.0, 0.01)
    height, width = backdrop.shape[:2]
    rows, columns = seconds.shape
    shown = axes.imshow(
        seconds,
        cmap="inferno",
        vmin=0,
        vmax=most,
        alpha=np.clip(seconds / most * 3, 0, 0.85),
        extent=(0, columns * cell, rows * cell, 0),
        interpolation="bilinear",
    )
    axes.set_xlim(0, width)
    axes.set_ylim(height, 0)
    bar: Any = figure.colorbar(shown, ax=axes, fraction=0.035, pad=0.02, extend="max")
    bar.solids.set_alpha(1)
    bar.set_label(f"person-seconds per {cell} × {cell} pixels")  # noqa: RUF001 (the sign is meant)
    axes.set_title("Where people walk and stand")
    return _png(figure)


def speed_figure(paths: list[Path], people_speeds: list[Array]) -> bytes:
    """Left: all moments' speeds as a histogram. Right: each person's median and middle half."""
    figure = Figure(figsize=(10, 4.2), dpi=150, layout="constrained")
    left, right = figure.subplots(1, 2)
    everything = np.concatenate([np.empty(0), *people_speeds])
    limit = max(2.5, float(np.percentile(everything, 99)) if everything.size else 0)
    left.hist(
        everything, bins=np.linspace(0, limit, 41).tolist(), color="#31688e", edgecolor="white", linewidth=0.4
    )
    left.set(xlabel="speed (m/s)", ylabel="moments (one person in one frame)", title="Speeds at all moments")
    known = [(path.track, speed) for path, speed in zip(paths, people_speeds, strict=True) if speed.size]
    quartiles = np.array([np.percentile(speed, [25, 50, 75]) for _, speed in known]).reshape(-1, 3)
    places = np.arange(len(known))
    right.hlines(places, quartiles[:, 0], quartiles[:, 2], color="#31688e", linewidth=3, alpha=0.5)
    right.plot(quartiles[:, 1], places, "o", color="#31688e", markersize=5)
    right.set_yticks(places, [str(identity) for identity, _ in known], fontsize=7)
    right.set(xlabel="speed (m/s)", ylabel="person", title="Each person: median and middle half")
    right.set_xlim(left=0)
    right.invert_yaxis()
    return _png(figure)


def _scene(backdrop: Image, fade: float, room: float = 1.0) -> tuple[Figure, Any]:
    """Axes in pixels over the empty scene, `fade`d (0 to 1) to grey, for `room` (0 to 1) of the width."""
    height, width = backdrop.shape[:2]
    figure = Figure(figsize=(9, room * 9 * height / width + 0.2), dpi=150, layout="constrained")
    axes = figure.subplots()
    colours = backdrop[:, :, ::-1].astype(np.float64) / 255
    grey = colours.mean(axis=2, keepdims=True) * 0.7
    axes.imshow(colours * (1 - fade) + grey * fade, extent=(0, width, height, 0))
    axes.set(xlabel="column (pixels)", ylabel="row (pixels)", xlim=(0, width), ylim=(height, 0))
    return figure, axes


def _png(figure: Figure) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
