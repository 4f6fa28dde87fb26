"""Operations on every element on its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dtypes import Array, is_float
from chainrule.errors import DTypeError
from chainrule.graph import Spec, Value, primitive
from chainrule.ops.logic import equal, less, logical_and
from chainrule.ops.shape import fill

_QUIET = {"all": "ignore"}


def _zero(x: Value) -> Value:
    """Return zeros like x; ``x * 0`` would be NaN where x is infinite."""
    result: Value = fill(shape=x.shape, value=0.0, dtype=x.dtype)
    return result


def _floats(x: Spec, y: Spec) -> Spec:
    if not is_float(x.dtype):
        raise DTypeError(f"only floats are divided or raised to a power, not {x.dtype}: cast them")
    return x


@primitive("*s -> *s", elementwise=True)
def negative(x: Array) -> Any:
    """``-x``."""
    return np.negative(x)


@negative.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (negative(g),)


@primitive("*s -> *s", elementwise=True)
def absolute(x: Array) -> Any:
    """``|x|``; the derivative at 0 is 0."""
    return np.abs(x)


@absolute.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (multiply(g, sign(x)),)


@primitive("*s -> *s", elementwise=True)
def sign(x: Array) -> Any:
    """-1, 0 or 1; its derivative is 0."""
    return np.sign(x)


@sign.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (None,)


@primitive("*s -> *s", elementwise=True)
def square(x: Array) -> Any:
    """``x^2``."""
    return np.square(x)


@square.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (multiply(g, scale(x, factor=2.0)),)


@primitive("*s:float -> *s", elementwise=True, cost=3)
def sqrt(x: Array) -> Any:
    """``sqrt(x)``, NaN below 0."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.sqrt(x)


@sqrt.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (divide(scale(g, factor=0.5), y),)


@primitive("*s:float -> *s", elementwise=True, cost=3)
def reciprocal(x: Array) -> Any:
    """``1 / x``."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.reciprocal(x)


@reciprocal.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (negative(multiply(g, square(y))),)


@primitive("*s:float -> *s", elementwise=True, cost=8)
def exp(x: Array) -> Any:
    """``e^x``."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.exp(x)


@exp.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (multiply(g, y),)


@primitive("*s:float -> *s", elementwise=True, cost=10)
def expm1(x: Array) -> Any:
    """``e^x - 1``, exact near 0."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.expm1(x)


@expm1.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (multiply(g, offset(y, amount=1.0)),)


@primitive("*s:float -> *s", elementwise=True, cost=10)
def log(x: Array) -> Any:
    """``ln x``: -inf at 0, NaN below."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.log(x)


@log.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (divide(g, x),)


@primitive("*s:float -> *s", elementwise=True, cost=12)
def log1p(x: Array) -> Any:
    """``ln(1 + x)``, exact near 0."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.log1p(x)


@log1p.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (divide(g, offset(x, amount=1.0)),)


@primitive("*s:float -> *s", elementwise=True, cost=14)
def tanh(x: Array) -> Any:
    """The hyperbolic tangent."""
    return np.tanh(x)


@tanh.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    from chainrule.ops.fused import tanh_gradient

    return (tanh_gradient(g, y),)


@primitive("*s:float -> *s", elementwise=True, cost=10)
def sigmoid(x: Array) -> Any:
    """``1 / (1 + e^-x)``, without overflow."""
    small = np.exp(-np.abs(x))
    return (np.where(x >= 0, 1, small) / (1 + small)).astype(x.dtype)


@sigmoid.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    from chainrule.ops.fused import sigmoid_gradient

    return (sigmoid_gradient(g, y),)


@primitive("*s:float -> *s", elementwise=True, cost=16)
def softplus(x: Array) -> Any:
    """``ln(1 + e^x)``, without overflow."""
    return np.logaddexp(x, 0).astype(x.dtype)


@softplus.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (multiply(g, sigmoid(x)),)


@primitive("*s:float -> *s", elementwise=True, cost=16)
def erf(x: Array) -> Any:
    """The error function, ``2/sqrt(pi)`` times the integral of ``e^(-t^2)`` from 0 to x."""
    from math import erf as scalar

    flat = [scalar(v) for v in np.ravel(x).tolist()]
    return np.array(flat, x.dtype).reshape(x.shape)


@erf.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    slope = scale(exp(negative(square(x))), factor=2.0 / np.sqrt(np.pi))
    return (multiply(g, slope),)


@primitive("*s:float -> *s", elementwise=True)
def relu(x: Array) -> Any:
    """``max(x, 0)``; the derivative at 0 is 0."""
    return np.maximum(x, 0)


@relu.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    from chainrule.ops.fused import relu_gradient

    return (relu_gradient(g, y),)


@primitive("*s:float -> *s", elementwise=True, cost=20)
def sin(x: Array) -> Any:
    """``sin x``, x in radians."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.sin(x)


