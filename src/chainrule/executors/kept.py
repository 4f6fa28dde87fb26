"""Values evaluated outside of a loaded step; programs are kept by the form of the graph.

A loop written by hand makes the same graph in every turn, around other arrays. The arrays are fed
to the program that was built for the first.
"""

from __future__ import annotations

import atexit
import itertools
import sys
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import DataError, GraphError
from chainrule.executors import native
from chainrule.executors.program import Fault
from chainrule.graph import Node, Spec, Value, Variable, expand, ordered, placeholder, scope
from chainrule.graph.form import VAGUE, Form, tokens_of, up_to_date
from chainrule.graph.value import Clock
from chainrule.ops.gather import NO_ROW
from chainrule.plan import make_plan

Assigns = Sequence[tuple[Variable, Value]]
Key = tuple[Any, ...]
Programs = dict[Key, "_Kept"]

_SCALAR = Spec((), "float32")
_MOST = 64  # programs of a variable; the one that was not used for longest goes first
_programs: Programs = {}  # those without variables
_uses = itertools.count()
atexit.register(_programs.clear)  # the compiled module is taken down before other modules' dicts


class _Kept:
    """A loaded program, and the placeholders that stand for the arrays of the graph."""

    def __init__(self, outputs: Sequence[Value], assigns: Assigns, feeds: Sequence[Value]) -> None:
        ends = [placeholder(v.shape, v.dtype, f"array {i}") for i, v in enumerate(feeds)]
        known = dict(zip(feeds, ends, strict=True))
        expanded = expand([*outputs, *(v for _, v in assigns)], known)
        count = len(outputs)
        variables = [variable for variable, _ in assigns]
        pairs = list(zip(variables, expanded[count:], strict=True))
        self.program = native.load(make_plan(expanded[:count], pairs))
        self.lock = threading.Lock()
        self.used = next(_uses)
        self.slots = [self.program.slot(value) for value in ends]
        self.arrays = [self.program.output(i) for i in range(len(self.program.plan.outputs))]
        # Where this and the program alone hold an output.
        self.unshared = min([sys.getrefcount(array) for array in self.arrays], default=0)

    def run(self, arrays: Sequence[Array]) -> list[Array]:
        """Return the outputs for these arrays."""
        with self.lock:
            return self._run(arrays)

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        program, mine = self.program, self.arrays
        for slot, array in zip(self.slots, arrays, strict=True):
            if slot is not None:
                program.feed(slot, array)
        # Written again where nobody holds it: new memory costs as much as a small step.
        for i in range(len(mine)):
            if sys.getrefcount(mine[i]) >= self.unshared:
                mine[i] = np.empty_like(mine[i])
                program.bind_output(i, mine[i])
        try:
            program.run()
        except Fault as fault:
            if fault.code != NO_ROW:
                raise
            raise DataError(
                f"an index that is looked up is out of range, in row {fault.row} of what is looked "
                "up\n  fix: an Embedding, or take, finds numbers from 0 to one less than its rows"
            ) from None
        return [*mine]


def evaluate(values: Sequence[Value], assigns: Assigns = (), step: Any = None) -> list[Array]:
    """Return the elements of the values; then store others in their variables: each of `assigns`,
    and the outputs of the call of a `Step`, whose arguments are computed like the values.

    Raises
    ------
    GraphError
        For a value that depends on a variable which has changed since the value was made.
    """
    again = None
    if step is not None and not assigns:
        again = _again(values, step)
        if again is not None and again in step.op.programs:
            return _repeat(again, values, step)
    key, feeds = _form(values, assigns, step)
    called = step
    if step is not None:
        values = [*values, *_unknown(step.arguments, values)]
        key = None if key is None else (len(values), *key)
    if key is None:
        assigns, step = _with_step(assigns, step), None
        key, feeds = _fingerprint(values, assigns)
    program = _found(key)
    if program is None:
        program = _Kept(values, _with_step(assigns, step), feeds)
        _programs_for(key)[key] = program
    if again is not None:
        numbers = {leaf: i for i, leaf in enumerate(called.arguments[0].node.leaves)}
        if len(called.op.programs) >= _MOST:
            called.op.programs.clear()
        called.op.programs[again] = program, [numbers[v] for v in feeds]
    arrays = program.run([_elements(v) for v in feeds])
    for value, array in zip(values, arrays, strict=True):
        value._result = array
    return arrays


