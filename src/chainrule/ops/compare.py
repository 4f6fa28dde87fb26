"""Friendly comparisons, which have no derivative, and choice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.ops import elementwise as e
from chainrule.ops import logic
from chainrule.ops.convert import as_value, broadcast_to, cast, floating, joint_shape, pair
from chainrule.ops.functions import add, multiply, subtract
from chainrule.ops.signs import abs, applied
from chainrule.ops.truths import logical_and, logical_not, logical_or

Like = Any


def isfinite(x: Like) -> Value:
    """``y = x is neither infinite nor NaN``; true for every integer.

    Shapes
    ------
    x : [*s]; returned : [*s], bool

    Parameters
    ----------
    x : array_like
        Any dtype.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.isfinite([1.0, float("inf"), float("nan")]).numpy().tolist()
    [True, False, False]
    """
    return applied(logic.is_finite, floating(x))


def isnan(x: Like) -> Value:
    """``y = x is NaN``.

    Shapes
    ------
    x : [*s]; returned : [*s], bool

    Parameters
    ----------
    x : array_like
        Any dtype.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.isnan([1.0, float("inf"), float("nan")]).numpy().tolist()
    [False, False, True]
    """
    return not_equal(x, x)


def isinf(x: Like) -> Value:
    """``y = x is infinite``, of either sign.

    Shapes
    ------
    x : [*s]; returned : [*s], bool

    Parameters
    ----------
    x : array_like
        Any dtype.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.isinf([1.0, float("-inf"), float("nan")]).numpy().tolist()
    [False, True, False]
    """
    x = floating(x)
    return equal(abs(x), float("inf"))


def equal(x1: Like, x2: Like) -> Value:
    """``y = (x1 == x2)``, false for NaN; compared in the common dtype of both.

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
    >>> ops.equal([1, 2], [1.0, 2.5]).numpy().tolist()
    [True, False]
    """
    return applied(logic.equal, *pair(x1, x2))


def not_equal(x1: Like, x2: Like) -> Value:
    """``y = (x1 != x2)``, true for NaN.

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
    >>> ops.not_equal([1, 2], [1.0, 2.5]).numpy().tolist()
    [False, True]
    """
    return logical_not(equal(x1, x2))


def less(x1: Like, x2: Like) -> Value:
    """``y = (x1 < x2)``, false where either is NaN.

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
    >>> ops.less([1, 2, 3], 2).numpy().tolist()
    [True, False, False]
    """
    return applied(logic.less, *pair(x1, x2))


def less_equal(x1: Like, x2: Like) -> Value:
    """``y = (x1 <= x2)``, false where either is NaN.

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
    >>> ops.less_equal([1, 2, 3], 2).numpy().tolist()
    [True, True, False]
    """
    return applied(logic.less_equal, *pair(x1, x2))


def greater(x1: Like, x2: Like) -> Value:
    """``y = (x1 > x2)``, false where either is NaN.

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
    >>> ops.greater([1, 2, 3], 2).numpy().tolist()
    [False, False, True]
    """
    return less(x2, x1)


def greater_equal(x1: Like, x2: Like) -> Value:
    """``y = (x1 >= x2)``, false where either is NaN.

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
    >>> ops.greater_equal([1, 2, 3], 2).numpy().tolist()
    [False, True, True]
    """
    return less_equal(x2, x1)


def isclose(
    x1: Like, x2: Like, rtol: float = 1e-5, atol: float = 1e-8, equal_nan: bool = False
) -> Value:
    """``y = |x1 - x2| <= atol + rtol * |x2|``; equal infinities are close.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s], bool

    Parameters
    ----------
    x1, x2 : array_like
        Compared as floats; x2 is the one that `rtol` is relative to.
    rtol, atol : float, default 1e-5 and 1e-8
        The relative and the absolute distance allowed, at least 0.
    equal_nan : bool, default False
        Whether two NaN are close.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.isclose([1.0, 1.0], [1.000001, 1.1]).numpy().tolist()
    [True, False]
    """
    x, y = pair(floating(x1), floating(x2))
    near = less_equal(abs(subtract(x, y)), add(multiply(abs(y), float(rtol)), float(atol)))
    close = logical_or(equal(x, y), logical_and(near, isfinite(y)))
    return logical_or(close, logical_and(isnan(x), isnan(y))) if equal_nan else close


def where(condition: Like, x1: Like, x2: Like) -> Value:
    """``y = x1`` where the condition holds, else ``x2``.

    What is not chosen gets the gradient 0, also where it is infinite or NaN; but an operation
    before it whose own derivative is infinite there still makes ``0 * inf = NaN``. So choose a safe
    argument before such an operation: ``sqrt(where(x > 0, x, 1))``.

    Shapes
    ------
    condition, x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    condition : array_like
        Truths; a number is true unless it is 0. It has no derivative.
    x1, x2 : array_like
        Brought to their common dtype.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.where([True, False], [1.0, 2.0], 0).numpy().tolist()
    [1.0, 0.0]
    """
    x1, x2 = pair(x1, x2)
    condition = cast(condition, "bool")
    shape = joint_shape(condition.shape, x1.shape)
    return applied(e.where, *(broadcast_to(a, shape) for a in (condition, x1, x2)))


def select(condlist: Sequence[Like], choicelist: Sequence[Like], default: Like = 0) -> Value:
    """``y = the choice of the first condition that holds``, `default` where none does.

    Shapes
    ------
    conditions, choices, default : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    condlist, choicelist : sequences of array_like
        As many conditions as choices, at least one.
    default : array_like, default 0

    Raises
    ------
    ArgumentError
        Where the numbers of conditions and choices differ, or are 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.select([[True, False], [True, True]], [[1, 2], [3, 4]]).numpy().tolist()
    [1, 4]
    """
    if len(condlist) != len(choicelist) or not len(condlist):
        raise ArgumentError(
            f"select: {len(condlist)} conditions for {len(choicelist)} choices; "
            "each choice needs its condition"
        )
    y = default
    for condition, choice in zip(reversed(condlist), reversed(choicelist), strict=True):
        y = where(condition, choice, y)
    return as_value(y)


def nan_to_num(
    x: Like, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None
) -> Value:
    """``y = x``, but `nan` where x is NaN, and finite numbers where it is infinite.

    Replaced elements get the gradient 0. Integers are returned as they are.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
    nan : float, default 0.0
    posinf, neginf : float, optional
        For inf and -inf; by default the largest and the smallest finite number of the dtype.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.nan_to_num([1.0, float("nan"), float("inf")], posinf=9.0).numpy().tolist()
    [1.0, 0.0, 9.0]
    """
    y = as_value(x)
    if not dtypes.is_float(y.dtype):
        return y
    largest = float(np.finfo(y.dtype).max)
    high = largest if posinf is None else float(posinf)
    low = -largest if neginf is None else float(neginf)
    y = where(isnan(y), float(nan), y)
    y = where(equal(x, float("inf")), high, y)
    return where(equal(x, float("-inf")), low, y)
