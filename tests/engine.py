"""A real container engine for tests, with an image that needs no registry."""

import gc
import io
import os
import shutil
import tarfile
import warnings
from collections.abc import Iterator

import docker
import pytest
from docker.errors import DockerException

IMAGE = "winslow-test/busybox:1"
BUILD = b'FROM scratch\nCOPY busybox /bin/busybox\nRUN ["/bin/busybox","--install","-s","/bin"]\n'


def engine_or_skip() -> Iterator[docker.DockerClient]:
    """A docker engine with the test image, or a skip that says how to get one."""
    client, missing = None, ""
    try:
        client = docker.from_env()
        build_image(client)
    except (DockerException, OSError) as error:
        missing = f"no container engine ({error}): run .ci/engine, or sudo apt-get install docker.io busybox-static"
    if missing:
        _collect_refused_socket()
        if os.environ.get("WINSLOW_REQUIRE_ENGINE") == "1":
            pytest.fail(missing)
        pytest.skip(missing)
    assert client is not None
    yield client
    client.close()


def _collect_refused_socket() -> None:
    """The SDK leaves it to the garbage collector, whose warning would turn the skip into an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def build_image(client: docker.DockerClient) -> None:
    if client.images.list(name=IMAGE):
        return
    busybox = shutil.which("busybox")
    if busybox is None:
        raise FileNotFoundError("busybox is not installed")
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as tar:
        tar.add(busybox, "busybox")
        entry = tarfile.TarInfo("Dockerfile")
        entry.size = len(BUILD)
        tar.addfile(entry, io.BytesIO(BUILD))
    context.seek(0)
    client.images.build(fileobj=context, custom_context=True, tag=IMAGE, rm=True)
