"""Friendly functions around whole numbers; rounding has the derivative 0."""

from __future__ import annotations

from typing import Any

from chainrule import dtypes
from chainrule.graph import Value
from chainrule.ops import elementwise as e
from chainrule.ops.compare import equal, greater, less, where
from chainrule.ops.convert import as_value, cast, counted, floating, pair
from chainrule.ops.curves import exp, log1p
from chainrule.ops.functions import add, divide, maximum, multiply, subtract
from chainrule.ops.signs import abs, applied, negative
from chainrule.ops.truths import logical_and, logical_or

Like = Any


def floor(x: Like) -> Value:
    """``y = the largest whole number not above x``, as a float; the derivative is 0.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.floor([1.7, -1.2]).numpy().tolist()
    [1.0, -2.0]
    """
    return applied(e.floor, floating(x))


def ceil(x: Like) -> Value:
    """``y = the smallest whole number not below x``, as a float; the derivative is 0.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.ceil([1.2, -1.7]).numpy().tolist()
    [2.0, -1.0]
    """
    return negative(floor(negative(floating(x))))


def trunc(x: Like) -> Value:
    """``y = x without its fraction``, that is rounded towards 0; the derivative is 0.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.trunc([1.7, -1.7]).numpy().tolist()
    [1.0, -1.0]
    """
    x = floating(x)
    return where(less(x, 0), ceil(x), floor(x))


def round(x: Like, decimals: int = 0) -> Value:
    """``y = the nearest number of that many decimals``, halves to the even one; derivative 0.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers are returned as they are where `decimals` is at least 0.
    decimals : int, default 0
        Below 0 it counts the places before the point.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.round([0.5, 1.5, 2.51, -0.7]).numpy().tolist()
    [0.0, 2.0, 3.0, -1.0]
    >>> print(ops.round([3.14159], decimals=2).numpy())
    [3.14]
    """
    x = as_value(x)
    if not dtypes.is_float(x.dtype) and decimals >= 0:
        return counted(x)
    if decimals:
        places = 10.0 ** max(decimals, -decimals)
        up, down = (multiply, divide) if decimals > 0 else (divide, multiply)
        return cast(down(round(up(cast(x, "float64"), places)), places), floating(x).dtype)
    low = floor(x)
    rest = subtract(x, low)  # exact, unlike x + 1/2
    odd = equal(subtract(low, multiply(floor(multiply(low, 0.5)), 2.0)), 1.0)
    up_ = logical_or(greater(rest, 0.5), logical_and(equal(rest, 0.5), odd))
    return where(up_, add(low, 1.0), low)


def floor_divide(x1: Like, x2: Like) -> Value:
    """``y = floor(x1 / x2)``; the derivative is 0.

    Integers stay integers: exact below 2^53, and 0 where the divisor is 0.

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
    >>> ops.floor_divide([7, -7], 2).numpy().tolist()
    [3, -4]
    """
    x, y = pair(x1, x2)
    x, y = counted(x), counted(y)
    if dtypes.is_float(x.dtype):
        return floor(divide(x, y))
    quotient = floor(divide(cast(x, "float64"), cast(y, "float64")))
    return cast(where(equal(y, 0), 0.0, quotient), x.dtype)


def mod(x1: Like, x2: Like) -> Value:
    """``y = x1 - x2 * floor(x1 / x2)``, with the sign of x2.

    The derivative by x1 is 1, by x2 it is ``-floor(x1 / x2)``. Integers: exact below 2^53, and 0
    where the divisor is 0. Floats: the quotient is rounded, so where it is large, digits are lost.

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
    >>> ops.mod([7, -7], 3).numpy().tolist()
    [1, 2]
    >>> ops.mod([5.5, -5.5], 2).numpy().tolist()
    [1.5, 0.5]
    """
    x, y = pair(x1, x2)
    x, y = counted(x), counted(y)
    rest = subtract(x, multiply(y, floor_divide(x, y)))
    return rest if dtypes.is_float(x.dtype) else where(equal(y, 0), 0, rest)


def divide_no_nan(x1: Like, x2: Like) -> Value:
    """``y = x1 / x2``, and 0 with the derivative 0 where x2 is 0.

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
    >>> ops.divide_no_nan([1.0, 1.0], [2.0, 0.0]).numpy().tolist()
    [0.5, 0.0]
    """
    x, y = pair(x1, x2)
    nothing = equal(y, 0)
    return where(nothing, 0.0, divide(x, where(nothing, 1, y)))


def logaddexp(x1: Like, x2: Like) -> Value:
    """``y = ln(e^x1 + e^x2)``, without overflow; the derivatives are ``e^(x - y)``.

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
    >>> print(ops.logaddexp([0.0, 1.0], [0.0, 2.0]).numpy().round(4))
    [0.6931 2.3133]
    """
    x, y = pair(floating(x1), floating(x2))
    apart = where(equal(x, y), 0.0, subtract(x, y))  # equal infinities have no difference
    return add(maximum(x, y), log1p(exp(negative(abs(apart)))))
