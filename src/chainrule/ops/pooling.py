"""Pooling under Keras's names; the primitives stand in `chainrule.ops.pool`."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ShapeError
from chainrule.graph import Value, room
from chainrule.ops import functions as f
from chainrule.ops import pool, space
from chainrule.ops.conv import out_space
from chainrule.ops.convert import as_value, floating
from chainrule.ops.convolutions import pads
from chainrule.ops.gather import take
from chainrule.ops.resizing import resampled

Like = Any
Shape = tuple[int, ...]
Many = int | tuple[int, ...] | list[int]


def _image(name: str, inputs: Like, order: str) -> Value:
    """Return the inputs as floats with their channels last."""
    x = floating(inputs)
    if not 3 <= x.ndim <= 5:
        raise ShapeError(
            f"{name}: inputs have shape {list(x.shape)}; expected a batch of samples with channels "
            "and one to three axes of space, [n, *space, c]"
        )
    return space.channels_last(x, order)


def require_room(size: Iterable[int | None], window: Shape, padding: str) -> None:
    """Raise unless the window finds room in each axis; sizes that are None are not looked at.

    Raises
    ------
    ShapeError
        Where it does not, with both sizes.
    """
    size = tuple(size)
    tight = [n is not None and 0 < n < k for n, k in zip(size, window, strict=True)]
    if padding == "valid" and any(tight):
        raise ShapeError(
            f"the pooling window is {space.times(window)}, but x has {space.times(size)}\n"
            '  fix: padding="same", a smaller pool_size, or larger inputs'
        )


def _form(x: Value, pool_size: Many, strides: Many | None, padding: str) -> dict[str, Shape]:
    """Return window, strides and padding as the primitives take them."""
    rank, size = x.ndim - 2, x.shape[1:-1]
    word = space.checked_padding(padding)
    window = space.numbers(pool_size, rank, "pool_size")
    steps = window if strides is None else space.numbers(strides, rank, "strides")
    require_room(size, window, word)
    around = pads(word, size, window, steps, (1,) * rank)
    return {"window": window, "strides": steps, "padding": around}


def max_pool(
    inputs: Like,
    pool_size: Many,
    strides: Many | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Value:
    """``y[n, o, c] = max_k x[n, o * strides + k - low, c]`` over the places k of a window.

    What `padding` adds is never chosen. NaN stays NaN. The gradient goes to the greatest element
    of each window, the first of several.

    Shapes
    ------
    inputs : [n, *space, c]; returned : [n, *out, c], with one to three axes of space, and
    ``out = (space - pool_size) // strides + 1`` for "valid", ``ceil(space / strides)`` for "same"

    Parameters
    ----------
    inputs : array_like
        Integers and truths are cast to `floatx()`.
    pool_size : int or sequence of int
        The size of the window, at least 1.
    strides : int or sequence of int, optional
        Steps from one window to the next, at least 1; by default `pool_size`.
    padding : {"valid", "same"}, default "valid"
        None; or as much on both sides as keeps the size for strides of 1.
    data_format : {"channels_last", "channels_first"}, default "channels_last"

    Raises
    ------
    ShapeError
        For inputs of another number of axes, or smaller than the window.
    ArgumentError
        For sizes below 1 or of another number, an unknown padding or format.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.max_pool([[[1.0], [5.0], [3.0], [4.0]]], 2).numpy().tolist()
    [[[5.0], [4.0]]]
    """
    order = space.checked_format(data_format)
    x = _image("max_pool", inputs, order)
    y, _ = pool.max_pool(x, **_form(x, pool_size, strides, padding))
    return space.channels_back(y, order)


def average_pool(
    inputs: Like,
    pool_size: Many,
    strides: Many | None = None,
    padding: str = "valid",
    data_format: str | None = None,
) -> Value:
    """``y[n, o, c] = mean_k x[n, o * strides + k - low, c]`` over the places k of a window.

    What `padding` adds is not counted.

    Shapes
    ------
    inputs : [n, *space, c]; returned : [n, *out, c], out as for `max_pool`

    Parameters
    ----------
    inputs : array_like
        Integers and truths are cast to `floatx()`.
    pool_size, strides, padding, data_format
        See `max_pool`.

    Raises
    ------
    ShapeError, ArgumentError
        As `max_pool`.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.average_pool([[[1.0], [5.0], [3.0]]], 2, padding="same").numpy().tolist()
    [[[3.0], [3.0]]]
    """
    order = space.checked_format(data_format)
    x = _image("average_pool", inputs, order)
    form = _form(x, pool_size, strides, padding)
    y = pool.sum_pool(x, **form)
    share = _shares(x.shape[1:-1], **form)
    if share.size and (share == share.flat[0]).all():
        y = f.multiply(y, float(share.flat[0]))
    else:
        y = f.multiply(y, as_value(share[..., None], x.dtype))
    return space.channels_back(y, order)


def _shares(size: Shape, window: Shape, strides: Shape, padding: Shape) -> Array:
    """Return 1 / the number of cells of each window."""
    out = out_space(size, window, strides, padding, (1,) * len(size))
    room.take(8 * math.prod(out))
    counts = np.ones(())
    for n, k, s, low, m in zip(size, window, strides, padding[0::2], out, strict=True):
        start = np.arange(m) * s - low
        cells = np.minimum(start + k, n) - np.maximum(start, 0)
        counts = counts[..., None] * cells
    return 1.0 / counts


def _bounds(n: int, parts: int) -> tuple[Array, Array]:
    """Return where each of so many windows over n cells begins, and where it ends."""
    room.take(8 * parts)
    i = np.arange(parts)
    return i * n // parts, -(-(i + 1) * n // parts)


def _adaptive(name: str, x: Value, output_size: Any) -> Shape:
    """Return the size of the output, where every axis has cells to take windows of."""
    rank, size = x.ndim - 2, x.shape[1:-1]
    given = output_size if isinstance(output_size, Iterable) else (output_size,) * rank
    kept = [n if m is None else m for n, m in zip(size, given, strict=False)]
    parts = space.numbers(kept if len(tuple(given)) == rank else output_size, rank, "output_size")
    if 0 in size:
        raise ShapeError(f"{name}: x has no cells: {space.named(x.shape)}")
    return parts


def adaptive_average_pool(inputs: Like, output_size: Many, data_format: str | None = None) -> Value:
    """``y[n, o, c]`` = the mean of the cells from ``floor(o * size / output_size)`` up to
    ``ceil((o + 1) * size / output_size)``, along each axis of space.

    Shapes
    ------
    inputs : [n, *space, c]; returned : [n, *output_size, c], with one to three axes of space

    Parameters
    ----------
    inputs : array_like
        Integers and truths are cast to `floatx()`.
    output_size : int or sequence of int or None
        At least 1; None for the size of the inputs.
    data_format : {"channels_last", "channels_first"}, default "channels_last"

    Raises
    ------
    ShapeError
        For inputs of another number of axes, or without a cell.
    ArgumentError
        For sizes below 1 or of another number, or an unknown format.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.adaptive_average_pool([[[1.0], [2.0], [6.0]]], 2).numpy().tolist()
    [[[1.5], [4.0]]]
    """
    order = space.checked_format(data_format)
    x = _image("adaptive_average_pool", inputs, order)
    parts = _adaptive("adaptive_average_pool", x, output_size)
    if all(n % m == 0 for n, m in zip(x.shape[1:-1], parts, strict=True)):
        y = average_pool(x, [n // m for n, m in zip(x.shape[1:-1], parts, strict=True)])
        return space.channels_back(y, order)
    pairs = zip(x.shape[1:-1], parts, strict=True)
    y = resampled(x, [None if n == m else _means(n, m) for n, m in pairs])
    return space.channels_back(y, order)


def _means(n: int, parts: int) -> Array:
    """Return the matrix [parts, n] that takes the means of windows."""
    begin, end = _bounds(n, parts)
    room.take(8 * n * parts)
    inside = (np.arange(n) >= begin[:, None]) & (np.arange(n) < end[:, None])
    matrix: Array = inside / (end - begin)[:, None]
    return matrix


def adaptive_max_pool(inputs: Like, output_size: Many, data_format: str | None = None) -> Value:
    """``y[n, o, c]`` = the greatest of the cells from ``floor(o * size / output_size)`` up to
    ``ceil((o + 1) * size / output_size)``, along each axis of space.

    Shapes
    ------
    inputs : [n, *space, c]; returned : [n, *output_size, c], with one to three axes of space

    Parameters
    ----------
    inputs, output_size, data_format
        See `adaptive_average_pool`.

    Raises
    ------
    ShapeError, ArgumentError
        As `adaptive_average_pool`.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.adaptive_max_pool([[[1.0], [2.0], [6.0]]], 2).numpy().tolist()
    [[[2.0], [6.0]]]
    """
    order = space.checked_format(data_format)
    x = _image("adaptive_max_pool", inputs, order)
    parts = _adaptive("adaptive_max_pool", x, output_size)
    window = []
    for axis, m in enumerate(parts, 1):
        begin, end = _bounds(x.shape[axis], m)
        window.append(int((end - begin).max()))
        if x.shape[axis] != m * window[-1]:  # side by side, and a shorter one with its last again
            room.take(8 * m * window[-1])
            cells = np.minimum(begin[:, None] + np.arange(window[-1]), end[:, None] - 1)
            x = take(x, cells.ravel(), axis)
    return space.channels_back(max_pool(x, window), order)
