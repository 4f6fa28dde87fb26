"""Primitives: the operations a step is made of, each with its meaning, type rule and derivative."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import GraphError
from chainrule.graph.signature import Signature, Spec, bind, outputs_of, parse
from chainrule.graph.value import Node, Value

Rule = Callable[..., Any]

_registry: dict[str, Primitive] = {}


def registry() -> dict[str, Primitive]:
    """Return every primitive by name."""
    return _registry


class Primitive:
    """An operation: calling it on arrays runs its body, calling it on values makes a node.

    Facts about the operation stand with it: `elementwise` (same shapes throughout, every element on
    its own), `in_place` (an output may be written over its argument), `alias` (the output is the
    argument under another shape), `cost` (vectorised passes an element), `flops` (a rule like a
    shape rule: arithmetic operations of a contraction), `unit` (rows that the kernel likes to be
    given together), `columns` (loops run over the last axis of the output, which are the rows of
    its tiled arguments), `reduces` (reads far more than it writes),
    `checks` (looks at values and may stop the run).
    """

    def __init__(self, body: Rule, signature: str, *, fused: bool = False, **facts: Any) -> None:
        self.name = body.__name__
        self.body = body
        self.fused = fused
        self.signature: Signature = parse(signature)
        self.elementwise = bool(facts.pop("elementwise", False))
        self.in_place = bool(facts.pop("in_place", self.elementwise))
        self.alias = bool(facts.pop("alias", False))
        self.cost: float = float(facts.pop("cost", 1.0))
        self.flops: Rule | None = facts.pop("flops", None)
        self.unit = int(facts.pop("unit", 1))
        self.columns = bool(facts.pop("columns", False))
        self.reduces = bool(facts.pop("reduces", False))
        self.checks = bool(facts.pop("checks", False))
        if facts:
            raise GraphError(f"unknown facts about {self.name}: {sorted(facts)}")
        self._vjp: Rule | None = None
        self._shape: Rule | None = None
        self._tiling: Rule | None = None
        parameters = inspect.signature(body).parameters.values()
        self.argument_names = [p.name for p in parameters if p.kind == p.POSITIONAL_OR_KEYWORD]
        self.defaults = {
            p.name: p.default
            for p in parameters
            if p.kind == p.KEYWORD_ONLY and p.default is not inspect.Parameter.empty
        }
        self.__doc__ = body.__doc__
        self.__name__ = self.name
        self.__module__ = body.__module__

    def vjp(self, rule: Rule) -> Rule:
        """Register the rule ``(g, y, *arguments, **attributes) -> one cotangent an argument``."""
        self._vjp = rule
        return rule

    def shape_rule(self, rule: Rule) -> Rule:
        """Register the rule ``(*specs, **attributes) -> Spec`` where attributes decide the type."""
        self._shape = rule
        return rule

    def tiling(self, rule: Rule) -> Rule:
        """Register the rule ``(specs, outputs, **attributes) -> tuple of bool``: which arguments
        advance with the output's rows."""
        self._tiling = rule
        return rule

    def __call__(self, *arguments: Any, **attributes: Any) -> Any:
        if arguments and not any(isinstance(a, Value) for a in arguments):
            return self.body(*arguments, **attributes)
        if not arguments and self.argument_names == [] and not self.signature.variadic:
            return self.apply((), attributes)
        return self.apply(arguments, attributes)

    def apply(self, arguments: Sequence[Any], attributes: dict[str, Any]) -> Any:
        """Return the output, or the tuple of outputs, of a new node."""
        values = tuple(_leaf(a) for a in arguments)
        attributes = {**self.defaults, **attributes}
        specs = self.infer([v.spec for v in values], attributes)
        outputs = Node(self, values, attributes, specs).outputs
        return outputs[0] if len(specs) == 1 else outputs

    def names_of(self, count: int) -> list[str]:
        """Return the argument names, numbered where the operation takes any number."""
        if self.signature.variadic:
            return [f"x{i}" for i in range(count)]
        return self.argument_names

    def infer(self, specs: Sequence[Spec], attributes: dict[str, Any]) -> tuple[Spec, ...]:
        """Return the types of the outputs; raises where the arguments do not fit."""
        sizes = bind(self.signature, self.name, self.names_of(len(specs)), specs)
        if self._shape is not None:
            result = self._shape(*specs, **attributes)
            return result if isinstance(result, tuple) else (result,)
        return outputs_of(self.signature, sizes, specs)

    def tiled(
        self, specs: Sequence[Spec], outputs: Sequence[Spec], attributes: dict[str, Any]
    ) -> tuple[bool, ...]:
        """Return for each argument whether a tile of output rows needs only those rows of it."""
        if self.elementwise:
            return (True,) * len(specs)
        if self._tiling is not None:
            return tuple(self._tiling(specs, outputs, **attributes))
        return tuple(
            self.signature.shared_first_axis(i) and _leading(s) == _leading(outputs[0])
            for i, s in enumerate(specs)
        )

    def cotangents(self, g: Any, node: Node) -> Sequence[Value | None]:
        """Return the cotangent of each argument of the node, given those of its outputs."""
        outputs = node.outputs
        if self._vjp is None:
            raise GraphError(f"the operation {self.name!r} has no derivative")
        y = outputs[0] if len(outputs) == 1 else outputs
        result = self._vjp(g, y, *node.arguments, **node.attributes)
        result = result if isinstance(result, tuple | list) else (result,)
        if len(result) != len(node.arguments):
            raise GraphError(f"the derivative of {self.name!r} gave {len(result)} cotangents")
        return result

    @property
    def has_derivative(self) -> bool:
        """Whether the operation has a rule of its own."""
        return self._vjp is not None

    def decompose(self, *values: Value, **attributes: Any) -> Any:
        """Return the outputs built from the primitives the fused operation stands for."""
        if not self.fused:
            raise GraphError(f"{self.name!r} is not a fused operation")
        return self.body(*values, **attributes)

    def __repr__(self) -> str:
        return f"<primitive {self.name}>"


