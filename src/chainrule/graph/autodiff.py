"""The chain rule: from a graph, the graph of its gradient."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import is_float
from chainrule.errors import GraphError, ShapeError
from chainrule.graph import scope, trail
from chainrule.graph.primitive import Primitive, registry
from chainrule.graph.value import Node, Value, Variable, constant


def ordered(outputs: Iterable[Value], known: Container[Value] = ()) -> list[Node]:
    """Return the nodes that the outputs need, each after those it depends on; what lies behind
    `known` values is left out."""
    done: set[Node] = set()
    result: list[Node] = []
    stack: list[tuple[Node, bool]] = [
        (v.node, False) for v in outputs if v.node is not None and v not in known
    ]
    stack.reverse()
    while stack:
        node, ready = stack.pop()
        if node in done:
            continue
        if ready:
            done.add(node)
            result.append(node)
            continue
        stack.append((node, True))
        stack.extend(
            (a.node, False)
            for a in reversed(node.arguments)
            if a.node is not None and a.node not in done and a not in known
        )
    return result


def behind(outputs: Sequence[Value]) -> dict[Value, None]:
    """Return the outputs and all values that they are computed from, in the order they are met."""
    found = {a: None for node in ordered(outputs) for a in node.arguments}
    return found | dict.fromkeys(outputs)


def gradient(
    of: Value, wrt: Sequence[Value | Variable], cotangent: Value | None = None
) -> list[Value]:
    """Return d(of)/d(x) for each x, as values of the same graph.

    Parameters
    ----------
    of : Value
        A scalar, or any value where `cotangent` is given.
    wrt : sequence of Value or Variable
        What to differentiate by; where there is no path the gradient is zero.
    cotangent : Value, optional
        What the chain rule starts from, of the shape of `of`; by default 1.

    Raises
    ------
    GraphError
        Where an operation on the path has no derivative.
    """
    targets = [v.leaf if isinstance(v, Variable) else v for v in wrt]
    found = cotangents_of(of, targets, cotangent)
    return [zeros_like(t) if g is None else g for t, g in zip(targets, found, strict=True)]


def cotangents_of(
    of: Value,
    targets: Sequence[Value],
    cotangent: Value | None = None,
    known: Container[Value] = (),
) -> list[Value | None]:
    """Return d(of)/d(x) for each x, ``None`` where there is no path; what lies behind `known`
    values counts as constant."""
    if cotangent is None:
        if of.shape != ():
            raise ShapeError(f"only a scalar has a gradient; this value has shape {list(of.shape)}")
        cotangent = constant(np.ones((), of.dtype))
    if of.node is None and of.is_known and of.constant is None:
        raise GraphError(
            "how this value was made is forgotten: the step that used its gradient was taken.\n"
            "  fix: take all gradients of a value before the weights are moved"
        )
    nodes, wanted = ordered([of], known), set(targets)
    active = _active(nodes, wanted)
    cotangents: dict[Value, Value] = {of: cotangent}
    for node in reversed(nodes):
        if node in active:
            with scope.backward(node.path):
                _propagate(node, active, cotangents, wanted)
    trail.keep_cotangents(cotangents)
    return [cotangents.get(t) for t in targets]


def _active(nodes: list[Node], wanted: set[Value]) -> set[Node]:
    """Return the nodes that depend on a wanted value through arguments that have derivatives."""
    active: set[Node] = set()
    for node in nodes:
        for a in node.arguments:
            if is_float(a.dtype) and (a in wanted or a.node in active):
                active.add(node)
                break
    return active


def _propagate(
    node: Node, active: set[Node], cotangents: dict[Value, Value], wanted: set[Value]
) -> None:
    """Add the cotangents of the node's arguments to what they have gathered so far."""
    gs = [cotangents.get(y) for y in node.outputs]
    if all(g is None for g in gs):
        return
    if node.op.fused and not node.op.has_derivative:
        _through_decomposition(node, gs, cotangents)
        return
    g = gs[0] if len(gs) == 1 else tuple(gs)
    for argument, part in zip(node.arguments, node.op.cotangents(g, node), strict=True):
        if part is not None and (argument in wanted or argument.node in active):
            _gather(cotangents, argument, part)


def _gather(cotangents: dict[Value, Value], argument: Value, part: Value) -> None:
    if part.shape != argument.shape:
        raise GraphError(f"a cotangent of shape {part.shape} for a value of shape {argument.shape}")
    known = cotangents.get(argument)
    cotangents[argument] = part if known is None else registry()["add"](known, part)


def _through_decomposition(
    node: Node, gs: Sequence[Value | None], cotangents: dict[Value, Value]
) -> None:
    """Differentiate a fused operation by the primitives it stands for."""
    for argument, part in decomposed(node.op, gs, node.arguments, node.attributes).items():
        _gather(cotangents, argument, part)


def decomposed(
    op: Primitive,
    gs: Sequence[Value | None],
    arguments: Sequence[Value],
    attributes: Mapping[str, Any],
) -> dict[Value, Value]:
    """Return the cotangents of a fused operation's arguments, by the primitives it stands for."""
    parts = op.decompose(*arguments, **attributes)
    parts = parts if isinstance(parts, tuple) else (parts,)
    # Each once, and without what lies behind: one argument may be another, or depend on it.
    floats = list(dict.fromkeys(a for a in arguments if is_float(a.dtype)))
    found: dict[Value, Value] = {}
    for output, g in zip(parts, gs, strict=True):
        if g is None:
            continue
        behind_output = cotangents_of(output, floats, g, set(arguments))
        for argument, part in zip(floats, behind_output, strict=True):
            if part is not None:
                _gather(found, argument, part)
    return found


def zeros_like(value: Value) -> Value:
    """Return zeros of the type of a value."""
    fill = registry()["fill"]
    result: Value = fill.apply((), {"shape": value.shape, "value": 0.0, "dtype": value.dtype})
    return result
