"""Running git: every process hardened, below a deadline, and gone afterwards with all its children.

GitPython starts the processes; it keeps none of them, because each call opens what it needs and closes
it again (long-lived ``Repo`` objects gather processes and descriptors). Sessions of their own let a
deadline end git together with the ssh or git-remote-https it started, and leave no terminal to ask on.

What a node's people set up for git stays in force: HOME, ssh's agent and configuration, credential
helpers, proxies, certificates, ``GIT_SSH_COMMAND``, ``GIT_ASKPASS``. What could run somebody else's code,
point git at other repositories or wait for an answer does not.
"""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import BinaryIO

from reconciler.adapters.git.remote import Remote
from reconciler.adapters.spawner import HERE, Spawn
from reconciler.errors import BadInput, SourceUnavailable

os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # a missing git is reported when it is used, not on import
import git

KEPT = frozenset(
    {
        "GIT_SSH",
        "GIT_SSH_COMMAND",
        "GIT_SSH_VARIANT",
        "GIT_ASKPASS",
        "GIT_SSL_CAINFO",
        "GIT_SSL_CAPATH",
        "GIT_SSL_CERT",
        "GIT_SSL_KEY",
        "GIT_SSL_NO_VERIFY",
        "GIT_PROXY_SSL_CAINFO",
        "GIT_CONFIG_NOSYSTEM",
        "GIT_CONFIG_SYSTEM",
        "GIT_EXEC_PATH",
        "GIT_TRACE",
    }
)
"""Variables of git's own that an administrator may have set for us; all others are taken away."""

SSH = "ssh -o BatchMode=yes -o ConnectTimeout=10 -o ServerAliveInterval=10 -o ServerAliveCountMax=3 -o ControlMaster=no"
"""Weaker than GIT_SSH_COMMAND and people's core.sshCommand. A master connection would outlive its git."""

OVERRIDES = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.fsync": "all",  # the default loses loose objects with the power
    "protocol.version": "2",
    "protocol.ext.allow": "never",
    "submodule.recurse": "false",
    "fetch.recurseSubmodules": "false",
    "fetch.prune": "false",
    "fetch.writeCommitGraph": "false",
    "transfer.fsckObjects": "true",
    "push.recurseSubmodules": "no",
    "push.followTags": "false",
    "push.gpgSign": "false",
    "push.pushOption": "",
    "maintenance.auto": "false",
    "gc.autoDetach": "false",
    "log.showSignature": "false",
}
"""Stronger than every configuration file."""


@dataclass(frozen=True, slots=True)
class Result:
    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode(errors="replace").strip()


class TimedOut(SourceUnavailable):
    """A git process was killed at its deadline."""


class Broken(SourceUnavailable):
    """Our own clone does not hold what it should. It is a cache: the repository is cloned again."""


@dataclass(frozen=True, slots=True)
class Call:
    """One git to be started, wherever programs are started."""

    directory: Path
    arguments: tuple[str, ...]
    environment: Mapping[str, str]
    timeout: float


@dataclass(frozen=True, slots=True)
class Pipes:
    stdin: BinaryIO
    stdout: BinaryIO


