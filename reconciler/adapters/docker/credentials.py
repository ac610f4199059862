"""How this node logs in to registries: node.yaml's own entries, else what ``docker login`` of this user left.

Read anew each time, so that a login counts at once. What is read goes to the engine and nowhere else.
"""

from collections.abc import Mapping
from typing import Any

from docker import auth
from docker.errors import DockerException

from reconciler.config import Registry
from reconciler.core.image_names import registry
from reconciler.errors import RegistryUnavailable

PAUSE = 30.0


def credentials(image: str, registries: Mapping[str, Registry]) -> dict[str, Any] | None:
    """None: nobody is logged in there."""
    host = registry(image)
    if (known := registries.get(host)) is not None:
        return {"username": known.user, "password": _password(host, known), "serveraddress": host}
    try:
        found = auth.load_config().resolve_authconfig(host)
    except (DockerException, OSError, ValueError, KeyError, AttributeError) as error:
        raise RegistryUnavailable(
            f"this user's logins to registries can't be read ({type(error).__name__} in ~/.docker/config.json or its "
            f"credential helper): repair it, or log in anew with `docker login {host}` as the reconciler's user",
            after=PAUSE,
        ) from error
    return dict(found) if found else None


def _password(host: str, known: Registry) -> str:
    try:
        return known.password_file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise RegistryUnavailable(
            f"docker.registries.{host}: {known.password_file} can't be read ({why}); put the password there",
            after=PAUSE,
        ) from error
