"""Passes around recurrent layers: products with the inputs' kernel are computed step by step."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph import Node, Value
from chainrule.plan.rewriting import Outputs, apply, fuse, is_made_by, readers_of, rewrite

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


def fuse_input_gradients(outputs: list[Value]) -> list[Value]:
    """Let the derivatives of `rnn`, `lstm` and `gru` also give the cotangent of the inputs, which
    is a product with what they have just computed, where the kernel is small."""
    readers = readers_of(outputs)
    given: dict[Node, Value] = {}

    def rule(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
        if node in given:
            return apply("reshape", (given[node],), {"shape": node.outputs[0].shape}, node.path)
        if node.op.name not in ("rnn_gradient", "lstm_gradient", "gru_gradient"):
            return None
        rows = [r for r in readers.get(node.outputs[0], ()) if r.op.name == "reshape"]
        products = [p for r in rows for p in readers.get(r.outputs[0], ()) if _is_to_inputs(p)]
        if not products:
            return None
        name = node.op.name.replace("_gradient", "_layer_gradient")
        w = products[0].arguments[1]
        *found, dx = apply(name, (*arguments, w), node.attributes, node.path)
        given[products[0]] = dx
        return found

    return rewrite(outputs, rule)


def _is_to_inputs(node: Node) -> bool:
    """Return whether a node is a product with the transpose of a small kernel."""
    if node.op.name != "matmul" or node.attributes["transpose_x"]:
        return False
    w = node.arguments[1]
    return bool(node.attributes["transpose_w"]) and w.node is None and w.size <= _MOST
