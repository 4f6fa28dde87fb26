"""What loops written by hand have left to be done: values to compute before variables change, and
what layers want stored."""

from __future__ import annotations

import threading
import weakref
from collections.abc import Iterable, Sequence, Set
from typing import Any

from chainrule.dtypes import Array, is_float
from chainrule.errors import GraphError
from chainrule.graph.autodiff import behind
from chainrule.graph.derivative import gradients
from chainrule.graph.form import VAGUE, describe
from chainrule.graph.function import Function
from chainrule.graph.primitive import registry
from chainrule.graph.value import Value, Variable

Assigns = Sequence[tuple[Variable, Value]]


class _Kept(threading.local):
    """The values that are kept, by the thread whose step they may not come after."""

    def __init__(self) -> None:
        self.values: list[weakref.ref[Value]] = []


_kept = _Kept()
_recorded: dict[Variable, Value] = {}
_MANY = 256  # kept values; then those that no one holds any more are let go


def keep(value: Value) -> None:
    """Have the value computed, if someone still holds it, before variables change that it depends
    on: it will be asked for after the step that it is the loss or the output of."""
    if value.node is not None:
        kept = _kept.values
        kept.append(weakref.ref(value))
        if len(kept) > _MANY and len(kept) & len(kept) - 1 == 0:
            _kept.values = [reference for reference in kept if reference() is not None]


def record(assigns: Iterable[tuple[Variable, Value]]) -> None:
    """Have values stored with the next step, or as soon as anyone looks: running means, say."""
    _recorded.update(assigns)


def latest(leaves: Sequence[Value]) -> Sequence[Value] | None:
    """Return what a call reads of variables: what an earlier call recorded, if it is not stored
    yet. Storing it now would cut the values of that call from how they were made. ``None`` where
    each is as it is."""
    if not _recorded or not any(leaf.variable in _recorded for leaf in leaves):
        return None
    stop = registry()["stop_gradient"]
    return [
        stop(_recorded[leaf.variable]) if leaf.variable in _recorded else leaf for leaf in leaves
    ]


def unsettled() -> list[Value]:
    """Return what was recorded and is not computed yet: computed with the next value that is looked
    at, so that a loop which only looks does not begin from its first call every time."""
    return [value for value in _recorded.values() if not value.is_known]


def look(value: Value) -> Array:
    """Return the elements of a value, and compute what is to be stored along with it."""
    if Value.evaluate is None:
        raise GraphError("no executor is loaded: import chainrule.executors")
    others = [v for v in unsettled() if v is not value]
    result, *more = Value.evaluate([value, *others], ())
    for other, found in zip(others, more, strict=True):
        other._result = found
    return result


def settle() -> None:
    """Store what was recorded."""
    if _recorded:
        assign_all(())


def assign_all(pairs: Iterable[tuple[Variable, Value]]) -> None:
    """Store each value in its variable: all are computed before any is stored.

    With them goes what was recorded, and losses and outputs that are still in someone's hands and
    would come too late afterwards.
    """
    _assign(dict(pairs))


class Step(Function):
    """A function whose outputs are stored in variables, whenever it is called by `take_step`."""

    def __init__(self, inputs: Sequence[Value], assigns: Assigns) -> None:
        super().__init__("step", inputs, [value for _, value in assigns])
        self.assigned = [variable for variable, _ in assigns]
        self.changing = frozenset(self.assigned)
        self.programs: dict[Any, Any] = {}  # by the forms of gradients and of what goes with them


def take_step(step: Step, gradients: Sequence[Value]) -> None:
    """Store what a step makes of the gradients, and all else as `assign_all`.

    The gradients are computed too, for those who look at them later.
    """
    _assign({}, step, gradients)


def _assign(
    pairs: dict[Variable, Value], step: Step | None = None, gradients: Sequence[Value] = ()
) -> None:
    if Value.evaluate is None:
        raise GraphError("no executor is loaded: import chainrule.executors")
    assigns = list((_recorded | pairs).items()) if _recorded else list(pairs.items())
    _recorded.clear()
    changing: Set[Variable] = frozenset([v for v, _ in assigns])
    if step is not None:
        changing = changing | step.changing if changing else step.changing
    wanted = _depending(changing)
    wanted.reverse()  # the last depend on the arrays that those before depend on
    node = None if step is None else step.node(gradients)
    Value.evaluate(wanted, assigns, node)
    for value in (*wanted, *gradients):
        if value._result is not None:
            # How it was made is forgotten: its graph and the arrays in it are free, where otherwise
            # node and outputs hold each other until they are collected.
            value.node = None


def _depending(variables: Set[Variable]) -> list[Value]:
    """Return the kept values that depend on any of these variables; they are kept no longer."""
    found: dict[Value, None] = {}
    others = []
    for reference in _kept.values:
        value = reference()
        if value is None or value.is_known or value in found:
            continue
        if variables.isdisjoint(variables_of(value)):
            others.append(reference)
        else:
            found[value] = None
    _kept.values = others
    return list(found)


def variables_of(value: Value) -> Iterable[Variable]:
    """Return the variables that a value is computed from, in the order they are met."""
    if value.node is None:
        return () if value.variable is None else (value.variable,)
    form = describe(value.node)
    if form is not VAGUE:
        return form.variables
    return [a.variable for a in behind([value]) if a.variable is not None]


def add_gradients(of: Value) -> None:
    """Add d(of)/d(x) to ``x.grad`` of every trainable variable x that `of` depends on."""
    variables = [v for v in variables_of(of) if v.trainable and is_float(v.dtype)]
    keep(of)
    for variable, g in zip(variables, gradients(of, [v.leaf for v in variables]), strict=True):
        known = variable.grad
        if g is None:
            g = registry()["fill"].apply(
                (), {"shape": variable.shape, "value": 0.0, "dtype": variable.dtype}
            )
        variable.grad = g if known is None else registry()["add"](known, g)
