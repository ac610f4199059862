"""Winslow: what people want is YAML in git; a reconciler on every workstation makes it so."""

__version__ = "0.1.0"
