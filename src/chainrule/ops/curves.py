"""Friendly functions of one float: exponentials, logarithms, trigonometry."""

from __future__ import annotations

import math
from typing import Any

from chainrule.graph import Value
from chainrule.ops import elementwise as e
from chainrule.ops.convert import floating
from chainrule.ops.functions import divide, multiply
from chainrule.ops.signs import applied

Like = Any


def exp(x: Like) -> Value:
    """``y = e^x``; infinite above 88.7 in float32, above 709.7 in float64.

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
    >>> print(ops.exp([0.0, 1.0]).numpy().round(4))
    [1.     2.7183]
    """
    return applied(e.exp, floating(x))


def exp2(x: Like) -> Value:
    """``y = 2^x``, computed as ``e^(x ln 2)``.

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
    >>> print(ops.exp2([0, 3]).numpy().round(4))
    [1. 8.]
    """
    return exp(multiply(x, math.log(2.0)))


def expm1(x: Like) -> Value:
    """``y = e^x - 1``, with all digits near 0, where ``exp(x) - 1`` loses them.

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
    >>> print(ops.expm1([0.0, 1.0]).numpy().round(4))
    [0.     1.7183]
    """
    return applied(e.expm1, floating(x))


def log(x: Like) -> Value:
    """``y = ln x``: -inf at 0, NaN below; the derivative ``1 / x`` is infinite at 0.

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
    >>> ops.log([1.0, 0.0]).numpy().tolist()
    [0.0, -inf]
    """
    return applied(e.log, floating(x))


def log2(x: Like) -> Value:
    """``y = ln x / ln 2``: -inf at 0, NaN below.

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
    >>> print(ops.log2([1, 8]).numpy().round(4))
    [0. 3.]
    """
    return multiply(log(x), 1.0 / math.log(2.0))


def log10(x: Like) -> Value:
    """``y = ln x / ln 10``: -inf at 0, NaN below.

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
    >>> print(ops.log10([1, 1000]).numpy().round(4))
    [0. 3.]
    """
    return multiply(log(x), 1.0 / math.log(10.0))


def log1p(x: Like) -> Value:
    """``y = ln(1 + x)``, with all digits near 0: -inf at -1, NaN below.

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
    >>> print(ops.log1p([0.0, 1.0]).numpy().round(4))
    [0.     0.6931]
    """
    return applied(e.log1p, floating(x))


def sin(x: Like) -> Value:
    """``y = sin x``, x in radians; NaN where x is infinite.

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
    >>> print(ops.sin([0.0, 1.0]).numpy().round(4))
    [0.     0.8415]
    """
    return applied(e.sin, floating(x))


def cos(x: Like) -> Value:
    """``y = cos x``, x in radians; NaN where x is infinite.

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
    >>> print(ops.cos([0.0, 1.0]).numpy().round(4))
    [1.     0.5403]
    """
    return applied(e.cos, floating(x))


def tan(x: Like) -> Value:
    """``y = sin x / cos x``, x in radians.

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
    >>> print(ops.tan([0.0, 1.0]).numpy().round(4))
    [0.     1.5574]
    """
    x = floating(x)
    return divide(sin(x), cos(x))


def tanh(x: Like) -> Value:
    """``y = (e^x - e^-x) / (e^x + e^-x)``, between -1 and 1; the derivative is ``1 - y^2``.

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
    >>> print(ops.tanh([0.0, 1.0]).numpy().round(4))
    [0.     0.7616]
    """
    return applied(e.tanh, floating(x))


def erf(x: Like) -> Value:
    """``y = 2 / sqrt(pi) * integral of e^(-t^2) from 0 to x``, between -1 and 1.

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
    >>> print(ops.erf([0.0, 1.0]).numpy().round(4))
    [0.     0.8427]
    """
    return applied(e.erf, floating(x))


def sigmoid(x: Like) -> Value:
    """``y = 1 / (1 + e^-x)``, between 0 and 1, without overflow; the derivative is ``y (1 - y)``.

    For a loss take the logits: `log_sigmoid` keeps the digits that a logarithm of this loses.

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
    >>> print(ops.sigmoid([-1000.0, 0.0, 1.0]).numpy().round(4))
    [0.     0.5    0.7311]
    """
    return applied(e.sigmoid, floating(x))


def softplus(x: Like) -> Value:
    """``y = ln(1 + e^x)``, without overflow; the derivative is ``sigmoid(x)``.

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
    >>> print(ops.softplus([-1.0, 0.0]).numpy().round(4))
    [0.3133 0.6931]
    """
    return applied(e.softplus, floating(x))


def relu(x: Like) -> Value:
    """``y = max(x, 0)``, NaN for NaN; the derivative is 1 above 0 and 0 elsewhere, also at 0.

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
    >>> ops.relu([-1.0, 0.0, 2.0]).numpy().tolist()
    [0.0, 0.0, 2.0]
    """
    return applied(e.relu, floating(x))
