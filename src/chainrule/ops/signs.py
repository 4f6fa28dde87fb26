"""Friendly functions of one number: signs, squares, roots and reciprocals."""

from __future__ import annotations

from typing import Any

from chainrule.graph import Value
from chainrule.graph.primitive import Primitive
from chainrule.ops import elementwise as e
from chainrule.ops.convert import counted, floating

Like = Any


def applied(op: Primitive, *arguments: Value, **attributes: Any) -> Value:
    """Return the only output of an operation."""
    result: Value = op(*arguments, **attributes)
    return result


def negative(x: Like) -> Value:
    """``y = -x``; uint8 becomes int64 first, truths 0 and 1.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Truths and uint8 are cast to int64; other dtypes stay.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.negative([1, -2]).numpy().tolist()
    [-1, 2]
    """
    return applied(e.negative, counted(x))


def abs(x: Like) -> Value:
    """``y = |x|``; the derivative is ``sign(x)``, which is 0 at 0.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Truths and uint8 are cast to int64; other dtypes stay.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.abs([-1.5, 0.0, 2.0]).numpy().tolist()
    [1.5, 0.0, 2.0]
    """
    return applied(e.absolute, counted(x))


absolute = abs


def sign(x: Like) -> Value:
    """``y = -1, 0 or 1`` as x is below, at or above 0, NaN for NaN; the derivative is 0.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Truths and uint8 are cast to int64; other dtypes stay.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.sign([-1.5, 0.0, 2.0]).numpy().tolist()
    [-1.0, 0.0, 1.0]
    """
    return applied(e.sign, counted(x))


def square(x: Like) -> Value:
    """``y = x^2``; integers wrap around.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Truths and uint8 are cast to int64; other dtypes stay.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.square([3, -4]).numpy().tolist()
    [9, 16]
    """
    return applied(e.square, counted(x))


def sqrt(x: Like) -> Value:
    """``y = sqrt(x)``, NaN below 0.

    The derivative, ``1 / (2 y)``, is infinite at 0: add a small number to x first, or choose
    with `where` before the root, not behind it (`norm` does).

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
    >>> ops.sqrt([0, 4, 9]).numpy().tolist()
    [0.0, 2.0, 3.0]
    """
    return applied(e.sqrt, floating(x))


def rsqrt(x: Like) -> Value:
    """``y = 1 / sqrt(x)``: infinite at 0, NaN below.

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
    >>> ops.rsqrt([0.25, 4.0]).numpy().tolist()
    [2.0, 0.5]
    """
    return reciprocal(sqrt(x))


def reciprocal(x: Like) -> Value:
    """``y = 1 / x``, infinite at 0; a float also for integers, unlike NumPy's.

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
    >>> ops.reciprocal([2, -4]).numpy().tolist()
    [0.5, -0.25]
    """
    return applied(e.reciprocal, floating(x))
