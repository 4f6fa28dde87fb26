"""What each layer does in a step, as values of its graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from chainrule.dtypes import is_float
from chainrule.graph import Node, Value, Variable, constant, ordered, registry, same
from chainrule.graph.autodiff import cotangents_of
from chainrule.graph.scope import BACKWARD
from chainrule.insight.segments import plain

Path = tuple[str, ...]

_SOFTMAX = ("softmax", "log_softmax")


@dataclass
class Place:
    """One layer in a step, or one output of a layer that has several; without a path the model.

    `output` is what it hands to others, `number` which of its outputs that is; `sums` what its
    activation is applied to, where there is one, and `inside` whether the layer has made that
    itself; `slope` the derivative of the one by the other, number by number; `error` and `delta`
    the gradients of the loss by `output` and by `sums`. Where the loss begins at the sums of the
    last layer, `error` is missing; `past` says that there is one and the loss (or another layer)
    takes the sums as well. `readers` are the places that take the output.
    """

    path: Path
    output: Value
    number: int = 0
    sums: Value | None = None
    inside: bool = False
    activation: str = ""
    slope: Value | None = None
    error: Value | None = None
    delta: Value | None = None
    past: bool = False
    weights: list[Variable] = field(default_factory=list)
    readers: list[Path] = field(default_factory=list)

    def values(self) -> list[Value]:
        """Return what has to be computed."""
        every = (self.output, self.sums, self.slope, self.error, self.delta)
        return [v for v in every if v is not None]


def places(
    loss: Value, prediction: Sequence[Value], rows: int, numbers: Mapping[Value, int]
) -> list[Place]:
    """Return the layers of a step over so many samples, in the order of their outputs, those of
    one layer in the order of `numbers`; the model itself at the end, where it reads weights that
    no layer does."""
    nodes = ordered([loss, *prediction])
    outputs = _outputs(nodes, prediction, rows, numbers)
    found = [_place(path, y, i, nodes) for path, i, y in outputs]
    weights, readers = _weights(nodes, {one.path for one in found}), _readers(nodes)
    if () in weights:
        found.append(Place((), [*prediction, loss][0]))
    _differentiate(loss, found, nodes)
    for one in found:
        one.weights = [] if one.number else weights.get(one.path, [])
        one.readers = readers.get(one.output, [])
    return found


def more_of(loss: Value, prediction: Sequence[Value]) -> dict[Variable, str]:
    """Return what else, beside one call of a layer, adds to the gradient of a weight, in words."""
    calls: dict[Variable, set[tuple[bool, int]]] = {}
    penalized: set[Variable] = set()
    for node in ordered([loss, *prediction]):
        for v in (a.variable for a in node.arguments if a.variable is not None):
            if node.path:
                calls.setdefault(v, set()).add((BACKWARD in node.path, id(node.path[-1])))
            elif node.op.name != "dense":  # see _readers
                penalized.add(v)
    found = dict.fromkeys([*calls, *penalized], "")
    for v in found:
        found[v] += " + its penalty" if v in penalized else ""
        found[v] += " + that of its other uses" if len(calls.get(v, ())) > 1 else ""
    return found


def _outputs(
    nodes: Sequence[Node], prediction: Sequence[Value], rows: int, numbers: Mapping[Value, int]
) -> list[tuple[Path, int, Value]]:
    """Return the values, one row a sample, that the last call of each layer hands to others, with
    their numbers; in the order of the first of them.

    What only the loss takes is no output of its own beside what layers take: sums that it begins
    at, shares that it mixes targets by, or what a gradient on the way reads.
    """
    taken: dict[Path, dict[Value, bool]] = {}
    predicted = set(prediction)
    reads = [(value, node.path) for node in nodes for value in node.arguments]
    for value, reader in [*reads, *((value, ()) for value in prediction)]:
        if _leaves(value, reader, rows):
            held = taken.setdefault(_path(value), {})
            by_layer = bool(reader) and BACKWARD not in reader
            held[value] = held.pop(value, False) or by_layer or value in predicted
    place = {y: i for i, node in enumerate(nodes) for y in node.outputs}
    paths = sorted(taken, key=lambda path: min(place[v] for v in taken[path]))
    found = {path: _of_last_call(taken[path], numbers) for path in paths}
    return [(path, i, value) for path, held in found.items() for i, value in enumerate(held)]


def _of_last_call(held: Mapping[Value, bool], numbers: Mapping[Value, int]) -> list[Value]:
    """Return those of a layer's values that others take, of its last call."""
    given = [v for v, taken in held.items() if taken] or list(held)[-1:]
    last = [v for v in given if _path(v)[-1] is _path(given[-1])[-1]]
    return sorted(last, key=lambda v: numbers.get(v, len(numbers)))


