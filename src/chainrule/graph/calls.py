"""Calls of layers and losses in loops written by hand: traced once, then one node each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.graph import pending, scope
from chainrule.graph.autodiff import behind
from chainrule.graph.form import Form, describe
from chainrule.graph.function import Function
from chainrule.graph.value import Changes, Value, constant, placeholder

# What runs set in a model to tell about themselves.
_SAID = frozenset({"history", "stop_training"})


class Watched:
    """Base of what is called in such loops: when any attribute of any is set, all are traced anew.

    So a layer that was frozen, or whose `call` depends on something that it counts, is not taken
    for what it was.
    """

    def __setattr__(self, name: str, value: Any) -> None:
        if name not in _SAID:
            Changes.count += 1
        object.__setattr__(self, name, value)


class Calls:
    """What the calls of one object have been traced to, by the types of their arguments."""

    def __init__(self) -> None:
        self._known: dict[Any, _Traced] = {}
        # The same by what was given: arrays, and `training` as it was said.
        self._given: dict[Any, tuple[_Traced, str]] = {}
        self._changes = -1
        self.penalties: list[Value] = []  # what the last call added to the loss

    def again(self, array: Any, training: bool | None) -> Any:
        """Return what a call with such an array returns; ``None`` if there was none before."""
        if self._changes != Changes.count or type(array) is not np.ndarray or not scope.idle():
            return None
        known = self._given.get((training, array.shape, array.dtype))
        if known is None:
            return None
        traced, dtype = known
        result = traced((constant(array, dtype),))
        self.penalties = traced.penalties
        return result

    def run(
        self,
        call: Callable[..., Any],
        arguments: Sequence[Value],
        training: bool,
        given: tuple[Any, bool | None] = (None, None),
    ) -> Any:
        """Return what ``call(*arguments)`` returns, by one node; `again` finds it by what was
        given: an array, and `training`."""
        if self._changes != Changes.count:
            self._known.clear()
            self._given.clear()
        key: tuple[Any, ...] = (training,)
        for x in arguments:
            key = (*key, x.spec.shape, x.spec.dtype)
            if x.mask is not None:
                key = (*key, x.mask.spec.shape, x.mask.spec.dtype)
        traced = self._known.get(key)
        if traced is None:
            traced = _Traced(call, arguments, training)
            # What was set on the way belongs to this trace: it is the first of those to come.
            self._known[key], self._changes = traced, Changes.count
        if type(given[0]) is np.ndarray:
            self._given[given[1], given[0].shape, given[0].dtype] = traced, arguments[0].dtype
        result = traced(arguments)
        self.penalties = traced.penalties
        return result


class _Traced:
    """A call as a function of its arguments, of the variables it reads, and of a random key."""

    def __init__(
        self, call: Callable[..., Any], arguments: Sequence[Value], training: bool
    ) -> None:
        inputs = [_stand_in(x) for x in arguments]
        ends = [*_with_masks(inputs)]
        key = placeholder((2,), "int64", "random key")
        with scope.tracing(key, training):
            self._result = call(*inputs)
            recorded, self.penalties = scope.recorded(), scope.penalties()
        self._recorded = [variable for variable, _ in recorded]
        returned = list(_values(self._result))
        self._returned = len(returned)
        # Which of what is returned has a mask; the masks are outputs too, the last.
        self._masked = [i for i, y in enumerate(returned) if y.mask is not None]
        masks = [y.mask for y in returned if y.mask is not None]
        stored = (value for _, value in recorded)
        outputs = [*returned, *self.penalties, *stored, *masks]
        reached = behind(outputs)
        self._fixed = [a for a in reached if a.variable is not None]
        self._draws = key in reached
        ends += [key] if self._draws else []
        self._function = Function(getattr(call, "__name__", "call"), ends, outputs, self._fixed)
        self._form: Form | None = None  # of a call with one array

    def __call__(self, arguments: Sequence[Value]) -> Any:
        arguments = _with_masks(arguments)
        if self._draws:
            arguments = (*arguments, scope.random_key())
        latest = pending.latest(self._fixed)
        outputs = self._function(arguments, latest)
        if latest is None and outputs:
            self._describe(outputs[0].node, arguments)
        if self._masked:
            masks = outputs[-len(self._masked) :]
            outputs = outputs[: -len(self._masked)]
            for i, mask in zip(self._masked, masks, strict=True):
                outputs[i].mask = mask
        if self._recorded:
            first = len(outputs) - len(self._recorded)
            pending.record(zip(self._recorded, outputs[first:], strict=True))
            outputs = outputs[:first]
        for y in outputs:
            pending.keep(y)
        self.penalties = list(outputs[self._returned :])
        if isinstance(self._result, Value):
            return outputs[0]
        return _like(self._result, iter(outputs))

    def _describe(self, node: Any, arguments: Sequence[Value]) -> None:
        """Give the node its form, while what it consists of is at hand."""
        x = arguments[0]
        if len(arguments) == 1 and x.constant is not None and x.spec.shape:
            if self._form is None:
                self._form = describe(node)
            node.form, node.leaves, node.born = self._form, (x,), node.made_at
        else:
            describe(node)


def at_hand(*values: Value, made: bool = False) -> bool:
    """Return whether a call with these stands in a loop written by hand: nothing is being traced,
    and they are arrays or came of such calls; with `made`, or of operations."""
    if not scope.idle():
        return False
    for v in values:
        if v.constant is None and (v.node is None or not (made or isinstance(v.node.op, Function))):
            return False
        if v.mask is not None and not at_hand(v.mask, made=made):
            return False
    return True


def _stand_in(x: Value) -> Value:
    """Return a placeholder for values like x, with one for its mask where x has one."""
    made = placeholder(x.shape, x.dtype, "")
    if x.mask is not None:
        made.mask = placeholder(x.mask.shape, x.mask.dtype, "")
    return made


def _with_masks(values: Sequence[Value]) -> Sequence[Value]:
    """Return the values, and behind them the masks that they have."""
    masks = [x.mask for x in values if x.mask is not None]
    return [*values, *masks] if masks else values


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
