"""Arrays that hold little: made again in each phase that reads them, so that none has to be kept.

Zeros that dropout puts in, or one truth spread over a weight, are quicker made than read, and in
the loop that reads them they lie in its scratch. Kept from the first to the last reader, the zeros
of a network with dropout lay in the arena from the forward pass to the end.
"""

from __future__ import annotations

from chainrule.graph import Node, Value, renewed, same
from chainrule.plan.plan import nbytes
from chainrule.plan.recompute import Staged, in_stages
from chainrule.plan.schedule import schedule

_RATIO = 64  # bytes made of each byte read


def spread(staged: Staged) -> Staged:
    """Return the graph in which every phase has its own of these arrays."""
    nodes = in_stages(staged.values, staged.stage)
    readers: dict[Node, list[Node]] = {}
    for node in nodes:
        for a in node.arguments:
            if a.node is not None and _holds_little(a.node):
                readers.setdefault(a.node, []).append(node)
    if all(len(uses) == 1 for uses in readers.values()):
        return staged
    loop_of = schedule(nodes, set(), staged.stage).loop_of
    phase = {n: loop.phase for n, loop in loop_of.items()}
    several = {n for n, uses in readers.items() if len({phase.get(r) for r in uses}) > 1}
    return _rewritten(staged, nodes, phase, several) if several else staged


def _holds_little(node: Node) -> bool:
    op, (made, *others) = node.op, node.specs
    cheap = op.flops is None and op.cost <= 1 and not (op.checks or op.alias or others)
    return cheap and nbytes(made) >= _RATIO * max(1, sum(nbytes(a.spec) for a in node.arguments))


def _rewritten(
    staged: Staged, nodes: list[Node], phase: dict[Node, int], several: set[Node]
) -> Staged:
    new: dict[Value, Value] = {}
    made: dict[tuple[Node, int | None], Value] = {}
    stage: dict[Node, int] = {}

    def argument(a: Value, reader: Node) -> Value:
        if a.node not in several:
            return new.get(a, a)
        key = (a.node, phase.get(reader))
        if key not in made:
            inner = [argument(x, a.node) for x in a.node.arguments]
            made[key] = renewed(a.node, inner)[0]
        return made[key]

    for node in nodes:
        arguments = tuple(argument(a, node) for a in node.arguments)
        outputs = node.outputs
        if not same(arguments, node.arguments):
            outputs = renewed(node, arguments)
            new.update(zip(node.outputs, outputs, strict=True))
        maker = outputs[0].node
        if node in staged.stage and maker is not None:
            stage[maker] = staged.stage[node]
    return Staged([new.get(v, v) for v in staged.values], stage, staged.cost)
