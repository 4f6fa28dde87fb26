"""From probabilities back to the logits they were made of."""

from __future__ import annotations

from chainrule import ops
from chainrule.graph import Value, scope


def logits_of_softmax(y: Value) -> Value | None:
    """Return what `y` is the softmax of over the last axis; ``None`` if it is not one.

    From logits the cross-entropy is exact where a probability rounds to 0 or 1, and the softmax
    itself need not be computed.
    """
    if y.node is not None and y.node.op.name == "softmax":
        return y.node.arguments[0]
    return None


def logits_of_sigmoid(y: Value) -> Value | None:
    """Return what `y` is the sigmoid of; ``None`` if it is not one."""
    node = y.node
    if node is None:
        return None
    if node.op.name == "sigmoid":
        return node.arguments[0]
    if node.op.name == "dense" and node.attributes["activation"] == "sigmoid":
        x, kernel, bias = node.arguments
        with scope.at(node.path):  # it is still what that layer does
            return ops.dense(x, kernel, bias)
    return None
