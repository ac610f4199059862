"""NVIDIA's management library without a GPU: a small C library that answers nvidia-ml-py from a text file.

How to use it, from any area of the tests:

    from tests.nvml.library import FakeGpu, Scenario, build_or_skip, in_this_process

    library = build_or_skip(tmp_path)                    # the directory that holds libnvidia-ml.so.1
    scenario = Scenario(tmp_path / "gpus")
    scenario.write(FakeGpu.several(4))                   # GPU-0000... to GPU-0003..., 24 GiB each
    subprocess.Popen(..., env=os.environ | scenario.environment(library))   # nvidia-ml-py's own way to the library
    scenario.write([replace(one, error=UNKNOWN) ...])    # while it runs: the file is read at every call

    with in_this_process(library, scenario): ...         # pynvml of this process; put back afterwards

``FakeGpu.error`` is what every call on the device answers, ``handle=False`` denies even its handle (so NVML tells no
UUID, as after "Unable to determine the device handle"), ``mig`` are its instances, ``pids`` its compute processes. A
GPU left out of the next ``write`` has fallen off the bus. ``init`` is what ``nvmlInit`` answers, ``hang`` makes calls
wait until the file says otherwise. Needs gcc and libc6-dev; WINSLOW_REQUIRE_NVML=1 makes their lack a failure.
"""

import ctypes
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pynvml
import pytest

SOURCE = Path(__file__).with_name("fake_nvml.c")
NAME = "libnvidia-ml.so.1"
GIB = 2**30

GPU_IS_LOST: int = pynvml.NVML_ERROR_GPU_IS_LOST
UNKNOWN: int = pynvml.NVML_ERROR_UNKNOWN
MISMATCH: int = pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH
NOT_LOADED: int = pynvml.NVML_ERROR_DRIVER_NOT_LOADED
UNSUPPORTED = -1
"""As a utilisation, temperature or power: the device does not know it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FakeGpu:
    """A GPU or, among ``mig``, an instance of one."""

    uuid: str
    model: str = "NVIDIA RTX A5000"
    memory: int = 24 * GIB
    used: int = 0
    capability: tuple[int, int] = (8, 6)
    utilisation: int = 0  # percent
    temperature: int = 40  # degrees Celsius
    power: int = 25_000  # milliwatts
    pids: Mapping[int, int] | None = None  # compute process -> bytes of the GPU's memory
    mig: tuple["FakeGpu", ...] = ()
    error: int = 0
    handle: bool = True

    @classmethod
    def several(cls, count: int, *, first: int = 0) -> list["FakeGpu"]:
        return [cls(uuid=gpu_uuid(n)) for n in range(first, first + count)]


def gpu_uuid(number: int) -> str:
    """As the driver spells them."""
    return f"GPU-{number:08x}-0000-4000-8000-{number:012x}"


@dataclass(frozen=True, slots=True)
class Scenario:
    """The file that says what the library answers. Written whole: a call sees the old one or the new one."""

    path: Path

    def write(
        self,
        gpus: Sequence[FakeGpu] = (),
        *,
        driver: str = "550.54.15",
        init: int = 0,
        hang: float = 0.0,
        hanging_call: str = "",
    ) -> None:
        """``hang``: seconds that ``hanging_call`` (empty: each call) takes, or until another file is written."""
        lines = [f"driver\tversion={driver}\tinit={init}"]
        if hang:
            lines.append(f"hang\tseconds={hang}" + (f"\tcall={hanging_call}" if hanging_call else ""))
        for number, gpu in enumerate(gpus):
            lines.append(_line("gpu", gpu, f"0000:{number + 1:02X}:00.0"))
            lines += [_line("mig", instance, "") for instance in gpu.mig]
        draft = self.path.with_suffix(".draft")
        draft.write_text("\n".join(lines) + "\n", encoding="utf-8")
        draft.replace(self.path)

    def environment(self, library: Path) -> dict[str, str]:
        """For a process to start: the dynamic loader looks at the path only then."""
        searched = os.pathsep.join([str(library), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])])
        return {"LD_LIBRARY_PATH": searched, "FAKE_NVML": str(self.path)}


def _line(kind: str, gpu: FakeGpu, bus: str) -> str:
    fields: dict[str, object] = {
        "uuid": gpu.uuid,
        "name": gpu.model,
        "memory": gpu.memory,
        "used": gpu.used,
        "major": gpu.capability[0],
        "minor": gpu.capability[1],
        "util": gpu.utilisation,
        "temp": gpu.temperature,
        "power": gpu.power,
        "error": gpu.error,
        "handle": int(gpu.handle),
        "mig": int(bool(gpu.mig)),
        "bus": bus,
        "pids": ",".join(f"{pid}:{memory}" for pid, memory in (gpu.pids or {}).items()),
    }
    return "\t".join([kind, *(f"{name}={value}" for name, value in fields.items())])


def build(directory: Path) -> Path:
    """Compile the library into ``directory/nvml`` and return that."""
    target = directory / "nvml"
    target.mkdir(parents=True, exist_ok=True)
    flags = ["-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-lpthread"]
    command = ["gcc", *flags, "-o", str(target / NAME), str(SOURCE)]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return target


def build_or_skip(directory: Path) -> Path:
    missing = "" if shutil.which("gcc") else "gcc is not installed"
    if not missing:
        try:
            return build(directory)
        except subprocess.CalledProcessError as error:
            if os.environ.get("WINSLOW_REQUIRE_NVML") == "1" or "stdio.h" not in error.stderr:
                pytest.fail(error.stderr)
            missing = "the C library's headers are not installed"
    told = f"no simulated GPUs ({missing}): sudo apt-get install gcc libc6-dev"
    if os.environ.get("WINSLOW_REQUIRE_NVML") == "1":
        pytest.fail(told)
    pytest.skip(told)


@contextmanager
def in_this_process(library: Path, scenario: Scenario) -> Iterator[None]:
    """pynvml calls our library here, and whatever it called before once this ends."""
    loaded = ctypes.CDLL(str(library / NAME))
    loaded.fake_nvml_use(os.fsencode(scenario.path))
    before = pynvml.nvmlLib
    _call(loaded)
    try:
        yield
    finally:
        _call(before)


def _call(library: ctypes.CDLL | None) -> None:
    pynvml.nvmlLib = library
    pynvml._nvmlGetFunctionPointer_cache.clear()
