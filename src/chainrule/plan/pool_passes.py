"""Passes around pooling: what can be done on the pooled places, which are fewer."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph import Node, Value, ordered
from chainrule.plan.rewriting import Outputs, Readers, apply, readers_of, rewrite


def relu_after_pool(outputs: list[Value]) -> list[Value]:
    """Turn ``max_pool(relu(z))`` into ``relu(max_pool(z))``, with its derivative.

    Both give the same: the greatest of a window is above 0 where some value of it is, and where it
    is not, both derivatives are 0. What comes before the pooling need then not be kept.
    """
    moved = _Moved(readers_of(outputs), set(outputs))
    for node in ordered(outputs):
        if node.op.name == "relu":
            moved.add(node)
    return rewrite(outputs, moved.rule) if moved.relus else outputs


class _Moved:
    """The nodes around each `relu` that moves behind its `max_pool`."""

    def __init__(self, readers: Readers, wanted: set[Value]) -> None:
        self.readers, self.wanted = readers, wanted
        self.relus: set[Node] = set()
        self.slopes: set[Node] = set()
        self.pool_of: dict[Node, Node] = {}  # of a pool, itself; of its derivative, the pool
        self.pooled: dict[Node, Value] = {}

    def add(self, relu: Node) -> None:
        """Take note of a relu whose value nothing reads but a pool and its own derivative."""
        y = relu.outputs[0]
        readers = self.readers.get(y, [])
        pools = [n for n in readers if n.op.name == "max_pool"]
        slopes = [n for n in readers if n.op.name == "relu_gradient" and n.arguments[1] is y]
        if len(pools) != 1 or len(pools) + len(slopes) != len(readers) or y in self.wanted:
            return
        pool = pools[0]
        gradients = self.readers.get(pool.outputs[1], [])
        if pool.outputs[1] in self.wanted or not self._lead_to(gradients, slopes):
            return
        if {n.arguments[0] for n in slopes} - {n.outputs[0] for n in gradients}:
            return
        self.relus.add(relu)
        self.slopes.update(slopes)
        self.pool_of.update(dict.fromkeys([pool, *gradients], pool))

    def _lead_to(self, gradients: Sequence[Node], slopes: Sequence[Node]) -> bool:
        """Return whether all are derivatives of a pool that only these derivatives of relu read."""
        return all(
            n.op.name == "max_pool_gradient"
            and n.outputs[0] not in self.wanted
            and all(r in slopes for r in self.readers.get(n.outputs[0], []))
            for n in gradients
        )

    def rule(self, node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
        """Return what stands for the outputs of a node."""
        if node in self.relus or node in self.slopes:
            return arguments[:1]
        pool = self.pool_of.get(node)
        if pool is None:
            return None
        if pool is node:
            y, place = apply("max_pool", arguments, node.attributes, node.path)
            self.pooled[node] = apply("relu", (y,), {}, node.path)[0]
            return self.pooled[node], place
        g = apply("relu_gradient", (arguments[0], self.pooled[pool]), {}, node.path)
        return apply(node.op.name, (*g, arguments[1]), node.attributes, node.path)


def sum_before_spreading(outputs: list[Value]) -> list[Value]:
    """Sum what `max_pool_gradient` spreads over cells before it is spread: each number lands in one
    cell."""
    return rewrite(outputs, _summed)


def _summed(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
    if node.op.name != "reduce_sum" or arguments[0].node is None:
        return None
    spread = arguments[0].node
    space = range(1, arguments[0].ndim - 1)
    if spread.op.name != "max_pool_gradient" or not set(space) <= set(node.attributes["axes"]):
        return None
    return apply("reduce_sum", spread.arguments[:1], node.attributes, node.path)