@sin.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (multiply(g, cos(x)),)


@primitive("*s:float -> *s", elementwise=True, cost=20)
def cos(x: Array) -> Any:
    """``cos x``, x in radians."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.cos(x)


@cos.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (negative(multiply(g, sin(x))),)


@primitive("*s:float -> *s", elementwise=True)
def floor(x: Array) -> Any:
    """The largest whole number not above x; its derivative is 0."""
    return np.floor(x)


@floor.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    return (None,)


@primitive("*s -> *s", elementwise=True)
def scale(x: Array, *, factor: float) -> Any:
    """``factor * x`` for a number known when the step is built."""
    return (x * np.asarray(factor).astype(x.dtype)).astype(x.dtype)


@scale.vjp
def _(g: Value, y: Value, x: Value, *, factor: float) -> Any:
    return (scale(g, factor=factor),)


@primitive("*s -> *s", elementwise=True)
def offset(x: Array, *, amount: float) -> Any:
    """``x + amount`` for a number known when the step is built."""
    return (x + np.asarray(amount).astype(x.dtype)).astype(x.dtype)


@offset.vjp
def _(g: Value, y: Value, x: Value, *, amount: float) -> Any:
    return (g,)


@primitive("*s, *s -> *s", elementwise=True)
def add(x: Array, y: Array) -> Any:
    """``x + y``."""
    return np.add(x, y)


@add.vjp
def _(g: Value, z: Value, x: Value, y: Value) -> Any:
    return g, g


@primitive("*s, *s -> *s", elementwise=True)
def subtract(x: Array, y: Array) -> Any:
    """``x - y``."""
    return np.subtract(x, y)


@subtract.vjp
def _(g: Value, z: Value, x: Value, y: Value) -> Any:
    return g, negative(g)


@primitive("*s, *s -> *s", elementwise=True)
def multiply(x: Array, y: Array) -> Any:
    """``x * y``."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.multiply(x, y)


@multiply.vjp
def _(g: Value, z: Value, x: Value, y: Value) -> Any:
    return multiply(g, y), multiply(g, x)


@primitive("*s, *s -> *s", elementwise=True, cost=3)
def divide(x: Array, y: Array) -> Any:
    """``x / y``."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.divide(x, y)


divide.shape_rule(_floats)


@divide.vjp
def _(g: Value, z: Value, x: Value, y: Value) -> Any:
    part = divide(g, y)
    return part, negative(multiply(part, z))


@primitive("*s, *s -> *s", elementwise=True, cost=40)
def power(x: Array, y: Array) -> Any:
    """``x^y``; the derivative by y is 0 where x is not above 0."""
    with np.errstate(**_QUIET):  # type: ignore[arg-type]
        return np.power(x, y)


power.shape_rule(_floats)


@power.vjp
def _(g: Value, z: Value, x: Value, y: Value) -> Any:
    zero = _zero(x)
    one = offset(zero, amount=1.0)
    constant = logical_and(equal(x, zero), equal(y, zero))  # 0^0, whose derivative by x is 0
    by_x = multiply(multiply(g, y), power(where(constant, one, x), offset(y, amount=-1.0)))
    positive = less(zero, x)
    logs = log(where(positive, x, one))
    return by_x, where(positive, multiply(multiply(g, z), logs), zero)


@primitive("*s, *s -> *s", elementwise=True)
def maximum(x: Array, y: Array) -> Any:
    """The larger of x and y; where they are equal each takes half of the cotangent."""
    return np.maximum(x, y)


@maximum.vjp
def _(g: Value, z: Value, x: Value, y: Value) -> Any:
    return _shares(g, less(y, x), less(x, y))


@primitive("*s, *s -> *s", elementwise=True)
def minimum(x: Array, y: Array) -> Any:
    """The smaller of x and y; where they are equal each takes half of the cotangent."""
    return np.minimum(x, y)


@minimum.vjp
def _(g: Value, z: Value, x: Value, y: Value) -> Any:
    return _shares(g, less(x, y), less(y, x))


def _shares(g: Value, first: Value, second: Value) -> tuple[Value, Value]:
    """Give the cotangent to whichever argument won, half to each where neither did."""
    zero, half = _zero(g), scale(g, factor=0.5)
    to_first = where(first, g, where(second, zero, half))
    return to_first, where(second, g, where(first, zero, half))


@primitive("*s:bool, *s, *s -> *s", elementwise=True)
def where(condition: Array, x: Array, y: Array) -> Any:
    """x where the condition holds, else y."""
    return np.where(condition, x, y)


@where.vjp
def _(g: Value, z: Value, condition: Value, x: Value, y: Value) -> Any:
    zero = _zero(g)
    return None, where(condition, g, zero), where(condition, zero, g)
