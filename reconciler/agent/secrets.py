"""Secrets: values that lie on the nodes alone, one file each; read when they are needed, recorded nowhere."""

from pathlib import Path

from reconciler.core.desired import Secret
from reconciler.errors import SecretMissing


class Secrets:
    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def read(self, secret: Secret) -> str:
        """SecretMissing, with what to do, if this node does not have it."""
        if self._directory is None:
            raise SecretMissing(f"'{secret.secret}' is a secret, but node.yaml of this node names no secrets_dir")
        try:
            return (self._directory / secret.secret).read_text(encoding="utf-8").rstrip("\n")
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
            raise SecretMissing(f"secret '{secret.secret}' can't be read in {self._directory}: {why}") from error
