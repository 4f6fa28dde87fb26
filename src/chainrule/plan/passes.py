"""Passes: from a graph to a smaller graph that computes the same."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from chainrule.dtypes import Array
from chainrule.graph import Node, Value, expand, ordered, registry, renewed, same
from chainrule.graph.primitive import run_body
from chainrule.plan.conv_passes import (
    fuse_conv,
    fuse_conv_pool,
    scatter_few_channels,
    split_kernel_gradients,
    widen_few_filters,
)
from chainrule.plan.kernel_passes import split_dense, turn_large_products
from chainrule.plan.norm_passes import fuse_norm, split_columns
from chainrule.plan.pool_passes import (
    rectify_places,
    relu_after_pool,
    sum_before_spreading,
    sum_bias_with_kernel,
)
from chainrule.plan.recurrent_passes import (
    fuse_input_gradients,
    fuse_inputs,
    join_long_products,
    split_long_products,
)
from chainrule.plan.rewriting import (
    Outputs,
    absorb_activation,
    apply,
    biased,
    fuse,
    rewrite,
)

Pass = Callable[[list[Value]], list[Value]]

_FOLD_LIMIT = 4096  # elements: larger constants cost more memory than computing them costs time


def merge_equal(outputs: list[Value]) -> list[Value]:
    """Compute equal nodes once (common subexpressions)."""
    seen: dict[Any, Outputs] = {}
    constants: dict[Any, Value] = {}

    def canonical(a: Value) -> Value:
        if a.constant is None:
            return a
        key = (a.spec, a.constant.tobytes()) if a.size <= _FOLD_LIMIT else id(a)
        return constants.setdefault(key, a)

    def rule(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
        arguments = tuple(map(canonical, arguments))
        key = (node.op.name, arguments, tuple(sorted(node.attributes.items())))
        if key not in seen:
            kept = same(arguments, node.arguments)
            seen[key] = node.outputs if kept else renewed(node, arguments)
        return seen[key]

    return rewrite(outputs, rule)


def fold_constants(outputs: list[Value]) -> list[Value]:
    """Replace nodes that depend on constants alone by their values."""

    def rule(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
        if not arguments or any(a.constant is None for a in arguments) or node.op.checks:
            return None
        if sum(y.size for y in node.outputs) > _FOLD_LIMIT:
            return None
        arrays: list[Array] = [a.constant for a in arguments if a.constant is not None]
        results = run_body(node.op, arrays, dict(node.attributes))
        return [
            Value(y.spec, constant=r, name="constant")
            for y, r in zip(node.outputs, results, strict=True)
        ]

    return rewrite(outputs, rule)


def simplify(outputs: list[Value]) -> list[Value]:
    """Drop operations that change nothing; turn products with a constant into a scaling."""
    return rewrite(outputs, _simpler)


def _simpler(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
    name, attributes = node.op.name, node.attributes
    x = arguments[0] if arguments else None
    if x is None:
        return None
    neutral = (
        (name == "scale" and attributes["factor"] == 1.0)
        or (name == "offset" and attributes["amount"] == 0.0)
        or (name in ("cast", "reshape") and x.spec == node.outputs[0].spec)
        or (name == "transpose" and tuple(attributes["axes"]) == tuple(range(x.ndim)))
    )
    if neutral:
        return (x,)
    if name == "transpose" and x.node is not None and x.node.op.name == "transpose":
        axes = tuple(x.node.attributes["axes"][a] for a in attributes["axes"])
        return apply("transpose", x.node.arguments, {"axes": axes}, node.path)
    if name == "transpose" and _moves_nothing(x, attributes["axes"]):
        return apply("reshape", (x,), {"shape": node.outputs[0].shape}, node.path)
    if name == "reshape" and x.node is not None and x.node.op.name == "reshape":
        return apply("reshape", x.node.arguments, attributes, node.path)
    if name == "broadcast" and x.constant is not None and x.size == 1 and "fill" in registry():
        fill = {"shape": attributes["shape"], "value": x.constant.item(), "dtype": x.dtype}
        return apply("fill", (), fill, node.path)
    if name == "multiply":
        return _scaled(arguments, node)
    return None


def _moves_nothing(x: Value, axes: Sequence[int]) -> bool:
    """Return whether only axes of one element change their places."""
    kept = [a for a in axes if x.shape[a] != 1]
    return kept == sorted(kept)


def _scaled(arguments: tuple[Value, ...], node: Node) -> Outputs | None:
    for x, c in (arguments, arguments[::-1]):
        value = _constant_fill(c)
        if value is not None:
            return apply("scale", (x,), {"factor": value}, node.path)
    return None


def _constant_fill(value: Value) -> float | None:
    """Return the number that every element of the value is, where that is known."""
    if value.constant is not None and value.size == 1:
        return float(value.constant.item())
    if value.node is not None and value.node.op.name == "fill":
        return float(value.node.attributes["value"])
    return None


def fuse_dense(outputs: list[Value]) -> list[Value]:
    """Join ``matmul + bias`` and a following activation into `dense`, where nothing else reads
    the values in between."""
    return absorb_activation(fuse(outputs, _with_bias), ["dense"])


def _with_bias(node: Node, arguments: tuple[Value, ...], inner: list[Value]) -> Outputs | None:
    if node.op.name != "add":
        return None
    found = biased(arguments, inner, "matmul")
    if found is None:
        return None
    product, bias = found
    if product.attributes["transpose_x"] or product.attributes["transpose_w"]:
        return None
    operands = (*product.arguments, bias)
    return apply("dense", operands, {"activation": "linear"}, product.path)


def fold_factors(outputs: list[Value]) -> list[Value]:
    """Let the update of a weight multiply it, and its gradient, by single numbers.

    So weight decay and clipping by a norm cost no pass of their own: of AdamW over a weight larger
    than the cache that took 40 % of the time.
    """
    return rewrite(outputs, _with_factors)


def _with_factors(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
    if node.op.argument_names[-2:] != ["keep", "share"]:
        return None
    w, g, *rest, keep, share = arguments
    w, keep = _split(w, keep)
    g, share = _split(g, share)
    if same((w, g), arguments[:2]):
        return None
    return renewed(node, (w, g, *rest, keep, share))


def _split(x: Value, factor: Value) -> tuple[Value, Value]:
    """Return the array that x is a multiple of, and that multiple of the factor."""
    while x.node is not None:
        node = x.node
        if node.op.name == "scale":
            factor = apply("scale", (factor,), node.attributes, node.path)[0]
            x = node.arguments[0]
        elif node.op.name == "multiply" and (pair := _scalar_last(node.arguments)):
            factor = apply("multiply", (factor, pair[1]), {}, node.path)[0]
            x = pair[0]
        else:
            break
    return x, factor


def _scalar_last(arguments: Sequence[Value]) -> tuple[Value, Value] | None:
    """Return the array and the number that it is multiplied by, where one of the two is that."""
    for x, s in (tuple(arguments), tuple(arguments)[::-1]):
        if s.node is not None and s.node.op.name == "broadcast" and not s.node.arguments[0].shape:
            return x, s.node.arguments[0]
    return None


def sum_squares(outputs: list[Value]) -> list[Value]:
    """Turn sums of squares into one operation, where nothing else reads the squares."""
    kept = {a for node in ordered(outputs) if node.op.name != "reduce_sum" for a in node.arguments}
    kept.update(outputs)

    def rule(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
        if node.op.name != "reduce_sum" or node.arguments[0] in kept:
            return None
        squares = arguments[0].node
        if squares is None or squares.op.name != "square" or squares.arguments[0].dtype[0] != "f":
            return None
        return apply("reduce_squares", squares.arguments, node.attributes, node.path)

    return rewrite(outputs, rule)


PASSES: tuple[Pass, ...] = (
    expand,
    merge_equal,
    simplify,  # before folding, which would turn a number spread over an array into an array
    fold_factors,
    sum_squares,
    fold_constants,
    simplify,
    relu_after_pool,
    sum_before_spreading,
    fuse_dense,
    fuse_norm,
    fuse_conv,
    merge_equal,
    fuse_inputs,
    fuse_input_gradients,
    join_long_products,
    split_long_products,
    split_dense,
    turn_large_products,
    split_columns,
    fuse_conv_pool,
    rectify_places,
    sum_bias_with_kernel,
    widen_few_filters,
    scatter_few_channels,
    split_kernel_gradients,
    simplify,
)
