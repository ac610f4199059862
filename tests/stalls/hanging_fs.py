"""A file system that hangs on demand: ``python hanging_fs.py DIRECTORY MOUNTPOINT`` shows the one at the other.

SIGSTOP makes it hang and SIGCONT heals it. To a client that is a hard NFS mount whose server is away: calls neither
return nor fail, and closing a file waits, also in a child that only inherited it. The kernel's FUSE protocol, as far as
a share needs it; needs root and /dev/fuse. No cache: each call asks.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Callable
from contextlib import suppress

MAX_WRITE = 1 << 17
IN = struct.Struct("<IIQQIIIHH")
OUT = struct.Struct("<IiQ")
ENOSYS, ENOENT = 38, 2


class HangingFs:
    """Nodes are O_PATH descriptors by number: names may come and go meanwhile, as hard links do."""

    def __init__(self, directory: str) -> None:
        self._nodes = {1: os.open(directory, os.O_PATH)}
        self._numbers: dict[tuple[int, int], int] = {}
        self._next = 2
        self._listings: dict[int, list[tuple[int, int, bytes]]] = {}
        self.operations: dict[int, Callable[[int, bytes], bytes | None]] = {
            1: self._lookup,
            2: lambda node, data: None,  # forget
            3: lambda node, data: struct.pack("<QII", 0, 0, 0) + self._attributes(node),
            4: self._setattr,
            5: lambda node, data: os.readlink(b"", dir_fd=self._nodes[node]),
            6: self._symlink,
            9: self._mkdir,
            10: lambda node, data: self._void(os.unlink, self._name(data), dir_fd=self._nodes[node]),
            11: lambda node, data: self._void(os.rmdir, self._name(data), dir_fd=self._nodes[node]),
            12: lambda node, data: self._rename(node, data, 8),
            13: self._link,
            14: self._open,
            15: self._read,
            16: self._write,
            17: self._statfs,
            18: lambda node, data: self._void(os.close, struct.unpack_from("<Q", data)[0]),
            20: lambda node, data: self._void(os.fsync, struct.unpack_from("<Q", data)[0]),
            25: lambda node, data: b"",  # flush: a close by anybody
            26: self._init,
            27: self._opendir,
            28: self._readdir,
            29: lambda node, data: self._void(self._listings.pop, struct.unpack_from("<Q", data)[0]),
            30: lambda node, data: b"",
            35: self._create,
            36: lambda node, data: None,  # interrupt
            42: lambda node, data: None,
            45: lambda node, data: self._rename(node, data, 16),
        }

    def serve(self, device: int) -> None:
        while True:
            with suppress(InterruptedError, FileNotFoundError):
                try:
                    request = os.read(device, MAX_WRITE + 4096)
                except OSError:
                    return  # unmounted
                _, operation, unique, node, *_ = IN.unpack_from(request)
                answer = self._answer(operation, node, request[IN.size :])
                if answer is not None:
                    error, content = answer
                    os.write(device, OUT.pack(OUT.size + len(content), -error, unique) + content)

    def _answer(self, operation: int, node: int, data: bytes) -> tuple[int, bytes] | None:
        try:
            done = self.operations[operation](node, data)
        except KeyError:
            return ENOSYS, b""
        except OSError as error:
            return error.errno or ENOENT, b""
        return None if done is None else (0, done)

    # --- nodes ---

    @staticmethod
    def _void(call: Callable[..., object], *arguments: object, **named: object) -> bytes:
        call(*arguments, **named)
        return b""

    @staticmethod
    def _name(data: bytes) -> bytes:
        return data.split(b"\0", 1)[0]

    def _path(self, node: int) -> str:
        return f"/proc/self/fd/{self._nodes[node]}"

    def _entry(self, parent: int, name: bytes) -> bytes:
        found = os.stat(name, dir_fd=self._nodes[parent], follow_symlinks=False)
        identity = found.st_dev, found.st_ino
        if identity not in self._numbers or os.fstat(self._nodes[self._numbers[identity]]).st_nlink == 0:
            self._numbers[identity], self._next = self._next, self._next + 1
            self._nodes[self._numbers[identity]] = os.open(name, os.O_PATH | os.O_NOFOLLOW, dir_fd=self._nodes[parent])
        node = self._numbers[identity]
        return struct.pack("<QQQQII", node, 0, 0, 0, 0, 0) + self._attributes(node)

    def _attributes(self, node: int) -> bytes:
        found = os.fstat(self._nodes[node])
        times = [divmod(value, 10**9) for value in (found.st_atime_ns, found.st_mtime_ns, found.st_ctime_ns)]
        return struct.pack(
            "<6Q10I",
            *(found.st_ino, found.st_size, found.st_blocks, *(seconds for seconds, _ in times)),
            *(nanoseconds for _, nanoseconds in times),
            *(found.st_mode, found.st_nlink, found.st_uid, found.st_gid, 0, 4096, 0),
        )

    # --- operations ---

    def _init(self, node: int, data: bytes) -> bytes:
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, MAX_WRITE, 0, 64, 48, MAX_WRITE, 1, 0, 0, 0)

    def _lookup(self, node: int, data: bytes) -> bytes:
        return self._entry(node, self._name(data))

    def _setattr(self, node: int, data: bytes) -> bytes:
        valid, _, _, size = struct.unpack_from("<IIQQ", data)
        mode, _, uid, gid = struct.unpack_from("<4I", data, 68)
        path = self._path(node)
        if valid & 1:
            os.chmod(path, mode & 0o7777)  # noqa: PTH101  # beside its likes
        if valid & 6:
            os.chown(path, uid if valid & 2 else -1, gid if valid & 4 else -1)
        if valid & 8:
            os.truncate(path, size)
        if valid & 0x180:
            os.utime(path)
        return struct.pack("<QII", 0, 0, 0) + self._attributes(node)

    def _symlink(self, node: int, data: bytes) -> bytes:
        name, target, _ = data.split(b"\0", 2)
        os.symlink(target, name, dir_fd=self._nodes[node])
        return self._entry(node, name)

    def _mkdir(self, node: int, data: bytes) -> bytes:
        mode, _ = struct.unpack_from("<II", data)
        os.mkdir(self._name(data[8:]), mode, dir_fd=self._nodes[node])
        return self._entry(node, self._name(data[8:]))

    def _rename(self, node: int, data: bytes, begin: int) -> bytes:
        to = struct.unpack_from("<Q", data)[0]
        old, new, _ = data[begin:].split(b"\0", 2)
        os.rename(old, new, src_dir_fd=self._nodes[node], dst_dir_fd=self._nodes[to])
        return b""

    def _link(self, node: int, data: bytes) -> bytes:
        old = struct.unpack_from("<Q", data)[0]
        os.link(self._path(old), self._name(data[8:]), dst_dir_fd=self._nodes[node], follow_symlinks=True)
        return self._entry(node, self._name(data[8:]))

    def _open(self, node: int, data: bytes) -> bytes:
        flags = struct.unpack_from("<I", data)[0] & ~(os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW)
        return struct.pack("<QII", os.open(self._path(node), flags), 1, 0)  # 1: no page cache

    def _create(self, node: int, data: bytes) -> bytes:
        flags, mode, _, _ = struct.unpack_from("<4I", data)
        name = self._name(data[16:])
        handle = os.open(name, flags | os.O_CREAT, mode & 0o7777, dir_fd=self._nodes[node])
        return self._entry(node, name) + struct.pack("<QII", handle, 1, 0)

    def _read(self, node: int, data: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", data)
        return os.pread(handle, size, offset)

    def _write(self, node: int, data: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", data)
        return struct.pack("<II", os.pwrite(handle, data[40 : 40 + size], offset), 0)

    def _statfs(self, node: int, data: bytes) -> bytes:
        found = os.statvfs(self._path(node))
        counts = (found.f_blocks, found.f_bfree, found.f_bavail, found.f_files, found.f_ffree)
        return struct.pack("<5Q4I24x", *counts, found.f_bsize, found.f_namemax, found.f_frsize, 0)

    def _opendir(self, node: int, data: bytes) -> bytes:
        handle, self._next = self._next, self._next + 1
        with os.scandir(self._path(node)) as entries:
            self._listings[handle] = [
                (entry.inode(), 4 if entry.is_dir(follow_symlinks=False) else 8, os.fsencode(entry.name))
                for entry in entries
            ]
        return struct.pack("<QII", handle, 0, 0)

    def _readdir(self, node: int, data: bytes) -> bytes:
        handle, offset, size = struct.unpack_from("<QQI", data)
        found = b""
        for number, (inode, kind, name) in enumerate(self._listings[handle][offset:], start=offset + 1):
            entry = struct.pack("<QQII", inode, number, len(name), kind) + name
            entry += b"\0" * (-len(entry) % 8)
            if len(found) + len(entry) > size:
                break
            found += entry
        return found


def main(directory: str, mountpoint: str) -> None:
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions"
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"hanging", mountpoint.encode(), b"fuse.hanging", 6, options.encode()) != 0:  # nosuid, nodev
        sys.exit(f"can't be mounted: {os.strerror(ctypes.get_errno())}")
    os.write(1, b"mounted\n")
    HangingFs(directory).serve(device)


if __name__ == "__main__":
    main(*sys.argv[1:])
