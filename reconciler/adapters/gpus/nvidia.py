"""NVIDIA's GPUs, by the driver's management library (NVML).

Without the library there are none, quietly. The library is opened once and kept, and opened anew at the look after a
fault: what it tells of the devices dates from its opening. Any of its calls may hang for ever with a broken driver.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import psutil
import pynvml

from reconciler.core.devices import GONE, GpuLook
from reconciler.core.nodes import Gpu
from reconciler.core.usage import GpuReading

T = TypeVar("T")
Handle = Any
"""What pynvml calls a device."""

QUIET = {pynvml.NVML_ERROR_LIBRARY_NOT_FOUND, pynvml.NVML_ERROR_DRIVER_NOT_LOADED}
BROKEN = {
    pynvml.NVML_ERROR_GPU_IS_LOST: GONE,
    pynvml.NVML_ERROR_RESET_REQUIRED: "it must be reset: nvidia-smi --gpu-reset, or reboot",
    pynvml.NVML_ERROR_UNKNOWN: (
        "the driver answers Unknown Error for it; look at dmesg for Xid, usually the machine must be rebooted"
    ),
}
"""What a device answers that no stage can use. Other errors mean that it doesn't know just this."""
MISMATCH = "the NVIDIA driver was updated while the old one is loaded; reboot the machine"
UNLOADED = "the NVIDIA driver is no longer loaded; load it (modprobe nvidia) or reboot the machine"
LONGEST_NAME = 64
UNDIVIDED = "MIG is switched on and no instance is made: nvidia-smi mig -cgi ... -C, or nvidia-smi -mig 0"


class NvidiaGpus:
    """Thread-safe: one call at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_open = False
        self._is_doubtful = False
        self._had_any = False
        self._instances: dict[str, tuple[Handle, ...]] = {}

    def look(self) -> GpuLook:
        with self._lock:
            try:
                return self._look()
            except pynvml.NVMLError as error:
                self._close()
                return GpuLook(fault=self._driver_fault(error))

    def readings(self) -> Sequence[GpuReading]:
        """What the devices do now, those that answer. Nothing before the first ``look``, or after one that failed."""
        with self._lock:
            if not self._is_open:
                return ()
            try:
                handles = list(self._handles())
            except pynvml.NVMLError:
                self._close()
                return ()
            found = (_reading(one) for handle in handles for one in (handle, *self._below(handle)))
            return tuple(one for one in found if one is not None)

    # --- the library ---

    def _open(self) -> None:
        if self._is_doubtful:
            self._close()
        if not self._is_open:
            pynvml.nvmlInit()
            self._is_open = True
            self._instances.clear()

    def _close(self) -> None:
        if self._is_open:
            self._is_open = False
            with contextlib.suppress(pynvml.NVMLError):
                pynvml.nvmlShutdown()

    def _driver_fault(self, error: pynvml.NVMLError) -> str:
        if error.value in QUIET:
            return UNLOADED if self._had_any else ""
        if error.value == pynvml.NVML_ERROR_LIB_RM_VERSION_MISMATCH:
            return MISMATCH
        return f"the NVIDIA driver does not work ({error}); look at nvidia-smi and dmesg, most often a reboot helps"

    # --- the devices ---

    def _look(self) -> GpuLook:
        self._open()
        driver = _text(pynvml.nvmlSystemGetDriverVersion())
        gpus: list[Gpu] = []
        nameless: list[str] = []
        processes: dict[str, Mapping[int, str]] = {}
        for index in range(pynvml.nvmlDeviceGetCount()):
            try:
                for handle, gpu in self._devices(pynvml.nvmlDeviceGetHandleByIndex(index), driver):
                    gpus.append(gpu)
                    processes[gpu.uuid] = {} if gpu.fault else _processes(handle)
            except pynvml.NVMLError as error:
                nameless.append(_fault(error))
        self._had_any = self._had_any or bool(gpus)
        self._is_doubtful = bool(nameless) or any(gpu.fault for gpu in gpus)
        return GpuLook(gpus=tuple(gpus), nameless=tuple(nameless), processes=processes)

    def _devices(self, handle: Handle, driver: str) -> Iterator[tuple[Handle, Gpu]]:
        """The GPU itself or, if it is divided, its instances. NVMLError if it can't be named."""
        gpu = _gpu(handle, driver)
        instances = _instances(handle)
        self._instances[gpu.uuid] = instances or ()
        if instances is None:
            yield handle, gpu
        elif not instances:
            yield handle, _with_fault(gpu, UNDIVIDED)
        for instance in instances or ():
            yield instance, _gpu(instance, driver, of=gpu)

    def _handles(self) -> Iterator[Handle]:
        for index in range(pynvml.nvmlDeviceGetCount()):
            with contextlib.suppress(pynvml.NVMLError):
                yield pynvml.nvmlDeviceGetHandleByIndex(index)

    def _below(self, handle: Handle) -> tuple[Handle, ...]:
        """Its instances as of the last look."""
        uuid = _known(pynvml.nvmlDeviceGetUUID, handle)
        return self._instances.get(_text(uuid), ()) if uuid is not None else ()


