"""What the last layer puts out, read off the graph of a prediction."""

from __future__ import annotations

from dataclasses import dataclass

from chainrule.graph import Node, Value
from chainrule.insight.case import Case
from chainrule.training.initialization import layer_name

# What changes the form of numbers, not the numbers.
_FORMS = frozenset(("reshape", "cast", "transpose", "broadcast", "stop_gradient"))
# Of activations that are one operation: the numbers they put out.
RANGES: dict[str, tuple[float, float]] = {
    "softmax": (0.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "relu": (0.0, float("inf")),
    "softplus": (0.0, float("inf")),
    "exp": (0.0, float("inf")),
    "log_softmax": (-float("inf"), 0.0),
}


@dataclass(frozen=True)
class Head:
    """The end of a network.

    Attributes
    ----------
    layer : str or None
        The name of the layer that puts out, within another one behind that one's and a slash.
    activation : str
        ``"softmax"``, ``"sigmoid"``, ``"tanh"``, ``"relu"``, ``"softplus"``, ``"exp"``,
        ``"log_softmax"``; ``"linear"`` for weighted sums; ``""`` for anything else.
    units : int
        The length of the last axis.
    again : str or None
        The layer whose softmax is taken of a softmax.
    """

    layer: str | None
    activation: str
    units: int
    again: str | None = None

    @property
    def range(self) -> tuple[float, float]:
        """The least and the largest number that can be put out."""
        return RANGES.get(self.activation, (-float("inf"), float("inf")))


def head_of(case: Case) -> Head | None:
    """Return the end of a network with one output; ``None`` where it cannot be told."""
    if not case.simple or len(case.traced.outputs) != 1:
        return None
    output = case.traced.outputs[0]
    node = _maker(output)
    if node is None:
        return None
    units = output.shape[-1] if output.ndim > 1 else 1
    kind = activation_of(node)
    again = None
    if kind in ("softmax", "log_softmax"):
        before = _maker(node.arguments[0])
        if before is not None and activation_of(before) in ("softmax", "log_softmax"):
            again = layer_of(node)
    return Head(layer_of(node), kind, units, again)


def _maker(value: Value) -> Node | None:
    """Return the operation that made the numbers of a value, whatever form they were given."""
    while value.node is not None and value.node.op.name in _FORMS:
        value = value.node.arguments[0]
    return value.node


def activation_of(node: Node) -> str:
    """Return the name of the activation that an operation is or ends with."""
    name = node.op.name
    if name in RANGES:
        return name
    if name in ("dense", "conv_bias"):
        return str(node.attributes.get("activation") or "linear")
    if name in ("matmul", "conv", "batch_matmul", "conv_transpose"):
        return "linear"
    if name == "add":  # a bias
        parts = [_maker(argument) for argument in node.arguments]
        return (
            "linear" if any(p is not None and activation_of(p) == "linear" for p in parts) else ""
        )
    return ""


def layer_of(node: Node) -> str | None:
    """Return the name of the layer that an operation is made by."""
    return layer_name(node.path) or None
