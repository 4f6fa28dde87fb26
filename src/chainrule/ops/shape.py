"""Operations that move elements and compute nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import DTypeError, ShapeError
from chainrule.graph import Spec, Value, primitive

Shape = tuple[int, ...]
Specs = Sequence[Spec]


@primitive("*s:any -> ?", alias=True)
def reshape(x: Array, *, shape: Shape) -> Any:
    """The same elements in row-major order under another shape; costs nothing."""
    return np.reshape(x, shape)


@reshape.shape_rule
def _(x: Spec, *, shape: Shape) -> Spec:
    result = Spec(tuple(shape), x.dtype)
    if result.size != x.size or any(n < 0 for n in shape):
        raise ShapeError(
            f"reshape: {x.size} elements of shape {list(x.shape)} do not fit {list(shape)}"
        )
    return result


@reshape.vjp
def _(g: Value, y: Value, x: Value, *, shape: Shape) -> Any:
    return (reshape(g, shape=x.shape),)


@primitive("*s:any -> ?", alias=True)
def stop_gradient(x: Array) -> Any:
    """x, which counts as constant for derivatives."""
    return x


@stop_gradient.shape_rule
def _(x: Spec) -> Spec:
    return x


@stop_gradient.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (None,)


@primitive("*s:any -> ?", cost=2)
def transpose(x: Array, *, axes: Shape) -> Any:
    """``y[i_0, i_1, ...] = x[...]``, axis i of y being axis ``axes[i]`` of x."""
    return np.ascontiguousarray(np.transpose(x, axes))


@transpose.shape_rule
def _(x: Spec, *, axes: Shape) -> Spec:
    if sorted(axes) != list(range(len(x.shape))):
        raise ShapeError(f"transpose: axes {axes} do not order the {len(x.shape)} axes of x")
    return Spec(tuple(x.shape[a] for a in axes), x.dtype)


@transpose.tiling
def _(specs: Specs, outputs: Specs, *, axes: Shape) -> Any:
    return (bool(axes) and axes[0] == 0,)


@transpose.vjp
def _(g: Value, y: Value, x: Value, *, axes: Shape) -> Any:
    return (transpose(g, axes=tuple(int(i) for i in np.argsort(axes))),)


@primitive("*s:any -> ?")
def broadcast(x: Array, *, shape: Shape, axes: Shape) -> Any:
    """x repeated: its axis i becomes axis ``axes[i]`` of the result, the others are new."""
    inner = [1] * len(shape)
    for size, axis in zip(x.shape, axes, strict=True):
        inner[axis] = size
    return np.broadcast_to(np.reshape(x, inner), shape).copy()


@broadcast.shape_rule
def _(x: Spec, *, shape: Shape, axes: Shape) -> Spec:
    rising = list(axes) == sorted(set(axes))
    fits = len(axes) == len(x.shape) and all(0 <= a < len(shape) for a in axes) and rising
    if not fits or any(shape[a] != n for n, a in zip(x.shape, axes, strict=True)):
        raise ShapeError(
            f"broadcast: shape {list(x.shape)} on axes {axes} does not fit {list(shape)}"
        )
    return Spec(tuple(shape), x.dtype)


@broadcast.tiling
def _(specs: Specs, outputs: Specs, *, shape: Shape, axes: Shape) -> Any:
    return (bool(axes) and axes[0] == 0,)


@broadcast.vjp
def _(g: Value, y: Value, x: Value, *, shape: Shape, axes: Shape) -> Any:
    from chainrule.ops.reduce import reduce_sum

    return (reduce_sum(g, axes=tuple(i for i in range(len(shape)) if i not in axes)),)


@primitive("... -> ?")
def concatenate(*arrays: Array, axis: int) -> Any:
    """The arrays one after the other along `axis`."""
    return np.concatenate(arrays, axis=axis)


@concatenate.shape_rule
def _(*specs: Spec, axis: int) -> Spec:
    if not specs:
        raise ShapeError("concatenate: no arrays")
    first = specs[0].shape
    if not 0 <= axis < len(first):
        raise ShapeError(f"concatenate: axis {axis} is not an axis of shape {list(first)}")
    for spec in specs[1:]:
        if spec.dtype != specs[0].dtype:
            raise DTypeError(f"concatenate: {spec.dtype} beside {specs[0].dtype}")
        beside = (*spec.shape[:axis], *spec.shape[axis + 1 :])
        if len(spec.shape) != len(first) or beside != (*first[:axis], *first[axis + 1 :]):
            raise ShapeError(
                f"concatenate: shapes {list(first)} and {list(spec.shape)} differ "
                f"beside axis {axis}"
            )
    total = sum(s.shape[axis] for s in specs)
    return Spec((*first[:axis], total, *first[axis + 1 :]), specs[0].dtype)


@concatenate.tiling
def _(specs: Specs, outputs: Specs, *, axis: int) -> Any:
    return (axis != 0,) * len(specs)


@concatenate.vjp
def _(g: Value, y: Value, *arrays: Value, axis: int) -> Any:
    parts, at = [], 0
    for x in arrays:
        start = tuple(at if i == axis else 0 for i in range(x.ndim))
        stop = tuple(s + n for s, n in zip(start, x.shape, strict=True))
        parts.append(slice_(g, start=start, stop=stop, step=(1,) * x.ndim))
        at += x.shape[axis]
    return parts


def _slice(x: Array, *, start: Shape, stop: Shape, step: Shape) -> Any:
    """``x[start:stop:step]`` for each axis, step >= 1."""
    index = tuple(slice(*bounds) for bounds in zip(start, stop, step, strict=True))
    return np.ascontiguousarray(x[index])


_slice.__name__ = "slice"
slice_ = primitive("*s:any -> ?")(_slice)


@slice_.shape_rule
def _(x: Spec, *, start: Shape, stop: Shape, step: Shape) -> Spec:
    bounds = list(zip(x.shape, start, stop, step, strict=False))
    counts = {len(x.shape), len(start), len(stop), len(step)}
    if len(counts) > 1 or any(not (0 <= a <= b <= n and s >= 1) for n, a, b, s in bounds):
        raise ShapeError(f"slice: {start} to {stop} by {step} is outside of {list(x.shape)}")
    return Spec(tuple(-(-(b - a) // s) for _, a, b, s in bounds), x.dtype)


@slice_.tiling
def _(specs: Specs, outputs: Specs, *, start: Shape, stop: Shape, step: Shape) -> Any:
    return (bool(start) and outputs[0].shape[0] == specs[0].shape[0],)


@slice_.vjp
def _(g: Value, y: Value, x: Value, *, start: Shape, stop: Shape, step: Shape) -> Any:
    for axis, by in enumerate(step):
        if by > 1:
            g = _spaced(g, axis, by)
    high = tuple(n - a - m for n, a, m in zip(x.shape, start, g.shape, strict=True))
    if any(h < 0 for h in high):
        keep = tuple(m + min(h, 0) for m, h in zip(g.shape, high, strict=True))
        g = slice_(g, start=(0,) * g.ndim, stop=keep, step=(1,) * g.ndim)
    return (pad(g, low=tuple(start), high=tuple(max(h, 0) for h in high), value=0.0),)


def _spaced(g: Value, axis: int, by: int) -> Value:
    """Return g with ``by - 1`` zeros after each element along the axis."""
    shape = (*g.shape[: axis + 1], 1, *g.shape[axis + 1 :])
    high = tuple(by - 1 if i == axis + 1 else 0 for i in range(len(shape)))
    wide = pad(reshape(g, shape=shape), low=(0,) * len(shape), high=high, value=0.0)
    flat = (*g.shape[:axis], g.shape[axis] * by, *g.shape[axis + 1 :])
    result: Value = reshape(wide, shape=flat)
    return result


@primitive("*s:any -> ?")
def pad(x: Array, *, low: Shape, high: Shape, value: float = 0.0) -> Any:
    """x with `low` and `high` more elements of `value` before and behind each axis."""
    return np.pad(x, list(zip(low, high, strict=True)), constant_values=value)


@pad.shape_rule
def _(x: Spec, *, low: Shape, high: Shape, value: float) -> Spec:
    if len(low) != len(x.shape) or len(high) != len(x.shape) or min((*low, *high, 0)) < 0:
        raise ShapeError(f"pad: {low} and {high} do not fit the shape {list(x.shape)}")
    return Spec(tuple(a + n + b for a, n, b in zip(low, x.shape, high, strict=True)), x.dtype)


@pad.tiling
def _(specs: Specs, outputs: Specs, *, low: Shape, high: Shape, value: float) -> Any:
    return (not low or low[0] == high[0] == 0,)


@pad.vjp
def _(g: Value, y: Value, x: Value, *, low: Shape, high: Shape, value: float) -> Any:
    stop = tuple(a + n for a, n in zip(low, x.shape, strict=True))
    return (slice_(g, start=tuple(low), stop=stop, step=(1,) * x.ndim),)


@primitive("*s:any -> ?")
def reverse(x: Array, *, axes: Shape) -> Any:
    """The elements in the opposite order along `axes`."""
    return np.ascontiguousarray(np.flip(x, axes))


@reverse.shape_rule
def _(x: Spec, *, axes: Shape) -> Spec:
    if any(not 0 <= a < len(x.shape) for a in axes):
        raise ShapeError(f"reverse: axes {axes} are not axes of shape {list(x.shape)}")
    return x


@reverse.tiling
def _(specs: Specs, outputs: Specs, *, axes: Shape) -> Any:
    return (0 not in axes,)


@reverse.vjp
def _(g: Value, y: Value, x: Value, *, axes: Shape) -> Any:
    return (reverse(g, axes=axes),)


@primitive(" -> ?")
def fill(*, shape: Shape, value: float, dtype: str) -> Any:
    """An array of `shape` whose elements are all `value`."""
    return np.full(shape, value, dtype)


@fill.shape_rule
def _(*, shape: Shape, value: float, dtype: str) -> Spec:
    return Spec(tuple(shape), dtype)


@fill.vjp
def _(g: Value, y: Value, *, shape: Shape, value: float, dtype: str) -> Any:
    return ()


@primitive(" -> ?")
def iota(*, shape: Shape, axis: int, dtype: str) -> Any:
    """``y[..., i, ...] = i`` along `axis`."""
    inner = [n if i == axis else 1 for i, n in enumerate(shape)]
    return np.broadcast_to(np.arange(shape[axis], dtype=dtype).reshape(inner), shape).copy()


@iota.shape_rule
def _(*, shape: Shape, axis: int, dtype: str) -> Spec:
    if not 0 <= axis < len(shape):
        raise ShapeError(f"iota: axis {axis} is not an axis of {list(shape)}")
    return Spec(tuple(shape), dtype)


@iota.vjp
def _(g: Value, y: Value, *, shape: Shape, axis: int, dtype: str) -> Any:
    return ()
