"""Storing values in variables outside of a loaded step."""

from __future__ import annotations

from collections.abc import Iterable

from chainrule.errors import GraphError
from chainrule.graph import Value, Variable


def assign_all(pairs: Iterable[tuple[Variable, Value]]) -> None:
    """Store each value in its variable, as a step does: all are computed before any is stored."""
    assigns = list(pairs)
    if Value.evaluate is None:
        raise GraphError("no executor is loaded: import chainrule.executors")
    arrays = Value.evaluate([value for _, value in assigns])
    for (variable, _), array in zip(assigns, arrays, strict=True):
        variable.assign(array)
