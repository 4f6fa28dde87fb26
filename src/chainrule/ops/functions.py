"""Friendly functions on every element: they broadcast, cast and take numbers.

Dtypes follow NumPy, with two exceptions: an integer beside a float takes the float's dtype, and
arithmetic on uint8 and bool is done in int64, where it does not overflow.
"""

from __future__ import annotations

from typing import Any

from chainrule import dtypes
from chainrule.graph import Value
from chainrule.graph.primitive import Primitive
from chainrule.ops import elementwise as e
from chainrule.ops import logic
from chainrule.ops.convert import (
    as_value,
    broadcast_to,
    cast,
    counted,
    is_number,
    joint_shape,
    pair,
)

Like = Any  # a value, variable, array, list or number


def _float(x: Like) -> Value:
    """Return x as a value of a float dtype."""
    x = as_value(x)
    return x if dtypes.is_float(x.dtype) else cast(x, dtypes.floatx())


def _apply(op: Primitive, *arguments: Value, **attributes: Any) -> Value:
    result: Value = op(*arguments, **attributes)
    return result


def _numbers(x1: Like, x2: Like) -> tuple[Value, Value]:
    x, y = pair(x1, x2)
    return counted(x), counted(y)


def add(x1: Like, x2: Like) -> Value:
    """``x1 + x2``."""
    for x, other in ((x1, x2), (x2, x1)):
        if is_number(x) and not is_number(other):
            return _with_number(e.offset, other, "amount", x)
    return _apply(e.add, *_numbers(x1, x2))


def subtract(x1: Like, x2: Like) -> Value:
    """``x1 - x2``."""
    if is_number(x2) and not is_number(x1):
        return _with_number(e.offset, x1, "amount", -x2)
    if is_number(x1) and not is_number(x2):
        return add(negative(x2), x1)
    return _apply(e.subtract, *_numbers(x1, x2))


def multiply(x1: Like, x2: Like) -> Value:
    """``x1 * x2``."""
    for x, other in ((x1, x2), (x2, x1)):
        if is_number(x) and not is_number(other):
            return _with_number(e.scale, other, "factor", x)
    return _apply(e.multiply, *_numbers(x1, x2))


def _with_number(op: Primitive, x: Like, attribute: str, number: Any) -> Value:
    x = _float(x) if isinstance(number, float) else counted(x)
    return _apply(op, x, **{attribute: number})


def divide(x1: Like, x2: Like) -> Value:
    """``x1 / x2``, a float also for integers."""
    if is_number(x2) and not is_number(x1) and x2 != 0:
        return _apply(e.scale, _float(x1), factor=1.0 / x2)
    if is_number(x1) and not is_number(x2):
        inverse = reciprocal(x2)
        return inverse if x1 == 1 else multiply(inverse, float(x1))
    x1, x2 = pair(x1, x2)
    return _apply(e.divide, _float(x1), _float(x2))


true_divide = divide


def power(x1: Like, x2: Like) -> Value:
    """``x1 ** x2``."""
    if is_number(x2):
        if x2 == 2:
            return square(x1)
        if x2 == 1:
            return as_value(x1)
        if x2 == 0.5:
            return sqrt(x1)
        if x2 == -1:
            return reciprocal(x1)
        if x2 == 3:
            return multiply(square(x1), x1)
    x1, x2 = pair(x1, x2)
    return _apply(e.power, _float(x1), _float(x2))


def maximum(x1: Like, x2: Like) -> Value:
    """The larger of both."""
    return _apply(e.maximum, *_numbers(x1, x2))


def minimum(x1: Like, x2: Like) -> Value:
    """The smaller of both."""
    return _apply(e.minimum, *_numbers(x1, x2))


def clip(x: Like, x_min: Like, x_max: Like) -> Value:
    """``min(max(x, x_min), x_max)``."""
    return minimum(maximum(x, x_min), x_max)


def negative(x: Like) -> Value:
    """``-x``."""
    return _apply(e.negative, counted(x))


def abs(x: Like) -> Value:
    """``|x|``."""
    return _apply(e.absolute, counted(x))


absolute = abs


