"""Friendly arithmetic on every element: it broadcasts, casts and takes numbers.

Dtypes follow NumPy, with two exceptions: an integer beside a float takes the float's dtype, and
arithmetic on uint8 and bool is done in int64, where it does not overflow. A Python number takes
the dtype of the array beside it; a float beside integers makes them `floatx()`, and a whole
number that does not fit the integers beside it makes them int64.
"""

from __future__ import annotations

from typing import Any

from chainrule.graph import Value
from chainrule.graph.primitive import Primitive
from chainrule.ops import elementwise as e
from chainrule.ops.convert import (
    as_value,
    common_dtype,
    counted,
    floating,
    is_number,
    pair,
    wide_enough,
)
from chainrule.ops.signs import applied, negative, reciprocal, sqrt, square

Like = Any  # a value, variable, array, list or number

_NORMAL = (1e-30, 1e30)  # numbers whose reciprocal is a float32 of full precision


def _numbers(x1: Like, x2: Like) -> tuple[Value, Value]:
    x, y = pair(x1, x2)
    return counted(x), counted(y)


def _floats(x1: Like, x2: Like) -> tuple[Value, Value]:
    x, y = pair(x1, x2)
    kind = common_dtype(floating(x).dtype, floating(y).dtype)
    return as_value(x, kind), as_value(y, kind)


def _with_number(op: Primitive, x: Like, attribute: str, number: Any) -> Value:
    x = floating(x) if isinstance(number, float) else wide_enough(counted(x), number)
    return applied(op, x, **{attribute: number})


def _size_of(number: float) -> float:
    """Return ``|number|`` of a Python number; the name `abs` is that of the operation here."""
    return -number if number < 0 else number


def add(x1: Like, x2: Like) -> Value:
    """``y = x1 + x2``; integers wrap around, truths count as 0 and 1.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x1, x2 : array_like or number
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.add([1, 2], [[10], [20]]).numpy().tolist()
    [[11, 12], [21, 22]]
    >>> ops.add([True, True], 1).numpy().tolist()
    [2, 2]
    """
    for x, other in ((x1, x2), (x2, x1)):
        if is_number(x) and not is_number(other):
            return _with_number(e.offset, other, "amount", x)
    return applied(e.add, *_numbers(x1, x2))


def subtract(x1: Like, x2: Like) -> Value:
    """``y = x1 - x2``; uint8 is subtracted in int64, so that the difference may be negative.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x1, x2 : array_like or number
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.subtract([1.5, 2.0], 1).numpy().tolist()
    [0.5, 1.0]
    """
    if is_number(x2) and not is_number(x1):
        return _with_number(e.offset, x1, "amount", -x2)
    if is_number(x1) and not is_number(x2):
        return add(negative(x2), x1)
    return applied(e.subtract, *_numbers(x1, x2))


def multiply(x1: Like, x2: Like) -> Value:
    """``y = x1 * x2``, element by element; matrices are multiplied by `matmul`.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x1, x2 : array_like or number
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.multiply([1, 2], 0.5).numpy().tolist()
    [0.5, 1.0]
    """
    for x, other in ((x1, x2), (x2, x1)):
        if is_number(x) and not is_number(other):
            return _with_number(e.scale, other, "factor", x)
    return applied(e.multiply, *_numbers(x1, x2))


def divide(x1: Like, x2: Like) -> Value:
    """``y = x1 / x2``, a float also for integers: ``x / 0`` is infinite, ``0 / 0`` NaN.

    Division by a Python number multiplies by its reciprocal, which may differ from the quotient in
    the last bit. `divide_no_nan` gives 0 for a divisor of 0.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x1, x2 : array_like or number
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.divide([1, -1, 0], [2, 0, 0]).numpy().tolist()
    [0.5, -inf, nan]
    """
    if is_number(x2) and not is_number(x1) and _NORMAL[0] < _size_of(x2) < _NORMAL[1]:
        return applied(e.scale, floating(x1), factor=1.0 / x2)
    if is_number(x1) and x1 == 1 and not is_number(x2):
        return reciprocal(x2)
    return applied(e.divide, *_floats(x1, x2))


true_divide = divide


def power(x1: Like, x2: Like) -> Value:
    """``y = x1^x2``; NaN for a negative base with an exponent that is not whole, ``0^0 = 1``.

    Integers to a whole number of at least 0 stay integers and wrap around; every other power of
    integers is a float. ``x^0.5`` is `sqrt`. The derivative by the exponent, ``y ln x1``, is 0
    where the base is not above 0; the derivative by the base at ``0^0`` is 0.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x1, x2 : array_like or number
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.power([1, 2, 3], 3).numpy().tolist()
    [1, 8, 27]
    >>> ops.power([4.0, -4.0], [0.5, 2.0]).numpy().tolist()
    [2.0, 16.0]
    """
    if is_number(x2):
        simple = _simple_power(x1, x2)
        if simple is not None:
            return simple
    return applied(e.power, *_floats(x1, x2))


def _simple_power(x: Like, exponent: float) -> Value | None:
    """Return the power where it is made of cheaper operations."""
    if exponent == 0.5:
        return sqrt(x)
    if exponent == -1:
        return reciprocal(x)
    if exponent in (1, 2, 3):
        x = counted(x)
        return x if exponent == 1 else square(x) if exponent == 2 else multiply(square(x), x)
    x = counted(x)
    if isinstance(exponent, int) and exponent >= 0 and x.dtype in ("int32", "int64"):
        return _whole_power(x, exponent)
    return None


def _whole_power(x: Value, exponent: int) -> Value:
    y = None
    while exponent:
        if exponent % 2:
            y = x if y is None else multiply(y, x)
        exponent //= 2
        x = square(x) if exponent else x
    return add(multiply(x, 0), 1) if y is None else y


def maximum(x1: Like, x2: Like) -> Value:
    """``y = max(x1, x2)``, NaN where either is; where both are equal each takes half the gradient.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x1, x2 : array_like or number
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.maximum([1.0, -2.0], 0).numpy().tolist()
    [1.0, 0.0]
    """
    return applied(e.maximum, *_numbers(x1, x2))


def minimum(x1: Like, x2: Like) -> Value:
    """``y = min(x1, x2)``, NaN where either is; where both are equal each takes half the gradient.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x1, x2 : array_like or number
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.minimum([1.0, -2.0], 0).numpy().tolist()
    [0.0, -2.0]
    """
    return applied(e.minimum, *_numbers(x1, x2))


def clip(x: Like, x_min: Like, x_max: Like) -> Value:
    """``y = min(max(x, x_min), x_max)``: x_max where ``x_min > x_max``; NaN stays NaN.

    The derivative is 1 inside, 0 outside and 1/2 where x equals a border, the other half going to
    the border.

    Shapes
    ------
    x, x_min, x_max : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x : array_like
        Any dtype; integers between floats become floats.
    x_min, x_max : array_like
        The lowest and the highest value of the result.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.clip([-1.0, 0.5, 7.0], 0, 1).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    return minimum(maximum(x, x_min), x_max)
