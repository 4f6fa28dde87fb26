"""Graphs in float64: what a step computes, with rounding a billion times smaller."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.executors import native
from chainrule.graph import Node, Value, constant, expand, ordered, placeholder, registry
from chainrule.plan import make_plan


class Wide:
    """``values(arrays)`` in float64, arrays standing for some values of the graph.

    Random numbers are those that training would draw, with its 24 bits: what they decide stays as
    it is. Variables that are not fed have the elements they had when this was made.

    Parameters
    ----------
    values : sequence of Value
        What is computed.
    free : sequence of Value
        What is fed at each run: weights, or values anywhere in the graph, of any dtype.
    fixed : mapping of Value to array, optional
        What is fed once.
    """

    def __init__(
        self,
        values: Sequence[Value],
        free: Sequence[Value],
        fixed: Mapping[Value, Array] | None = None,
    ) -> None:
        fixed = fixed or {}
        ends = {v: placeholder(v.shape, _kind(v.dtype), v.name) for v in (*free, *fixed)}
        graph = expand(values, {v: v for v in ends})
        self.free = [ends[v] for v in free]
        self._program = native.load(make_plan(widened(graph, ends)))
        self._held = {ends[v]: stored(array, ends[v].dtype) for v, array in fixed.items()}
        for end, array in self._held.items():
            self._program.bind(end, array)
        self._count = len(values)

    def __call__(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the values for these arrays, in the order of `free`; they are written again by
        the next call."""
        fed = [stored(a, end.dtype) for a, end in zip(arrays, self.free, strict=True)]
        for end, array in zip(self.free, fed, strict=True):
            self._program.bind(end, array)
        self._program.run()
        return [self._program.output(i) for i in range(self._count)]


def stored(array: Any, dtype: str) -> Array:
    """Return an array as the engine reads it."""
    return np.ascontiguousarray(array, dtype).reshape(np.shape(array))


def widened(values: Sequence[Value], known: Mapping[Value, Value]) -> list[Value]:
    """Return the values computed in float64; `known` says what stands for some of them."""
    new = dict(known)
    for node in ordered(values, new):
        arguments = [_leaf(a, new) for a in node.arguments]
        made = _made(node, arguments)
        for old, value in zip(node.outputs, made, strict=True):
            new[old] = _cast(value)
    return [_leaf(v, new) for v in values]


def _made(node: Node, arguments: Sequence[Value]) -> tuple[Value, ...]:
    """Return the outputs of a node like this one for wider arguments."""
    attributes = dict(node.attributes)
    if not node.op.name.startswith("random_"):  # 53 bits would be other numbers
        attributes = {k: _kind(v) if isinstance(v, str) else v for k, v in attributes.items()}
    result = node.op.apply(arguments, attributes)
    made: tuple[Value, ...] = result if isinstance(result, tuple) else (result,)
    for value in made:
        if value.node is not None:
            value.node.path = node.path
    return made


def _leaf(value: Value, new: dict[Value, Value]) -> Value:
    """Return what stands for a value; leaves are met here for the first time."""
    if value not in new:
        held = value.constant if value.variable is None else value.variable.value
        if value.node is not None or held is None:
            return value  # a placeholder, which the plan will name
        new[value] = constant(np.array(held, _kind(value.dtype)))
    return new[value]


def _cast(value: Value) -> Value:
    if value.dtype != "float32":
        return value
    made: Value = registry()["cast"].apply((value,), {"dtype": "float64"})
    return made


def _kind(dtype: str) -> str:
    return "float64" if dtype == "float32" else dtype
