"""Friendly functions that read and replace a window of an array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.ops.compare import where
from chainrule.ops.convert import as_value, cast
from chainrule.ops.shape import pad, slice_

Like = Any


def slice(inputs: Like, start_indices: Sequence[int], shape: Sequence[int]) -> Value:
    """``y[i, j, ...] = inputs[start_0 + i, start_1 + j, ...]``: a window.

    Shapes
    ------
    inputs : [*s]; returned : [*shape]

    Parameters
    ----------
    inputs : array_like
    start_indices : sequence of int
        The first element of the window, one number for each axis, at least 0.
    shape : sequence of int
        The window's; -1 reaches to the end of the axis.

    Raises
    ------
    ShapeError
        Where the window is not within the array.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.slice([[1, 2, 3], [4, 5, 6]], (0, 1), (2, 2)).numpy().tolist()
    [[2, 3], [5, 6]]
    """
    x = as_value(inputs)
    start, sizes = [int(n) for n in start_indices], [int(n) for n in shape]
    if len(start) == len(sizes) == x.ndim:
        sizes = [n - a if m == -1 else m for n, a, m in zip(x.shape, start, sizes, strict=True)]
    stop = _within("slice", x, start, sizes)
    window: Value = slice_(x, start=tuple(start), stop=stop, step=(1,) * x.ndim)
    return window


def slice_update(inputs: Like, start_indices: Sequence[int], updates: Like) -> Value:
    """``y = inputs``, but `updates` in the window that begins at `start_indices`.

    What was replaced gets the gradient 0; the updates get that of their window.

    Shapes
    ------
    inputs : [*s]; updates : as many axes, none longer; returned : [*s]

    Parameters
    ----------
    inputs : array_like
    start_indices : sequence of int
        One number for each axis, at least 0.
    updates : array_like
        Cast to the dtype of the inputs.

    Raises
    ------
    ShapeError
        Where the window is not within the array.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.slice_update([[1, 2, 3], [4, 5, 6]], (0, 1), [[7], [8]]).numpy().tolist()
    [[1, 7, 3], [4, 8, 6]]
    """
    x, window = as_value(inputs), as_value(updates)
    start = [int(n) for n in start_indices]
    stop = _within("slice_update", x, start, list(window.shape))
    high = tuple(n - b for n, b in zip(x.shape, stop, strict=True))
    wide = pad(cast(window, x.dtype), low=tuple(start), high=high, value=0.0)
    inside = np.zeros(x.shape, bool)
    inside[tuple(np.s_[a:b] for a, b in zip(start, stop, strict=True))] = True
    return where(inside, wide, x)


def _within(name: str, x: Value, start: list[int], sizes: list[int]) -> tuple[int, ...]:
    """Return where the window ends, which is within the array."""
    stop = tuple(a + n for a, n in zip(start, sizes, strict=False))
    fits = len(start) == len(sizes) == x.ndim and min((*start, *sizes, 0)) >= 0
    if not fits or any(b > n for b, n in zip(stop, x.shape, strict=True)):
        raise ShapeError(
            f"{name}: a window of shape {sizes} at {start} is not within {list(x.shape)}"
        )
    return stop
