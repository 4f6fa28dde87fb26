"""Functions: a graph used as one operation, so that a loop in Python makes few nodes a step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from chainrule.dtypes import is_float
from chainrule.graph import trail
from chainrule.graph.autodiff import gradient, ordered
from chainrule.graph.identity import same
from chainrule.graph.primitive import registry
from chainrule.graph.scope import path
from chainrule.graph.value import Clock, Node, Value, placeholder

_NONE: Mapping[str, Any] = {}


class Call(Node):
    """The node of a function."""

    __slots__ = ("origin", "own")

    def __init__(self, op: Function, arguments: tuple[Value, ...], own: int | None) -> None:
        self.op = op  # type: ignore[assignment]
        self.arguments = arguments
        self.attributes = _NONE
        self.specs = op.specs
        self.path = path()
        self.made_at = Clock.now
        self.form, self.leaves, self.born = None, (), 0
        self.__post_init__()
        # Where the arguments after so many are the function's own variables: their number.
        self.own = own
        # Of a derivative: the value it was taken of, and by which values.
        self.origin: tuple[Value, tuple[Value, ...]] | None = None


class Function:
    """A graph with named ends: calling it makes one node, and so does its derivative.

    `inputs` are placeholders of the graph, and `variables` those of its leaves that are variables
    and may be differentiated by; `outputs` are what it returns. Executors never see a function:
    `expand` puts its graph in its place.
    """

    fused = False
    alias = False
    checks = False
    has_derivative = True
    has_own_rule = False  # whether its derivative is not that of its graph

    def __init__(
        self,
        name: str,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        variables: Sequence[Value] = (),
    ) -> None:
        self.name = name
        self.inputs = (*inputs, *variables)
        self.variables = tuple(variables)
        self.outputs = tuple(outputs)
        self.specs = [y.spec for y in self.outputs]
        self.forms: Any = None  # kept by `graph.form`
        self._derivatives: dict[tuple[int, ...], Function] = {}

    def __call__(
        self, arguments: Sequence[Value], variables: Sequence[Value] | None = None
    ) -> tuple[Value, ...]:
        """Return the outputs for these arguments, of the types of the inputs; `variables` stand for
        its own."""
        return self.node(arguments, variables).outputs

    def node(self, arguments: Sequence[Value], variables: Sequence[Value] | None = None) -> Call:
        """Return the node of a call, which makes its outputs where they are asked for."""
        given = (*arguments, *(self.variables if variables is None else variables))
        return Call(self, given, len(arguments) if variables is None else None)

    def apply(self, arguments: Sequence[Value], attributes: Any) -> tuple[Value, ...]:
        """Return the outputs of a node whose arguments end with the variables, as primitives do."""
        return self(arguments, ())

    def cotangents(self, g: Any, node: Node) -> list[Value | None]:
        """Return the cotangent of each argument of the node, given those of its outputs."""
        gs = g if isinstance(g, tuple) else (g,)
        present = tuple(i for i, one in enumerate(gs) if one is not None)
        derivative = self._derivatives.get(present)
        if derivative is None:
            derivative = self._derivatives[present] = self._derivative(present)
        found = iter(derivative((*node.arguments, *(gs[i] for i in present)), ()))
        return [next(found) if is_float(x.dtype) else None for x in self.inputs]

    def _derivative(self, present: tuple[int, ...]) -> Function:
        """Return the function of inputs and cotangents that gives the cotangents of the inputs."""
        wrt = [x for x in self.inputs if is_float(x.dtype)]
        given: list[Value] = []
        total: list[Value] = []
        for i in present:
            y = self.outputs[i]
            given.append(placeholder(y.shape, y.dtype, "cotangent"))
            parts = gradient(y, wrt, given[-1])
            add = registry()["add"]
            total = [add(a, b) for a, b in zip(total, parts, strict=True)] if total else parts
        return Function(f"gradient of {self.name}", (*self.inputs, *given), total)

    def __repr__(self) -> str:
        return f"<function {self.name}>"


def renewed(node: Node, arguments: Sequence[Value]) -> tuple[Value, ...]:
    """Return the outputs of a node like this one, at the same place, for other arguments."""
    result = node.op.apply(arguments, dict(node.attributes))
    made = result if isinstance(result, tuple) else (result,)
    if made and made[0].node is not None:
        made[0].node.path = node.path
    return made


def expand(
    outputs: Sequence[Value], known: Mapping[Value, Value] | None = None, own: bool = True
) -> list[Value]:
    """Return the outputs with the graph of each function in its place.

    `known` says what stands for some values; what lies behind those is left out. Without `own`
    functions with a derivative of their own stay, for those who differentiate the graph.
    """
    new = dict(known or {})
    for node in ordered(outputs, new):
        arguments = tuple(new.get(a, a) for a in node.arguments)
        if isinstance(node.op, Function) and (own or not node.op.has_own_rule):
            inside = dict(zip(node.op.inputs, arguments, strict=True))
            new.update(zip(node.outputs, expand(node.op.outputs, inside, own), strict=True))
        elif not same(arguments, node.arguments):
            new.update(zip(node.outputs, renewed(node, arguments), strict=True))
    trail.follow(new)
    return [new.get(y, y) for y in outputs]
