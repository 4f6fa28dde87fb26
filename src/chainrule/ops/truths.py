"""Friendly logic; it has no derivative."""

from __future__ import annotations

from typing import Any

from chainrule.graph import Value
from chainrule.ops import logic
from chainrule.ops.convert import cast, pair
from chainrule.ops.signs import applied

Like = Any


def _truths(x1: Like, x2: Like) -> tuple[Value, Value]:
    return pair(cast(x1, "bool"), cast(x2, "bool"))


def logical_and(x1: Like, x2: Like) -> Value:
    """``y = x1 and x2``; a number is true unless it is 0, NaN too.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x1, x2 : array_like or number
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.logical_and([True, True, False], [1, 0, 1]).numpy().tolist()
    [True, False, False]
    """
    return applied(logic.logical_and, *_truths(x1, x2))


def logical_or(x1: Like, x2: Like) -> Value:
    """``y = x1 or x2``; a number is true unless it is 0, NaN too.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x1, x2 : array_like or number
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.logical_or([True, True, False], [1, 0, 0]).numpy().tolist()
    [True, True, False]
    """
    return applied(logic.logical_or, *_truths(x1, x2))


def logical_xor(x1: Like, x2: Like) -> Value:
    """``y = either x1 or x2, not both``; a number is true unless it is 0, NaN too.

    Shapes
    ------
    x1, x2 : [*s] after broadcasting; returned : [*s]

    Parameters
    ----------
    x1, x2 : array_like or number
        Brought to their common dtype.

    Raises
    ------
    ShapeError
        Where the shapes do not broadcast.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.logical_xor([True, True, False], [1, 0, 0]).numpy().tolist()
    [False, True, False]
    """
    x, y = _truths(x1, x2)
    return logical_not(applied(logic.equal, x, y))


def logical_not(x: Like) -> Value:
    """``y = not x``; a number is true unless it is 0, NaN too.

    Shapes
    ------
    x : [*s]; returned : [*s], bool

    Parameters
    ----------
    x : array_like
        Any dtype.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.logical_not([0.0, 2.0]).numpy().tolist()
    [True, False]
    """
    return applied(logic.logical_not, cast(x, "bool"))
