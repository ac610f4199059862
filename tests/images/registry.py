"""A real registry on loopback, and images to put into it. The engine trusts 127.0.0.0/8 without a certificate."""

import io
import json
import os
import re
import secrets
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import APIError, ImageNotFound

from tests.engine import IMAGE

PROGRAM = "docker-registry"
MISSING = f"{PROGRAM} is not installed: sudo apt-get install docker-registry"
USER, PASSWORD = "ada", "lovelace"
HTPASSWD = f"{USER}:$2b$04$upA3tQSWNW7SeeGh9wilrecR8yjwXNdvjHO9XU8j.d/tUTH.Kceu6\n"  # of that password
DEADLINE = 30.0


@dataclass
class Registry:
    """One ``docker-registry`` process. ``stop`` and ``start`` keep its port and what it holds."""

    root: Path
    is_private: bool = False
    port: int = 0
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        settings: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "info"},
            "storage": {"filesystem": {"rootdirectory": str(self.root / "data")}},
            "http": {"addr": f"127.0.0.1:{self.port}"},
        }
        if self.is_private:
            (self.root / "htpasswd").write_text(HTPASSWD)
            settings["auth"] = {"htpasswd": {"realm": "test", "path": str(self.root / "htpasswd")}}
        config, log = self.root / "config.yml", self.root / "log"
        config.write_text(json.dumps(settings))
        with log.open("wb") as file:
            self.process = subprocess.Popen([PROGRAM, "serve", config], stdout=file, stderr=file)
        deadline = time.monotonic() + DEADLINE
        while not (found := re.search(r"listening on 127\.0\.0\.1:(\d+)", log.read_text())):
            assert self.process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.02)
        self.port = int(found[1])

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@contextmanager
def running(root: Path, *, is_private: bool = False) -> Iterator[Registry]:
    if shutil.which(PROGRAM) is None:
        if os.environ.get("WINSLOW_REQUIRE_REGISTRY") == "1":
            pytest.fail(MISSING)
        pytest.skip(MISSING)
    registry = Registry(root, is_private)
    registry.start()
    try:
        yield registry
    finally:
        registry.stop()


@dataclass
class Bench:
    """Makes images under names that no other test has, and removes all of them in the end."""

    engine: docker.DockerClient
    names: set[str] = field(default_factory=set)

    def name(self, host: str = "winslow-test.invalid") -> str:
        made = f"{host}/test/{secrets.token_hex(6)}:1"
        self.names.add(made)
        return made

    def build(self, name: str, *, size: int = 0) -> str:
        """A new image under that name; its id. Each call makes another one, with ``size`` bytes of its own."""
        lines = [f"FROM {IMAGE}", f"LABEL made={secrets.token_hex(8)}"] + (["COPY blob /blob"] if size else [])
        files = {"Dockerfile": "\n".join(lines).encode(), **({"blob": os.urandom(size)} if size else {})}
        context = io.BytesIO()
        with tarfile.open(fileobj=context, mode="w") as tar:
            for path, content in files.items():
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                tar.addfile(entry, io.BytesIO(content))
        context.seek(0)
        self.names.add(name)
        image, _ = self.engine.images.build(fileobj=context, custom_context=True, tag=name, rm=True)
        return str(image.id)

    def push(self, name: str, **login: str) -> str:
        """Its digest there."""
        repository, _, tag = name.rpartition(":")
        said = list(self.engine.api.push(repository, tag=tag, stream=True, decode=True, auth_config=login or None))
        failed = [step["error"] for step in said if "error" in step]
        assert not failed, failed
        digest = next(step["aux"]["Digest"] for step in said if "aux" in step)
        return f"{repository}@{digest}"

    def publish(self, name: str, *, size: int = 0, **login: str) -> str:
        """A new image at the registry that is not here (any more); its digest."""
        self.build(name, size=size)
        digest = self.push(name, **login)
        self.forget(name)
        return digest

    def other_machine(self, name: str, architecture: str) -> None:
        """The test image as if it had been built for another kind of machine."""
        saved = io.BytesIO(b"".join(self.engine.api.get_image(IMAGE)))
        loaded = io.BytesIO()
        with tarfile.open(fileobj=saved) as tar, tarfile.open(fileobj=loaded, mode="w") as made:
            files = {entry.name: tar.extractfile(entry) for entry in tar if entry.isfile()}
            contents = {path: file.read() for path, file in files.items() if file is not None}
            (manifest,) = json.loads(contents["manifest.json"])
            config = json.loads(contents[manifest["Config"]])
            config |= {"architecture": architecture, "author": secrets.token_hex(4)}
            contents[manifest["Config"]] = json.dumps(config).encode()
            contents["manifest.json"] = json.dumps([{**manifest, "RepoTags": [name]}]).encode()
            for path, content in contents.items():
                if path != "repositories":
                    entry = tarfile.TarInfo(path)
                    entry.size = len(content)
                    made.addfile(entry, io.BytesIO(content))
        loaded.seek(0)
        self.names.add(name)
        list(self.engine.api.load_image(loaded))  # type: ignore[no-untyped-call]

    def forget(self, name: str) -> None:
        """Every name of the image's repository on this engine, and with them the image."""
        repository = name.rpartition(":")[0]
        for image in self.engine.api.images():
            told = [*(image["RepoTags"] or ()), *(image["RepoDigests"] or ())]
            for known in told:
                if known.startswith((f"{repository}:", f"{repository}@")):
                    self._remove(known)

    def has(self, name: str) -> bool:
        try:
            self.engine.api.inspect_image(name)  # type: ignore[no-untyped-call]
        except ImageNotFound:
            return False
        return True

    def clean(self) -> None:
        for name in self.names:
            self.forget(name)

    def _remove(self, name: str) -> None:
        try:
            self.engine.api.remove_image(name)
        except APIError as error:
            if error.status_code != 404:
                raise
