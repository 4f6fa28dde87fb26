"""Pooling over one, two or three axes of space: the greatest of a window, or the sum.

Place ``o`` of the output sees the places ``i = o * stride + k - low`` of the input, for each place
``k`` of the window, as far as they lie within the input. Channels stand last.

The maximum remembers its place in the window, in a byte: `max_pool_gradient` sends a cotangent
there, and `max_pool_take` reads there; both are linear and each is the derivative of the other.
So are `sum_pool` and `sum_pool_gradient`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph import Spec, Value, primitive
from chainrule.ops.conv import out_space

Shape = tuple[int, ...]
Specs = Sequence[Spec]

_BYTE = 256  # places of a window whose number fits a byte


def place_dtype(window: Shape) -> str:
    """Return the dtype of the numbers of a window's places."""
    return "uint8" if math.prod(window) <= _BYTE else "int32"


def _out(size: Shape, window: Shape, strides: Shape, padding: Shape) -> Shape:
    return out_space(size, window, strides, padding, (1,) * len(size))


def _meetings(
    size: Shape, window: Shape, strides: Shape, padding: Shape
) -> Iterator[tuple[int, tuple[slice, ...], tuple[slice, ...]]]:
    """Yield for each place of the window its number, the places of the output whose windows have a
    cell there, and the cells."""
    out = _out(size, window, strides, padding)
    for number, place in enumerate(np.ndindex(*window)):
        outputs, cells = [], []
        for k, n, o, s, low in zip(place, size, out, strides, padding[0::2], strict=True):
            first = max(-((k - low) // s), 0)
            last = min((n - 1 + low - k) // s, o - 1)
            start, count = first * s + k - low, max(last - first + 1, 0)
            outputs.append(slice(first, first + count))
            cells.append(slice(start, start + (count - 1) * s + 1 if count else start, s))
        if all(s.start < s.stop for s in outputs):
            yield number, (slice(None), *outputs), (slice(None), *cells)


def _checked(name: str, size: Shape, window: Shape, strides: Shape, padding: Shape) -> Shape:
    """Return the sizes of the output's axes of space; raise where a window would be empty."""
    rank = len(size)
    if not 1 <= rank <= 3:
        raise ShapeError(f"{name} takes one to three axes of space, not {rank}")
    given = {"window": (window, rank, 1), "strides": (strides, rank, 1)}
    given["padding"] = (padding, 2 * rank, 0)
    for word, (numbers, wanted, least) in given.items():
        if len(numbers) != wanted or any(n < least for n in numbers):
            raise ArgumentError(
                f"{name}: {word} is {list(numbers)}; expected {wanted} numbers of at least {least}"
            )
    out = _out(size, window, strides, padding)
    for axis in range(rank if all(out) else 0):
        low, reach = padding[2 * axis], (out[axis] - 1) * strides[axis]
        if not size[axis] or low >= window[axis] or reach - low >= size[axis]:
            raise ShapeError(
                f"{name}: with padding {list(padding[2 * axis : 2 * axis + 2])} a window of "
                f"{window[axis]} lies outside of the {size[axis]} cells of axis {axis + 1}; "
                "pad by less than the window"
            )
    return out


def _checked_gradient(name: str, g: Spec, size: Shape, **form: Shape) -> None:
    """Raise unless g is what pooling of `size` cells gives."""
    out = _checked(name, size, **form)
    if out != g.shape[1:-1]:
        raise ShapeError(
            f"{name}: pooling of {list(size)} gives {list(out)}, but g has {list(g.shape[1:-1])}"
        )


def _checked_places(name: str, place: Spec, window: Shape) -> None:
    if place.dtype != place_dtype(window):
        raise DTypeError(
            f"{name}: the places of a window of {math.prod(window)} are {place_dtype(window)}, "
            f"not {place.dtype}"
        )


@primitive("n *s c:float -> ?", cost=4)
def max_pool(x: Array, *, window: Shape, strides: Shape, padding: Shape) -> Any:
    """``y[n, o, c] = max_k x[n, o * strides + k - low, c]``, and the k where it stands, counted in
    row-major order: the first where several are equal, or are NaN."""
    shape = (x.shape[0], *_out(x.shape[1:-1], window, strides, padding), x.shape[-1])
    y, place = np.zeros(shape, x.dtype), np.zeros(shape, place_dtype(window))
    empty = np.ones(shape, bool)
    for number, outputs, cells in _meetings(x.shape[1:-1], window, strides, padding):
        now, cell = y[outputs], x[cells]
        better = empty[outputs] | ~((cell <= now) | np.isnan(now))
        y[outputs] = np.where(better, cell, now)
        place[outputs] = np.where(better, number, place[outputs])
        empty[outputs] = False
    return y, place


@max_pool.shape_rule
def _(x: Spec, **form: Shape) -> Any:
    out = _checked("max_pool", x.shape[1:-1], **form)
    shape = (x.shape[0], *out, x.shape[-1])
    return Spec(shape, x.dtype), Spec(shape, place_dtype(form["window"]))


@max_pool.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return (True,)


@max_pool.vjp
def _(g: Any, y: Any, x: Value, **form: Shape) -> Any:
    if g[0] is None:
        return (None,)
    return (max_pool_gradient(g[0], y[1], size=x.shape[1:-1], **form),)


@primitive("n *o c:float, n *o c:any -> ?", cost=2)
def max_pool_gradient(
    g: Array, place: Array, *, size: Shape, window: Shape, strides: Shape, padding: Shape
) -> Any:
    """``x[n, i, c] = sum_o g[n, o, c]`` over the o whose maximum stands at cell i: the derivative
    of `max_pool`."""
    x = np.zeros((g.shape[0], *size, g.shape[-1]), g.dtype)
    for number, outputs, cells in _meetings(size, window, strides, padding):
        x[cells] += np.where(place[outputs] == number, g[outputs], 0)
    return x


@max_pool_gradient.shape_rule
def _(g: Spec, place: Spec, *, size: Shape, **form: Shape) -> Spec:
    _checked_gradient("max_pool_gradient", g, size, **form)
    _checked_places("max_pool_gradient", place, form["window"])
    return Spec((g.shape[0], *size, g.shape[-1]), g.dtype)


@max_pool_gradient.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, True


@max_pool_gradient.vjp
def _(h: Value, y: Value, g: Value, place: Value, *, size: Shape, **form: Shape) -> Any:
    return max_pool_take(h, place, **form), None


@primitive("n *s c:float, n *o c:any -> ?", cost=2)
def max_pool_take(h: Array, place: Array, *, window: Shape, strides: Shape, padding: Shape) -> Any:
    """``g[n, o, c] = h[n, o * strides + place[n, o, c] - low, c]``: `h` where the maxima stand."""
    g = np.zeros(place.shape, h.dtype)
    for number, outputs, cells in _meetings(h.shape[1:-1], window, strides, padding):
        g[outputs] = np.where(place[outputs] == number, h[cells], g[outputs])
    return g


@max_pool_take.shape_rule
def _(h: Spec, place: Spec, **form: Shape) -> Spec:
    out = _checked("max_pool_take", h.shape[1:-1], **form)
    _checked_places("max_pool_take", place, form["window"])
    if place.shape[1:-1] != out:
        raise ShapeError(
            f"max_pool_take: pooling of {list(h.shape[1:-1])} gives {list(out)}, "
            f"but there are {list(place.shape[1:-1])} places"
        )
    return Spec(place.shape, h.dtype)


@max_pool_take.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, True


@max_pool_take.vjp
def _(g: Value, y: Value, h: Value, place: Value, **form: Shape) -> Any:
    return max_pool_gradient(g, place, size=h.shape[1:-1], **form), None


@primitive("n *s c:float -> ?", cost=2)
def sum_pool(x: Array, *, window: Shape, strides: Shape, padding: Shape) -> Any:
    """``y[n, o, c] = sum_k x[n, o * strides + k - low, c]``; x is 0 outside."""
    shape = (x.shape[0], *_out(x.shape[1:-1], window, strides, padding), x.shape[-1])
    y = np.zeros(shape, x.dtype)
    for _, outputs, cells in _meetings(x.shape[1:-1], window, strides, padding):
        y[outputs] += x[cells]
    return y


@sum_pool.shape_rule
def _(x: Spec, **form: Shape) -> Spec:
    out = _checked("sum_pool", x.shape[1:-1], **form)
    return Spec((x.shape[0], *out, x.shape[-1]), x.dtype)


@sum_pool.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return (True,)


@sum_pool.vjp
def _(g: Value, y: Value, x: Value, **form: Shape) -> Any:
    return (sum_pool_gradient(g, size=x.shape[1:-1], **form),)


@primitive("n *o c:float -> ?", cost=2)
def sum_pool_gradient(
    g: Array, *, size: Shape, window: Shape, strides: Shape, padding: Shape
) -> Any:
    """``x[n, i, c] = sum_o g[n, o, c]`` over the o whose window has cell i: the derivative of
    `sum_pool`."""
    x = np.zeros((g.shape[0], *size, g.shape[-1]), g.dtype)
    for _, outputs, cells in _meetings(size, window, strides, padding):
        x[cells] += g[outputs]
    return x


@sum_pool_gradient.shape_rule
def _(g: Spec, *, size: Shape, **form: Shape) -> Spec:
    _checked_gradient("sum_pool_gradient", g, size, **form)
    return Spec((g.shape[0], *size, g.shape[-1]), g.dtype)


@sum_pool_gradient.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return (True,)


@sum_pool_gradient.vjp
def _(h: Value, y: Value, g: Value, *, size: Shape, **form: Shape) -> Any:
    return (sum_pool(h, **form),)
