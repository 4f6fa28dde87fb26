"""Operations that join the elements along axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ShapeError
from chainrule.graph import Spec, Value, fused, primitive
from chainrule.ops.checks import cast
from chainrule.ops.elementwise import add, divide, multiply, scale, square
from chainrule.ops.index import scatter_add
from chainrule.ops.logic import equal
from chainrule.ops.shape import broadcast, iota, reshape

Axes = tuple[int, ...]


def _kept(ndim: int, axes: Axes) -> Axes:
    return tuple(i for i in range(ndim) if i not in axes)


def _reduced(x: Spec, axes: Axes) -> Spec:
    if any(not 0 <= a < len(x.shape) for a in axes) or len(set(axes)) != len(axes):
        raise ShapeError(f"axes {axes} are not axes of an array of shape {list(x.shape)}")
    return Spec(tuple(x.shape[i] for i in _kept(len(x.shape), axes)), x.dtype)


def _first_axis_kept(specs: Sequence[Spec], outputs: Sequence[Spec], *, axes: Axes) -> Any:
    return (0 not in axes and bool(specs[0].shape),)


def _spread(g: Value, x: Value, axes: Axes) -> Value:
    result: Value = broadcast(g, shape=x.shape, axes=_kept(x.ndim, axes))
    return result


@primitive("*s -> ?", reduces=True)
def reduce_sum(x: Array, *, axes: Axes) -> Any:
    """The sum over `axes`."""
    return np.sum(x, axis=axes, dtype=x.dtype)


reduce_sum.shape_rule(lambda x, *, axes: _reduced(x, axes))
reduce_sum.tiling(_first_axis_kept)


@reduce_sum.vjp
def _(g: Value, y: Value, x: Value, *, axes: Axes) -> Any:
    return (_spread(g, x, axes),)


@fused("*s:float -> ?", reduces=True)
def reduce_squares(x: Any, *, axes: Axes) -> Any:
    """The sum of squares over `axes`."""
    return reduce_sum(square(x), axes=axes)


reduce_squares.shape_rule(lambda x, *, axes: _reduced(x, axes))
reduce_squares.tiling(_first_axis_kept)


@primitive("*s -> ?", reduces=True)
def reduce_max(x: Array, *, axes: Axes) -> Any:
    """The maximum over `axes`; equal maxima share the cotangent."""
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    return np.max(x, axis=axes, initial=lowest).astype(x.dtype)


reduce_max.shape_rule(lambda x, *, axes: _reduced(x, axes))
reduce_max.tiling(_first_axis_kept)


@reduce_max.vjp
def _(g: Value, y: Value, x: Value, *, axes: Axes) -> Any:
    winners = cast(equal(x, _spread(y, x, axes)), dtype=x.dtype)
    shared = divide(g, reduce_sum(winners, axes=axes))
    return (multiply(winners, _spread(shared, x, axes)),)


@primitive("*s -> ?", reduces=True)
def argmax(x: Array, *, axis: int) -> Any:
    """The index of the first maximum along `axis`; NaN counts as the maximum."""
    return np.argmax(x, axis=axis).astype(np.int64)


@argmax.shape_rule
def _(x: Spec, *, axis: int) -> Spec:
    result = Spec(_reduced(x, (axis,)).shape, "int64")
    if x.shape[axis] == 0:
        raise ShapeError(f"argmax: axis {axis} of shape {list(x.shape)} is empty")
    return result


@argmax.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec], *, axis: int) -> Any:
    return (axis != 0,)


@primitive("*s -> *s")
def cumulative_sum(x: Array, *, axis: int, reverse: bool = False) -> Any:
    """``y_i = x_0 + ... + x_i`` along `axis`; from the end where `reverse`."""
    if reverse:
        return np.flip(np.cumsum(np.flip(x, axis), axis=axis, dtype=x.dtype), axis)
    return np.cumsum(x, axis=axis, dtype=x.dtype)


@cumulative_sum.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec], *, axis: int, reverse: bool) -> Any:
    return (axis != 0,)


@cumulative_sum.vjp
def _(g: Value, y: Value, x: Value, *, axis: int, reverse: bool) -> Any:
    return (cumulative_sum(g, axis=axis, reverse=not reverse),)


@primitive("a *s m -> a *s m", cost=40)
def sort(x: Array) -> Any:
    """The elements in ascending order along the last axis, NaN last."""
    return np.sort(x, axis=-1, kind="stable")


@sort.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    lines = x.size // max(x.shape[-1], 1)
    starts = scale(iota(shape=(lines, x.shape[-1]), axis=0, dtype="int64"), factor=x.shape[-1])
    index = add(reshape(argsort(x), shape=(x.size,)), reshape(starts, shape=(x.size,)))
    flat = scatter_add(index, reshape(g, shape=(x.size,)), rows=x.size)
    return (reshape(flat, shape=x.shape),)


@primitive("a *s m -> a *s m:int64", cost=40)
def argsort(x: Array) -> Any:
    """The order that sorts the last axis; equal elements keep theirs."""
    return np.argsort(x, axis=-1, kind="stable").astype(np.int64)
