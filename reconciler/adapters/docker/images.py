"""The engine's images: which one a name means now, pulling it, and removing it."""

import contextlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from docker.errors import APIError, ImageNotFound, NotFound

from reconciler.adapters.docker.credentials import credentials
from reconciler.adapters.docker.engine import WORK, Engine
from reconciler.adapters.docker.pulling import Tell, pull
from reconciler.adapters.docker.registry import absent, registry_failed, silent
from reconciler.agent.ports import ImageHere
from reconciler.config import DockerConfig
from reconciler.core.desired import Pull
from reconciler.core.image_names import familiar, is_exact, repository
from reconciler.core.stored_images import LocalImage
from reconciler.errors import StartFailed, TryLater

REGISTRY = 30
"""Seconds within which a registry says what a tag is."""

RUNS_ALSO = {"amd64": {"386"}, "arm64": {"arm"}}

Inspected = Mapping[str, Any]


class DockerImages:
    """Port ``Images``."""

    def __init__(self, engine: Engine, config: DockerConfig) -> None:
        self._engine = engine
        self._config = config
        self._told: dict[str, str] = {}  # by registries: which digest a tag is, until that was pulled

    def resolve(self, image: str, pull: Pull) -> str:
        if is_exact(image):
            return familiar(image)
        found = self._inspect(image) if pull is not Pull.ALWAYS else None
        if found is not None:
            return _digest(found, image)
        if pull is Pull.NEVER:
            raise TryLater(f"{_not_here(image)}, and its stage says pull: never; build or load it here", after=30.0)
        digest = f"{repository(image)}@{self._at_registry(image)}"
        self._told[familiar(image)] = digest
        return digest

    def provide(self, image: str, digest: str | None, pull: Pull, tell: Tell) -> ImageHere:
        wanted = digest or familiar(image)
        is_unbound = digest is None and pull is Pull.ALWAYS and not is_exact(image)
        found = None if is_unbound else self._inspect(wanted)
        was_pulled = found is None
        if found is None:
            found = self._pulled(image, wanted, pull, tell)
        self._require_fit(image, found)
        if was_pulled and digest is not None:
            self._tag(image, digest, pull)
        return ImageHere(reference=digest or _digest(found, image), id=str(found["Id"]), was_pulled=was_pulled)

    def listed(self) -> Sequence[LocalImage]:
        with self._engine.asked() as api:
            used = {str(one["ImageID"]) for one in api.containers(all=True)}
            images = api.images()
        return [
            LocalImage(
                id=str(one["Id"]),
                names=frozenset([*_names(one.get("RepoTags")), *_names(one.get("RepoDigests"))]),
                size=int(one["Size"]),
                is_used=str(one["Id"]) in used,
            )
            for one in images
        ]

    def remove(self, image: LocalImage) -> None:
        """Name by name, never by force: the last one takes the layers along."""
        for name in (*sorted(image.names, key=lambda name: "@" in name), image.id):
            with self._engine.asked(WORK) as api:
                try:
                    api.remove_image(name)
                except NotFound:
                    continue
                except APIError as error:
                    if error.status_code != 409:  # used by a container, or by an image built on it
                        raise
                    return

    def fill(self) -> float | None:
        with self._engine.asked() as api:
            root = str(api.info()["DockerRootDir"])
        try:
            found = shutil.disk_usage(root)
        except OSError:  # an engine elsewhere, or a directory that this user may not see
            return None
        return 100 * found.used / (found.used + found.free) if found.total else None

    # --- inside ---

    def _inspect(self, name: str) -> Inspected | None:
        with self._engine.asked() as api:
            try:
                return dict(api.inspect_image(name))  # type: ignore[no-untyped-call]
            except ImageNotFound:
                return None
            except APIError as error:
                if error.status_code != 400:
                    raise
                raise absent(name, "no valid name of an image") from error

    def _at_registry(self, image: str) -> str:
        login = credentials(image, self._config.registries)
        with self._engine.asked(REGISTRY) as api:
            try:
                return str(api.inspect_distribution(image, auth_config=login)["Descriptor"]["digest"])  # type: ignore[no-untyped-call]
            except APIError as error:
                raise registry_failed(error, image) from error
            except requests.ReadTimeout as error:
                raise silent(image, f"nothing heard for {REGISTRY} s") from error

    def _pulled(self, image: str, wanted: str, when: Pull, tell: Tell) -> Inspected:
        if wanted.startswith("sha256:"):
            raise self._differs(image, wanted)
        if when is Pull.NEVER:
            raise StartFailed("ImageNotFound", f"{_not_here(wanted)}, and its stage says pull: never; build or load it")
        login = credentials(wanted, self._config.registries)
        with self._engine.asked() as api:
            pull(api, wanted, login, tell)
        found = self._inspect(wanted)
        if found is None:
            raise absent(wanted, "it was removed at the moment it came")
        return found

    def _differs(self, image: str, wanted: str) -> StartFailed:
        """Nobody but the node that built it can have it, unless somebody carries it over."""
        here = self._inspect(image)
        why = (
            f"this node has another build of it ({here['Id'][:19]})" if here else "this node has no image of that name"
        )
        return StartFailed(
            "ImageDiffers",
            f"the run is bound to '{image}' as another node has built it ({wanted[:19]}), and {why}: push it to a "
            f"registry and name it by that in the pipeline, or carry it over: docker save {image} | ssh NODE docker "
            "load",
        )

    def _require_fit(self, image: str, found: Inspected) -> None:
        with self._engine.asked() as api:
            engine = api.version()
        system, machine = str(engine["Os"]), str(engine["Arch"])
        its_system, its_machine = found.get("Os") or system, found.get("Architecture") or machine
        if its_system == system and its_machine in {machine, *RUNS_ALSO.get(machine, ())}:
            return
        raise StartFailed(
            "ImageArchitecture",
            f"image '{image}' is made for {its_system}/{its_machine}, and this node is {system}/{machine}: build it "
            "for that, or require a node that it fits by a label",
        )

    def _tag(self, image: str, digest: str, pull: Pull) -> None:
        """What was pulled by its digest has no tag yet, and by that it is looked for next time.

        Only what the registry just called so: the digest of an older run is not what the tag means to the next one.
        """
        name = familiar(image)
        if self._told.get(name) != digest:
            return
        del self._told[name]
        if pull is not Pull.ALWAYS and self._inspect(name) is not None:
            return
        at, _, tag = name.rpartition(":")
        with self._engine.asked() as api, contextlib.suppress(APIError):
            api.tag(digest, at, tag)


def _digest(found: Inspected, image: str) -> str:
    """By its own repository; an image that was never pushed there has only its id."""
    digests = (name for name in found.get("RepoDigests") or () if name.partition("@")[0] == repository(image))
    return next(digests, None) or str(found["Id"])


def _names(told: Sequence[str] | None) -> Sequence[str]:
    return [name for name in told or () if "<none>" not in name]


def _not_here(image: str) -> str:
    return f"image '{image}' is not on this node"
