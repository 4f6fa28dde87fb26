"""Graphs as readable text."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph.autodiff import ordered
from chainrule.graph.value import Value


def show(*outputs: Value) -> str:
    """Return the graph of the outputs, one line a node, in the order it can be computed.

    Examples
    --------
    >>> from chainrule import graph, ops
    >>> x = graph.placeholder((2, 3), "float32", "x")
    >>> print(graph.show(ops.sum(ops.tanh(x), axis=1)))
    x: float32[2, 3]
    %0: float32[2, 3] = tanh(x)
    %1: float32[2] = reduce_sum(%0; axes=(1,))
    -> %1
    """
    names: dict[Value, str] = {}
    lines: list[str] = []
    for node in ordered(outputs):
        for a in node.arguments:
            _name_leaf(a, names, lines)
        for y in node.outputs:
            names[y] = f"%{sum(1 for n in names.values() if n.startswith('%'))}"
        given = {k: v for k, v in node.attributes.items() if v != node.op.defaults.get(k)}
        lines.append(
            ", ".join(f"{names[y]}: {y.spec}" for y in node.outputs)
            + f" = {node.op.name}({_call([names[a] for a in node.arguments], given)})"
        )
    for y in outputs:
        _name_leaf(y, names, lines)
    lines.append("-> " + ", ".join(names[y] for y in outputs))
    return "\n".join(lines)


def _call(arguments: Sequence[str], attributes: dict[str, object]) -> str:
    text = ", ".join(arguments)
    if attributes:
        text += "; " + ", ".join(f"{k}={v}" for k, v in attributes.items())
    return text


def _name_leaf(value: Value, names: dict[Value, str], lines: list[str]) -> None:
    if value.node is not None or value in names:
        return
    used = set(names.values())
    name = value.name or "constant"
    while name in used:
        name += "'"
    names[value] = name
    lines.append(f"{name}: {value.spec}")
