"""From a graph to phases of loops.

A loop runs its calls tile by tile over rows, so a call may join the loop of its argument only where
a tile of its rows needs no other rows of that argument. A call that reads an argument whole (the
gradient of a weight reads all samples) stands at least one phase later: phases are separated by a
barrier, the loops of one phase are independent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from chainrule.graph import Node, Spec, Value, among
from chainrule.plan.plan import nbytes


@dataclass(eq=False, slots=True)
class Loop:
    """Calls that run tile by tile over the same number of rows."""

    rows: int
    phase: int
    nodes: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Schedule:
    """The loops of each phase, and where each node went."""

    phases: list[list[Loop]]
    loop_of: dict[Node, Loop]
    copies: set[Node]


def leading(spec: Spec) -> int:
    """Return the number of rows of an array: its first axis, 1 for a scalar."""
    return spec.shape[0] if spec.shape else 1


def rows_of(node: Node) -> int:
    """Return the number of rows that a loop with this node runs over."""
    spec = node.specs[0]
    return spec.shape[-1] if node.op.columns else leading(spec)


def root(value: Value, copies: Iterable[Node] = ()) -> Value:
    """Return the value whose storage this one shares: itself, unless it is a view (a reshape)."""
    while value.node is not None and value.node.op.alias and value.node not in copies:
        value = value.node.arguments[0]
    return value


def tiled_arguments(node: Node) -> tuple[bool, ...]:
    """Return for each argument whether the node reads only its own rows of it."""
    specs = [a.spec for a in node.arguments]
    if node.op.alias:
        return tuple(leading(s) == leading(node.specs[0]) for s in specs)
    return node.op.tiled(specs, node.specs, dict(node.attributes))


def same_rows(value: Value, base: Value) -> bool:
    """Return whether a row of the value is a row of the storage it shares."""
    return leading(value.spec) == leading(base.spec)


def schedule(
    nodes: Sequence[Node], copies: set[Node], stage: Mapping[Node, int] | None = None
) -> Schedule:
    """Place each node in the first phase it can stand in, in the loop of the arguments it tiles.

    Nodes with a `stage` stand after all nodes before them in `nodes` that need no such stage.
    """
    links = {n: list(_producers(n, copies)) for n in nodes if not n.op.alias or n in copies}
    phase = _phases(nodes, links, stage or {})
    _sink(phase, links)
    loops = _join(phase, links)
    result: list[list[Loop]] = [[] for _ in range(max(phase.values(), default=-1) + 1)]
    loop_of: dict[Node, Loop] = {}
    for node, loop in loops.items():
        if not loop.nodes:
            result[loop.phase].append(loop)
        loop.nodes.append(node)
        loop_of[node] = loop
    phases = [p for p in result if p]  # none may be left of what `_sink` moved
    for number, parts in enumerate(phases):
        for loop in parts:
            loop.phase = number
    return Schedule(phases, loop_of, copies)


Links = dict[Node, list[tuple[Node, bool]]]  # of each node that runs, what `_producers` yields


def _producers(node: Node, copies: set[Node]) -> Iterable[tuple[Node, bool]]:
    """Yield the node behind each argument, and whether this one can run in its loop."""
    rows = rows_of(node)
    for argument, tiled in zip(node.arguments, tiled_arguments(node), strict=True):
        base = root(argument, copies)
        if base.node is not None:
            own = tiled and same_rows(argument, base) and not base.node.op.columns
            yield base.node, own and leading(base.spec) == rows


_HEAVY = 2e6  # arithmetic operations for a row, which alone are worth a tile


def _nature(node: Node) -> int:
    """Return 1 for a node that wants many rows at once, 2 for one for which a row is plenty."""
    op, rows = node.op, rows_of(node)
    if op.flops is None or rows < 2:
        return 0
    if op.unit > 1:
        return 1
    specs = [a.spec for a in node.arguments]
    work = op.flops(specs, node.specs, **node.attributes)
    return 2 if float(work) >= _HEAVY * rows else 0


def _phases(nodes: Sequence[Node], links: Links, stage: Mapping[Node, int]) -> dict[Node, int]:
    """Return the phase of each node. Those that want many rows at once do not share a loop with
    those for which one is plenty: tiles of many such rows leave the cache, and are too few for many
    cores. `links` then says so."""
    phase: dict[Node, int] = {}
    nature: dict[Node, int] = {}
    number, first = 0, 0  # the stage that nodes have come to, and the phase it begins with
    for node in nodes:
        if stage.get(node, 0) > number:
            number, first = stage[node], max(phase.values(), default=-1) + 1
        if node not in links:
            continue
        kind = nature[node] = _nature(node)
        links[node] = [(p, joins and nature[p] | kind != 3) for p, joins in links[node]]
        phase[node] = max((phase[p] + (not joins) for p, joins in links[node]), default=0)
        if stage.get(node, 0) == number:
            phase[node] = max(phase[node], first)
        for producer, joins in links[node]:
            if joins and phase[producer] == phase[node]:
                nature[node] |= nature[producer]
    return phase


def _sink(phase: dict[Node, int], links: Links) -> None:
    """Move nodes to the phase of their first reader, so that what they make stays in that loop's
    scratch: those that read only leaves, and cheap ones that make more bytes than they start from
    (a number spread over a weight, say, that tells whether the weight is to move)."""
    readers: dict[Node, list[tuple[Node, bool]]] = {}
    for node, producers in links.items():
        for producer, joins in producers:
            readers.setdefault(producer, []).append((node, joins))
    starts = _starts(links, readers)
    for node in reversed(links):
        uses = readers.get(node, [])
        if not uses:
            continue
        last = max(0, min(phase[n] - (not joins) for n, joins in uses))
        gains = _is_cheap(node) and _made(node) > _held(starts[node])
        if gains or not links[node]:
            phase[node] = last


def _starts(links: Links, readers: Links) -> dict[Node, set[Node]]:
    """Return what each node would have to wait with, were it moved: the makers of its arguments, or
    what those start from in turn where no one else reads them."""
    starts: dict[Node, set[Node]] = {}
    for node, producers in links.items():
        found = starts[node] = set()
        for producer, _ in producers:
            alone = len(readers[producer]) == 1 and _is_cheap(producer)
            through = alone and _held(starts[producer]) < _made(producer)
            found |= starts[producer] if through else {producer}
    return starts


def _is_cheap(node: Node) -> bool:
    return node.op.flops is None and not node.op.checks


def _made(node: Node) -> int:
    return sum(map(nbytes, node.specs))


def _held(nodes: Iterable[Node]) -> int:
    return sum(map(_made, nodes))


def _join(phase: dict[Node, int], links: Links) -> dict[Node, Loop]:
    """Unite the loops of nodes that hand each other tiles within a phase."""
    parent: dict[Node, Node] = {n: n for n in phase}

    def find(n: Node) -> Node:
        while parent[n] is not n:
            parent[n] = parent[parent[n]]
            n = parent[n]
        return n

    for node, producers in links.items():
        for producer, joins in producers:
            if joins and phase[producer] == phase[node]:
                parent[find(node)] = find(producer)
    for one, other in _sharing(phase):
        parent[find(one)] = find(other)
    loops: dict[Node, Loop] = {}
    for node in links:
        top = find(node)
        if top not in loops:
            loops[top] = Loop(rows_of(node), phase[node])
    return {node: loops[find(node)] for node in links}


def _sharing(phase: dict[Node, int]) -> Iterable[tuple[Node, Node]]:
    """Yield pairs of nodes of a phase that go through the rows of the same leaf, one of them to
    make columns: a row is then still in the cache for the other."""
    for node in phase:
        own = _rows_read(node) if node.op.columns else []
        beside = (n for n in phase if phase[n] == phase[node] and not n.op.columns)
        for other in beside if own else ():
            if any(among(leaf, own) for leaf in _rows_read(other)):
                yield node, other


def _rows_read(node: Node) -> list[Value]:
    """Return the leaves that the node goes through row by row."""
    return [
        argument
        for argument, tiled in zip(node.arguments, tiled_arguments(node), strict=True)
        if tiled and argument.node is None and leading(argument.spec) == rows_of(node)
    ]
