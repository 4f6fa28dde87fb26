"""Passes around convolutions: what is fused with them, and how their sums are cut."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.graph import Node, Value, among
from chainrule.plan.rewriting import (
    Outputs,
    absorb_activation,
    apply,
    biased,
    fuse,
    is_made_by,
    readers_of,
    rewrite,
)

_MOST_PARTS = 16
_LARGE_KERNEL = 16384  # elements: of a larger one there are half as many partial sums


def fuse_conv(outputs: list[Value]) -> list[Value]:
    """Join ``conv + bias`` and a following activation into `conv_bias`, where nothing else reads
    the values in between."""
    return absorb_activation(fuse(outputs, _with_bias), ["conv_bias"])


def _with_bias(node: Node, arguments: tuple[Value, ...], inner: list[Value]) -> Outputs | None:
    if node.op.name != "add":
        return None
    found = biased(arguments, inner, "conv")
    if found is None:
        return None
    conv, bias = found
    return apply("conv_bias", (*conv.arguments, bias), conv.attributes, conv.path)


def split_kernel_gradients(outputs: list[Value]) -> list[Value]:
    """Sum the gradient of a kernel over parts of the batch first, each by one thread, then over the
    parts. How many there are depends on the shapes alone."""
    return rewrite(outputs, _in_parts)


def _in_parts(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
    if node.op.name != "conv_kernel_gradient":
        return None
    if arguments[0].shape[0] < 2 or node.specs[0].size == 0:
        return None
    return _summed_parts("partial_kernel_gradients", arguments, node.attributes, node)


def _summed_parts(
    name: str, operands: Sequence[Value], attributes: Mapping[str, object], node: Node
) -> Outputs:
    """Return the gradient of a kernel that `node` gives as the sum of what `name` gives of parts of
    the samples, those of the first operand."""
    w, path = node.outputs[0], node.path
    parts = _parts(operands[0].shape[0], w)
    terms = apply(name, operands, {**attributes, "parts": parts}, path)
    total = apply("reduce_sum", terms, {"axes": (0,)}, path)
    return apply("reshape", total, {"shape": w.shape}, path)


def _parts(n: int, w: Value) -> int:
    """Return the number of parts of `n` samples for the gradient of a kernel like w."""
    most = _MOST_PARTS if w.size < _LARGE_KERNEL else _MOST_PARTS // 2
    return math.ceil(n / math.ceil(n / most))


LANES = 16  # numbers that a processor multiplies at once
_MOST_NEIGHBOURS = 15  # with the result the 16 operands that a call may have
_LEAST_GAIN = 1.2


def widen_few_filters(outputs: list[Value]) -> list[Value]:
    """Let a convolution with few filters compute neighbouring places as if each had filters of its
    own, so that they fill a vector: ``m`` filters of width ``k`` at ``p`` places are ``p m`` of
    width ``k + (p - 1) stride``, each with zeros where it does not look. An infinity or NaN there
    therefore reaches the neighbours too."""
    return rewrite(outputs, _widened)


def _widened(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
    if node.op.name not in ("conv", "conv_bias", "conv_kernel_gradient"):
        return None
    attributes = dict(node.attributes)
    y = arguments[1] if node.op.name == "conv_kernel_gradient" else node.outputs[0]
    w = node.outputs[0] if node.op.name == "conv_kernel_gradient" else arguments[1]
    near = _neighbours(w.shape, y.shape, attributes)
    if near == 1:
        return None
    stride = attributes["strides"][-1]
    attributes["strides"] = (*attributes["strides"][:-1], near * stride)
    wide = (*y.shape[:-2], y.shape[-2] // near, near * y.shape[-1])
    if node.op.name == "conv_kernel_gradient":
        return _narrowed(arguments, attributes, w, near, stride, wide, node.path)
    x, kernel, *bias = arguments
    kernel = _beside(kernel, near, stride, node.path)
    if bias:
        bias = list(apply("concatenate", bias * near, {"axis": 0}, node.path))
    result = apply(node.op.name, (x, kernel, *bias), attributes, node.path)
    return apply("reshape", result, {"shape": y.shape}, node.path)


def _neighbours(kernel: tuple[int, ...], y: tuple[int, ...], attributes: Any) -> int:
    """Return how many neighbouring places are best computed as one."""
    k, m, stride = kernel[-3], kernel[-1], attributes["strides"][-1]
    if attributes["groups"] != 1 or attributes["dilation"][-1] != 1 or not 0 < m < LANES:
        return 1

    def use(near: int) -> float:
        filled = near * m / (LANES * math.ceil(near * m / LANES))
        return float(filled * k / (k + (near - 1) * stride))

    best = max((p for p in range(1, _MOST_NEIGHBOURS + 1) if y[-2] % p == 0), key=use, default=1)
    return best if use(best) >= _LEAST_GAIN * use(1) else 1


def _beside(w: Value, near: int, stride: int, path: tuple[str, ...]) -> Value:
    """Return the kernel moved by 0, 1, ... strides along the last axis of space, side by side."""
    axis, rank = w.ndim - 3, w.ndim
    moved: list[Value] = []
    for i in range(near):
        low = tuple(i * stride if a == axis else 0 for a in range(rank))
        high = tuple((near - 1 - i) * stride if a == axis else 0 for a in range(rank))
        moved += apply("pad", (w,), {"low": low, "high": high, "value": 0.0}, path)
    return apply("concatenate", moved, {"axis": rank - 1}, path)[0]


def _narrowed(
    arguments: tuple[Value, ...],
    attributes: dict[str, object],
    w: Value,
    near: int,
    stride: int,
    wide: tuple[int, ...],
    path: tuple[str, ...],
) -> Outputs:
    """Return the gradient of a kernel from that of the kernels side by side."""
    x, g = arguments
    *space, k, c, m = w.shape
    g = apply("reshape", (g,), {"shape": wide}, path)[0]
    attributes["kernel"] = (*space, k + (near - 1) * stride)
    slopes = apply("conv_kernel_gradient", (x, g), attributes, path)
    total: Outputs | None = None
    for i in range(near):
        start = (*(0 for _ in space), i * stride, 0, i * m)
        stop = (*space, i * stride + k, c, (i + 1) * m)
        bounds = {"start": start, "stop": stop, "step": (1,) * w.ndim}
        part = apply("slice", slopes, bounds, path)
        total = part if total is None else apply("add", (*total, *part), {}, path)
    return total or slopes


def scatter_few_channels(outputs: list[Value]) -> list[Value]:
    """Compute the derivative by an input of few channels row by row of the kernel: what a place of
    the output adds to a row of the input fills vectors where the channels of one place do not."""
    return rewrite(outputs, _scattered)


def _scattered(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
    if node.op.name != "conv_transpose" or not _worth_scattering(node):
        return None
    (g, w), attributes = arguments, dict(node.attributes)
    *space, k, m, c = w.shape
    rank = len(space) + 1
    axes = (*range(rank - 1), rank, rank - 1, rank + 1)
    turned = apply("transpose", (w,), {"axes": axes}, node.path)
    rows = apply("reshape", turned, {"shape": (*space, m, k * c)}, node.path)
    del attributes["groups"]
    return apply("conv_scatter", (g, *rows), {**attributes, "width": k}, node.path)


def _worth_scattering(node: Node) -> bool:
    """Return whether rows of the kernel fill vectors so much better than channels do."""
    (g, w), attributes = node.arguments, node.attributes
    k, m, c = w.shape[-3:]
    if attributes["groups"] != 1 or attributes["dilation"][-1] != 1:
        return False
    if 0 in g.shape or 0 in w.shape:
        return False
    per_stride = math.prod(attributes["strides"])
    gathered = math.prod(attributes["size"]) * k * math.ceil(c / LANES) / per_stride
    scattered = math.prod(g.shape[1:-1]) * math.ceil(k * c / LANES) * (1 + 4 / m)
    return _LEAST_GAIN * scattered <= gathered


def fuse_conv_pool(outputs: list[Value]) -> list[Value]:
    """Join a convolution with the pooling that alone reads it, and its derivatives with that of the
    pooling, so that what lies between, several times as large, is never stored.

    A convolution of few filters is left alone: `widen_few_filters` gains more.
    """
    spread = _spread_for_convolutions(outputs)

    def rule(node: Node, arguments: tuple[Value, ...], inner: list[Value]) -> Outputs | None:
        y = arguments[0].node if arguments else None
        if node.op.name == "max_pool" and y is not None and among(arguments[0], inner):
            near = y.op.name == "conv_bias" and _neighbours(
                y.arguments[1].shape, y.outputs[0].shape, y.attributes
            )
            return _pooled(node, y) if near == 1 else None
        if not set(node.arguments) & spread:
            return None
        return _unpooled(node, arguments)

    return fuse(outputs, rule)


def _spread_for_convolutions(outputs: list[Value]) -> set[Value]:
    """Return what derivatives of pooling give to derivatives of convolutions, and nothing else."""
    wanted = set(outputs)
    return {
        y
        for y, nodes in readers_of(outputs).items()
        if is_made_by(y, "max_pool_gradient")
        and y not in wanted
        and all(_reads_slopes(n, y) for n in nodes)
    }


def _reads_slopes(node: Node, slopes: Value) -> bool:
    if node.op.name == "conv_transpose":
        return node.arguments[0] is slopes and not _worth_scattering(node)
    if node.op.name != "conv_kernel_gradient" or node.arguments[0] is slopes:
        return False
    return _neighbours(node.outputs[0].shape, slopes.shape, node.attributes) == 1


def _pool_form(pool: Node) -> dict[str, object]:
    """Return the attributes of a pooling under the names that they have beside a convolution's."""
    form = pool.attributes
    return {
        "window": form["window"],
        "pool_strides": form["strides"],
        "pool_padding": form["padding"],
    }


def _pooled(pool: Node, conv: Node) -> Outputs:
    attributes = {**conv.attributes, **_pool_form(pool)}
    return apply("conv_pool", conv.arguments, attributes, conv.path)


def _unpooled(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
    slopes = arguments[0 if node.op.name == "conv_transpose" else 1]
    if slopes.node is None:
        return None
    pool = slopes.node
    attributes = {**node.attributes, **_pool_form(pool), "space": slopes.shape[1:-1]}
    if node.op.name == "conv_transpose":
        operands = (*pool.arguments, arguments[1])
        return apply("unpooled_conv_transpose", operands, attributes, node.path)
    operands = (arguments[0], *pool.arguments)
    return _summed_parts("unpooled_kernel_gradients", operands, attributes, node)
