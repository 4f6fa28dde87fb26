"""What passes are made of: nodes replaced by others, arguments first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from typing import Any

from chainrule.graph import Node, Value, among, ordered, registry, renewed, same
from chainrule.graph.trail import follow

Outputs = Sequence[Value]
Rule = Callable[[Node, tuple[Value, ...]], Outputs | None]
FusionRule = Callable[[Node, tuple[Value, ...], list[Value]], Outputs | None]
Readers = dict[Value, list[Node]]


def rewrite(outputs: list[Value], rule: Rule, gone: Collection[Value] = ()) -> list[Value]:
    """Return the outputs of the graph in which `rule` may have replaced nodes, arguments first.

    What stands for values that are `gone` has other elements: who follows them finds nothing.
    """
    new: dict[Value, Value] = {}
    for node in ordered(outputs):
        arguments = tuple(new.get(a, a) for a in node.arguments)
        replaced = rule(node, arguments)
        if replaced is None and not same(arguments, node.arguments):
            replaced = renewed(node, arguments)
        if replaced is not None:
            new.update(zip(node.outputs, replaced, strict=True))
    follow({old: now for old, now in new.items() if old not in gone} if gone else new)
    return [new.get(y, y) for y in outputs]


def apply(
    name: str, arguments: Sequence[Value], attributes: Any, path: tuple[str, ...] = ()
) -> Outputs:
    """Return the outputs of a new node that stands at `path`."""
    result = registry()[name].apply(arguments, dict(attributes))
    outputs: Outputs = result if isinstance(result, tuple) else (result,)
    if outputs[0].node is not None:
        outputs[0].node.path = path
    return outputs


def fuse(outputs: list[Value], rule: FusionRule) -> list[Value]:
    """Rewrite by a rule that is also told which of the arguments nothing else reads."""
    uses = Counter(a for node in ordered(outputs) for a in node.arguments)
    uses.update(outputs)
    single = {v for v, n in uses.items() if n == 1}

    def apply_rule(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
        inner = [a for a, old in zip(arguments, node.arguments, strict=True) if old in single]
        return rule(node, arguments, inner)

    return rewrite(outputs, apply_rule)


def readers_of(outputs: Sequence[Value]) -> Readers:
    """Return the nodes that read each value, in order, once for each argument that it is."""
    readers: Readers = {}
    for node in ordered(outputs):
        for argument in node.arguments:
            readers.setdefault(argument, []).append(node)
    return readers


def biased(
    arguments: Sequence[Value], inner: Sequence[Value], maker: str
) -> tuple[Node, Value] | None:
    """Return what makes one side of a sum, where that is a `maker` whose value nothing else reads,
    and the row that is added to the last axis."""
    for y, b in (tuple(arguments), tuple(arguments)[::-1]):
        if y.node is None or b.node is None or not among(y, inner):
            continue
        row = is_made_by(b, "broadcast") and tuple(b.node.attributes["axes"]) == (y.ndim - 1,)
        if row and is_made_by(y, maker):
            return y.node, b.node.arguments[0]
    return None


def absorb_activation(
    outputs: list[Value],
    makers: Collection[str],
    activations: Collection[str] = ("relu", "tanh", "sigmoid"),
) -> list[Value]:
    """Let the operations named `makers` apply an activation that is all that reads their value."""

    def rule(node: Node, arguments: tuple[Value, ...], inner: list[Value]) -> Outputs | None:
        if node.op.name not in activations or not inner:
            return None
        y = arguments[0].node
        if y is None or y.op.name not in makers or y.attributes["activation"] != "linear":
            return None
        attributes = {**y.attributes, "activation": node.op.name}
        return apply(y.op.name, y.arguments, attributes, y.path)

    return fuse(outputs, rule)


def is_made_by(value: Value, name: str) -> bool:
    """Return whether the value is what an operation of that name gives."""
    return value.node is not None and value.node.op.name == name
