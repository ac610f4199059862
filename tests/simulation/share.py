"""A simulated NFS share: one server, and a mount of it on each machine, below port ``Files`` of adapters/share.

What is imitated was measured on a real client and a real server (NFSv4.2, hard mounts, an XFS export):

- A name that was looked up, found or not, may be answered from memory for a minute, until its directory is opened or
  changed by this client. A file opened by such a name may be the old one. Exclusive creation, ``link`` and ``mkdir``
  always ask. Contents are read at opening.
- Between a call and its effect, and between its effect and its reply, anybody else may act.
- Cut off, calls block, and succeed after the cut (``soft``: EIO after 18 s, whether or not they took effect).
- What a killed process had asked for may still happen, later. A restarted server has forgotten its replies: a repeated
  ``link`` may say EEXIST though the link is ours.
- Locks live as long as their process, and as long as nobody asks once their machine was silent for about a lease.

    server = SimServer(scheduler, root=Path("/share"), sync=True, lease=10.0, watch=None)
        scheduler: ports.Scheduler      watch(mount, path, content): each change as the server makes it, path relative
                                        to the share; b"" for a directory, None for a name that is gone. By a rename
                                        only the two names themselves are told. What a crash, ``restore`` or ``put``
                                        changes is not.
        server.mount(name, soft=False) -> SimMount     a boot of that machine: empty memory, its old locks are freed
        server.crash(lost=None)         calls block from now on; not ``sync``: the changes of the last ``lost`` seconds
                                        (drawn, if not said) are gone, though they were acknowledged
        server.restart()                a grace period for locks, then all goes on; no error anywhere
        server.full = errno.ENOSPC      or EDQUOT, or 0: what needs space fails; links and rewriting do not
        server.read_only = True
        server.backup() -> Backup       server.restore(backup)
        server.put(path, content)       somebody at the server itself: "projects/p/init/zones.json"
        server.content(path) -> bytes | None      server.names(path) -> set[str]
        server.files() -> Iterator[(path, bytes)]         none of these four is a call: no pause, no fault
        server.changes                  a counter; the same number, the same content
    mount                               port ``Files``; paths below ``root``. Share: SharedDirectory(root, files=mount)
        mount.cut("out" | "in" | "both")    requests, replies or both get lost;   mount.heal()
        mount.freeze(), mount.thaw()    only that its lease runs out: holding up its tasks is the scheduler's
        mount.lossy = 0.1               so many calls say EIO (link and create also EEXIST), half of them took effect
        mount.stale = True              each call says ESTALE
        mount.process_died()            locks are freed, open files closed; calls under way end with their tasks
        mount.lose_power()              before or after its tasks end; use ``server.mount(name)`` for its next boot

    SharedDirectory.create(server.root, files=server.mount("admin"))     makes the share, from within any task

Nothing here is called from the hub but: mount(), crash, restart, backup, restore, put, cut, heal, freeze, thaw, died.
"""

from tests.simulation.share_mount import SimMount
from tests.simulation.share_server import SimServer
from tests.simulation.share_tree import Backup

__all__ = ["Backup", "SimMount", "SimServer"]
