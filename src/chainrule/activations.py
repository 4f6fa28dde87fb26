"""Activation functions, all of Keras 3's, from the primitives; each works on values and arrays."""

# mypy: no-warn-return-any
from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, unknown_name
from chainrule.graph import Value
from chainrule.named import custom, registered_name, remember, scoped

Like = Any


def linear(x: Like) -> Value:
    """``x``."""
    return ops.as_value(x)


def relu(
    x: Like, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0
) -> Value:
    """``max(x, 0)``; in general x above `threshold`, at most `max_value`, and sloped elsewhere."""
    x = ops.as_value(x)
    if negative_slope == 0.0 and threshold == 0.0:
        return ops.relu(x) if max_value is None else ops.minimum(ops.relu(x), max_value)
    above = x if max_value is None else ops.minimum(x, max_value)
    if negative_slope == 0.0:  # not 0 * x, which is NaN far below
        return ops.where(ops.less_equal(x, threshold), 0.0, above)
    below = ops.multiply(ops.subtract(x, threshold), negative_slope)
    return ops.where(ops.greater(x, threshold), above, below)


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


def elu(x: Like, alpha: float = 1.0) -> Value:
    """``x`` above 0, ``alpha * (exp(x) - 1)`` below."""
    return ops.elu(x, alpha)


def celu(x: Like, alpha: float = 1.0) -> Value:
    """``max(x, 0) + min(alpha * (exp(x / alpha) - 1), 0)``."""
    return ops.celu(x, alpha)


def selu(x: Like) -> Value:
    """``1.0507 * elu(x, 1.67326)``, which keeps mean 0 and variance 1 (arXiv 1706.02515)."""
    return ops.selu(x)


def softplus(x: Like) -> Value:
    """``log(1 + exp(x))``."""
    return ops.softplus(x)


def softsign(x: Like) -> Value:
    """``x / (1 + |x|)``."""
    return ops.softsign(x)


def squareplus(x: Like, b: float = 4.0) -> Value:
    """``(x + sqrt(x^2 + b)) / 2`` (arXiv 2112.11687)."""
    return ops.squareplus(x, b)


def soft_shrink(x: Like, threshold: float = 0.5) -> Value:
    """``x`` moved towards 0 by `threshold`, 0 where it would cross."""
    return ops.soft_shrink(x, threshold)


def sparse_plus(x: Like) -> Value:
    """0 up to -1, ``(x + 1)^2 / 4`` up to 1, then ``x``."""
    return ops.sparse_plus(x)


def silu(x: Like) -> Value:
    """``x * sigmoid(x)``."""
    return ops.silu(x)


swish = silu


def gelu(x: Like, approximate: bool = False) -> Value:
    """``x * P(X <= x)`` for standard normal X (arXiv 1606.08415); or its approximation by tanh."""
    return ops.gelu(x, approximate)


def glu(x: Like, axis: int = -1) -> Value:
    """``a * sigmoid(b)`` for the halves a and b of x along `axis`."""
    return ops.glu(x, axis)


def tanh(x: Like) -> Value:
    """The hyperbolic tangent."""
    return ops.tanh(x)


def tanh_shrink(x: Like) -> Value:
    """``x - tanh(x)``."""
    return ops.tanh_shrink(x)


def threshold(x: Like, threshold: float, default_value: float) -> Value:
    """``x`` above `threshold`, else `default_value`."""
    return ops.threshold(x, threshold, default_value)


def sigmoid(x: Like) -> Value:
    """``1 / (1 + exp(-x))``."""
    return ops.sigmoid(x)


def exponential(x: Like) -> Value:
    """``exp(x)``."""
    return ops.exp(x)


def hard_sigmoid(x: Like) -> Value:
    """``x / 6 + 1/2`` between -3 and 3, 0 below, 1 above."""
    return ops.hard_sigmoid(x)


def hard_silu(x: Like) -> Value:
    """``x * hard_sigmoid(x)``."""
    return ops.hard_silu(x)


hard_swish = hard_silu


def hard_tanh(x: Like) -> Value:
    """``x`` between -1 and 1, the nearer of them outside."""
    return ops.hard_tanh(x)


def hard_shrink(x: Like, threshold: float = 0.5) -> Value:
    """``x`` where ``|x| > threshold``, else 0."""
    return ops.hard_shrink(x, threshold)


def mish(x: Like) -> Value:
    """``x * tanh(softplus(x))`` (arXiv 1908.08681)."""
    return ops.mish(x)


def log_sigmoid(x: Like) -> Value:
    """``log(1 / (1 + exp(-x)))``."""
    return ops.log_sigmoid(x)


def sparsemax(x: Like, axis: int = -1) -> Value:
    """The nearest point of the probability simplex: a softmax with exact zeros.

    Source: Martins and Astudillo, arXiv 1602.02068, algorithm 1.
    """
    return ops.sparsemax(x, axis)


def sparse_sigmoid(x: Like) -> Value:
    """0 up to -1, ``(x + 1) / 2`` up to 1, then 1."""
    return ops.sparse_sigmoid(x)


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
        own = custom(identifier)
        if own is not None and callable(own):
            found: Callable[..., Value] = own
            return found
        if identifier not in _BY_NAME:
            error = unknown_name("activation", identifier, _BY_NAME)
            own = f"custom_objects={{{identifier!r}: {identifier}}}"
            raise ArgumentError(f"{error}\n  fix: if it is a function of your own, give {own}")
        return _BY_NAME[identifier]
    if isinstance(identifier, type):
        hint = f"{identifier!r} (a class; did you forget the parentheses?)"
        raise ArgumentError(f"an activation is a name or a function, not {hint}")
    if callable(identifier):
        return identifier
    raise ArgumentError(f"an activation is a name or a function, not {identifier!r}")


def serialize(activation: Callable[..., Value]) -> str:
    """Return the name from which `get` finds the activation."""
    for name, function in _BY_NAME.items():
        if function is activation:
            return name
    if custom(registered_name(activation)) is activation:
        return registered_name(activation)
    if hasattr(activation, "get_config"):
        raise ArgumentError(
            f"the activation {activation!r} is a layer, and is not saved as a part of another.\n"
            "  fix: put it behind as a layer of its own, e.g. [Dense(8), LeakyReLU(0.1)]"
        )
    if (known := remember(activation)) is not None:
        return known
    name = getattr(activation, "__name__", "")
    if name.isidentifier() and name not in _BY_NAME:
        return str(name)
    raise ArgumentError(
        f"the activation {activation!r} cannot be saved: no function of your own is told by the "
        f"name {name!r}\n  fix: define it with def, by a name of its own"
    )


def deserialize(
    name: str, custom_objects: Mapping[str, Callable[..., Value]] | None = None
) -> Callable[..., Value]:
    """Return the activation that `serialize` named; `custom_objects` are your own by name.

    Raises
    ------
    ArgumentError
        For a name that is not known.
    """
    with scoped(custom_objects or {}):
        return get(name)