class GitCommand:
    """Runs git in one bare repository.

    ``inherited``: variables of git's own that hold in spite of all, such as where a hook finds what was pushed.
    """

    def __init__(
        self,
        directory: Path,
        remote: Remote,
        timeout: float,
        *,
        inherited: Mapping[str, str] | None = None,
        spawn: Spawn = HERE,
    ) -> None:
        self.directory = directory
        self.timeout = timeout
        self._remote = remote
        self._inherited = dict(inherited or {})
        self._spawn = spawn

    def run(self, *arguments: str, stdin: bytes = b"", timeout: float | None = None) -> Result:
        """Run to the end, whatever its exit code. TimedOut when the deadline (seconds) passes."""
        return self._spawn.do(_run, self._call(arguments, timeout), stdin)

    def local(self, *arguments: str, stdin: bytes = b"") -> bytes:
        """Output of a command that only needs our clone; a failure means that the clone is damaged."""
        result = self.run(*arguments, stdin=stdin)
        if result.code != 0:
            raise Broken(f"git {arguments[0]} failed in {self.directory}: {result.err.strip()[:500]}")
        return result.out

    @contextlib.contextmanager
    def conversation(self, *arguments: str) -> Iterator[Pipes]:
        """A process to talk with for at most the deadline; then it is killed and its output ends."""
        with self._spawn.lend(_converse, self._call(arguments)) as (stdin, stdout):
            pipes = Pipes(os.fdopen(stdin, "wb"), os.fdopen(stdout, "rb"))
            try:
                yield pipes
            finally:
                pipes.stdout.close()
                with contextlib.suppress(BrokenPipeError):
                    pipes.stdin.close()

    def _call(self, arguments: tuple[str, ...], timeout: float | None = None) -> Call:
        names = (name for name in unwanted_variables() if name not in self._inherited)
        unwanted = [part for name in names for part in ("-u", name)]
        command = (*(("env", *unwanted) if unwanted else ()), "git", f"--git-dir={self.directory}", *arguments)
        return Call(self.directory, command, self._environment(), timeout or self.timeout)

    def _environment(self) -> dict[str, str]:
        environment = {
            "GIT_TERMINAL_PROMPT": "0",
            "GCM_INTERACTIVE": "never",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_ALLOW_PROTOCOL": self._remote.protocols,
            "GIT_CONFIG_GLOBAL": str(self.directory / "winslow.gitconfig"),
            "GIT_CONFIG_COUNT": str(len(OVERRIDES)),
        }
        for index, (key, value) in enumerate(OVERRIDES.items()):
            environment |= {f"GIT_CONFIG_KEY_{index}": key, f"GIT_CONFIG_VALUE_{index}": value}
        return {**environment, **self._inherited}

    def write_configuration(self) -> None:
        """Our own "global" configuration: it includes the user's and adds what only such a file may say.

        ``safe.directory`` names the one local remote, so that a repository owned by another user works.
        """
        home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        includes = [os.environ["GIT_CONFIG_GLOBAL"]] if os.environ.get("GIT_CONFIG_GLOBAL") else []
        includes = includes or [f"{home}/git/config", "~/.gitconfig"]
        lines = [
            f'[core]\n\tsshCommand = "{SSH}"',
            "[safe]",
            *(f"\tdirectory = {quoted(path)}" for path in self._safe()),
        ]
        lines += [f"[include]\n\tpath = {quoted(path)}" for path in includes]
        (self.directory / "winslow.gitconfig").write_text("\n".join(lines) + "\n", encoding="utf-8")

    def _safe(self) -> Iterator[str]:
        if self._remote.path is not None:
            for suffix in ("", "/.git", ".git", ".git/.git"):
                yield f"{self._remote.path}{suffix}"


def _run(call: Call, stdin: bytes) -> Result:
    process = _start(call)
    try:
        out, err = process.communicate(stdin, timeout=call.timeout)
    except subprocess.TimeoutExpired:
        name = call.arguments[call.arguments.index("git") + 2]
        raise TimedOut(f"git {name} gave no answer within {call.timeout:g} seconds") from None
    finally:
        end(process)
    return Result(process.returncode, out, err.decode(errors="replace"))


@contextlib.contextmanager
def _converse(call: Call) -> Iterator[tuple[int, ...]]:
    process = _start(call)
    watchdog = Timer(call.timeout, kill, (process, signal.SIGKILL))
    watchdog.daemon = True
    watchdog.start()
    try:
        yield tuple(stream.fileno() for stream in (process.stdin, process.stdout) if stream is not None)
    finally:
        watchdog.cancel()
        end(process)


def _start(call: Call) -> subprocess.Popen[bytes]:
    program = git.Git(call.directory if call.directory.is_dir() else None)
    program.update_environment(**call.environment)
    command = list(call.arguments)
    try:
        handle = program.execute(command, istream=subprocess.PIPE, as_process=True, start_new_session=True)
    except git.GitCommandNotFound as error:
        raise BadInput("git is not installed, or not on the PATH of this user; install git") from error
    process = handle.proc
    assert process is not None  # noqa: S101  (a handle has its process until it is closed)
    handle.proc = None  # ours from here on
    return process


def unwanted_variables() -> list[str]:
    return [name for name in os.environ if (name.startswith("GIT_") and name not in KEPT) or name == "SSH_ASKPASS"]


def quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def kill(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)  # the leader of its own session: its process group is its id


def end(process: subprocess.Popen[bytes]) -> None:
    """Whatever still runs of the process's group ends: politely, so that it removes its locks, then at once."""
    if process.poll() is None:
        kill(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(1.0)
    kill(process, signal.SIGKILL)
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream is not None:
            with contextlib.suppress(BrokenPipeError):
                stream.close()
