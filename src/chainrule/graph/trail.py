"""What becomes of values: their cotangents, and what stands for them in a rewritten graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

from chainrule.graph.value import Value

Values = dict[Value, Value]

_cotangents: ContextVar[Values | None] = ContextVar("cotangents", default=None)
_followed: ContextVar[Values | None] = ContextVar("followed", default=None)


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
