"""What measuring costs a node with eight GPUs and eight runs. Goal: under 0.5 % of one core.

The GPUs are simulated values: what the driver takes to answer is not in the figure. The runs are real plain processes,
the dearest kind to measure, each with a child; the files lie on a local disk.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import count
from pathlib import Path

from reconciler.adapters.host import SystemClock
from reconciler.adapters.sampling import MachineLoad, RunUse
from reconciler.adapters.share import SharedDirectory
from reconciler.adapters.share.rings import Rings
from reconciler.agent.measuring import EVERY, Measuring
from reconciler.agent.recording import WRITE
from reconciler.core.containers import ClaimKey, Container, ContainerState
from reconciler.core.names import NodeName, ProjectName, RecordNumber, RunNumber, ShareId, StageName, Token
from reconciler.core.usage import GpuReading

GPUS = [f"GPU-{number:08d}-0000-4000-8000-000000000000" for number in range(8)]
SAMPLES = 300
PROGRAM = "import subprocess; subprocess.run(['sleep', '600'])"


class Gpus:
    def readings(self) -> Sequence[GpuReading]:
        return [GpuReading(uuid=uuid, utilisation=0.5, memory=2**30, temperature=60.0, power=200.0) for uuid in GPUS]


@contextlib.contextmanager
def program() -> Iterator[int]:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], start_new_session=True) as process:
        try:
            yield process.pid
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def container(share: SharedDirectory, number: int, pid: int) -> Container:
    project, stage = ProjectName(f"p{number}"), StageName("detect")
    key = ClaimKey(
        share=ShareId("s"),
        project=project,
        run=RunNumber(1),
        stage=stage,
        number=RecordNumber(1),
        token=Token("0" * 32),
    )
    share.layout.claim(project, key.run, stage, key.number).mkdir(parents=True)
    state = ContainerState.RUNNING
    return Container(key=key, handle=f"/{number}", state=state, boot="b", pid=pid, gpus=(GPUS[number],))


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="winslow-bench-") as root, ExitStack() as programs:
        SharedDirectory.create(Path(root) / "share")
        share, clock = SharedDirectory(Path(root) / "share"), SystemClock()
        pids = [programs.enter_context(program()) for _ in GPUS]
        runs = [container(share, number, pid) for number, pid in enumerate(pids)]
        use = RunUse(by_session=True, now=_fast(clock))
        measuring = Measuring(
            NodeName("bench"), machine=MachineLoad(), runs=use, gpus=Gpus(), rings=Rings(share), clock=clock
        )
        measuring.containers = lambda: runs
        time.sleep(2)
        samples = writes = glances = 0.0
        for number in range(SAMPLES):
            samples += cost(measuring.sample)
            glances += cost(measuring.glance) * 3
            if number % (WRITE / EVERY) == 0:
                writes += cost(measuring.writer.write)
        assert all(
            row["memory"] > 2**20 for row in (measuring.last.runs.values() if measuring.last else [{"memory": 0}])
        )
        measuring.writer.finish()
        whole = (samples + glances + writes) / (SAMPLES * EVERY)
        print(f"a sample {1e3 * samples / SAMPLES:.2f} ms, a write {1e3 * writes / SAMPLES * WRITE / EVERY:.2f} ms")
        print(f"measuring 8 GPUs and 8 runs: {100 * whole:.3f} % of one core (goal: under 0.5 %)")


def cost(work: Callable[[], None]) -> float:
    """Processor time of this process, in seconds."""
    before = time.process_time()
    work()
    return time.process_time() - before


def _fast(clock: SystemClock) -> Callable[[], float]:
    """A session's members are looked up anew as often as they would be at the real pace."""
    calls = count()
    return lambda: clock.monotonic() + next(calls) / len(GPUS) * EVERY


if __name__ == "__main__":
    main()
