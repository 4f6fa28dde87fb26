"""From what users give to values of one dtype and shape: casting and broadcasting stand here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DTypeError, ShapeError
from chainrule.graph import Value, Variable, constant, scope
from chainrule.ops.checks import cast as cast_
from chainrule.ops.shape import broadcast, reshape

Shape = tuple[int, ...]


def as_value(x: Any, dtype: str | None = None) -> Value:
    """``y = x`` as a value of the graph; also called `convert_to_tensor` and `array`.

    NumPy arrays keep their dtype where the engine has it, else they get a wider one: float16
    becomes float32, int16 int32. Lists of floats become `floatx()`, of whole numbers int64.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : value, variable, array_like or number
        Arrays are not copied where they are contiguous: leave them as they are.
    dtype : str, optional
        By default that of x.

    Raises
    ------
    DTypeError
        For what is no array of numbers: text, None, lists of unequal length, complex numbers.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.convert_to_tensor([1.0, 2.0]).dtype
    'float32'
    """
    if isinstance(x, Variable):
        x = scope.current(x)
    if not isinstance(x, Value):
        try:
            x = constant(x, dtype)
        except (ValueError, DTypeError) as error:
            raise DTypeError(f"cannot make an array of numbers from {type(x).__name__}") from error
    return x if dtype is None else cast(x, dtype)


def convert_to_numpy(x: Any) -> Array:
    """``the elements of x`` as a NumPy array, computed if they are not known yet.

    Parameters
    ----------
    x : value, variable, array_like or number

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.convert_to_numpy(ops.add([1, 2], 1)).tolist()
    [2, 3]
    """
    return as_value(x).numpy()


def cast(x: Any, dtype: Any) -> Value:
    """``y = x`` in another dtype; from a float to an integer it is cut towards 0.

    To bool: whether x is not 0, true for NaN. What does not fit an integer, NaN too, gives some
    number. The gradient goes through from float to float, and is 0 otherwise.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
    dtype : str or NumPy dtype
        float32, float64, int32, int64, uint8 or bool; float16 gives float32, int16 int32.

    Raises
    ------
    DTypeError
        For another dtype.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.cast([1.7, -1.7], "int32").numpy().tolist()
    [1, -1]
    """
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


def floating(x: Any) -> Value:
    """Return x as a value of a float dtype."""
    x = as_value(x)
    return x if dtypes.is_float(x.dtype) else cast(x, dtypes.floatx())


def counted(x: Any) -> Value:
    """Return x in a dtype that arithmetic is done in: small integers and truths become int64."""
    x = as_value(x)
    return cast(x, "int64") if x.dtype in ("bool", "uint8") else x


def wide_enough(x: Value, number: Any) -> Value:
    """Return x in int64 where a whole number beside it does not fit its own dtype."""
    return cast(x, _number_dtype(number, x.dtype)) if x.dtype in dtypes.INTEGERS else x


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
    if dtypes.is_float(other) or isinstance(number, bool):
        return other
    if isinstance(number, float):
        return dtypes.floatx()
    for kind in ("int64",) if other == "bool" else (other, "int64"):
        if np.iinfo(kind).min <= number <= np.iinfo(kind).max:
            return kind
    raise ArgumentError(f"the whole number {number} does not fit 64 bits")


def joint_shape(left: Shape, right: Shape) -> Shape:
    """Return the shape both broadcast to, by NumPy's rule."""
    try:
        return tuple(int(n) for n in np.broadcast_shapes(left, right))
    except ValueError:
        raise ShapeError(
            f"shapes {list(left)} and {list(right)} do not fit together: counted from the last, "
            "each pair of axes must be equal, or one of them 1"
        ) from None


def sizes(shape: int | Sequence[int]) -> Shape:
    """Return a shape given by the user, one number standing for one axis."""
    given = tuple(shape) if isinstance(shape, Iterable) else (shape,)
    if any(int(n) != n or n < 0 for n in given):
        raise ShapeError(f"a shape is made of whole numbers of at least 0, not {list(given)}")
    return tuple(int(n) for n in given)


def broadcast_to(x: Any, shape: int | Sequence[int]) -> Value:
    """``y[*a, *s] = x[*s]``: x repeated along new axes and those of size 1.

    The gradient is summed over what was repeated.

    Shapes
    ------
    x : [*s]; returned : [*shape]

    Parameters
    ----------
    x : array_like
    shape : int or sequence of int
        Counted from the last axis, x has each size, or 1, or no such axis.

    Raises
    ------
    ShapeError
        Where x does not fit.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.broadcast_to([[1], [2]], (2, 3)).numpy().tolist()
    [[1, 1, 1], [2, 2, 2]]
    """
    x, shape = as_value(x), sizes(shape)
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
    given = tuple(axis) if isinstance(axis, Iterable) else (axis,)
    axes = tuple(sorted(one_axis(a, ndim) for a in given))
    if len(set(axes)) < len(axes):
        raise ShapeError(f"the axes {given} name one axis twice")
    return axes
