"""What of a node is given away."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from reconciler.core.desired import Requires


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What claims hold on one node, and who else is at its GPUs. Sizes in bytes."""

    cpus: float = 0.0
    memory: int = 0
    disk: int = 0
    gpus: frozenset[str] = frozenset()  # by one stage each
    shared: Mapping[str, int] = field(default_factory=dict)  # device -> what is promised of its memory
    busy: Mapping[str, str] = field(default_factory=dict)  # device -> who uses it, though no claim in force names it

    def plus(self, requires: Requires, gpus: Iterable[str]) -> "Used":
        wanted, shared, alone = requires.gpus, dict(self.shared), self.gpus
        if wanted.share and wanted.memory:
            shared |= {gpu: shared.get(gpu, 0) + wanted.memory for gpu in gpus}
        else:
            alone |= frozenset(gpus)
        return Used(
            cpus=self.cpus + requires.cpus,
            memory=self.memory + requires.memory,
            disk=self.disk + requires.disk,
            gpus=alone,
            shared=shared,
            busy=self.busy,
        )

    def beside(self, busy: Mapping[str, str]) -> "Used":
        """The same, with these devices in use by others."""
        return replace(self, busy={**self.busy, **busy}) if busy else self
