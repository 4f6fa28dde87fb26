"""Values evaluated outside of a loaded step; programs are kept by the fingerprint of the graph.

A loop written by hand makes the same graph in every turn, around other arrays. The arrays are fed
to the program that was built for the first.
"""

from __future__ import annotations

import atexit
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import GraphError
from chainrule.executors import native
from chainrule.graph import Value, Variable, expand, ordered, placeholder
from chainrule.plan import make_plan

Assigns = Sequence[tuple[Variable, Value]]
Key = tuple[Any, ...]

_MOST = 64  # programs; the one that was not used for longest goes first
_programs: OrderedDict[Key, _Kept] = OrderedDict()
atexit.register(_programs.clear)  # the compiled module is taken down before other modules' dicts


class _Kept:
    """A loaded program, and the placeholders that stand for the arrays of the graph."""

    def __init__(self, outputs: Sequence[Value], assigns: Assigns, feeds: Sequence[Value]) -> None:
        self.feeds = [placeholder(v.shape, v.dtype, f"array {i}") for i, v in enumerate(feeds)]
        known = dict(zip(feeds, self.feeds, strict=True))
        expanded = expand([*outputs, *(v for _, v in assigns)], known)
        count = len(outputs)
        variables = [variable for variable, _ in assigns]
        pairs = list(zip(variables, expanded[count:], strict=True))
        self.program = native.load(make_plan(expanded[:count], pairs))
        self.lock = threading.Lock()
        references = [sys.getrefcount(self.program.output(i)) for i in range(count)]
        self.unshared = min(references, default=0)  # where the program alone holds an output

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs for these arrays."""
        with self.lock:
            return self._run(arrays)

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        program = self.program
        for value, array in zip(self.feeds, arrays, strict=True):
            program.bind(value, array)
        for i, value in enumerate(program.plan.outputs):
            # Written again where nobody holds it: new memory costs as much as a small step.
            if sys.getrefcount(program.output(i)) > self.unshared:
                program.bind_output(i, np.empty(value.shape, value.dtype))
        program.run()
        return [program.output(i) for i in range(len(program.plan.outputs))]


def evaluate(values: Sequence[Value], assigns: Assigns = ()) -> list[Array]:
    """Return the elements of the values; then store the others in their variables.

    Raises
    ------
    GraphError
        For a value that depends on a variable which has changed since the value was made.
    """
    values = list(values)
    key, feeds = _fingerprint(values, assigns)
    program = _programs.get(key)
    if program is None:
        program = _programs[key] = _Kept(values, assigns, feeds)
        while len(_programs) > _MOST:
            _programs.popitem(last=False)
    else:
        _programs.move_to_end(key)
    arrays = program.run([_elements(v) for v in feeds])
    for value, array in zip(values, arrays, strict=True):
        value._result = array
    return arrays


def _elements(value: Value) -> Array:
    array = value.constant if value._result is None else value._result
    if array is None:
        raise GraphError(f"placeholder {value.name!r} is not bound")
    return array


def _fingerprint(values: Sequence[Value], assigns: Assigns) -> tuple[Key, list[Value]]:
    """Return what is equal for graphs that differ in their arrays alone, and the values that stand
    for those arrays."""
    targets = [*values, *(v for _, v in assigns)]
    numbers: dict[Value, int] = {}
    feeds: list[Value] = []
    parts: list[Any] = []
    for node in ordered(targets, _KNOWN):
        arguments = []
        for a in node.arguments:
            if a.variable is not None and a.variable.changed_at > node.made_at:
                raise _too_late(a.variable)
            if a not in numbers:
                numbers[a] = len(numbers)
                parts.append(_leaf(a, feeds))
            arguments.append(numbers[a])
        for y in node.outputs:
            numbers[y] = len(numbers)
        parts.append((node.op, tuple(arguments), *node.attributes.items()))
    for v in targets:
        if v not in numbers:
            numbers[v] = len(numbers)
            parts.append(_leaf(v, feeds))
    ends = [numbers[v] for v in targets]
    return (*parts, *ends, *(id(v) for v, _ in assigns)), feeds


def _too_late(variable: Variable) -> GraphError:
    return GraphError(
        f"a value depends on variable {variable.name!r}, which has changed since.\n"
        "  fix: ask for it (float(value), value.numpy()) before the weights are moved"
    )


class _Known:
    """Contains the values whose elements are there: what lies behind them is not computed again."""

    def __contains__(self, value: object) -> bool:
        return isinstance(value, Value) and value._result is not None


_KNOWN = _Known()


def _leaf(value: Value, feeds: list[Value]) -> Any:
    if value.variable is not None:
        return value.variable
    # Single numbers are part of the program, where they can be folded.
    if value.constant is not None and not value.shape:
        return (value.dtype, value.constant.tobytes())
    feeds.append(value)
    return value.spec
