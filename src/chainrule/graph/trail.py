"""What becomes of values: their cotangents, what stands for them in a rewritten graph, and which
of them layers put out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from chainrule.graph.value import Value

Values = dict[Value, Value]

_cotangents: ContextVar[Values | None] = ContextVar("cotangents", default=None)
_followed: ContextVar[Values | None] = ContextVar("followed", default=None)
_outputs: ContextVar[dict[Value, int] | None] = ContextVar("outputs", default=None)


@contextmanager
def keeping_cotangents() -> Iterator[Values]:
    """Give, when the block ends, the cotangent of every value that was differentiated by inside."""
    found: Values = {}
    token = _cotangents.set(found)
    try:
        yield found
    finally:
        _cotangents.reset(token)


def keep_cotangents(found: Mapping[Value, Value]) -> None:
    """Note the cotangents of a gradient, for whoever asked."""
    kept = _cotangents.get()
    if kept is not None:
        kept.update(found)


@contextmanager
def following(values: Iterable[Value]) -> Iterator[Values]:
    """Give what stands for each of these values after every rewriting inside."""
    followed = {v: v for v in values}
    token = _followed.set(followed)
    try:
        yield followed
    finally:
        _followed.reset(token)


def follow(new: Mapping[Value, Value]) -> None:
    """Note what a rewriting has put in the place of values, for whoever follows some."""
    followed = _followed.get()
    if followed:
        for value, now in followed.items():
            followed[value] = new.get(now, now)


@contextmanager
def numbering_outputs() -> Iterator[dict[Value, int]]:
    """Gather the values that layers put out inside, and which of the layer's outputs each is."""
    found: dict[Value, int] = {}
    token = _outputs.set(found)
    try:
        yield found
    finally:
        _outputs.reset(token)


def number_outputs(values: Iterable[object]) -> None:
    """Note the outputs of a layer, for whoever asked; what goes through several layers is the
    first one's."""
    found = _outputs.get()
    if found is not None:
        for i, value in enumerate(values):
            if isinstance(value, Value):
                found.setdefault(value, i)
