"""Axes of space: what is said about them once or for each, and where the channels stand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, unknown_name
from chainrule.graph import Value
from chainrule.ops.arrays import moveaxis

Shape = tuple[int, ...]

LAST, FIRST = "channels_last", "channels_first"
LETTERS = {1: ("t",), 2: ("h", "w"), 3: ("z", "h", "w")}  # of the axes, in errors


def numbers(value: Any, rank: int, name: str, least: int = 1) -> Shape:
    """Return a whole number for each of `rank` axes of space, from one for all or one for each.

    Raises
    ------
    ArgumentError
        For another count of numbers, or one below `least`.

    Examples
    --------
    >>> numbers(3, 2, "strides"), numbers([1, 2], 2, "strides")
    ((3, 3), (1, 2))
    """
    given = tuple(value) if isinstance(value, Iterable) else (value,) * rank
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in given)
    if len(given) != rank or not whole or min(given) < least:
        several = f", or {rank} of them" if rank > 1 else ""
        raise ArgumentError(
            f"{name} is {value!r}; expected a whole number of at least {least}{several}"
        )
    return tuple(int(n) for n in given)


def checked_format(data_format: Any) -> str:
    """Return where the channels stand, by default last.

    Raises
    ------
    ArgumentError
        For something else than "channels_last", "channels_first" or None.
    """
    if data_format is None:
        return LAST
    if data_format not in (LAST, FIRST):
        raise unknown_name("data_format", data_format, (LAST, FIRST))
    return str(data_format)


def checked_padding(padding: Any, causal: bool = False) -> str:
    """Return the word for a padding, in small letters.

    Raises
    ------
    ArgumentError
        For something else than "valid", "same" and, where it is allowed, "causal".
    """
    known = ("valid", "same", "causal") if causal else ("valid", "same")
    if not isinstance(padding, str) or padding.lower() not in known:
        raise unknown_name("padding", padding, known)
    return padding.lower()


def channels_last(x: Value, data_format: str) -> Value:
    """Return x with its channels as the last axis."""
    return moveaxis(x, 1, -1) if data_format == FIRST else x


def channels_back(y: Value, data_format: str) -> Value:
    """Return y, whose channels stand last, in its data format."""
    return moveaxis(y, -1, 1) if data_format == FIRST else y


def shape_last(shape: Any, data_format: str) -> tuple[Any, ...]:
    """Return a shape with the size of the channels last."""
    shape = tuple(shape)
    return (shape[0], *shape[2:], shape[1]) if data_format == FIRST else shape


def shape_back(shape: Any, data_format: str) -> tuple[Any, ...]:
    """Return a shape whose channels stand last in its data format."""
    shape = tuple(shape)
    return (shape[0], shape[-1], *shape[1:-1]) if data_format == FIRST else shape


def times(sizes: Iterable[Any]) -> str:
    """Return sizes as text, ``3 x 5``."""
    return " x ".join(map(str, sizes))


def named(shape: Any) -> str:
    """Return a shape [n, *space, c] with the letters of its axes, ``[n=8, h=5, w=5, c=3]``."""
    letters = ("n", *LETTERS.get(len(shape) - 2, [f"s{i}" for i in range(len(shape) - 2)]), "c")
    return f"[{', '.join(f'{a}={n}' for a, n in zip(letters, shape, strict=True))}]"
