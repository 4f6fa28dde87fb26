"""Passes around recurrent layers: the products of their inputs are computed step by step."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph import Node, Value
from chainrule.plan.rewriting import Outputs, apply, fuse, is_made_by

# Elements of the kernel of the inputs: more would not stay in the second-level cache beside that of
# the state, while all steps of a few samples go by.
_MOST = 65536


def fuse_inputs(outputs: list[Value]) -> list[Value]:
    """Let `rnn`, `lstm` and `gru` multiply the inputs themselves, where nothing else reads the
    products and the kernel is small."""
    return fuse(outputs, _with_inputs)


def _with_inputs(node: Node, arguments: tuple[Value, ...], inner: list[Value]) -> Outputs | None:
    if node.op.name not in ("rnn", "lstm", "gru"):
        return None
    a, *others = arguments
    if a not in inner or a.node is None or not is_made_by(a, "reshape"):
        return None
    product = a.node.arguments[0].node if a.node is not None else None
    if (
        product is None
        or product.op.name != "dense"
        or product.attributes["activation"] != "linear"
    ):
        return None
    rows, w, b = product.arguments
    if w.size > _MOST or not _is_rows(rows, a.shape):
        return None
    x = apply("reshape", (rows,), {"shape": (*a.shape[:2], w.shape[0])}, node.path)
    return apply(f"{node.op.name}_layer", (*x, w, b, *others), node.attributes, node.path)


def _is_rows(rows: Value, shape: Sequence[int]) -> bool:
    """Return whether rows are those of samples and steps of that shape."""
    return rows.shape[0] == shape[0] * shape[1]
