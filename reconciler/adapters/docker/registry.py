"""What the engine says of registries, in our words: whose fault it is, and what to do about it.

The engine passes on what the registry or the network said, mostly as an error of its own (status 500), so that only
the words tell them apart.
"""

import re

from docker.errors import APIError

from reconciler.adapters.docker.engine import engine_failed, is_disk_full, words
from reconciler.core.image_names import registry
from reconciler.errors import RegistryUnavailable, StartFailed, WinslowError

PAUSE = 30.0
"""Seconds before a registry that did not answer is asked again."""

TOO_MANY_PAUSE = 300.0

UNTRUSTED = re.compile(r"x509|certificate|server gave HTTP response to HTTPS client|tls: ", re.IGNORECASE)
TOO_MANY = re.compile(r"too ?many ?requests|\b429\b|rate limit", re.IGNORECASE)
PLATFORM = re.compile(r"no matching manifest|image operating system .* cannot be used", re.IGNORECASE)
REFUSED = re.compile(r"unauthorized|authentication required|no basic auth|denied|forbidden|HTTP 40[13]", re.IGNORECASE)
ABSENT = re.compile(
    r"manifest unknown|name unknown|not found|does not exist|HTTP 404|invalid reference format|invalid tag",
    re.IGNORECASE,
)


def registry_failed(error: APIError, image: str) -> WinslowError:
    return failure(words(error), image)


def failure(said: str, image: str) -> WinslowError:
    """The order matters: of what strangers may not see, registries say "denied" and "does not exist" at once."""
    host = registry(image)
    if is_disk_full(said):
        return engine_failed(said)
    if TOO_MANY.search(said):
        return RegistryUnavailable(
            f"registry {host} has had too many requests ({said}): it is asked again in {TOO_MANY_PAUSE / 60:.0f} "
            f"minutes; a login (`docker login {host}` as the reconciler's user) often allows more",
            after=TOO_MANY_PAUSE,
        )
    if UNTRUSTED.search(said):
        return RegistryUnavailable(untrusted(host, said), after=PAUSE)
    if PLATFORM.search(said):
        return StartFailed(
            "ImageArchitecture",
            f"image '{image}' is not made for this node's kind of machine ({said}); build it for that, "
            "too, or require nodes that it fits by a label",
        )
    if REFUSED.search(said):
        return refused(image, said)
    if ABSENT.search(said):
        return absent(image, said)
    return silent(image, said)


def silent(image: str, said: str) -> RegistryUnavailable:
    return RegistryUnavailable(
        f"registry {registry(image)} does not answer this node when asked for '{image}' ({said}); it is asked again "
        "by itself. An image that is on the node already needs no registry",
        after=PAUSE,
    )


def refused(image: str, said: str) -> StartFailed:
    host = registry(image)
    return StartFailed(
        "RegistryRefused",
        f"registry {host} does not give '{image}' to this node ({said}): log it in with `docker login {host}` as the "
        "reconciler's user, or with docker.registries in node.yaml; or correct the image's name",
    )


def absent(image: str, said: str) -> StartFailed:
    return StartFailed(
        "ImageNotFound",
        f"image '{image}' is neither on this node nor at its registry ({said}); write an existing image in pipelines/, "
        f"or push it: docker push {image}",
    )


def untrusted(host: str, said: str) -> str:
    if "HTTP response to HTTPS" in said:
        return (
            f"registry {host} speaks plain HTTP, which the engine refuses: give it a certificate, or, if its network "
            f'can be trusted, write "insecure-registries": ["{host}"] into /etc/docker/daemon.json and reload docker'
        )
    return (
        f"the engine does not trust the certificate of registry {host} ({said}): put its authority's certificate at "
        f"/etc/docker/certs.d/{host}/ca.crt"
    )
