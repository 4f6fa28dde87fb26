"""What passes are made of: nodes replaced by others, arguments first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from chainrule.graph import Node, Value, ordered, registry, renewed

Outputs = Sequence[Value]
Rule = Callable[[Node, tuple[Value, ...]], Outputs | None]
FusionRule = Callable[[Node, tuple[Value, ...], list[Value]], Outputs | None]


def rewrite(outputs: list[Value], rule: Rule) -> list[Value]:
    """Return the outputs of the graph in which `rule` may have replaced nodes, arguments first."""
    new: dict[Value, Value] = {}
    for node in ordered(outputs):
        arguments = tuple(new.get(a, a) for a in node.arguments)
        replaced = rule(node, arguments)
        if replaced is None and arguments != node.arguments:
            replaced = renewed(node, arguments)
        if replaced is not None:
            new.update(zip(node.outputs, replaced, strict=True))
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


def is_made_by(value: Value, name: str) -> bool:
    """Return whether the value is what an operation of that name gives."""
    return value.node is not None and value.node.op.name == name
