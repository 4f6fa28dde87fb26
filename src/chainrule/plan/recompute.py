"""Gradient checkpointing: what the backward pass reads is computed again instead of kept.

The nodes of a step that layers made are put in segments. A segment that is recomputed keeps only
what other segments read of it; the backward nodes of its own layers read a copy of its nodes, made
of the same operations, attributes and random streams, so that every bit stays as it was. The
backward pass goes in stages, layer by layer from the last: a stage begins, and with it the copy of
its segment, when all that does not depend on it is done. So the values of one segment are alive at
a time, and of gradients those of one layer.

Source: Chen et al., "Training deep nets with sublinear memory cost", arXiv 1604.06174, section 3;
the copies are nodes of the graph, as there, and here the plan says what they cost.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field

from chainrule.graph import Node, Value, ordered, renewed, same
from chainrule.graph.scope import BACKWARD, Label
from chainrule.plan import tiles
from chainrule.plan.schedule import tiled_arguments

Path = tuple[str, ...]
Key = Hashable


@dataclass(slots=True)
class Staged:
    """A graph whose backward pass goes in stages: `stage` is the number of each node that waits
    until all nodes which need no later stage are done; `cost` what is computed again, in ns."""

    values: list[Value]
    stage: dict[Node, int] = field(default_factory=dict)
    cost: float = 0.0


@dataclass(slots=True)
class Segment:
    """Nodes that are recomputed together, or only staged, and those of their gradient."""

    forward: list[Node] = field(default_factory=list)
    backward: list[Node] = field(default_factory=list)
    last: int = -1


def call_of(path: Path) -> tuple[bool, Path]:
    """Return whether a node at this path belongs to the backward pass, and the labels of the call
    of the layer that it belongs to."""
    first = 0
    while first < len(path) and path[first] is BACKWARD:
        first += 1
    stop = next((i for i in range(first, len(path)) if path[i] is BACKWARD), len(path))
    return first > 0, path[first:stop]


def identity(path: Path) -> Key:
    """Return what tells calls of layers apart that have equal labels."""
    return tuple(map(id, path))


def marked(path: Path) -> Key | None:
    """Return the outermost call of a layer that was made with `recompute`, if there is one."""
    return next((id(p) for p in path if isinstance(p, Label) and p.again), None)


def recomputed(
    values: Sequence[Value],
    segment_of: Callable[[Path], Key | None] = marked,
    kept: Collection[Key] = (),
) -> Staged:
    """Return the graph in which segments are recomputed, all but those in `kept`, which are staged
    only; ``None`` as segment leaves nodes as they are."""
    nodes = ordered(values)
    segments = segments_of(nodes, segment_of)
    segments = {key: s for key, s in segments.items() if s.forward and s.backward}
    if not segments:
        return Staged(list(values))
    again = _needed(nodes, segments, {key for key in segments if key not in kept})
    return _rewritten(list(values), nodes, segments, again)


def segments_of(
    nodes: Sequence[Node], segment_of: Callable[[Path], Key | None]
) -> dict[Key, Segment]:
    """Return the segments, those first whose gradient is found first: the last."""
    ahead, used = _ahead(nodes), _used(nodes)
    found: dict[Key, Segment] = {}
    for i, node in enumerate(nodes):
        backward, path = call_of(node.path)
        key = segment_of(path) if path else None
        if key is None:
            continue
        segment = found.setdefault(key, Segment())
        if backward and node not in ahead:
            segment.backward.append(node)
        elif node in used:
            segment.forward.append(node)
            segment.last = i
    return dict(sorted(found.items(), key=lambda item: -item[1].last))


def _ahead(nodes: Sequence[Node]) -> set[Node]:
    """Return the nodes of the backward pass that the forward pass needs: those of a gradient taken
    within a layer, or equal to a node of it."""
    found: set[Node] = set()
    for node in reversed(nodes):
        backward, path = call_of(node.path)
        if node in found or (path and not backward):
            found.update(a.node for a in node.arguments if a.node is not None)
    return found


def _used(nodes: Sequence[Node]) -> set[Node]:
    """Return the nodes that the backward pass needs: not those that move a running mean, say."""
    found: set[Node] = set()
    for node in reversed(nodes):
        if node in found or call_of(node.path)[0]:
            found.update(a.node for a in node.arguments if a.node is not None)
    return found


def _needed(
    nodes: Sequence[Node], segments: dict[Key, Segment], chosen: Collection[Key]
) -> dict[Node, Key]:
    """Return the nodes to compute again. What another segment's copy starts from, or the gradient
    of another layer reads, is alive anyway and is not."""
    home = {n: key for key in chosen for n in segments[key].forward if not n.op.checks}
    owner = {n: key for key, segment in segments.items() for n in segment.backward}
    alive = {
        a
        for n in nodes
        if call_of(n.path)[0]
        for a in n.arguments
        if a.node in home and home[a.node] != owner.get(n)
    }
    again: dict[Node, Key] = {}
    for key in (k for k in segments if k in chosen):
        found: set[Node] = set()
        for node in (*segments[key].backward, *reversed(segments[key].forward)):
            if owner.get(node) != key and node not in found:
                continue
            for a in node.arguments:
                if a.node is None or a in alive:
                    continue
                if home.get(a.node) == key:
                    found.add(a.node)
                else:
                    alive.add(a)
        again.update((node, key) for node in found)
    return again


def _rewritten(
    values: list[Value], nodes: Sequence[Node], segments: dict[Key, Segment], again: dict[Node, Key]
) -> Staged:
    """Return the graph with copies of the nodes in `again`, read by the backward nodes of their
    segment."""
    owner = {n: key for key, segment in segments.items() for n in segment.backward}
    new: dict[Value, Value] = {}
    copy: dict[Value, Value] = {}
    made: dict[Node, Node] = {}
    result = Staged(values)
    for node in nodes:
        key = owner.get(node)
        arguments = tuple(
            copy[a] if key is not None and _own(a, key, again) else new.get(a, a)
            for a in node.arguments
        )
        if not same(arguments, node.arguments):
            outputs = renewed(node, arguments)
            new.update(zip(node.outputs, outputs, strict=True))
        made[node] = _maker(new.get(node.outputs[0], node.outputs[0]), node)
        if node in again:
            inner = [
                copy[a] if _own(a, again[node], again) else new.get(a, a) for a in node.arguments
            ]
            outputs = renewed(node, inner)
            copy.update(zip(node.outputs, outputs, strict=True))
            result.cost += tiles.cost(node)
    result.values = [new.get(v, v) for v in values]
    result.stage = _stages(segments, made, {n: _maker(copy[n.outputs[0]], n) for n in again})
    return result


def _own(value: Value, key: Key, again: dict[Node, Key]) -> bool:
    return value.node is not None and again.get(value.node) == key


def _maker(value: Value, node: Node) -> Node:
    return node if value.node is None else value.node


def _stages(
    segments: dict[Key, Segment], made: dict[Node, Node], copies: dict[Node, Node]
) -> dict[Node, int]:
    """Number the stages: the copy of a segment comes with the gradient of its last layer. A layer
    whose gradient goes row by row shares the stage of the one before it."""
    stage: dict[Node, int] = {}
    number, closed = 0, True
    for segment in segments.values():
        first = [copies[n] for n in segment.forward if n in copies]
        closed = closed or bool(first)
        for group in _by_call(segment):
            number += closed
            for node in (*first, *(made[n] for n in group)):
                stage[node] = number
            first, closed = [], any(map(_gathers, group))
    return stage


def _by_call(segment: Segment) -> list[list[Node]]:
    """Return the backward nodes of each call of a layer, those of the last call first."""
    last: dict[Key, int] = {}
    for i, node in enumerate(segment.forward):
        last[identity(call_of(node.path)[1])] = i
    groups: dict[Key, list[Node]] = {}
    for node in segment.backward:
        groups.setdefault(identity(call_of(node.path)[1]), []).append(node)
    return [groups[key] for key in sorted(groups, key=lambda k: -last.get(k, -1))]


def _gathers(node: Node) -> bool:
    """Return whether the node reads all samples of something, as the gradient of a weight does."""
    tiled = tiled_arguments(node)
    return any(a.node is not None and not t for a, t in zip(node.arguments, tiled, strict=True))


def in_stages(values: Sequence[Value], stage: Mapping[Node, int]) -> list[Node]:
    """Return the nodes, each after those it needs and after all nodes that need no later stage."""
    level: dict[Node, int] = {}
    for node in ordered(values):
        before = (level[a.node] for a in node.arguments if a.node is not None)
        level[node] = max(max(before, default=0), stage.get(node, 0))
    return sorted(level, key=level.__getitem__)
