"""The forge as winslow.yaml names it at this moment: its settings and its token may change with any commit."""

from collections.abc import Callable

from reconciler.agent.ports import Forge
from reconciler.agent.secrets import Secrets
from reconciler.core.desired import Forge as ForgeSettings
from reconciler.core.desired import Site

OpenForge = Callable[[ForgeSettings, str], Forge]
"""Settings and the token's value to a client."""


class CurrentForge:
    """Each follower has one of its own: it runs on a thread of its own, and what is outdated is closed at once."""

    def __init__(self, secrets: Secrets, open_forge: OpenForge) -> None:
        self._secrets = secrets
        self._open = open_forge
        self._made_from: tuple[ForgeSettings, str] | None = None
        self._forge: Forge | None = None

    def of(self, site: Site) -> Forge | None:
        """The same client as long as settings and token are the same. None: no forge, or no token for it.

        SecretMissing if this node lacks the token.
        """
        settings = site.forge
        token = self._secrets.read(settings.token) if settings and settings.token else ""
        if settings is None or not token:
            self.close()
            return None
        if self._forge is None or self._made_from != (settings, token):
            self.close()
            self._forge, self._made_from = self._open(settings, token), (settings, token)
        return self._forge

    def close(self) -> None:
        if self._forge is not None:
            self._forge.close()
        self._forge, self._made_from = None, None
