"""Passes around normalization: what is fused with it, and how sums down columns are cut."""

from __future__ import annotations

import math
from collections.abc import Sequence

from chainrule.graph import Node, Value
from chainrule.plan.rewriting import Outputs, absorb_activation, apply, rewrite

_LEAST = 32768  # elements: less is summed by one core in a few microseconds
_LEAST_SAMPLES = 8  # parts that keep several threads busy
_LEAST_PLACES = 16  # rows of a part, so that what it gives is small against what it reads
_LEAST_ROWS, _MOST_PARTS = 64, 64  # of a part that is no sample


def fuse_norm(outputs: list[Value]) -> list[Value]:
    """Let a normalization by columns apply a `relu` that is all that reads it."""
    return absorb_activation(outputs, ["batch_normalize", "normalize_columns"], ["relu"])


def split_columns(outputs: list[Value]) -> list[Value]:
    """Cut sums down the columns of a large array into parts of the rows, and join the parts.

    Cut by columns, each tile passes over all rows; cut by rows, each row is read once, by the loop
    that has just made it where a part is a sample. The cut depends on the shapes alone.
    """
    return rewrite(outputs, _in_parts)


def _in_parts(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
    if node.op.name not in ("column_moments", "column_products", "reduce_sum"):
        return None
    x = arguments[0]
    parts = _parts(x)
    if not parts:
        return None
    if node.op.name == "reduce_sum":
        return _sums(node, x, parts)
    if node.op.name == "column_products":
        terms = apply("partial_column_products", arguments, {"parts": parts}, node.path)
        return [apply("reduce_sum", (t,), {"axes": (0,)}, node.path)[0] for t in terms]
    moments = apply("partial_moments", (x,), {"parts": parts}, node.path)
    return apply("joined_moments", moments, {}, node.path)


def _sums(node: Node, x: Value, parts: int) -> Sequence[Value] | None:
    """Return the sums over all axes but the last, that of the samples after the others."""
    if x.ndim < 3 or x.dtype[0] != "f" or node.attributes["axes"] != tuple(range(x.ndim - 1)):
        return None
    if parts != x.shape[0]:
        shape = (parts, math.prod(x.shape[:-1]) // parts, x.shape[-1])
        x = apply("reshape", (x,), {"shape": shape}, node.path)[0]
    terms = apply("reduce_sum", (x,), {"axes": tuple(range(1, x.ndim - 1))}, node.path)
    return apply("reduce_sum", terms, {"axes": (0,)}, node.path)


def _parts(x: Value) -> int:
    """Return the number of parts: the samples where they are many and large, or a divisor of the
    rows; 0 where cutting gains nothing."""
    rows = math.prod(x.shape[:-1])
    if x.ndim < 2 or x.size < _LEAST:
        return 0
    samples = x.shape[0]
    if samples >= _LEAST_SAMPLES and rows >= _LEAST_PLACES * samples:
        return samples
    most = min(_MOST_PARTS, rows // _LEAST_ROWS)
    parts = max((p for p in range(1, most + 1) if rows % p == 0), default=0)
    return parts if parts > 1 else 0
