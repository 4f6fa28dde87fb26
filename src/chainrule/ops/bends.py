"""Activation functions made of others, under the names of ``keras.ops``."""

from __future__ import annotations

import math
from typing import Any

from chainrule.graph import Value
from chainrule.ops.compare import greater, where
from chainrule.ops.convert import floating
from chainrule.ops.curves import erf, expm1, relu, sigmoid, softplus, tanh
from chainrule.ops.functions import add, clip, divide, minimum, multiply, power
from chainrule.ops.signs import abs, negative

Like = Any


def relu6(x: Like) -> Value:
    """``y = min(max(x, 0), 6)``; the derivative is 0 at 0 and 1/2 at 6.

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
    >>> ops.relu6([-1.0, 3.0, 9.0]).numpy().tolist()
    [0.0, 3.0, 6.0]
    """
    return minimum(relu(x), 6.0)


def leaky_relu(x: Like, negative_slope: float = 0.2) -> Value:
    """``y = x`` above 0, ``negative_slope * x`` elsewhere; the derivative at 0 is the slope.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    negative_slope : float, default 0.2
        Usually between 0 and 1.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.leaky_relu([-1.0, 2.0]).numpy().round(4))
    [-0.2  2. ]
    """
    x = floating(x)
    return where(greater(x, 0), x, multiply(x, negative_slope))


def elu(x: Like, alpha: float = 1.0) -> Value:
    """``y = x`` above 0, ``alpha * (e^x - 1)`` elsewhere; the derivative at 0 is alpha.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    alpha : float, default 1.0
        The result is above ``-alpha``.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.elu([-1.0, 2.0]).numpy().round(4))
    [-0.6321  2.    ]

    Source
    ------
    Clevert, Unterthiner and Hochreiter, arXiv 1511.07289, equation 15.
    """
    x = floating(x)
    above = greater(x, 0)
    below = where(above, 0.0, x)  # a minimum would share the derivative at 0
    return where(above, x, multiply(expm1(below), alpha))


def selu(x: Like) -> Value:
    """``y = 1.0507 * elu(x, 1.67326)``, which leads towards mean 0 and variance 1.

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
    >>> print(ops.selu([-1.0, 1.0]).numpy().round(4))
    [-1.1113  1.0507]

    Source
    ------
    Klambauer et al., "Self-Normalizing Neural Networks", arXiv 1706.02515, equations 2 and 14.
    """
    return multiply(elu(x, 1.6732632423543772), 1.0507009873554805)


def silu(x: Like) -> Value:
    """``y = x * sigmoid(x)``, also called swish; NaN at -inf, where it tends to 0.

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
    >>> print(ops.silu([-1.0, 0.0, 1.0]).numpy().round(4))
    [-0.2689  0.      0.7311]

    Source
    ------
    Ramachandran, Zoph and Le, arXiv 1710.05941, with beta = 1.
    """
    x = floating(x)
    return multiply(x, sigmoid(x))


swish = silu


def gelu(x: Like, approximate: bool = True) -> Value:
    """``y = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3)))``, near to ``x * P(X <= x)``.

    X is standard normal. As in Keras, `activations.gelu` is the exact one by default.

    Shapes
    ------
    x : [*s]; returned : [*s]

    Parameters
    ----------
    x : array_like
        Integers and truths are cast to `floatx()`.
    approximate : bool, default True
        False: ``x / 2 * (1 + erf(x / sqrt(2)))``, which is ``x * P(X <= x)``.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.gelu([-1.0, 0.0, 1.0]).numpy().round(4))
    [-0.1588  0.      0.8412]

    Source
    ------
    Hendrycks and Gimpel, arXiv 1606.08415, section 2.
    """
    x = floating(x)
    if approximate:
        inner = multiply(add(x, multiply(power(x, 3), 0.044715)), math.sqrt(2.0 / math.pi))
        return multiply(multiply(x, 0.5), add(tanh(inner), 1.0))
    return multiply(multiply(x, 0.5), add(erf(multiply(x, math.sqrt(0.5))), 1.0))


def log_sigmoid(x: Like) -> Value:
    """``y = ln(1 / (1 + e^-x)) = -softplus(-x)``, finite for every finite x.

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
    >>> print(ops.log_sigmoid([-1000.0, 0.0]).numpy().round(4))
    [-1.000e+03 -6.931e-01]
    """
    return negative(softplus(negative(floating(x))))


def softsign(x: Like) -> Value:
    """``y = x / (1 + |x|)``, between -1 and 1; NaN where x is infinite.

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
    >>> ops.softsign([-1.0, 0.0, 3.0]).numpy().tolist()
    [-0.5, 0.0, 0.75]
    """
    x = floating(x)
    return divide(x, add(abs(x), 1.0))


def hard_sigmoid(x: Like) -> Value:
    """``y = x / 6 + 1/2`` between -3 and 3, 0 below, 1 above.

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
    >>> ops.hard_sigmoid([-4.0, 0.0, 4.0]).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    return clip(add(divide(floating(x), 6.0), 0.5), 0.0, 1.0)


def hard_silu(x: Like) -> Value:
    """``y = x * hard_sigmoid(x)``, also called hard swish.

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
    >>> print(ops.hard_silu([-1.5, 0.0, 4.0]).numpy().round(4))
    [-0.375  0.     4.   ]

    Source
    ------
    Howard et al., "Searching for MobileNetV3", arXiv 1905.02244, section 5.2.
    """
    x = floating(x)
    return multiply(x, hard_sigmoid(x))


hard_swish = hard_silu


def hard_tanh(x: Like) -> Value:
    """``y = min(max(x, -1), 1)``; the derivative at -1 and at 1 is 1/2.

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
    >>> ops.hard_tanh([-4.0, 0.5, 4.0]).numpy().tolist()
    [-1.0, 0.5, 1.0]
    """
    return clip(floating(x), -1.0, 1.0)


def mish(x: Like) -> Value:
    """``y = x * tanh(softplus(x))``.

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
    >>> print(ops.mish([-1.0, 0.0, 1.0]).numpy().round(4))
    [-0.3034  0.      0.8651]

    Source
    ------
    Misra, arXiv 1908.08681, equation 1.
    """
    x = floating(x)
    return multiply(x, tanh(softplus(x)))
