"""Convolutions fused with what stands next to them: each body is its decomposition."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Spec, Value, fused
from chainrule.ops import elementwise as e
from chainrule.ops.conv import (
    _flops,
    by_sample,
    conv,
    conv_kernel_gradient,
    conv_transpose,
    swapped,
)
from chainrule.ops.fused import _SLOPES, ACTIVATIONS
from chainrule.ops.reduce import reduce_sum
from chainrule.ops.shape import broadcast, concatenate, reshape, slice_, transpose

Shape = tuple[int, ...]
Specs = Sequence[Spec]


@fused("n *s c, *k, m -> ?", flops=_flops)
def conv_bias(
    x: Any,
    w: Any,
    b: Any,
    *,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int = 1,
    activation: str = "linear",
) -> Any:
    """``f(conv(x, w) + b[m])``."""
    if activation not in ACTIVATIONS:
        raise ArgumentError(f"conv_bias applies {', '.join(ACTIVATIONS)}, not {activation!r}")
    z = conv(x, w, strides=strides, padding=padding, dilation=dilation, groups=groups)
    bias = broadcast(b, shape=tuple(z.shape), axes=(z.ndim - 1,))
    return ACTIVATIONS[activation](e.add(z, bias))


@conv_bias.shape_rule
def _(x: Spec, w: Spec, b: Spec, *, activation: str, **form: Any) -> Spec:
    (z,) = conv.infer([x, w], form)
    if b.shape != z.shape[-1:]:
        raise ShapeError(f"conv_bias: the kernel gives {z.shape[-1]} channels, b has {b.shape}")
    return z


conv_bias.tiling(by_sample)


@conv_bias.vjp
def _(g: Value, y: Value, x: Value, w: Value, b: Value, *, activation: str, **form: Any) -> Any:
    if activation in _SLOPES:
        g = _SLOPES[activation](g, y)
    return (
        conv_transpose(g, swapped(w, form["groups"]), size=x.shape[1:-1], **form),
        conv_kernel_gradient(x, g, kernel=w.shape[:-2], **form),
        reduce_sum(g, axes=tuple(range(g.ndim - 1))),
    )


def parts_of(x: Any, parts: int) -> list[Any]:
    """Return the samples part by part: ``ceil(n / parts)`` of them, the last of what is left."""
    n, each, ones = x.shape[0], -(-x.shape[0] // parts), (1,) * x.ndim
    ends = [min(p * each, n) for p in range(parts + 1)]
    return [
        slice_(x, start=(first, *(0,) * (x.ndim - 1)), stop=(end, *x.shape[1:]), step=ones)
        for first, end in itertools.pairwise(ends)
    ]


@fused("n *s c, n *t m -> ?", flops=lambda specs, outputs, **_: _partial_flops(specs, outputs))
def partial_kernel_gradients(
    x: Any,
    g: Any,
    *,
    kernel: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int = 1,
    parts: int = 1,
) -> Any:
    """``w[p] = conv_kernel_gradient`` of part p of the samples (`parts_of`), as a matrix
    [k c, m]."""
    form = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    rows = (1, math.prod(kernel) * x.shape[-1] // groups, g.shape[-1])
    pairs = zip(parts_of(x, parts), parts_of(g, parts), strict=True)
    found = [conv_kernel_gradient(some, slopes, kernel=kernel, **form) for some, slopes in pairs]
    return concatenate(*(reshape(part, shape=rows) for part in found), axis=0)


def _partial_flops(specs: Specs, outputs: Specs) -> float:
    return 2.0 * math.prod(specs[1].shape[:-1]) * outputs[0].size / max(outputs[0].shape[0], 1)


@partial_kernel_gradients.shape_rule
def _(x: Spec, g: Spec, *, kernel: Shape, parts: int, **form: Any) -> Spec:
    (w,) = conv_kernel_gradient.infer([x, g], {"kernel": kernel, **form})
    if parts < 1 or x.shape[0] < 1:
        raise ShapeError(f"partial_kernel_gradients: {parts} parts of {x.shape[0]} samples")
    return Spec((parts, math.prod(w.shape[:-1]), w.shape[-1]), x.dtype)


@partial_kernel_gradients.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return False, False


@fused("n *s m, *k -> ?", flops=lambda specs, outputs, **_: 2.0 * specs[0].size * _rows(specs[1]))
def conv_scatter(
    g: Any,
    w: Any,
    *,
    width: int,
    size: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
) -> Any:
    """`conv_transpose` with a kernel [*k, m, width c], the last axis of space beside the channels:
    what a place of g adds to a row of the output lies together there."""
    *kernel, m, columns = w.shape
    rank = len(kernel)
    cut = reshape(w, shape=(*kernel, m, width, columns // width))
    turned = transpose(cut, axes=(*range(rank), rank + 1, rank, rank + 2))
    form = {"strides": strides, "padding": padding, "dilation": dilation}
    return conv_transpose(g, turned, size=size, **form)


def _rows(w: Spec) -> int:
    """Return what an element of g is multiplied by."""
    return w.size // max(w.shape[-2], 1)


@conv_scatter.shape_rule
def _(g: Spec, w: Spec, *, width: int, size: Shape, **form: Any) -> Spec:
    *kernel, m, columns = w.shape
    if width < 1 or columns % width or form["dilation"][-1] != 1:
        raise ShapeError(f"conv_scatter: a kernel of width {width} with {columns} columns")
    turned = Spec((*kernel, width, m, columns // width), w.dtype)
    (x,) = conv_transpose.infer([g, turned], {"size": size, **form, "groups": 1})
    return x


conv_scatter.tiling(by_sample)
