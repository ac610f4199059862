"""node.yaml to ``NodeConfig``, with the same exact complaints as the state repository's files."""

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from reconciler.codec.parsed import parse
from reconciler.codec.quantities import duration, memory
from reconciler.codec.validate import Kind
from reconciler.codec.yaml import MAX_BYTES
from reconciler.config import DockerConfig, NodeConfig, ProcessConfig, Registry, Reserve
from reconciler.core.names import NodeName
from reconciler.errors import BadInput

Data = Mapping[str, Any]


def load_config(path: Path) -> NodeConfig:
    """Relative paths in the file start at its directory. Raises BadInput with a line for each fault."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except FileNotFoundError as error:
        raise BadInput(
            f"there is no {path}; write one with version: 1, name, state: {{url: ...}} and share, or name another file"
        ) from error
    except OSError as error:
        raise BadInput(f"{path} can't be read: {error.strerror}") from error
    parsed = parse(Kind.NODE_CONFIG, content, str(path))
    if parsed.document is None or parsed.problems:
        raise BadInput("\n".join(map(str, parsed.problems)))
    return _config(parsed.document.data, path.absolute().parent)


def _config(data: Data, folder: Path) -> NodeConfig:
    state, usual = data["state"], NodeConfig(name=NodeName(""), state_url="", share=folder)
    return NodeConfig(
        name=NodeName(data["name"]),
        state_url=_url(state["url"], folder),
        branch=state.get("branch", usual.branch),
        observed_branch=state.get("observed", usual.observed_branch),
        share=_path(data["share"], folder),
        local=_path(data["local"], folder) if "local" in data else usual.local,
        runtime=data.get("runtime", usual.runtime),
        poll=_duration(data, "poll", usual.poll),
        labels=data.get("labels", {}),
        listen=data.get("listen"),
        advertise=data.get("advertise"),
        hook_token_file=_optional_path(data, "hook_token_file", folder),
        secrets_dir=_optional_path(data, "secrets_dir", folder),
        commands={name: tuple(command) for name, command in data.get("commands", {}).items()},
        reserve=_reserve(data.get("reserve", {})),
        docker=_docker(data.get("docker", {}), folder),
        process=_process(data.get("process", {})),
    )


def _reserve(data: Data) -> Reserve:
    return Reserve(
        cpus=float(data.get("cpus", 0.0)),
        memory=memory(data["memory"]) if "memory" in data else 0,
        disk=memory(data["disk"]) if "disk" in data else 0,
        gpus=tuple(data.get("gpus", ())),
    )


def _docker(data: Data, folder: Path) -> DockerConfig:
    usual = DockerConfig()
    return DockerConfig(
        user=data.get("user"),
        host=data.get("host"),
        shm_size=memory(data["shm_size"]) if "shm_size" in data else None,
        stop_grace=_duration(data, "stop_grace", usual.stop_grace),
        registries={
            host: Registry(user=one["user"], password_file=_path(one["password_file"], folder))
            for host, one in data.get("registries", {}).items()
        },
        keep_below=data.get("images", {}).get("keep_below", usual.keep_below),
    )


def _process(data: Data) -> ProcessConfig:
    return ProcessConfig(
        environment=data.get("environment", {}),
        stop_grace=_duration(data, "stop_grace", ProcessConfig().stop_grace),
    )


def _duration(data: Data, name: str, usual: timedelta) -> timedelta:
    return duration(data[name]) if name in data else usual


def _path(text: str, folder: Path) -> Path:
    """``~`` is the home directory; ``..`` is taken out by name, so that the path reads like the file meant it."""
    return Path(os.path.normpath(folder / Path(text).expanduser()))


def _optional_path(data: Data, name: str, folder: Path) -> Path | None:
    return _path(data[name], folder) if name in data else None


def _url(text: str, folder: Path) -> str:
    """Git's URLs as they are; what is visibly a path, as a path."""
    return str(_path(text, folder)) if text in (".", "..") or text.startswith(("./", "../", "~")) else text