def sign(x: Like) -> Value:
    """-1, 0 or 1."""
    return _apply(e.sign, counted(x))


def square(x: Like) -> Value:
    """``x ** 2``."""
    return _apply(e.square, counted(x))


def sqrt(x: Like) -> Value:
    """The square root."""
    return _apply(e.sqrt, _float(x))


def rsqrt(x: Like) -> Value:
    """``1 / sqrt(x)``."""
    return reciprocal(sqrt(x))


def reciprocal(x: Like) -> Value:
    """``1 / x``."""
    return _apply(e.reciprocal, _float(x))


def exp(x: Like) -> Value:
    """``e ** x``."""
    return _apply(e.exp, _float(x))


def expm1(x: Like) -> Value:
    """``e ** x - 1``, exact near 0."""
    return _apply(e.expm1, _float(x))


def log(x: Like) -> Value:
    """The natural logarithm."""
    return _apply(e.log, _float(x))


def log1p(x: Like) -> Value:
    """``log(1 + x)``, exact near 0."""
    return _apply(e.log1p, _float(x))


def tanh(x: Like) -> Value:
    """The hyperbolic tangent."""
    return _apply(e.tanh, _float(x))


def sigmoid(x: Like) -> Value:
    """``1 / (1 + exp(-x))``."""
    return _apply(e.sigmoid, _float(x))


def softplus(x: Like) -> Value:
    """``log(1 + exp(x))``."""
    return _apply(e.softplus, _float(x))


def erf(x: Like) -> Value:
    """The error function."""
    return _apply(e.erf, _float(x))


def relu(x: Like) -> Value:
    """``max(x, 0)``."""
    return _apply(e.relu, _float(x))


def sin(x: Like) -> Value:
    """The sine of x in radians."""
    return _apply(e.sin, _float(x))


def cos(x: Like) -> Value:
    """The cosine of x in radians."""
    return _apply(e.cos, _float(x))


def floor(x: Like) -> Value:
    """The largest whole number not above x."""
    return _apply(e.floor, _float(x))


def ceil(x: Like) -> Value:
    """The smallest whole number not below x."""
    return negative(floor(negative(x)))


def isfinite(x: Like) -> Value:
    """Whether x is neither infinite nor NaN."""
    return _apply(logic.is_finite, _float(x))


def isnan(x: Like) -> Value:
    """Whether x is NaN."""
    return not_equal(x, x)


def equal(x1: Like, x2: Like) -> Value:
    """Whether both are equal."""
    return _apply(logic.equal, *pair(x1, x2))


def not_equal(x1: Like, x2: Like) -> Value:
    """Whether both differ."""
    return logical_not(equal(x1, x2))


def less(x1: Like, x2: Like) -> Value:
    """``x1 < x2``."""
    return _apply(logic.less, *pair(x1, x2))


def less_equal(x1: Like, x2: Like) -> Value:
    """``x1 <= x2``."""
    return _apply(logic.less_equal, *pair(x1, x2))


def greater(x1: Like, x2: Like) -> Value:
    """``x1 > x2``."""
    return less(x2, x1)


def greater_equal(x1: Like, x2: Like) -> Value:
    """``x1 >= x2``."""
    return less_equal(x2, x1)


def _truths(x1: Like, x2: Like) -> tuple[Value, Value]:
    return pair(cast(x1, "bool"), cast(x2, "bool"))


def logical_and(x1: Like, x2: Like) -> Value:
    """Whether both are true."""
    return _apply(logic.logical_and, *_truths(x1, x2))


def logical_or(x1: Like, x2: Like) -> Value:
    """Whether either is true."""
    return _apply(logic.logical_or, *_truths(x1, x2))


def logical_not(x: Like) -> Value:
    """Whether x is false."""
    return _apply(logic.logical_not, cast(x, "bool"))


def where(condition: Like, x1: Like, x2: Like) -> Value:
    """x1 where the condition holds, else x2."""
    x1, x2 = pair(x1, x2)
    condition = cast(condition, "bool")
    shape = joint_shape(condition.shape, x1.shape)
    return _apply(e.where, *(broadcast_to(a, shape) for a in (condition, x1, x2)))
