"""Functions of Keras's made of others."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.graph.symbol import filled, leaves
from chainrule.ops.arrays import moveaxis
from chainrule.ops.compare import where
from chainrule.ops.convert import as_value, floating
from chainrule.ops.curves import exp, expm1
from chainrule.ops.functions import add, multiply, subtract
from chainrule.ops.joins import roll
from chainrule.ops.reductions import Axis, max, min
from chainrule.ops.signs import negative

Like = Any


def sinh(x: Like) -> Value:
    """``y = (e^x - e^-x) / 2``; the derivative is ``cosh(x)``.

    Parameters
    ----------
    x : array_like
        Of any shape; integers become floats.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.sinh([0.0, 1.0]).numpy().round(4))
    [0.     1.1752]
    """
    x = floating(x)
    return multiply(subtract(expm1(x), expm1(negative(x))), 0.5)


def cosh(x: Like) -> Value:
    """``y = (e^x + e^-x) / 2``; the derivative is ``sinh(x)``.

    Parameters
    ----------
    x : array_like
        Of any shape; integers become floats.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.cosh([0.0, 1.0]).numpy().round(4))
    [1.     1.5431]
    """
    x = floating(x)
    return multiply(add(exp(x), exp(negative(x))), 0.5)


def ptp(x: Like, axis: Axis = None, keepdims: bool = False) -> Value:
    """``y = max(x) - min(x)`` along `axis`.

    Parameters
    ----------
    x : array_like
        Of any shape.
    axis : int or tuple of int, optional
        All axes by default.
    keepdims : bool, default False
        Whether the axes stay, with length 1.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.ptp([[1, 5], [4, 2]], axis=1).numpy().tolist()
    [4, 2]
    """
    x = as_value(x)
    return subtract(max(x, axis, keepdims), min(x, axis, keepdims))


def cross(
    x1: Like,
    x2: Like,
    axisa: int = -1,
    axisb: int = -1,
    axisc: int = -1,
    axis: int | None = None,
) -> Value:
    """``y = x1 x x2``: the vector that is at right angles to both, of vectors of three numbers.

    Shapes
    ------
    x1, x2 : [*s, 3] after broadcasting; returned : [*s, 3]

    Parameters
    ----------
    x1, x2 : array_like
        Brought to their common dtype.
    axisa, axisb, axisc : int, default -1
        The axis of the vectors in `x1`, in `x2` and in what is returned.
    axis : int, optional
        Stands for all three.

    Raises
    ------
    ShapeError
        For vectors of another length.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.cross([1, 0, 0], [0, 1, 0]).numpy().tolist()
    [0, 0, 1]
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    a, b = moveaxis(as_value(x1), axisa, -1), moveaxis(as_value(x2), axisb, -1)
    if a.shape[-1:] != (3,) or b.shape[-1:] != (3,):
        raise ShapeError(
            f"cross: the vectors have {list(a.shape[-1:])} and {list(b.shape[-1:])} numbers; "
            "expected 3"
        )
    one = multiply(roll(a, -1, -1), roll(b, -2, -1))
    return moveaxis(subtract(one, multiply(roll(a, -2, -1), roll(b, -1, -1))), -1, axisc)


def cond(pred: Like, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
    """``y = true_fn() if pred else false_fn()``, for a condition that a step computes.

    Both are computed and one is chosen, by `where`; of a Python bool, one alone is called.

    Parameters
    ----------
    pred : bool or array_like
        A single truth.
    true_fn, false_fn : callable
        Without arguments; they return a value, or values in lists, tuples and dicts of one form.

    Raises
    ------
    ArgumentError
        Where the two return different numbers of values.
    ShapeError
        For a condition of several elements.

    Examples
    --------
    >>> from chainrule import ops
    >>> x = ops.array([3.0, 4.0])
    >>> ops.cond(ops.sum(x) > 5.0, lambda: x, lambda: -x).numpy().tolist()
    [3.0, 4.0]
    """
    if isinstance(pred, bool | np.bool_):
        return true_fn() if pred else false_fn()
    chosen = as_value(pred)
    if chosen.size != 1:
        raise ShapeError(f"cond: pred has the shape {list(chosen.shape)}; expected one truth")
    form, others = true_fn(), list(leaves(false_fn()))
    ours = list(leaves(form))
    if len(ours) != len(others):
        raise ArgumentError(
            f"cond: true_fn returns {len(ours)} values and false_fn {len(others)}; "
            "expected the same of both"
        )
    chosen = chosen[(0,) * chosen.ndim] if chosen.ndim else chosen
    picked = [where(chosen, x, y) for x, y in zip(ours, others, strict=True)]
    return filled(form, iter(picked))
