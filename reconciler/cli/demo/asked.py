"""What a person may ask of the demo; read before anything heavy is loaded."""

from enum import StrEnum


class Asked(StrEnum):
    AUTO = "auto"
    DOCKER = "docker"
    PROCESS = "process"
