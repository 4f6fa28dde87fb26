"""Activation functions, all of Keras 3's, from the primitives; each works on values and arrays."""

# mypy: no-warn-return-any
from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError, unknown_name
from chainrule.graph import Value

Like = Any


def linear(x: Like) -> Value:
    """``x``."""
    return ops.as_value(x)


def relu(
    x: Like, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Value:
    """``max(x, 0)``; in general x from `threshold` up to `max_value`, sloped below."""
    x = ops.as_value(x)
    if negative_slope == 0.0 and max_value is None and threshold == 0.0:
        return ops.relu(x)
    below = ops.multiply(ops.subtract(x, threshold), negative_slope)
    above = x if max_value is None else ops.minimum(x, max_value)
    return ops.where(ops.greater_equal(x, threshold) if threshold else x > 0, above, below)


def leaky_relu(x: Like, negative_slope: float = 0.2) -> Value:
    """``x`` above 0, ``negative_slope * x`` below."""
    return relu(x, negative_slope)


def relu6(x: Like) -> Value:
    """``min(max(x, 0), 6)``."""
    return relu(x, max_value=6.0)


def softmax(x: Like, axis: int = -1) -> Value:
    """``exp(x) / sum(exp(x))`` along `axis`."""
    return ops.softmax(x, axis)


def log_softmax(x: Like, axis: int = -1) -> Value:
    """``x - log(sum(exp(x)))`` along `axis`."""
    return ops.log_softmax(x, axis)


def _below(x: Value) -> Value:
    """Return x where it is below 0, else 0, so that exponentials cannot overflow."""
    return ops.minimum(x, 0.0)


def elu(x: Like, alpha: float = 1.0) -> Value:
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below."""
    x = ops.as_value(x)
    return ops.where(x > 0, x, alpha * ops.expm1(_below(x)))


def celu(x: Like, alpha: float = 1.0) -> Value:
    """``max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)``."""
    x = ops.as_value(x)
    return ops.where(x > 0, x, alpha * ops.expm1(_below(x) / alpha))


def selu(x: Like) -> Value:
    """``1.0507 * elu(x, 1.67326)``, which keeps mean 0 and variance 1 (arXiv 1706.02515)."""
    return 1.0507009873554805 * elu(x, 1.6732632423543772)


def softplus(x: Like) -> Value:
    """``log(1 + exp(x))``."""
    return ops.softplus(x)


def softsign(x: Like) -> Value:
    """``x / (1 + |x|)``."""
    x = ops.as_value(x)
    return x / (1.0 + ops.abs(x))


def squareplus(x: Like, b: float = 4.0) -> Value:
    """``(x + sqrt(x^2 + b)) / 2`` (arXiv 2112.11687)."""
    x = ops.as_value(x)
    return (x + ops.sqrt(ops.square(x) + float(b))) / 2.0


def soft_shrink(x: Like, threshold: float = 0.5) -> Value:
    """``x`` moved towards 0 by `threshold`, 0 where it would cross."""
    x = ops.as_value(x)
    return ops.relu(x - threshold) - ops.relu(-x - threshold)


def sparse_plus(x: Like) -> Value:
    """0 up to -1, ``(x + 1)^2 / 4`` up to 1, then ``x``."""
    x = ops.as_value(x)
    return ops.where(x < -1, 0.0, ops.where(x < 1, ops.square(x + 1.0) / 4.0, x))


def silu(x: Like) -> Value:
    """``x * sigmoid(x)``."""
    x = ops.as_value(x)
    return x * ops.sigmoid(x)


swish = silu


def gelu(x: Like, approximate: bool = False) -> Value:
    """``x * P(X <= x)`` for standard normal X (arXiv 1606.08415); or its approximation by tanh."""
    x = ops.as_value(x)
    if approximate:
        inner = np.sqrt(2 / np.pi).item() * (x + 0.044715 * (x * x * x))
        return 0.5 * x * (1.0 + ops.tanh(inner))
    return 0.5 * x * (1.0 + ops.erf(x * 0.7071067811865476))


def glu(x: Like, axis: int = -1) -> Value:
    """``a * sigmoid(b)`` for the halves a and b of x along `axis`."""
    a, b = ops.split(x, 2, axis)
    return a * ops.sigmoid(b)


def tanh(x: Like) -> Value:
    """The hyperbolic tangent."""
    return ops.tanh(x)


def tanh_shrink(x: Like) -> Value:
    """``x - tanh(x)``."""
    x = ops.as_value(x)
    return x - ops.tanh(x)


def threshold(x: Like, threshold: float, default_value: float) -> Value:
    """``x`` above `threshold`, else `default_value`."""
    x = ops.as_value(x)
    return ops.where(x > threshold, x, float(default_value))


def sigmoid(x: Like) -> Value:
    """``1 / (1 + exp(-x))``."""
    return ops.sigmoid(x)


def exponential(x: Like) -> Value:
    """``exp(x)``."""
    return ops.exp(x)


def hard_sigmoid(x: Like) -> Value:
    """``x / 6 + 1/2`` between -3 and 3, 0 below, 1 above."""
    x = ops.as_value(x)
    return ops.clip(x / 6.0 + 0.5, 0.0, 1.0)


def hard_silu(x: Like) -> Value:
    """``x * hard_sigmoid(x)``."""
    x = ops.as_value(x)
    return x * hard_sigmoid(x)


hard_swish = hard_silu


def hard_tanh(x: Like) -> Value:
    """``x`` between -1 and 1, the nearer of them outside."""
    return ops.clip(x, -1.0, 1.0)


def hard_shrink(x: Like, threshold: float = 0.5) -> Value:
    """``x`` where ``|x| > threshold``, else 0."""
    x = ops.as_value(x)
    return ops.where(ops.abs(x) > threshold, x, 0.0)


def mish(x: Like) -> Value:
    """``x * tanh(softplus(x))`` (arXiv 1908.08681)."""
    x = ops.as_value(x)
    return x * ops.tanh(ops.softplus(x))


def log_sigmoid(x: Like) -> Value:
    """``log(1 / (1 + exp(-x)))``."""
    return -ops.softplus(-ops.as_value(x))


def sparsemax(x: Like, axis: int = -1) -> Value:
    """The nearest point of the probability simplex: a softmax with exact zeros.

    Source: Martins and Astudillo, arXiv 1602.02068, algorithm 1.
    """
    x = ops.swapaxes(ops.as_value(x), axis, -1)
    ordered = ops.flip(ops.sort(x), -1)
    sums = ops.cumsum(ordered, -1)
    count = ops.as_value(np.arange(1, x.shape[-1] + 1), x.dtype)
    support = ops.cast(1.0 + count * ordered > sums, x.dtype)
    size = ops.sum(support, -1, keepdims=True)
    excess = (ops.sum(support * ordered, -1, keepdims=True) - 1.0) / size
    return ops.swapaxes(ops.relu(x - excess), axis, -1)


def sparse_sigmoid(x: Like) -> Value:
    """0 up to -1, ``(x + 1) / 2`` up to 1, then 1."""
    x = ops.as_value(x)
    return ops.clip(0.5 * (x + 1.0), 0.0, 1.0)


_FUNCTIONS: tuple[Callable[..., Value], ...] = (
    linear, relu, leaky_relu, relu6, softmax, log_softmax, elu, celu, selu, softplus, softsign,
    squareplus, soft_shrink, sparse_plus, silu, gelu, glu, tanh, tanh_shrink, threshold, sigmoid,
    exponential, hard_sigmoid, hard_silu, hard_tanh, hard_shrink, mish, log_sigmoid, sparsemax,
    sparse_sigmoid,
)  # fmt: skip
_BY_NAME: dict[str, Callable[..., Value]] = {f.__name__: f for f in _FUNCTIONS}
_BY_NAME.update(swish=silu, hard_swish=hard_silu)


def get(identifier: Any) -> Callable[..., Value]:
    """Return the activation for a name, a function, or ``None`` (linear).

    Raises
    ------
    ArgumentError
        For a name that does not exist, with the nearest that does.

    Examples
    --------
    >>> from chainrule import activations
    >>> activations.get("relu") is activations.relu
    True
    """
    if identifier is None:
        return linear
    if isinstance(identifier, str):
        if identifier not in _BY_NAME:
            raise unknown_name("activation", identifier, _BY_NAME)
        return _BY_NAME[identifier]
    if callable(identifier):
        return identifier
    raise ArgumentError(f"an activation is a name or a function, not {identifier!r}")


def serialize(activation: Callable[..., Value]) -> str:
    """Return the name from which `get` finds the activation."""
    for name, function in _BY_NAME.items():
        if function is activation:
            return name
    place = inspect.getmodule(activation)
    raise ArgumentError(
        f"the activation {activation!r} of {place.__name__ if place else 'unknown'} is not one of "
        "chainrule's and cannot be saved by name"
    )
