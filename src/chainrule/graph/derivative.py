"""Gradients in loops written by hand: found once for each form, then one node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from chainrule.dtypes import is_float
from chainrule.errors import ArgumentError
from chainrule.graph.autodiff import behind, cotangents_of, ordered
from chainrule.graph.form import VAGUE, Form, describe
from chainrule.graph.function import Call, Function, expand, renewed
from chainrule.graph.identity import same
from chainrule.graph.value import Value, placeholder

Found = list[Value | None]


@dataclass(slots=True)
class _Derivative:
    """The gradients of a form as a function of its leaves and of variables.

    `places` says which of the outputs is the gradient by each source, if there is one. `of` is the
    form, held because what is known of it must not be forgotten between two turns of a loop; `form`
    that of the gradients.
    """

    of: Form
    function: Function
    places: tuple[int | None, ...]
    form: Form | None = None

    def __call__(self, of: Value, sources: tuple[Value, ...]) -> Found:
        """Return the gradients of a value of this form."""
        behind: Any = of.node
        node = self.function.node(behind.leaves)
        if self.form is None:
            self.form = describe(node)
        node.form, node.leaves, node.born = self.form, behind.leaves, behind.born
        node.origin = (of, sources)
        outputs = node.outputs
        return [None if i is None else outputs[i] for i in self.places]


def gradients(of: Value, sources: Sequence[Value], start: Value | None = None) -> Found:
    """Return d(sum of start * of)/d(x) for each source x, ``None`` where there is no path.

    Raises
    ------
    ArgumentError
        For a source that is not of floats.
    """
    sources = tuple(sources)
    if start is None and of.node is not None and describe(of.node) is not VAGUE:
        key = _key(of, sources)
        if key is not None:
            known = of.node.form.derivatives
            derivative: _Derivative | None = known.get(key)
            if derivative is None:
                _check(sources)
                derivative = known[key] = _differentiate(of, sources)
            return derivative(of, sources)
    _check(sources)
    new = _by_the_chain_rule([of], sources)
    ends = [new.get(v, v) for v in (of, *sources)]
    if any(map(_has_siblings, sources)):
        ends = expand(ends, own=False)
    return cotangents_of(ends[0], ends[1:], start)


def _has_siblings(source: Value) -> bool:
    """Return whether a call made it along with others, which may be computed from it within."""
    node = source.node
    return node is not None and isinstance(node.op, Function) and len(node.outputs) > 1


def _check(sources: Sequence[Value]) -> None:
    for source in sources:
        if not is_float(source.dtype):
            raise ArgumentError(f"a gradient is taken by floats, not by a {source.dtype}")


def _key(of: Value, sources: tuple[Value, ...]) -> tuple[object, ...] | None:
    """Return what stands for the sources; ``None`` unless they are variables and leaves."""
    numbers = {v: i for i, v in enumerate(() if of.node is None else of.node.leaves)}
    key: list[object] = [of.index]
    for source in sources:
        if source.variable is not None:
            key.append(source)
        elif source.node is None and source in numbers:
            key.append(numbers[source])
        else:
            return None
    return tuple(key)


def _differentiate(of: Value, sources: tuple[Value, ...]) -> _Derivative:
    """Return the gradients of values of this form; variables have their leaves as key."""
    node = of.node
    leaves = () if node is None else node.leaves
    inputs = [placeholder(v.shape, v.dtype, f"array {i}") for i, v in enumerate(leaves)]
    known = dict(zip(leaves, inputs, strict=True))
    graph = expand([of], known, own=False)[0]
    found = cotangents_of(graph, [known.get(s, s) for s in sources])
    present = [g for g in found if g is not None]
    variables = tuple(v for v in behind(present) if v.variable is not None)
    function = Function("gradient", inputs, present, variables)
    count = iter(range(len(present)))
    places = tuple(None if g is None else next(count) for g in found)
    return _Derivative(VAGUE if node is None else describe(node), function, places)


def _by_the_chain_rule(outputs: Sequence[Value], sources: Sequence[Value]) -> dict[Value, Value]:
    """Return what stands for values in a graph without derivatives that were found by form.

    Those are functions of leaves, and do not show what lies between.
    """
    new: dict[Value, Value] = {}
    for node in ordered([*outputs, *sources]):
        if isinstance(node, Call) and node.origin is not None:
            of, by = node.origin
            inside = _by_the_chain_rule([of], by)
            new.update(inside)
            made = cotangents_of(inside.get(of, of), [inside.get(s, s) for s in by])
            present = [g for g in made if g is not None]
            new.update(zip(node.outputs, present, strict=True))
            continue
        arguments = tuple(new.get(a, a) for a in node.arguments)
        if same(arguments, node.arguments):
            continue
        new.update(zip(node.outputs, renewed(node, arguments), strict=True))
    return new
