"""The shared directory (NFSv4, or any local directory on one machine): ledger, files, heartbeats, locks.

Read by opening: names come from ``scandir``, content from open, read, close *after* the directory was opened;
never from ``stat``, a kept descriptor or a failed lookup, all of which may be a minute stale on NFS.
"""

from reconciler.adapters.share.directory import SharedDirectory

__all__ = ["SharedDirectory"]
