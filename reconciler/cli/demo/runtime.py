"""How the demo's stages run: in Docker if an engine answers and the image can be had, else as plain processes."""

import shutil
import subprocess

from reconciler.adapters.docker.engine import Engine
from reconciler.cli.demo.asked import Asked
from reconciler.cli.demo.build_image import ImageBuilder, ImageUnavailable
from reconciler.cli.demo.layout import Layout, stage_path
from reconciler.cli.demo.report import Report
from reconciler.codec.config import load_config
from reconciler.errors import BadInput, EngineUnavailable

ENGINE_TIMEOUT = 10
CHECK = "import cv2, matplotlib, scipy, traffic"


def choose(asked: Asked, layout: Layout, first_node: str, report: Report) -> str:
    """``docker`` or ``process``, ready to run the example. A directory keeps the runtime it began with."""
    begun = layout.config(first_node)
    if begun.exists():
        runtime = load_config(begun).runtime
        if asked is not Asked.AUTO and runtime != asked.value:
            raise BadInput(f"{layout.root} began with runtime: {runtime} ({begun.name}); name another directory")
        asked = Asked(runtime)
    if asked is Asked.PROCESS:
        _check_python()
        return "process"
    try:
        _make_image(report)
    except (EngineUnavailable, ImageUnavailable) as error:
        if asked is Asked.DOCKER:
            raise
        report.say(f"stages run as plain processes, because {error}")
        _check_python()
        return "process"
    return "docker"


def _make_image(report: Report) -> None:
    engine = Engine(None)
    try:
        with engine.asked() as api:
            api.ping()
            ImageBuilder(api, report).ensure()
    finally:
        engine.close()


def _check_python() -> None:
    """Can the stages' ``python`` run the example? BadInput with the command that makes it so."""
    python = shutil.which("python", path=stage_path())
    hint = "install it beside Winslow: pip install ./examples/traffic-flow (in a checkout)"
    if python is None:
        raise BadInput(f"there is no python on the stages' PATH; {hint}")
    ended = subprocess.run([python, "-c", CHECK], capture_output=True, text=True, check=False)
    if ended.returncode != 0:
        raise BadInput(f"{python} can't run the example ({last_line(ended.stderr)}); {hint}")


def last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