def _leading(spec: Spec) -> int:
    return spec.shape[0] if spec.shape else 1


def _leaf(argument: Any) -> Value:
    if isinstance(argument, Value):
        return argument
    if isinstance(argument, np.ndarray | np.generic):
        return Value(Spec(argument.shape, argument.dtype.name), constant=np.asarray(argument))
    raise GraphError(f"a primitive takes values and arrays, not {type(argument).__name__}")


def primitive(signature: str, **facts: Any) -> Callable[[Rule], Primitive]:
    """Make a function in NumPy an operation; its body is the operation's meaning.

    Parameters
    ----------
    signature : str
        One group of axis letters an argument, ``->``, one an output: ``"n k, k m -> n m"``. Equal
        letters are equal sizes; ``*s`` is any number of axes; ``()`` a scalar; the suffixes
        ``:int :bool :float :any`` ask for a dtype, terms without one share theirs; ``?`` as the
        output leaves it to a `shape_rule`, ``...`` as the argument takes any number.
    **facts
        See `Primitive`.
    """

    def register(body: Rule) -> Primitive:
        op = Primitive(body, signature, **facts)
        if op.name in _registry:
            raise GraphError(f"two operations are called {op.name!r}")
        _registry[op.name] = op
        return op

    return register


def fused(signature: str, **facts: Any) -> Callable[[Rule], Primitive]:
    """Like `primitive`, for a body written in primitives: meaning and decomposition in one."""
    return primitive(signature, fused=True, **facts)


def run_body(op: Primitive, arrays: Sequence[Array], attributes: dict[str, Any]) -> list[Array]:
    """Return the outputs of the body on arrays, as the reference executor does."""
    with np.errstate(all="ignore"):  # infinities and NaN are values like others
        result = op.body(*arrays, **attributes)
    return [np.asarray(r) for r in (result if isinstance(result, tuple) else (result,))]