def _gpu(handle: Handle, driver: str, of: Gpu | None = None) -> Gpu:
    """An instance has its GPU's capability. NVMLError if the device can't be named."""
    uuid = _text(pynvml.nvmlDeviceGetUUID(handle))
    try:
        memory = _asked(pynvml.nvmlDeviceGetMemoryInfo, handle)
        capability = None if of else _asked(pynvml.nvmlDeviceGetCudaComputeCapability, handle)
        return Gpu(
            uuid=uuid,
            model=_text(_asked(pynvml.nvmlDeviceGetName, handle) or ""),
            memory=int(memory.total) if memory else 0,
            capability=of.capability if of else "{}.{}".format(*capability) if capability else "",
            driver=driver,
            parent=of.uuid if of else "",
        )
    except pynvml.NVMLError as error:
        return Gpu(uuid=uuid, driver=driver, parent=of.uuid if of else "", fault=_fault(error))


def _instances(handle: Handle) -> tuple[Handle, ...] | None:
    """None: it is not divided, or can't be."""
    mode = _known(pynvml.nvmlDeviceGetMigMode, handle)
    if not mode or not mode[0]:
        return None
    most = _known(pynvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0
    found = (_known(pynvml.nvmlDeviceGetMigDeviceHandleByIndex, handle, index) for index in range(most))
    return tuple(instance for instance in found if instance is not None)


def _reading(handle: Handle) -> GpuReading | None:
    uuid = _known(pynvml.nvmlDeviceGetUUID, handle)
    if uuid is None:
        return None
    use, memory = _known(pynvml.nvmlDeviceGetUtilizationRates, handle), _known(pynvml.nvmlDeviceGetMemoryInfo, handle)
    power = _known(pynvml.nvmlDeviceGetPowerUsage, handle)
    degrees = _known(pynvml.nvmlDeviceGetTemperature, handle, pynvml.NVML_TEMPERATURE_GPU)
    return GpuReading(
        uuid=_text(uuid),
        model=_text(_known(pynvml.nvmlDeviceGetName, handle) or ""),
        utilisation=None if use is None else use.gpu / 100,
        memory=None if memory is None else int(memory.used),
        temperature=None if degrees is None else float(degrees),
        power=None if power is None else power / 1000,
    )


def _processes(handle: Handle) -> dict[int, str]:
    found = _known(pynvml.nvmlDeviceGetComputeRunningProcesses, handle) or ()
    return {int(one.pid): name_of(int(one.pid)) for one in found}


def name_of(pid: int) -> str:
    """Anybody names a process as they like; what is no text is not passed on."""
    try:
        name = psutil.Process(pid).name()[:LONGEST_NAME]
    except (psutil.Error, OSError, ValueError):
        name = ""  # ended, another user's, or of another container
    return "".join(one if one.isprintable() else "?" for one in name) or "a process"


def _asked(call: Callable[..., T], *arguments: object) -> T | None:
    """None: the device does not know. NVMLError if it is broken."""
    try:
        return call(*arguments)
    except pynvml.NVMLError as error:
        if error.value in BROKEN:
            raise
        return None


def _known(call: Callable[..., T], *arguments: object) -> T | None:
    """None: the device does not know, or not any more."""
    try:
        return call(*arguments)
    except pynvml.NVMLError:
        return None


def _fault(error: pynvml.NVMLError) -> str:
    return BROKEN.get(error.value, f"the driver answers '{error}' for it; look at nvidia-smi and dmesg")


def _with_fault(gpu: Gpu, fault: str) -> Gpu:
    return gpu if gpu.fault else replace(gpu, fault=fault)


def _text(value: str | bytes) -> str:
    """Older drivers' bindings answer in bytes."""
    return value.decode(errors="replace") if isinstance(value, bytes) else value
