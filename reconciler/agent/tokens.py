"""The only randomness that records carry."""

import secrets

from reconciler.core.names import Token


def new_token() -> Token:
    """128 random bits in hex."""
    return Token(secrets.token_hex(16))
