"""Fused operations: each body is its decomposition into primitives."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Spec, Value, fused, primitive
from chainrule.ops import elementwise as e
from chainrule.ops.checks import cast
from chainrule.ops.contraction import BLOCK, _flops, batch_matmul, matmul
from chainrule.ops.index import one_hot
from chainrule.ops.reduce import reduce_max, reduce_sum
from chainrule.ops.shape import broadcast, reshape, transpose

ACTIVATIONS: dict[str, Any] = {
    "linear": lambda x: x,
    "relu": e.relu,
    "tanh": e.tanh,
    "sigmoid": e.sigmoid,
}


def _rows(x: Any, like: Any) -> Any:
    """Return one number a line spread over the last axis."""
    return broadcast(x, shape=tuple(like.shape), axes=tuple(range(like.ndim - 1)))


def _last(x: Any) -> tuple[int, ...]:
    return (x.ndim - 1,)


@primitive("*s, *s -> *s", elementwise=True)
def relu_gradient(g: Array, y: Array) -> Any:
    """``g`` where y is above 0, else 0: the derivative of `relu` from its value."""
    return np.where(y > 0, g, np.zeros((), g.dtype)).astype(g.dtype)


@relu_gradient.vjp
def _(gg: Value, z: Value, g: Value, y: Value) -> Any:
    return relu_gradient(gg, y), None


@fused("*s, *s -> *s", elementwise=True, cost=2)
def tanh_gradient(g: Any, y: Any) -> Any:
    """``g * (1 - y^2)``: the derivative of `tanh` from its value."""
    return e.multiply(g, e.offset(e.negative(e.square(y)), amount=1.0))


@fused("*s, *s -> *s", elementwise=True, cost=2)
def sigmoid_gradient(g: Any, y: Any) -> Any:
    """``g * y * (1 - y)``: the derivative of `sigmoid` from its value."""
    return e.multiply(e.multiply(g, y), e.offset(e.negative(y), amount=1.0))


@fused("n k, k m, m -> n m", flops=_flops, unit=BLOCK)
def dense(x: Any, w: Any, b: Any, *, activation: str = "linear") -> Any:
    """``y[n, m] = f(sum_k x[n, k] * w[k, m] + b[m])``."""
    if activation not in ACTIVATIONS:
        raise ArgumentError(f"dense applies {', '.join(ACTIVATIONS)}, not {activation!r}")
    z = matmul(x, w)
    return ACTIVATIONS[activation](e.add(z, broadcast(b, shape=tuple(z.shape), axes=(1,))))


_SLOPES = {"relu": relu_gradient, "tanh": tanh_gradient, "sigmoid": sigmoid_gradient}


@dense.vjp
def _(g: Value, y: Value, x: Value, w: Value, b: Value, *, activation: str) -> Any:
    if activation in _SLOPES:
        g = _SLOPES[activation](g, y)
    return (
        matmul(g, w, transpose_w=True),
        matmul(x, g, transpose_x=True),
        reduce_sum(g, axes=(0,)),
    )


def _cut(x: Any, parts: int) -> Any:
    """Return the columns of x in parts: ``y[c, n, q] = x[n, c q]``."""
    n, k = x.shape
    return transpose(reshape(x, shape=(n, parts, k // parts)), axes=(1, 0, 2))


@fused("n k, c q m -> c n m", flops=lambda specs, _: 2.0 * specs[0].shape[0] * specs[1].size)
def partial_products(x: Any, w: Any) -> Any:
    """``y[c, n, m] = sum_q x[n, c q] * w[c, q, m]``: the terms of a product, each of some rows of w
    alone; their sum over c is ``x w``."""
    return batch_matmul(_cut(x, w.shape[0]), w)


@partial_products.shape_rule
def _(x: Spec, w: Spec) -> Spec:
    if x.shape[1] != w.shape[0] * w.shape[1]:
        raise ShapeError(
            f"partial_products: x has {x.shape[1]} columns, but w has {w.shape[0]} parts of "
            f"{w.shape[1]} rows."
        )
    return Spec((w.shape[0], x.shape[0], w.shape[2]), x.dtype)


@partial_products.tiling
def _(specs: Any, outputs: Any) -> Any:
    return False, True


@partial_products.vjp
def _(g: Value, y: Value, x: Value, w: Value) -> Any:
    dx = transpose(batch_matmul(g, w, transpose_w=True), axes=(1, 0, 2))
    return reshape(dx, shape=x.shape), batch_matmul(_cut(x, w.shape[0]), g, transpose_x=True)


@fused(
    "m k, k n -> n m",
    flops=lambda specs, _: 2.0 * specs[0].size * specs[1].shape[1],
    unit=64,
    columns=True,
)
def transposed_matmul(x: Any, w: Any) -> Any:
    """``y[n, m] = sum_k x[m, k] * w[k, n]``: ``(x w)^T``, of which each row of x makes a column.

    The engine may leave out rows of w that are all 0, whatever x has there: NaN and infinities too.
    """
    return transpose(matmul(x, w), axes=(1, 0))


@fused("n m -> m n", columns=True, cost=12, unit=16)  # of 4 bytes: the least that is written
def turned(x: Any) -> Any:
    """``y[m, n] = x[n, m]``, of which each row of x makes a column."""
    return transpose(x, axes=(1, 0))


@turned.tiling
def _(specs: Any, outputs: Any) -> Any:
    return (True,)


@transposed_matmul.tiling
def _(specs: Any, outputs: Any) -> Any:
    return True, False


@fused("c n m, m -> n m", cost=4)  # the terms are in the caches of other threads
def dense_of_parts(x: Any, b: Any, *, activation: str = "linear") -> Any:
    """``y[n, m] = f(sum_c x[c, n, m] + b[m])``: `dense` from the terms of its product."""
    if activation not in ACTIVATIONS:
        raise ArgumentError(f"dense applies {', '.join(ACTIVATIONS)}, not {activation!r}")
    z = reduce_sum(x, axes=(0,))
    return ACTIVATIONS[activation](e.add(z, broadcast(b, shape=tuple(z.shape), axes=(1,))))


@dense_of_parts.vjp
def _(g: Value, y: Value, x: Value, b: Value, *, activation: str) -> Any:
    if activation in _SLOPES:
        g = _SLOPES[activation](g, y)
    return broadcast(g, shape=x.shape, axes=(1, 2)), reduce_sum(g, axes=(0,))


@fused("a *s m -> a *s m", cost=12)
def softmax(x: Any) -> Any:
    """``e^x_i / sum_j e^x_j`` along the last axis, shifted by the maximum."""
    powers = e.exp(e.subtract(x, _rows(reduce_max(x, axes=_last(x)), x)))
    return e.divide(powers, _rows(reduce_sum(powers, axes=_last(x)), x))


@softmax.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    inner = reduce_sum(e.multiply(g, y), axes=_last(x))
    return (e.multiply(y, e.subtract(g, _rows(inner, x))),)


@fused("a *s m -> a *s m", cost=12)
def log_softmax(x: Any) -> Any:
    """``x_i - ln sum_j e^x_j`` along the last axis."""
    shifted = e.subtract(x, _rows(reduce_max(x, axes=_last(x)), x))
    total = reduce_sum(e.exp(shifted), axes=_last(x))
    return e.subtract(shifted, _rows(e.log(total), x))


@log_softmax.vjp
def _(g: Value, y: Value, x: Value) -> Any:
    total = _rows(reduce_sum(g, axes=_last(x)), x)
    return (e.subtract(g, e.multiply(e.exp(y), total)),)


@fused("n m, n m -> n", cost=14, reduces=True)
def softmax_cross_entropy(z: Any, target: Any) -> Any:
    """``-sum_m target[n, m] * log_softmax(z)[n, m]``, from logits."""
    return e.negative(reduce_sum(e.multiply(target, log_softmax(z)), axes=(1,)))


@softmax_cross_entropy.vjp
def _(g: Value, y: Value, z: Value, target: Value) -> Any:
    to_target = e.negative(e.multiply(_rows(g, z), log_softmax(z)))
    return softmax_cross_entropy_gradient(g, z, target), to_target


@fused("n, n m, n m -> n m", cost=14)
def softmax_cross_entropy_gradient(g: Any, z: Any, target: Any) -> Any:
    """``g[n] * (softmax(z) * sum_m target - target)``."""
    share = e.multiply(softmax(z), _rows(reduce_sum(target, axes=(1,)), z))
    return e.multiply(_rows(g, z), e.subtract(share, target))


@fused("n m, n:int -> n", cost=14, reduces=True)
def sparse_softmax_cross_entropy(z: Any, labels: Any) -> Any:
    """``-log_softmax(z)[n, labels[n]]``, from logits; NaN for a label that is no class."""
    target = one_hot(labels, depth=z.shape[1], dtype=str(np.dtype(z.dtype)))
    # Chosen and not multiplied, since 0 times the -inf of an excluded class is NaN.
    chosen = e.where(cast(target, dtype="bool"), log_softmax(z), e.scale(target, factor=0.0))
    total, count = (reduce_sum(a, axes=(1,)) for a in (chosen, target))
    return e.negative(e.divide(total, count))


@sparse_softmax_cross_entropy.vjp
def _(g: Value, y: Value, z: Value, labels: Value) -> Any:
    return sparse_softmax_cross_entropy_gradient(g, z, labels), None


@fused("n, n m, n:int -> n m", cost=14)
def sparse_softmax_cross_entropy_gradient(g: Any, z: Any, labels: Any) -> Any:
    """``g[n] * (softmax(z) - one_hot(labels))``."""
    target = one_hot(labels, depth=z.shape[1], dtype=str(np.dtype(z.dtype)))
    return e.multiply(_rows(g, z), e.subtract(softmax(z), target))


@fused("*s, *s -> *s", elementwise=True, in_place=False, cost=18)
def sigmoid_cross_entropy(z: Any, target: Any) -> Any:
    """``max(z, 0) - z * t + ln(1 + e^-|z|)``: binary cross-entropy from logits."""
    stable = e.log1p(e.exp(e.negative(e.absolute(z))))
    return e.add(e.subtract(e.relu(z), e.multiply(z, target)), stable)


@sigmoid_cross_entropy.vjp
def _(g: Value, y: Value, z: Value, target: Value) -> Any:
    return e.multiply(g, e.subtract(e.sigmoid(z), target)), e.negative(e.multiply(g, z))
