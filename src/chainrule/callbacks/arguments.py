"""Checks of the numbers that callbacks are given."""

from __future__ import annotations

import math
from typing import Any

from chainrule.errors import ArgumentError


def number(name: str, value: Any) -> float:
    """Return an argument that must be a number.

    Examples
    --------
    >>> from chainrule.callbacks.arguments import number
    >>> number("baseline", 1)
    1.0
    """
    try:
        if not isinstance(value, str | bytes):
            return float(value)
    except (TypeError, ValueError):
        pass
    raise ArgumentError(f"{name} is {value!r}; expected a number")


def epochs(name: str, value: Any) -> Any:
    """Return an argument that must be a number of epochs: whole, at least 0, or infinite.

    Examples
    --------
    >>> from chainrule.callbacks.arguments import epochs
    >>> epochs("patience", 3)
    3
    """
    count = number(name, value)
    if not (count == math.inf or (count >= 0 and count.is_integer())):
        raise ArgumentError(f"{name} is {value!r}; expected 0 or more epochs")
    return value
