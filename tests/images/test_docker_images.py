"""The engine's images and a real registry: which one a tag is, pulling it, and what is said when that fails."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from reconciler.adapters.docker.images import DockerImages
from reconciler.config import DockerConfig
from reconciler.config import Registry as Login
from reconciler.core.desired import Pull
from reconciler.core.image_names import PullProgress
from reconciler.core.stored_images import REST, PulledImage, present, removable
from reconciler.errors import RegistryUnavailable, StartFailed, Superseded, Transient, TryLater
from tests.images.conftest import MakeImages
from tests.images.registry import PASSWORD, USER, Bench, Registry

NOBODY = "127.0.0.1:9"


def quiet(progress: PullProgress) -> None:
    """Nobody listens."""


# --- which one it is ---


def test_a_tag_is_resolved_at_the_registry_without_pulling(
    images: DockerImages, bench: Bench, registry: Registry
) -> None:
    name = bench.name(registry.host)
    digest = bench.publish(name)
    assert images.resolve(name, Pull.MISSING) == digest
    assert not bench.has(name)


def test_what_is_here_needs_no_registry(images: DockerImages, bench: Bench) -> None:
    """Also where the registry of its name is dead."""
    name = bench.name(NOBODY)
    made = bench.build(name)
    for pull in (Pull.MISSING, Pull.NEVER):
        assert images.resolve(name, pull) == made
        assert images.provide(name, made, pull, quiet).reference == made


def test_what_came_from_a_registry_is_known_by_its_digest_while_that_is_dead(
    images: DockerImages, bench: Bench, own_registry: Registry
) -> None:
    name = bench.name(own_registry.host)
    digest = bench.publish(name)
    images.resolve(name, Pull.MISSING)
    images.provide(name, digest, Pull.MISSING, quiet)
    own_registry.stop()
    assert images.resolve(name, Pull.MISSING) == digest
    assert not images.provide(name, digest, Pull.MISSING, quiet).was_pulled


def test_always_asks_the_registry_though_an_older_image_is_here(
    images: DockerImages, bench: Bench, registry: Registry
) -> None:
    name = bench.name(registry.host)
    before = bench.publish(name)
    images.provide(name, before, Pull.MISSING, quiet)
    bench.build(name)
    after = bench.push(name)
    bench.forget(name)
    bench.engine.api.tag(images.provide(name, before, Pull.MISSING, quiet).id, name.rpartition(":")[0], "1")
    assert images.resolve(name, Pull.MISSING) == before
    assert images.resolve(name, Pull.ALWAYS) == after
    images.provide(name, after, Pull.ALWAYS, quiet)
    assert images.resolve(name, Pull.MISSING) == after


def test_never_waits_for_somebody_to_bring_the_image(images: DockerImages, bench: Bench, registry: Registry) -> None:
    """Another node may have it."""
    name = bench.name(registry.host)
    digest = bench.publish(name)
    with pytest.raises(TryLater, match="pull: never"):
        images.resolve(name, Pull.NEVER)
    with pytest.raises(StartFailed, match="pull: never"):
        images.provide(name, digest, Pull.NEVER, quiet)


def test_a_digest_is_itself(images: DockerImages, bench: Bench) -> None:
    exact = f"{bench.name(NOBODY)}@sha256:{'1' * 64}"
    assert images.resolve(exact, Pull.ALWAYS) == exact.replace(":1@", "@")


# --- pulling ---


def test_all_attempts_get_the_first_ones_image_though_the_tag_moved(
    images: DockerImages, bench: Bench, registry: Registry
) -> None:
    name = bench.name(registry.host)
    first = bench.publish(name)
    second = bench.publish(name)
    assert first != second
    here = images.provide(name, first, Pull.MISSING, quiet)
    assert (here.reference, here.was_pulled) == (first, True)
    assert not bench.has(second)


@pytest.mark.parametrize("pull", [Pull.MISSING, Pull.ALWAYS])
def test_another_attempt_of_an_older_run_leaves_the_tag_alone(
    images: DockerImages, bench: Bench, registry: Registry, pull: Pull
) -> None:
    """Its image is not what the tag means now: the next new run would be bound to it."""
    name = bench.name(registry.host)
    first, second = bench.publish(name), bench.publish(name)
    images.provide(name, first, pull, quiet)
    assert not bench.has(name)
    assert images.resolve(name, Pull.MISSING) == second
    images.provide(name, second, Pull.MISSING, quiet)
    assert bench.has(name)
    bench.engine.api.remove_image(first)
    images.provide(name, first, pull, quiet)
    assert images.resolve(name, Pull.MISSING) == second


def test_an_image_without_a_tag_is_known_by_its_digest_and_may_go(
    images: DockerImages, bench: Bench, registry: Registry
) -> None:
    name = bench.name(registry.host)
    digest = bench.publish(name)
    here = images.provide(name, digest, Pull.MISSING, quiet)
    (found,) = [one for one in images.listed() if one.id == here.id]
    assert not found.tags
    assert present([found], {name, digest}) == {digest}
    now = datetime.now(UTC)
    pulled = {found.id: PulledImage(names=frozenset({name}), used_at=now - 2 * REST)}
    assert removable([found], pulled, {digest}, now) == ()
    assert removable([found], pulled, {name}, now) == (found,)
    images.remove(found)
    assert not bench.has(digest)


def test_a_pull_tells_how_far_it_is(images: DockerImages, bench: Bench, registry: Registry) -> None:
    name = bench.name(registry.host)
    digest = bench.publish(name, size=3_000_000)
    told: list[PullProgress] = []
    images.provide(name, digest, Pull.MISSING, told.append)
    assert max(progress.total for progress in told) > 2_900_000
    assert told[-1].done == told[-1].total
    assert str(told[-1]) == "100 % of 2.9 MiB"


def test_a_pull_that_is_given_up_is_taken_up_again(images: DockerImages, bench: Bench, registry: Registry) -> None:
    name = bench.name(registry.host)
    digest = bench.publish(name, size=3_000_000)

    def give_up(progress: PullProgress) -> None:
        raise Superseded

    with pytest.raises(Superseded):
        images.provide(name, digest, Pull.MISSING, give_up)
    assert images.provide(name, digest, Pull.MISSING, quiet).was_pulled


def test_another_nodes_own_build_is_not_replaced_by_ours(images: DockerImages, bench: Bench) -> None:
    name = bench.name()
    bench.build(name)
    with pytest.raises(StartFailed, match=r"another build of it.*docker save") as failure:
        images.provide(name, f"sha256:{'1' * 64}", Pull.MISSING, quiet)
    assert failure.value.reason == "ImageDiffers"


def test_a_build_that_a_node_lacks_altogether_says_so(images: DockerImages, bench: Bench) -> None:
    with pytest.raises(StartFailed, match="no image of that name"):
        images.provide(bench.name(), f"sha256:{'1' * 64}", Pull.MISSING, quiet)


def test_an_image_for_another_machine_is_refused_with_both_names(images: DockerImages, bench: Bench) -> None:
    name = bench.name()
    bench.other_machine(name, "arm64")
    with pytest.raises(StartFailed, match=r"linux/arm64.*linux/amd64") as failure:
        images.provide(name, None, Pull.MISSING, quiet)
    assert failure.value.reason == "ImageArchitecture"


# --- registries that say no ---


def test_a_dead_registry_is_named_and_tried_again(images: DockerImages, bench: Bench) -> None:
    name = bench.name(NOBODY)
    for ask in (
        lambda: images.resolve(name, Pull.MISSING),
        lambda: images.provide(name, f"{name.rpartition(':')[0]}@sha256:{'1' * 64}", Pull.MISSING, quiet),
    ):
        with pytest.raises(RegistryUnavailable, match=rf"registry {NOBODY} does not answer.*connection refused"):
            ask()


def test_a_missing_tag_is_no_fault_that_passes(images: DockerImages, bench: Bench, registry: Registry) -> None:
    name = bench.name(registry.host)
    with pytest.raises(StartFailed, match="docker push") as failure:
        images.resolve(name, Pull.MISSING)
    assert failure.value.reason == "ImageNotFound"
    with pytest.raises(StartFailed) as failure:
        images.provide(name, None, Pull.MISSING, quiet)
    assert failure.value.reason == "ImageNotFound"


@pytest.mark.parametrize("name", ["UPPER/case:1", "a b", "x:1:2"])
def test_a_name_that_is_none_is_named(images: DockerImages, name: str) -> None:
    with pytest.raises(StartFailed) as failure:
        images.resolve(name, Pull.MISSING)
    assert failure.value.reason == "ImageNotFound"


def test_a_private_registry_says_how_to_log_in(images: DockerImages, bench: Bench, private_registry: Registry) -> None:
    name = bench.name(private_registry.host)
    digest = bench.publish(name, username=USER, password=PASSWORD)
    for ask in (lambda: images.resolve(name, Pull.MISSING), lambda: images.provide(name, digest, Pull.MISSING, quiet)):
        with pytest.raises(StartFailed, match=f"docker login {private_registry.host}") as failure:
            ask()
        assert failure.value.reason == "RegistryRefused"


def test_a_password_file_of_the_node_logs_in(
    make_images: MakeImages, bench: Bench, private_registry: Registry, tmp_path: Path
) -> None:
    name = bench.name(private_registry.host)
    digest = bench.publish(name, username=USER, password=PASSWORD)
    password = tmp_path / "password"
    images = make_images(DockerConfig(registries={private_registry.host: Login(user=USER, password_file=password)}))
    with pytest.raises(RegistryUnavailable, match=r"password.*No such file"):
        images.resolve(name, Pull.MISSING)
    password.write_text("wrong\n")
    with pytest.raises(StartFailed, match="docker login") as failure:
        images.resolve(name, Pull.MISSING)
    assert "wrong" not in str(failure.value)
    password.write_text(f"{PASSWORD}\n")
    assert images.resolve(name, Pull.MISSING) == digest
    assert images.provide(name, digest, Pull.MISSING, quiet).was_pulled


def test_a_login_of_this_user_counts_at_once(
    images: DockerImages, bench: Bench, private_registry: Registry, tmp_path: Path
) -> None:
    name = bench.name(private_registry.host)
    digest = bench.publish(name, username=USER, password=PASSWORD)
    with pytest.raises(StartFailed):
        images.resolve(name, Pull.MISSING)
    secret = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    (tmp_path / "docker").mkdir()
    (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {private_registry.host: {"auth": secret}}}))
    assert images.resolve(name, Pull.MISSING) == digest
    assert images.provide(name, digest, Pull.MISSING, quiet).was_pulled


def test_logins_that_cant_be_read_are_no_traceback(images: DockerImages, tmp_path: Path, bench: Bench) -> None:
    (tmp_path / "docker").mkdir()
    config = tmp_path / "docker/config.json"
    for is_connected in (False, True):
        config.write_text(json.dumps({"auths": {NOBODY: {"auth": "not base64!"}}}))
        with pytest.raises(Transient, match=r"config\.json"):
            images.resolve(bench.name(NOBODY), Pull.MISSING)
        config.unlink()
        assert is_connected or images.fill()


@contextmanager
def answering(status: int, body: bytes = b"") -> Iterator[str]:
    """A registry that has only this to say."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *told: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize(
    ("status", "error", "said"),
    [
        (429, RegistryUnavailable, "too many requests"),
        (500, RegistryUnavailable, "500"),
        (503, RegistryUnavailable, "503"),
        (403, StartFailed, "docker login"),
        (404, StartFailed, "neither on this node nor at its registry"),
    ],
)
def test_a_registrys_refusals_are_told_apart(
    images: DockerImages, bench: Bench, status: int, error: type[Exception], said: str
) -> None:
    with answering(status) as host:
        name = bench.name(host)
        with pytest.raises(error, match=said):
            images.resolve(name, Pull.MISSING)
        with pytest.raises(error, match=said):
            images.provide(name, None, Pull.MISSING, quiet)


# --- what is here ---


def test_images_are_listed_with_their_names_and_who_uses_them(
    images: DockerImages, bench: Bench, registry: Registry
) -> None:
    name = bench.name(registry.host)
    digest = bench.publish(name)
    images.resolve(name, Pull.MISSING)
    here = images.provide(name, digest, Pull.MISSING, quiet)
    (found,) = [image for image in images.listed() if image.id == here.id]
    assert (found.names, found.is_used) == (frozenset({name, digest}), False)
    container = bench.engine.containers.create(name, ["true"])
    try:
        (found,) = [image for image in images.listed() if image.id == here.id]
        assert found.is_used
        images.remove(found)
        assert bench.has(here.id)
    finally:
        container.remove()


def test_removing_takes_every_name_and_may_be_repeated(images: DockerImages, bench: Bench, registry: Registry) -> None:
    name = bench.name(registry.host)
    here = images.provide(name, bench.publish(name), Pull.MISSING, quiet)
    (found,) = [image for image in images.listed() if image.id == here.id]
    images.remove(found)
    images.remove(found)
    assert not bench.has(here.id)


def test_the_engines_disk_has_a_fill(images: DockerImages) -> None:
    fill = images.fill()
    assert fill is not None
    assert 0 < fill <= 100
