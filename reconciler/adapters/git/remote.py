"""Where the state repository lies: which addresses we accept, and a remote's answers in one line for people."""

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from reconciler.errors import BadInput

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SCP_LIKE = re.compile(r"(?:[\w.~-]+@)?(?:[\w.-]+|\[[0-9A-Fa-f:.]+\]):(?!/?/?:)[^:].*")
BRANCH = re.compile(r"(?!.*(?:\.\.|//|@\{|\.lock(?:/|$)|/\.|\.$|/$))[A-Za-z0-9_][\w./+@-]*")

WAYS = "write https://host/path.git, ssh://user@host/path.git, user@host:path.git, file:///path.git or an absolute path"


@dataclass(frozen=True, slots=True)
class Remote:
    """A checked address. ``path`` is set for a repository on this machine."""

    url: str
    path: Path | None = None
    plain_http: bool = False

    @property
    def protocols(self) -> str:
        """For GIT_ALLOW_PROTOCOL; people's url.insteadOf may turn one of the safe ones into another."""
        return "https:ssh:file:http" if self.plain_http else "https:ssh:file"

    @classmethod
    def parse(cls, url: str) -> "Remote":
        """BadInput for what we don't speak, with what to write instead."""
        if not url.isprintable() or not url or url.startswith("-"):
            raise BadInput(f"state.url: {url!r} is not the address of a repository; {WAYS}")
        if url.startswith("/"):
            return cls(url, path=Path(url.rstrip("/") or "/"))
        if "://" in url:
            return cls._parse_full(url)
        if SCP_LIKE.fullmatch(url):
            return cls(url)
        raise BadInput(f"state.url: {url!r} is not the address of a repository; {WAYS}")

    @classmethod
    def _parse_full(cls, url: str) -> "Remote":
        try:
            parts = urlsplit(url)
            host, password = parts.hostname or "", parts.password
        except ValueError as error:
            raise BadInput(f"state.url: {redacted(url)} can't be read ({error}); {WAYS}") from None
        if parts.scheme == "file" and not host and parts.path.startswith("/"):
            return cls(url, path=Path(unquote(parts.path).rstrip("/") or "/"))
        if password is not None:
            raise BadInput(
                f"state.url: {redacted(url)} holds a password, which every process list would show; take it out "
                "and give it to git's credential helper (git config --global credential.helper store), or use ssh"
            )
        if host.startswith("-") or not host:
            raise BadInput(f"state.url: {url!r} names no host; {WAYS}")
        if parts.scheme in {"https", "ssh"}:
            return cls(url)
        if parts.scheme == "http" and host in LOOPBACK:
            return cls(url, plain_http=True)
        if parts.scheme == "http":
            raise BadInput(f"state.url: plain http is accepted from this machine alone; write https://{url[7:]}")
        raise BadInput(f"state.url: {parts.scheme}:// is not accepted; {WAYS}")


def check_branch(key: str, branch: str) -> str:
    if not BRANCH.fullmatch(branch):
        raise BadInput(f"{key}: {branch!r} is not a branch's name; write letters, digits, '-', '_', '.' and '/'")
    return branch


def redacted(text: str) -> str:
    """``text`` without the passwords of addresses in it, nor names that may well be tokens (https://TOKEN@host)."""
    text = re.sub(r"(https?://)[^/\s:@]+@", r"\1***@", text)
    return re.sub(r"(\w+://[^/\s:@]*):[^@/\s]*@", r"\1:***@", text)


NOISE = re.compile(
    r"Please make sure you have the correct access rights|and the repository exists\.|^\s*$|^hint:|"
    r"^To |^warning: |^Cloning into|could not read from remote repository|^error: failed to push some refs|"
    r"unexpected disconnect|the remote end hung up|early EOF|index-pack failed|^remote:\s*$",
    re.IGNORECASE,
)
LABEL = re.compile(r"^(?:(?:remote|fatal|error|ssh): )+")

ADVICE = (
    (
        re.compile(r"dubious ownership", re.IGNORECASE),
        "the repository belongs to another user; run winslow as that user, or have git trust it: "
        "git config --system --add safe.directory <path>",
    ),
    (
        re.compile(r"terminal prompts disabled|could not read (?:username|password)|authentication failed", re.I),
        "the remote wants a user and password; give them to git's credential helper for the user that runs "
        "winslow, or use an ssh address as state.url in node.yaml",
    ),
    (
        re.compile(r"host key verification failed|no .* host key is known", re.IGNORECASE),
        "ssh does not know this host yet; connect once by hand as the user that runs winslow, and check the key",
    ),
    (
        re.compile(r"permission denied|error: 403|access denied|not allowed|insufficient permission", re.IGNORECASE),
        "no permission; check the key or credentials of the user that runs winslow, and its rights on the remote",
    ),
    (
        re.compile(
            r"not appear to be a git|repository .*not (?:be )?found|does not exist|not exported|error: 404", re.I
        ),
        "there is no repository at this address; check state.url in node.yaml",
    ),
    (
        re.compile(r"could(?:n't| not) resolve", re.IGNORECASE),
        "no such host; check state.url in node.yaml and the network",
    ),
    (re.compile(r"transport '.*' not allowed", re.IGNORECASE), f"this kind of address is not accepted; {WAYS}"),
)


def explain(stderr: str) -> str:
    """Git's last words in one line: the remote's own, and what to check."""
    words = [LABEL.sub("", line.strip()) for line in stderr.splitlines() if not NOISE.search(line)]
    said = redacted("; ".join(dict.fromkeys(word for word in words if word)))[:400] or "git gave no reason"
    advice = next((text for pattern, text in ADVICE if pattern.search(stderr)), "")
    return f"{said}: {advice}" if advice else f"{said} (state.url in node.yaml)"
