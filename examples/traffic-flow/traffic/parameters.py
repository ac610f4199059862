"""Parameters come as environment variables: text in, a checked number or a clear error out."""

import math
from collections.abc import Mapping

from traffic.errors import ParameterError


def number(environment: Mapping[str, str], name: str, default: float, low: float, high: float) -> float:
    """The parameter `name` as a finite number from `low` to `high`; `default` if it is unset or empty."""
    text = environment.get(name, "").strip()
    if not text:
        return default
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise ParameterError(f"{name} must be a number from {low:g} to {high:g}, not '{text}'")
    return value


def whole_number(environment: Mapping[str, str], name: str, default: int, low: int, high: int) -> int:
    """The parameter `name` as a whole number from `low` to `high`; `default` if it is unset or empty."""
    text = environment.get(name, "").strip()
    if not text:
        return default
    value = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None
    if value is None or not low <= value <= high:
        raise ParameterError(f"{name} must be a whole number from {low} to {high}, not '{text}'")
    return value


def number_or_auto(environment: Mapping[str, str], name: str, low: float, high: float) -> float | None:
    """The parameter `name` as a number from `low` to `high`; None if it is unset, empty or 'auto'."""
    text = environment.get(name, "").strip()
    if text in ("", "auto"):
        return None
    try:
        return number(environment, name, low, low, high)
    except ParameterError:
        raise ParameterError(
            f"{name} must be 'auto' or a number from {low:g} to {high:g}, not '{text}'"
        ) from None
