"""Passes around pooling: what can be done on the pooled places, which are fewer."""

from __future__ import annotations

from collections.abc import Sequence

from chainrule.graph import Node, Value, ordered, renewed
from chainrule.ops.conv_pool import has_nowhere
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
    return rewrite(outputs, moved.rule, moved.gone()) if moved.relus else outputs


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

    def gone(self) -> set[Value]:
        """Return values that are nowhere any more: those of relus, and their derivatives."""
        changed = self.relus | {node for node, pool in self.pool_of.items() if node is not pool}
        return {node.outputs[0] for node in changed}

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


def rectify_places(outputs: list[Value]) -> list[Value]:
    """Let a convolution with pooling apply the relu behind it, and give maxima that are not above 0
    no place.

    The derivatives that follow the places then heed the relu, which needs no pass of its own. On a
    Zen 5 a step of 28 x 28 places, 32 filters and 128 units is 2 % faster by it.
    """
    rectified = _Rectified(readers_of(outputs), set(outputs))
    for node in ordered(outputs):
        if node.op.name == "conv_pool":
            rectified.add(node)
    gone = {y for pool in rectified.pool_of.values() for y in pool.outputs}
    return rewrite(outputs, rectified.rule, gone) if gone else outputs


def sum_bias_with_kernel(outputs: list[Value]) -> list[Value]:
    """Let the derivative of a kernel through pooling sum the slopes of the bias as well, over the
    same parts of the batch: slopes and places are then read once."""
    kernel_of = _kernels_beside_biases(outputs)
    kernels = set(kernel_of.values())
    made: dict[Node, Outputs] = {}

    def rule(node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
        kernel = kernel_of.get(node, node)
        if kernel not in kernels:
            return None
        if kernel not in made:
            *_, g, place = arguments
            attributes = {**kernel.attributes, "bias": True}
            operands = (_convolved(place), g, place)
            made[kernel] = apply(kernel.op.name, operands, attributes, kernel.path)
        return made[kernel][:1] if node is kernel else made[kernel][1:]

    gone = {node.outputs[0] for node in kernel_of}
    return rewrite(outputs, rule, gone) if gone else outputs


def _kernels_beside_biases(outputs: list[Value]) -> dict[Node, Node]:
    """Return, for each sum of slopes of which only the sum over the batch is read, the derivative
    of the kernel that reads the same slopes and places."""
    kernels: dict[tuple[Value, ...], Node] = {}
    found: dict[Node, Node] = {}
    nodes, readers, wanted = ordered(outputs), readers_of(outputs), set(outputs)
    for node in nodes:
        if node.op.name == "unpooled_kernel_gradients":
            x, g, place = node.arguments
            if _convolved(place) is x:
                kernels[g, place] = node
    for node in nodes:
        if node.op.name == "pooled_bias_gradient" and node.arguments in kernels:
            (sums,) = node.outputs
            if sums not in wanted and all(map(_sums_batch, readers[sums])):
                found[node] = kernels[node.arguments]
    return found


def _convolved(place: Value) -> Value:
    """Return what the convolution took that gave these places with its pooling."""
    return place.node.arguments[0] if place.node is not None else place


def _sums_batch(node: Node) -> bool:
    return node.op.name == "reduce_sum" and node.attributes["axes"] == (0,)


# Which argument of a derivative of `max_pool` has the slopes; the places come behind it.
_SLOPES = {"max_pool_gradient": 0, "unpooled_conv_transpose": 0, "unpooled_kernel_gradients": 1}


class _Rectified:
    """Convolutions with pooling whose value only a relu reads, and whose places only derivatives
    that are 0 where the relu is."""

    def __init__(self, readers: Readers, wanted: set[Value]) -> None:
        self.readers, self.wanted = readers, wanted
        self.relus: set[Node] = set()
        self.pool_of: dict[Value | None, Node] = {}  # by the value of the relu
        self.made: dict[Node, Outputs] = {}  # what stands for a pool and its relu

    def add(self, pool: Node) -> None:
        """Take note of a convolution with pooling, if it is such."""
        z, place = pool.outputs
        relus = self.readers.get(z, [])
        if len(relus) != 1 or relus[0].op.name != "relu" or {z, place} & self.wanted:
            return
        y = relus[0].outputs[0]
        following = self.readers.get(place, [])
        if has_nowhere(pool.attributes["window"]) and all(_follows(n, place, y) for n in following):
            self.relus.add(relus[0])
            self.pool_of[y] = pool

    def rule(self, node: Node, arguments: tuple[Value, ...]) -> Outputs | None:
        """Return what stands for the outputs of a node."""
        if node in self.relus:
            return arguments
        if node in self.pool_of.values():
            attributes = {**node.attributes, "rectified": True}
            self.made[node] = apply(node.op.name, arguments, attributes, node.path)
            return self.made[node]
        at = _SLOPES.get(node.op.name)
        if at is not None and node.arguments[at + 1].node in self.made:
            g, _ = _cleared(arguments[at])
            return renewed(node, (*arguments[:at], g, *arguments[at + 1 :]))
        return self._bias(node, arguments[0]) if node.op.name == "reduce_sum" else None

    def _bias(self, node: Node, slopes: Value) -> Outputs | None:
        """Return the sum of slopes over space, which needs no more than their places."""
        pool = self.pool_of.get(_cleared(node.arguments[0])[1])
        axes, space = node.attributes["axes"], range(1, slopes.ndim - 1)
        if pool is None or not set(space) <= set(axes) <= {0, *space}:
            return None
        operands = (_cleared(slopes)[0], self.made[pool][1])
        window = {"window": pool.attributes["window"]}
        sums = apply("pooled_bias_gradient", operands, window, node.path)
        return sums if 0 not in axes else apply("reduce_sum", sums, {"axes": (0,)}, node.path)


def _follows(node: Node, place: Value, y: Value) -> bool:
    """Return whether a node spreads, to these places, slopes that are 0 where y is not above 0."""
    at = _SLOPES.get(node.op.name)
    if at is None or node.arguments[at + 1] is not place:
        return False
    return _cleared(node.arguments[at])[1] is y


def _cleared(slopes: Value) -> tuple[Value, Value | None]:
    """Return the slopes before those were cleared where the value of a relu is 0, and that
    value."""
    if slopes.node is None or slopes.node.op.name != "relu_gradient":
        return slopes, None
    g, y = slopes.node.arguments
    return g, y
