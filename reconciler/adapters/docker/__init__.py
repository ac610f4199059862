"""Stages as containers of a Docker engine."""

from reconciler.adapters.docker.runtime import DockerRuntime

__all__ = ["DockerRuntime"]
