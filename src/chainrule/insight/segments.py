"""The parts of a step that layers have made, each as a function of what goes into it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from chainrule.dtypes import is_float
from chainrule.graph import Node, Value, ordered, registry
from chainrule.graph.autodiff import cotangents_of
from chainrule.graph.scope import BACKWARD
from chainrule.graph.value import placeholder

Path = tuple[str, ...]


@dataclass
class Segment:
    """The nodes of one layer, without those of layers inside it.

    `entries` are the values that come from elsewhere, or that are held fixed inside; `weights` the
    leaves of variables that it reads; `exits` what others read of it, the loss among them.
    """

    path: Path
    nodes: list[Node] = field(default_factory=list)
    entries: list[Value] = field(default_factory=list)
    weights: list[Value] = field(default_factory=list)
    exits: list[Value] = field(default_factory=list)


def segments(loss: Value) -> list[Segment]:
    """Return the parts of a step, in the order in which they are finished, the loss's own last."""
    nodes = ordered([loss])
    found: dict[Path, Segment] = {}
    place: dict[Node, Segment] = {}
    for node in nodes:
        path = plain(node.path)
        part = found.pop(path, None) or Segment(path)
        found[path] = place[node] = part  # the last to get a node goes last
        part.nodes.append(node)
    for part in found.values():
        part.entries, part.weights = _ends(part, place)
    for part, exits in zip(found.values(), _exits(nodes, loss, place, found), strict=True):
        part.exits = exits
    return list(found.values())


def plain(path: Path) -> Path:
    """Return a path behind the last gradient that was taken on the way, as plain text."""
    begin = max((i + 1 for i, label in enumerate(path) if label == BACKWARD), default=0)
    return tuple(str(label) for label in path[begin:])


def _ends(part: Segment, place: dict[Node, Segment]) -> tuple[list[Value], list[Value]]:
    entries: dict[Value, None] = {}
    weights: dict[Value, None] = {}
    for node in part.nodes:
        if node.op.name == "stop_gradient":
            entries.update((y, None) for y in node.outputs)
        for a in node.arguments:
            outside = a.constant is None if a.node is None else place[a.node] is not part
            if a.variable is not None:
                weights[a] = None
            elif outside:
                entries[a] = None
    return list(entries), list(weights)


def _exits(
    nodes: Sequence[Node], loss: Value, place: dict[Node, Segment], found: dict[Path, Segment]
) -> Iterator[list[Value]]:
    """Yield for each part the floats that are read elsewhere."""
    read: dict[Path, dict[Value, None]] = {path: {} for path in found}
    for node in nodes:
        for a in node.arguments:
            if a.node is not None and place[a.node] is not place[node]:
                read[place[a.node].path][a] = None
    if loss.node is not None:
        read[place[loss.node].path][loss] = None
    for path, values in read.items():
        fixed = set(found[path].entries)
        yield [v for v in values if is_float(v.dtype) and v not in fixed]


def pulled_back(part: Segment) -> tuple[list[Value], list[Value], list[Value | None]]:
    """Return placeholders for the cotangents of the exits, what a part can be differentiated by,
    and the cotangents of these by the part's own rules."""
    targets = [v for v in (*part.entries, *part.weights) if is_float(v.dtype)]
    starts = [placeholder(y.shape, y.dtype, "cotangent") for y in part.exits]
    total: list[Value | None] = [None] * len(targets)
    for y, start in zip(part.exits, starts, strict=True):
        for i, g in enumerate(cotangents_of(y, targets, start, set(part.entries))):
            total[i] = _sum(total[i], g)
    return starts, targets, total


def _sum(one: Value | None, other: Value | None) -> Value | None:
    if one is None or other is None:
        return other if one is None else one
    added: Value = registry()["add"](one, other)
    return added


def depending(loss: Value, on: Sequence[Value]) -> set[Value]:
    """Return the values on the way from some leaves to the loss."""
    known = set(on)
    for node in ordered([loss]):
        if node.op.name != "stop_gradient" and any(a in known for a in node.arguments):
            known.update(node.outputs)
    return known
