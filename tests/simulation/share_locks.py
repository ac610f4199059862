"""Kernel locks as NFSv4 keeps them: by lease, and taken away only when somebody else asks."""

from dataclasses import dataclass

from tests.simulation.ports import Scheduler
from tests.simulation.share_tree import File


class Client:
    """What the server knows of a mount: since when it hears nothing of it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.process = 0  # the how many-th that uses the mount
        self.silences: set[str] = set()  # why: cut off, frozen, without power
        self.expires = float("inf")


@dataclass(eq=False, slots=True)
class Held:
    """A lock as its holder has it. Once lost, writing through its file fails for good."""

    client: Client
    process: int
    is_lost: bool = False
    is_unclaimed: bool = False  # since the server's restart


class Locks:
    def __init__(self, scheduler: Scheduler, lease: float) -> None:
        self.grace_until = 0.0
        self._scheduler = scheduler
        self._lease = lease
        self._held: dict[File, Held] = {}

    def take(self, file: File, client: Client, process: int) -> Held | None:
        """None: somebody else has it. A process that has it already gets it again, as fcntl(2) says."""
        if process != client.process:
            return None  # it died while it asked
        held = self._held.get(file)
        if held is not None:
            if held.client is client and held.process == process:
                return held
            if not (self._is_expired(held.client) or held.is_unclaimed):
                return None
            held.is_lost = True
        held = self._held[file] = Held(client, process)
        return held

    def give_up(self, held: Held) -> None:
        self._held = {file: other for file, other in self._held.items() if other is not held}

    def booted(self, name: str) -> None:
        self._held = {file: held for file, held in self._held.items() if held.client.name != name}

    def process_died(self, client: Client) -> None:
        """The server hears of it as soon as it hears of that client at all."""
        client.process += 1
        if not client.silences:
            self._free_orphans(client)

    def _free_orphans(self, client: Client) -> None:
        for held in self._of(client):
            if held.process != client.process:
                self.give_up(held)

    def fell_silent(self, client: Client, why: str) -> None:
        """Measured: a lock was to be had 0.7 to 1.45 leases after its holder fell silent."""
        if not client.silences:
            client.expires = self._scheduler.now() + self._lease * self._scheduler.random.uniform(0.7, 1.45)
        client.silences.add(why)

    def is_back(self, client: Client, why: str) -> None:
        client.silences.discard(why)
        if client.silences:
            return
        client.expires = float("inf")
        self._free_orphans(client)
        for held in self._of(client):
            held.is_lost = held.is_unclaimed and self._scheduler.now() >= self.grace_until
            held.is_unclaimed = False
            if held.is_lost:
                self.give_up(held)

    def restart(self) -> None:
        """Whoever is there claims its locks again; for the others there is a time of grace."""
        for held in self._held.values():
            held.is_unclaimed = bool(held.client.silences)
        missing = any(held.is_unclaimed for held in self._held.values())
        self.grace_until = self._scheduler.now() + (self._lease if missing else 0.5)

    def _of(self, client: Client) -> list[Held]:
        return [held for held in self._held.values() if held.client is client]

    def _is_expired(self, client: Client) -> bool:
        return self._scheduler.now() >= client.expires
