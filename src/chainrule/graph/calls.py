"""Calls of layers and losses in loops written by hand: traced once, then one node each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from chainrule.graph import pending, scope
from chainrule.graph.autodiff import ordered
from chainrule.graph.function import Function
from chainrule.graph.value import Value, placeholder


class Watched:
    """Base of what is called in such loops: when any attribute of any is set, all are traced anew.

    So a layer that was frozen, or whose `call` depends on something that it counts, is not taken
    for what it was.
    """

    changes = 0

    def __setattr__(self, name: str, value: Any) -> None:
        Watched.changes += 1
        object.__setattr__(self, name, value)


class Calls:
    """What the calls of one object have been traced to, by the types of their arguments."""

    def __init__(self) -> None:
        self._known: dict[Any, _Traced] = {}
        self._changes = -1
        self.penalties: list[Value] = []  # what the last call added to the loss

    def run(self, call: Callable[..., Any], arguments: Sequence[Value], training: bool) -> Any:
        """Return what ``call(*arguments)`` returns, by one node."""
        if self._changes != Watched.changes:
            self._known.clear()
        key = (training, *(x.spec for x in arguments))
        traced = self._known.get(key)
        if traced is None:
            traced = _Traced(call, arguments, training)
            # What was set on the way belongs to this trace: it is the first of those to come.
            self._known[key], self._changes = traced, Watched.changes
        result = traced(arguments)
        self.penalties = traced.penalties
        return result


class _Traced:
    """A call as a function of its arguments, of the variables it reads, and of a random key."""

    def __init__(
        self, call: Callable[..., Any], arguments: Sequence[Value], training: bool
    ) -> None:
        inputs = [placeholder(x.shape, x.dtype, "") for x in arguments]
        key = placeholder((2,), "int64", "random key")
        with scope.tracing(key, training):
            self._form = call(*inputs)
            recorded, self.penalties = scope.recorded(), scope.penalties()
        self._recorded = [variable for variable, _ in recorded]
        self._returned = len(list(_values(self._form)))
        outputs = [*_values(self._form), *self.penalties, *(value for _, value in recorded)]
        leaves = {a: None for node in ordered(outputs) for a in node.arguments}
        leaves |= dict.fromkeys(outputs)
        self._fixed = [a for a in leaves if a.variable is not None]
        self._draws = key in leaves
        ends = [*inputs, *self._fixed, *([key] if self._draws else [])]
        self._function = Function(getattr(call, "__name__", "call"), ends, outputs)

    def __call__(self, arguments: Sequence[Value]) -> Any:
        key = [scope.random_key()] if self._draws else []
        fixed = map(pending.latest, self._fixed)
        outputs = self._function((*arguments, *fixed, *key))
        if self._recorded:
            first = len(outputs) - len(self._recorded)
            pending.record(zip(self._recorded, outputs[first:], strict=True))
            outputs = outputs[:first]
        for y in outputs:
            pending.keep(y)
        self.penalties = list(outputs[self._returned :])
        return _like(self._form, iter(outputs))


def at_hand(*values: Value) -> bool:
    """Return whether a call with these stands in a loop written by hand: nothing is being traced,
    and they are arrays or came of such calls."""
    return scope.idle() and all(
        v.constant is not None or (v.node is not None and isinstance(v.node.op, Function))
        for v in values
    )


def _values(form: Any) -> Iterator[Value]:
    if isinstance(form, Value):
        yield form
    elif isinstance(form, Mapping):
        for part in form.values():
            yield from _values(part)
    else:
        for part in form:
            yield from _values(part)


def _like(form: Any, found: Iterator[Value]) -> Any:
    """Return the values in the places of the form."""
    if isinstance(form, Value):
        return next(found)
    if isinstance(form, Mapping):
        return {key: _like(part, found) for key, part in form.items()}
    return type(form)([_like(part, found) for part in form])
