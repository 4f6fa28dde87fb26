"""Gradients made shorter before they move the weights."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np

from chainrule import ops
from chainrule.graph import Value, Variable
from chainrule.optimizers.options import Options

# Units shorter than this count as this long, so that weights which begin at 0 can leave it.
_LEAST_LENGTH = 1e-3


def clipped(
    options: Options, gradients: Sequence[Value], variables: Sequence[Variable]
) -> list[Value]:
    """Return the gradients as the options ask for, one for each variable."""
    if options.clipnorm is not None:
        return [by_norm(g, options.clipnorm) for g in gradients]
    if options.clipvalue is not None:
        return [by_value(g, options.clipvalue) for g in gradients]
    if options.global_clipnorm is not None:
        return by_global_norm(gradients, options.global_clipnorm)
    if options.adaptive_clip is not None:
        return [
            by_units(g, v.leaf, options.adaptive_clip)
            for g, v in zip(gradients, variables, strict=True)
        ]
    return list(gradients)


def by_value(g: Value, most: float) -> Value:
    """``min(max(g, -most), most)``."""
    return ops.clip(g, -most, most)


def by_norm(g: Value, most: float) -> Value:
    """``g * most / max(|g|, most)``, so that its length is at most `most`."""
    length = ops.sqrt(ops.sum(ops.square(g)))
    return ops.multiply(g, ops.divide(_like(most, length), ops.maximum(length, most)))


def by_global_norm(gradients: Sequence[Value], most: float) -> list[Value]:
    """``g * most / max(n, most)``, where n is the length of all gradients as one vector."""
    if not gradients:
        return []
    squares = [ops.cast(ops.sum(ops.square(g)), "float64") for g in gradients]
    length = ops.sqrt(functools.reduce(ops.add, squares))
    share = ops.divide(_like(most, length), ops.maximum(length, most))
    return [ops.multiply(g, ops.cast(share, g.dtype)) for g in gradients]


def by_units(g: Value, w: Value, most: float) -> Value:
    """``g_i * min(1, most * max(|w_i|, 0.001) / |g_i|)`` for each unit i.

    A unit is what one index of the last axis holds (a column of a dense kernel, a filter); a vector
    is one unit.
    """
    axes = tuple(range(g.ndim - 1)) if g.ndim > 1 else None
    long = ops.multiply(ops.maximum(_length(w, axes), _LEAST_LENGTH), most)
    length = _length(g, axes)
    return ops.multiply(g, ops.divide(long, ops.maximum(length, long)))


def _length(x: Value, axes: tuple[int, ...] | None) -> Value:
    return ops.sqrt(ops.sum(ops.square(x), axis=axes, keepdims=axes is not None))


def _like(number: float, value: Value) -> Value:
    return ops.as_value(np.asarray(number, value.dtype))
