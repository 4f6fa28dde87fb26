"""Rarer activation functions, under the names of ``keras.ops``."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.graph import Value, room
from chainrule.ops.arrays import swapaxes
from chainrule.ops.compare import greater, less, where
from chainrule.ops.convert import as_value, cast, floating
from chainrule.ops.curves import expm1, relu, sigmoid, tanh
from chainrule.ops.functions import add, clip, divide, multiply, subtract
from chainrule.ops.indexing import split
from chainrule.ops.joins import flip
from chainrule.ops.orders import cumsum, sort
from chainrule.ops.reductions import sum
from chainrule.ops.signs import abs, negative, sqrt, square

Like = Any


def celu(x: Like, alpha: float = 1.0) -> Value:
    """``y = x`` above 0, ``alpha * (e^(x / alpha) - 1)`` elsewhere; the derivative at 0 is 1.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    alpha : float, default 1.0
        Above 0; the result is above ``-alpha``.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.celu([-1.0, 2.0], alpha=0.5).numpy().round(4))
    [-0.4323  2.    ]

    Source
    ------
    Barron, "Continuously Differentiable Exponential Linear Units", arXiv 1704.07483, equation 2.
    """
    x = floating(x)
    above = greater(x, 0)
    below = where(above, 0.0, x)
    return where(above, x, multiply(expm1(divide(below, alpha)), alpha))


def glu(x: Like, axis: int = -1) -> Value:
    """``y = a * sigmoid(b)`` for the first half a and the second half b of x along `axis`.

    Shapes
    ------
    x : [*s, 2 d]; returned : [*s, d]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    axis : int, default -1

    Raises
    ------
    ShapeError
        Where the axis has an odd size.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.glu([1.0, 2.0, 0.0, 0.0]).numpy().tolist()
    [0.5, 1.0]

    Source
    ------
    Dauphin et al., "Language Modeling with Gated Convolutional Networks", arXiv 1612.08083.
    """
    a, b = split(floating(x), 2, axis)
    return multiply(a, sigmoid(b))


def squareplus(x: Like, b: float = 4.0) -> Value:
    """``y = (x + sqrt(x^2 + b)) / 2``, a smooth `relu`.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    b : float, default 4.0
        At least 0; 0 gives `relu`, whose derivative at 0 is then NaN.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.squareplus([-1.0, 0.0, 1.0]).numpy().round(4))
    [0.618 1.    1.618]

    Source
    ------
    Barron, "Squareplus: A Softplus-Like Algebraic Rectifier", arXiv 2112.11687, equation 1.
    """
    x = floating(x)
    return divide(add(x, sqrt(add(square(x), float(b)))), 2.0)


def soft_shrink(x: Like, threshold: float = 0.5) -> Value:
    """``y = sign(x) * max(|x| - threshold, 0)``; the derivative at the thresholds is 0.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    threshold : float, default 0.5
        At least 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.soft_shrink([-2.0, 0.25, 1.0]).numpy().tolist()
    [-1.5, 0.0, 0.5]
    """
    x = floating(x)
    return subtract(relu(subtract(x, threshold)), relu(subtract(negative(x), threshold)))


def hard_shrink(x: Like, threshold: float = 0.5) -> Value:
    """``y = x`` where ``|x| > threshold``, else 0.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    threshold : float, default 0.5
        At least 0.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.hard_shrink([-2.0, 0.25, 1.0]).numpy().tolist()
    [-2.0, 0.0, 1.0]
    """
    x = floating(x)
    return where(greater(abs(x), threshold), x, 0.0)


def tanh_shrink(x: Like) -> Value:
    """``y = x - tanh(x)``.

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
    >>> print(ops.tanh_shrink([-1.0, 0.0, 1.0]).numpy().round(4))
    [-0.2384  0.      0.2384]
    """
    x = floating(x)
    return subtract(x, tanh(x))


def threshold(x: Like, threshold: float, default_value: float) -> Value:
    """``y = x`` above `threshold`, else `default_value`, whose derivative is 0.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    threshold, default_value : float

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.threshold([-2.0, 0.25, 1.0], 0.0, -9.0).numpy().tolist()
    [-9.0, 0.25, 1.0]
    """
    x = floating(x)
    return where(greater(x, threshold), x, float(default_value))


def sparse_plus(x: Like) -> Value:
    """``y = 0`` up to -1, ``(x + 1)^2 / 4`` up to 1, then ``x``; its derivative is sparse_sigmoid.

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
    >>> ops.sparse_plus([-2.0, 0.0, 2.0]).numpy().tolist()
    [0.0, 0.25, 2.0]
    """
    x = floating(x)
    curve = where(less(x, 1), divide(square(add(x, 1.0)), 4.0), x)
    return where(less(x, -1), 0.0, curve)


def sparse_sigmoid(x: Like) -> Value:
    """``y = 0`` up to -1, ``(x + 1) / 2`` up to 1, then 1.

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
    >>> ops.sparse_sigmoid([-2.0, 0.0, 2.0]).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    return clip(multiply(add(floating(x), 1.0), 0.5), 0.0, 1.0)


def sparsemax(x: Like, axis: int = -1) -> Value:
    """``y = the nearest point to x of the probability simplex``: a softmax with exact zeros.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    axis : int, default -1

    Raises
    ------
    ShapeError
        For an axis that does not exist.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.sparsemax([1.0, 0.5, -1.0]).numpy().round(4))
    [0.75 0.25 0.  ]

    Source
    ------
    Martins and Astudillo, "From Softmax to Sparsemax", arXiv 1602.02068, algorithm 1.
    """
    x = swapaxes(floating(x), axis, -1)
    ordered = flip(sort(x), -1)
    sums = cumsum(ordered, -1)
    room.take(8 * x.shape[-1])
    count = as_value(np.arange(1, x.shape[-1] + 1), x.dtype)
    support = cast(greater(add(multiply(count, ordered), 1.0), sums), x.dtype)
    size = sum(support, -1, keepdims=True)
    excess = divide(subtract(sum(multiply(support, ordered), -1, keepdims=True), 1.0), size)
    return swapaxes(relu(subtract(x, excess)), axis, -1)
