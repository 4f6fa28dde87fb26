"""From what users give to values of one dtype and shape: casting and broadcasting stand here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.errors import DTypeError, ShapeError
from chainrule.graph import Value, Variable, constant
from chainrule.ops.checks import cast as cast_
from chainrule.ops.shape import broadcast, reshape

Shape = tuple[int, ...]


def as_value(x: Any, dtype: str | None = None) -> Value:
    """Return `x` (a value, variable, array, list or number) as a value, in `dtype` if given."""
    if isinstance(x, Variable):
        x = x.leaf
    if not isinstance(x, Value):
        try:
            x = constant(x, dtype)
        except (ValueError, DTypeError) as error:
            raise DTypeError(f"cannot make an array of numbers from {type(x).__name__}") from error
    return x if dtype is None else cast(x, dtype)


def cast(x: Any, dtype: Any) -> Value:
    """Return x in another dtype; from a float to an integer it is cut towards 0."""
    x, name = as_value(x), dtypes.name_of(dtype)
    result: Value = x if x.dtype == name else cast_(x, dtype=name)
    return result


def is_number(x: Any) -> bool:
    """Return whether x is a plain Python number, which takes the other side's dtype."""
    return isinstance(x, bool | int | float) and not isinstance(x, np.generic)


def common_dtype(left: str, right: str) -> str:
    """Return NumPy's common dtype, but the float's for an integer beside a float."""
    if left == right:
        return left
    if dtypes.is_float(left) != dtypes.is_float(right):
        return left if dtypes.is_float(left) else right
    return dtypes.name_of(np.promote_types(left, right))


def counted(x: Any) -> Value:
    """Return x in a dtype that arithmetic is done in: small integers and truths become int64."""
    x = as_value(x)
    return cast(x, "int64") if x.dtype in ("bool", "uint8") else x


def pair(x: Any, y: Any) -> tuple[Value, Value]:
    """Return both as values of one dtype and one shape.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.
    """
    if is_number(x) and not is_number(y):
        y = as_value(y)
        x = constant(np.asarray(x), _number_dtype(x, y.dtype))
    elif is_number(y):
        x = as_value(x)
        y = constant(np.asarray(y), _number_dtype(y, x.dtype))
    x, y = as_value(x), as_value(y)
    dtype = common_dtype(x.dtype, y.dtype)
    shape = joint_shape(x.shape, y.shape)
    return broadcast_to(cast(x, dtype), shape), broadcast_to(cast(y, dtype), shape)


def _number_dtype(number: Any, other: str) -> str:
    """Return the dtype a Python number takes beside an array of dtype `other`."""
    if isinstance(number, float) and not dtypes.is_float(other):
        return dtypes.floatx()
    return "int64" if other == "bool" and not isinstance(number, bool) else other


def joint_shape(left: Shape, right: Shape) -> Shape:
    """Return the shape both broadcast to, by NumPy's rule."""
    try:
        return tuple(int(n) for n in np.broadcast_shapes(left, right))
    except ValueError:
        raise ShapeError(
            f"shapes {list(left)} and {list(right)} do not fit together: counted from the last, "
            "each pair of axes must be equal, or one of them 1"
        ) from None


def broadcast_to(x: Any, shape: Sequence[int]) -> Value:
    """Return x repeated to `shape`, by NumPy's rule."""
    x, shape = as_value(x), tuple(shape)
    if x.shape == shape:
        same: Value = x
        return same
    if joint_shape(x.shape, shape) != shape:
        raise ShapeError(f"an array of shape {list(x.shape)} cannot become {list(shape)}")
    new = len(shape) - x.ndim
    kept = [i for i, n in enumerate(x.shape) if n == shape[new + i]]
    inner: Value = reshape(x, shape=tuple(x.shape[i] for i in kept))
    result: Value = broadcast(inner, shape=shape, axes=tuple(new + i for i in kept))
    return result


def one_axis(axis: int, ndim: int) -> int:
    """Return the axis counted from the front."""
    if not isinstance(axis, int | np.integer) or not -ndim <= axis < ndim:
        raise ShapeError(f"axis {axis} is not one of the {ndim} axes")
    return int(axis) % ndim


def all_axes(axis: int | Sequence[int] | None, ndim: int) -> Shape:
    """Return the axes counted from the front, in order; ``None`` means all of them."""
    if axis is None:
        return tuple(range(ndim))
    given = (axis,) if isinstance(axis, int | np.integer) else tuple(axis)
    return tuple(sorted({one_axis(a, ndim) for a in given}))