def _again(values: Sequence[Value], step: Node) -> Key | None:
    """Return a shorter key of the program of a step, for the usual loop: all gradients come of one
    node, and all is made of the arrays behind it, by the variables as they are now."""
    first = step.arguments[0].node if step.arguments else None
    if first is None or first.form is None or first.form is VAGUE or first.born != Clock.now:
        return None
    for i, g in enumerate(step.arguments):
        if g.node is not first or g.index != i or g._result is not None:
            return None
    key: list[Any] = [first.form]
    for v in values:
        node = v.node
        if node is None or node.form is VAGUE or node.form is first.form or node.born != Clock.now:
            return None
        key += (node.form, v.index)
        if node.leaves is not first.leaves:
            numbers = {leaf: i for i, leaf in enumerate(first.leaves)}
            if any(leaf not in numbers for leaf in node.leaves):
                return None
            key.append(tuple([numbers[leaf] for leaf in node.leaves]))
    return tuple(key)


def _repeat(again: Key, values: Sequence[Value], step: Any) -> list[Array]:
    """Run the program with this key, which `evaluate` has run before."""
    program, order = step.op.programs[again]
    program.used = next(_uses)
    leaves = step.arguments[0].node.leaves
    arrays: list[Array] = program.run([_elements(leaves[i]) for i in order])
    for value, array in zip((*values, *step.arguments), arrays, strict=True):
        value._result = array
    return arrays


def _unknown(gradients: Sequence[Value], values: Sequence[Value]) -> list[Value]:
    known = set(values)
    found = dict.fromkeys(g for g in gradients if g._result is None and g.constant is None)
    return [g for g in found if g not in known]


def _with_step(assigns: Assigns, step: Node | None) -> Assigns:
    if step is None:
        return assigns
    called: Any = step.op
    return [*assigns, *zip(called.assigned, step.outputs, strict=True)]


def _found(key: Key) -> _Kept | None:
    """Return the program with this key, if there is one; it is now the last one used."""
    programs = _programs_for(key)
    program = programs.get(key)
    if program is not None:
        program.used = next(_uses)
    elif len(programs) >= _MOST:
        del programs[min(programs, key=lambda k: programs[k].used)]
    return program


def _programs_for(key: Key) -> Programs:
    """Return the programs among which one with this key is: those of a variable that it reads or
    writes, so that they are freed together, or those of none."""
    for part in key:
        if isinstance(part, Variable):
            return _programs_of(part)
        if type(part) is tuple and part and type(part[0]) is Form and part[0].variables:
            return _programs_of(next(iter(part[0].variables)))
    return _programs


def _programs_of(variable: Variable) -> Programs:
    if variable.programs is None:
        variable.programs = {}
    programs: Programs = variable.programs
    return programs


def _form(
    values: Sequence[Value], assigns: Assigns, step: Node | None
) -> tuple[Key | None, Sequence[Value]]:
    """Return the key of a program by the forms of what it computes, and the arrays it is fed.

    There is none where the graph is not described, or where a part of it is too old, or known.
    """
    targets = [*values, *(v for _, v in assigns)]
    if step is not None:
        targets.append(Value(_SCALAR, step))
    tokens, leaves = tokens_of(targets)
    if tokens is None:
        return None, ()
    last = None
    for v in targets:
        if v.node is not None and v.node is not last:
            last = v.node
            if not up_to_date(last):
                return None, ()
    return (len(values), *tokens, *(v for v, _ in assigns)), leaves


def _elements(value: Value) -> Array:
    array = value.constant if value._result is None else value._result
    if array is None:
        raise _not_yet(value)
    return array


def _not_yet(leaf: Value) -> GraphError:
    place = "".join(f"in {label}: " for label in scope.path()[-1:])
    return GraphError(
        f"{place}the elements of a value are asked for while its step "
        f"is traced, and it depends on {leaf.name!r}, which is fed when the step runs.\n"
        "  a step is traced once, for all batches: `if`, `while`, float(), int(), numpy() and "
        "NumPy's functions find no elements in it\n"
        "  fix: choose by ops.where(condition, a, b), and compute by ops: ops.mean for np.mean"
    )


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
    return (*parts, *ends, *(v for v, _ in assigns)), feeds


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