def _path(value: Value) -> Path:
    return () if value.node is None else value.node.path


def _leaves(value: Value, reader: Path, rows: int) -> bool:
    """Return whether a value leaves its layer where this reader takes it."""
    path = _path(value)
    outside = len(path) > 1 and BACKWARD not in path and reader[: len(path)] != path
    return outside and is_float(value.dtype) and value.shape[:1] == (rows,)


def _weights(nodes: Sequence[Node], homes: set[Path]) -> dict[Path, list[Variable]]:
    """Return the trainable weights that each of these layers reads; what is read by a layer that
    is none of them goes to the next one around it, else to the model."""
    read: dict[Variable, dict[Path, None]] = {}
    for node in nodes:
        for value in node.arguments:
            if value.variable is not None and value.variable.trainable:
                read.setdefault(value.variable, {})[plain(node.path)] = None
    found: dict[Path, list[Variable]] = {}
    for variable, paths in read.items():
        around = dict.fromkeys(_around(path, homes) for path in paths)
        direct = [path for path in paths if path in homes]
        for path in direct or [path for path in around if path] or [()]:
            found.setdefault(path, []).append(variable)
    return found


def _around(path: Path, homes: set[Path]) -> Path:
    """Return the longest part of a path that is one of `homes`."""
    while path and path not in homes:
        path = path[:-1]
    return path


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


def _place(path: Path, output: Value, number: int, nodes: Sequence[Node]) -> Place:
    place = Place(path, output, number)
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
        alike = other.op is node.op and same(other.arguments, node.arguments)
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


def _differentiate(loss: Value, found: Sequence[Place], nodes: Sequence[Node]) -> None:
    """Find the gradients of the loss by outputs and sums."""
    targets = [v for place in found for v in (place.output, place.sums) if v is not None]
    known = dict(zip(targets, cotangents_of(loss, targets), strict=True))
    outputs = {place.output for place in found}
    for place in found:
        place.error = known[place.output]
        if place.sums is None:
            continue
        past = _past(loss, place, nodes, {place.output} if place.inside else outputs)
        through = None if place.error is None else _through(place, place.sums, place.error)
        place.past = past is not None and through is not None
        place.delta = past if through is None else through
        if past is not None and through is not None:
            place.delta = registry()["add"](through, past)


def _through(place: Place, sums: Value, error: Value) -> Value | None:
    """Return what comes back to the sums by the output: other readers of a layer's input have
    nothing to do with it."""
    through = cotangents_of(place.output, [sums], error, {sums})[0]
    if through is None and place.slope is not None:  # one operation does both
        through = registry()["multiply"](error, place.slope)
    return through


def _past(loss: Value, place: Place, nodes: Sequence[Node], ends: set[Value]) -> Value | None:
    """Return what comes back to the sums from elsewhere, by no way through `ends`: to sums that
    the layer has made from all that take them, to its input from a loss that begins there."""
    if place.sums is None:
        return None
    held, inner = {place.sums}, set()
    for node in ordered([place.output], {place.sums}):
        if any(a in held for a in node.arguments):
            held.update(node.outputs)
            inner.add(node)
    held.discard(place.output)
    others = (n for n in nodes if n not in inner and any(a in held for a in n.arguments))
    if not any(place.inside or not n.path for n in others):
        return None
    return cotangents_of(loss, [place.sums], None, ends)[0]
