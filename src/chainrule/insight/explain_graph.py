"""What each layer does in a step, as values of its graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.dtypes import is_float
from chainrule.graph import Node, Value, Variable, constant, ordered, registry
from chainrule.graph.autodiff import cotangents_of
from chainrule.graph.scope import BACKWARD

Path = tuple[str, ...]

_SOFTMAX = ("softmax", "log_softmax")


@dataclass
class Place:
    """One layer in a step.

    `output` is what it hands to others; `sums` what its activation is applied to, where there is
    one, and `inside` whether the layer has made that itself; `slope` the derivative of the one by
    the other, number by number; `error` and `delta` the gradients of the loss by `output` and by
    `sums`. Where the loss begins at the sums of the last layer, `error` is missing. `readers` are
    the places that take the output.
    """

    path: Path
    output: Value
    sums: Value | None = None
    inside: bool = False
    activation: str = ""
    slope: Value | None = None
    error: Value | None = None
    delta: Value | None = None
    weights: list[Variable] = field(default_factory=list)
    readers: list[Path] = field(default_factory=list)

    def values(self) -> list[Value]:
        """Return what has to be computed."""
        every = (self.output, self.sums, self.slope, self.error, self.delta)
        return [v for v in every if v is not None]


def places(loss: Value, prediction: Sequence[Value], rows: int) -> list[Place]:
    """Return the layers of a step over so many samples, in the order of their outputs."""
    nodes = ordered([loss, *prediction])
    found = [_place(path, y, nodes) for path, y in _outputs(nodes, prediction, rows).items()]
    _differentiate(loss, found)
    weights, readers = _weights(nodes), _readers(nodes)
    for one in found:
        one.weights = weights.get(one.path, [])
        one.readers = readers.get(one.output, [])
    return found


def _outputs(nodes: Sequence[Node], prediction: Sequence[Value], rows: int) -> dict[Path, Value]:
    """Return the last value of each layer, one row a sample, that is read outside of it; in the
    order of the first of them."""
    found: dict[Path, list[Value]] = {}
    for node in nodes:
        for value in node.arguments:
            if _leaves(value, node.path, rows):
                found.setdefault(_path(value), []).append(value)
    for value in prediction:
        if _leaves(value, (), rows):
            found.setdefault(_path(value), []).append(value)
    place = {y: i for i, node in enumerate(nodes) for y in node.outputs}
    first = {path: min(place.get(v, -1) for v in values) for path, values in found.items()}
    return {path: found[path][-1] for path in sorted(found, key=lambda path: first[path])}


def _path(value: Value) -> Path:
    return () if value.node is None else value.node.path


def _leaves(value: Value, reader: Path, rows: int) -> bool:
    """Return whether a value leaves its layer where this reader takes it."""
    path = _path(value)
    outside = len(path) > 1 and BACKWARD not in path and reader[: len(path)] != path
    return outside and is_float(value.dtype) and value.shape[:1] == (rows,)


def _weights(nodes: Sequence[Node]) -> dict[Path, list[Variable]]:
    """Return the trainable weights that each layer reads."""
    found: dict[Path, dict[Variable, None]] = {}
    for node in nodes:
        for value in node.arguments:
            if value.variable is not None and value.variable.trainable:
                found.setdefault(node.path, {})[value.variable] = None
    return {path: list(held) for path, held in found.items()}


def _readers(nodes: Sequence[Node]) -> dict[Value, list[Path]]:
    """Return the places that read each value outside of its layer; a dense operation outside of
    all layers is the last layer's, made again by a loss that begins at the sums."""
    found: dict[Value, dict[Path, None]] = {}
    for node in nodes:
        for value in node.arguments if node.path or node.op.name != "dense" else ():
            path = _path(value)
            if path and node.path[: len(path)] != path:
                reader = () if BACKWARD in node.path else node.path
                found.setdefault(value, {})[reader] = None
    return {value: list(held) for value, held in found.items()}


def _place(path: Path, output: Value, nodes: Sequence[Node]) -> Place:
    place = Place(path, output)
    node: Any = output.node
    if node.op.name == "dense" and node.attributes["activation"] != "linear":
        # One operation does both. A loss that begins at the sums has taken them apart already.
        place.activation = node.attributes["activation"]
        place.sums, place.inside = _linear(node, nodes), True
        applied = registry()[place.activation].apply((place.sums,), {})
        place.slope = _slope(applied, place.sums)
        return place
    sums = before(output)
    if sums is not None:
        place.sums, place.activation = sums, node.op.name
        place.inside = _path(sums)[: len(path)] == path
        place.slope = None if node.op.name in _SOFTMAX else _slope(output, sums)
    return place


def _linear(node: Node, nodes: Sequence[Node]) -> Value:
    """Return what a dense operation is without its activation."""
    for other in nodes:
        alike = other.op is node.op and other.arguments == node.arguments
        if alike and other.attributes["activation"] == "linear":
            return other.outputs[0]
    made: Value = node.op.apply(node.arguments, {**node.attributes, "activation": "linear"})
    return made


def before(output: Value) -> Value | None:
    """Return the furthest value back in the layer, its input at most, that the output is a
    function of, number by number or by a softmax; ``None`` where there is none."""
    path, found = _path(output), None
    place = {node: i for i, node in enumerate(ordered([output]))}
    front = {output}
    while front:
        top = max(front, key=lambda v: -1 if v.node is None else place[v.node])
        node = top.node
        if node is None or node.path[: len(path)] != path:
            return found
        if not (node.op.elementwise or node.op.name in _SOFTMAX):
            return found
        front.remove(top)
        front.update(a for a in node.arguments if is_float(a.dtype) and not _fixed(a))
        if len(front) == 1:
            (one,) = front
            found = one if one.shape == output.shape else found
    return found


def _fixed(value: Value) -> bool:
    """Return whether a value is the same in every step."""
    if value.node is None:
        return value.constant is not None
    behind = [a for node in ordered([value]) for a in node.arguments if a.node is None]
    return all(a.constant is not None for a in behind)


def _slope(output: Value, sums: Value) -> Value | None:
    ones = constant(np.ones(output.shape, output.dtype))
    return cotangents_of(output, [sums], ones, {sums})[0]


def _differentiate(loss: Value, found: Sequence[Place]) -> None:
    """Find the gradients of the loss by outputs and sums."""
    targets = [v for place in found for v in (place.output, place.sums) if v is not None]
    known = dict(zip(targets, cotangents_of(loss, targets), strict=True))
    for place in found:
        place.error = known[place.output]
        if place.sums is not None:
            place.delta = known[place.sums]
            if place.delta is None and place.error is not None and place.slope is not None:
                place.delta = registry()["multiply"](place.error, place.slope)
