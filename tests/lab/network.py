"""One bridge between the guests, and ways to cut it: packets between two addresses are dropped, nothing else."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.lab.namespace import command

HOST = "10.77.0.1"
NET = "10.77.0.0/24"
GIT_PORT = 8443
NFS_PORT = 2049
CHAINS = ("forward", "input", "output")


@dataclass(frozen=True)
class Cut:
    """``client`` no longer reaches this service; with ``replies_only`` its requests arrive and the answers are lost."""

    client: str
    service: str
    port: int
    replies_only: bool = False

    def rules(self) -> Iterator[str]:
        yield f"ip saddr {self.service} ip daddr {self.client} tcp sport {self.port} drop"
        if not self.replies_only:
            yield f"ip saddr {self.client} ip daddr {self.service} tcp dport {self.port} drop"


class Network:
    """Cuts hold until they are healed. The lab's own way to a guest's agent is never cut."""

    def __init__(self) -> None:
        self._cuts: list[Cut] = []
        command("ip", "link", "set", "lo", "up")
        command("ip", "link", "add", "lab", "type", "bridge")
        command("ip", "address", "add", f"{HOST}/24", "dev", "lab")
        command("ip", "link", "set", "lab", "up")
        self._apply()

    def plug(self, tap: str) -> None:
        command("ip", "tuntap", "add", "dev", tap, "mode", "tap")
        command("ip", "link", "set", tap, "master", "lab", "up")

    def cut(self, *cuts: Cut) -> None:
        self._cuts += cuts
        self._apply()

    def heal(self) -> None:
        self._cuts.clear()
        self._apply()

    @contextmanager
    def without(self, *cuts: Cut) -> Iterator[None]:
        """Cut in the block, healed after it."""
        self.cut(*cuts)
        try:
            yield
        finally:
            self._cuts = [cut for cut in self._cuts if cut not in cuts]
            self._apply()

    def _apply(self) -> None:
        """The whole table in one transaction."""
        rules = [rule for cut in self._cuts for rule in cut.rules()]
        lines = ["table bridge lab", "delete table bridge lab", "table bridge lab {"]
        for chain in CHAINS:
            lines += [f"chain {chain} {{", f"type filter hook {chain} priority 0;", *rules, "}"]
        command("nft", "-f", "-", stdin="\n".join([*lines, "}"]))
