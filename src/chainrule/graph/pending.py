"""What loops written by hand have left to be done: values to compute before variables change, and
what layers want stored."""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence

from chainrule.dtypes import is_float
from chainrule.errors import GraphError
from chainrule.graph.autodiff import gradient, ordered
from chainrule.graph.primitive import registry
from chainrule.graph.value import Value, Variable

Assigns = list[tuple[Variable, Value]]

_kept: weakref.WeakValueDictionary[int, Value] = weakref.WeakValueDictionary()
_recorded: dict[Variable, Value] = {}


def keep(value: Value) -> None:
    """Have the value computed, if someone still holds it, before variables change that it depends
    on: it will be asked for after the step that it is the loss or the output of."""
    if value.node is not None:
        _kept[id(value)] = value


def record(assigns: Iterable[tuple[Variable, Value]]) -> None:
    """Have values stored with the next step, or as soon as anyone looks: running means, say."""
    _recorded.update(assigns)


def latest(leaf: Value) -> Value:
    """Return what a call reads of a variable: what an earlier call recorded, if it is not stored
    yet. Storing it now would cut the values of that call from how they were made."""
    value = None if leaf.variable is None else _recorded.get(leaf.variable)
    if value is None:
        return leaf
    result: Value = registry()["stop_gradient"](value)
    return result


def settle() -> None:
    """Store what was recorded."""
    if _recorded:
        assign_all(())


def assign_all(pairs: Iterable[tuple[Variable, Value]], also: Sequence[Value] = ()) -> None:
    """Store each value in its variable, as a step does: all are computed before any is stored.

    With them go what was recorded, the values `also`, and losses and outputs that are still in
    someone's hands and would come too late afterwards.
    """
    assigns = list((_recorded | dict(pairs)).items())
    _recorded.clear()
    if Value.evaluate is None:
        raise GraphError("no executor is loaded: import chainrule.executors")
    outdated = _depending({v for v, _ in assigns})
    wanted = list(dict.fromkeys([*outdated, *(v for v in also if not v.is_known)]))
    Value.evaluate(wanted, assigns)
    for value in wanted:
        value.detach()


def _depending(variables: set[Variable]) -> list[Value]:
    """Return the kept values that depend on any of these variables; they are kept no longer."""
    found = []
    for value in list(_kept.values()):
        if value.is_known or any(
            a.variable in variables for node in ordered([value]) for a in node.arguments
        ):
            del _kept[id(value)]
            if not value.is_known:
                found.append(value)
    return found


def add_gradients(of: Value) -> None:
    """Add d(of)/d(x) to ``x.grad`` of every trainable variable x that `of` depends on."""
    leaves = {a.variable: None for node in ordered([of]) for a in node.arguments}
    variables = [v for v in leaves if v is not None and v.trainable and is_float(v.dtype)]
    keep(of)
    for variable, g in zip(variables, gradient(of, variables), strict=True):
        known = variable.grad
        variable.grad = g if known is None else registry()["add"](known, g)
