"""The wheel alone, in a fresh environment far from the checkout, begins a site and checks it."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[2]


def run(*command: str | Path, cwd: Path) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    ended = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built by hatchling itself, without the network."""
    target = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check", "--no-deps"),
        *("--no-build-isolation", "--wheel-dir", target, CHECKOUT),
        cwd=target,
    )
    (built,) = target.glob("winslow-*.whl")
    return built


@pytest.fixture(scope="module")
def command(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """``winslow`` of a fresh environment; only its dependencies are borrowed from this one."""
    venv = tmp_path_factory.mktemp("fresh") / "venv"
    run(sys.executable, "-m", "venv", "--without-pip", venv, cwd=venv.parent)
    site_packages = next((venv / "lib").glob("python3*")) / "site-packages"
    run(
        *(sys.executable, "-m", "pip", "--python", venv / "bin" / "python", "install", "--quiet", "--no-deps"),
        *("--disable-pip-version-check", "--no-index", wheel),
        cwd=venv.parent,
    )
    (site_packages / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return venv / "bin" / "winslow"


def test_the_installed_package_begins_a_valid_state_repository(command: Path, tmp_path: Path) -> None:
    origin = run(command.parent / "python", "-c", "import reconciler; print(reconciler.__file__)", cwd=tmp_path)
    assert origin.startswith(str(command.parent.parent)), "the test must not see the checkout"
    run(command, "init", tmp_path / "state", cwd=tmp_path)
    for hidden in (".gitlab-ci.yml", ".pre-commit-config.yaml", ".winslow/schemas/project.schema.json"):
        assert (tmp_path / "state" / hidden).is_file()
    (tmp_path / "state/projects/ulm.yaml").write_text("pipeline: traffic-flow\n")
    assert run(command, "validate", cwd=tmp_path / "state") == "ok: 1 pipeline, 1 project\n"


def test_the_wheel_holds_what_the_demo_needs_and_no_caches(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    example = "reconciler/_assets/examples/traffic-flow"
    assert {f"{example}/Dockerfile", f"{example}/traffic/detect.py", f"{example}/resources/crossing.mp4"} <= set(names)
    assert "readonly_ui/templates/overview.html" in names
    assert [name for name in names if "cache" in name.lower() or name.endswith(".pyc")] == []
