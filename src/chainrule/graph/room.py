"""Room for arrays while a model is made from a file: sizes that it names cost no more than that."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar

from chainrule.errors import FileError

_left: ContextVar[int | None] = ContextVar("room", default=None)
NODE = 1000  # bytes that an operation takes in a graph, about
_LEAST = 4_000_000  # bytes for what a graph holds besides weights: numbers along an axis


@contextlib.contextmanager
def limited(nbytes: int) -> Iterator[None]:
    """Within the block, variables and constants of no more than about so many bytes are made.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.graph import room
    >>> with room.limited(100):
    ...     ops.eye(10**5)
    Traceback (most recent call last):
    ...
    chainrule.errors.FileError: the model would take far more memory than its file
    """
    token = _left.set(nbytes + _LEAST)
    try:
        yield
    finally:
        _left.reset(token)


def take(nbytes: int) -> None:
    """Take so many bytes of the room that is left, where there is a limit.

    Raises
    ------
    FileError
        Where there is less.
    """
    left = _left.get()
    if left is not None:
        if nbytes > left:
            raise FileError("the model would take far more memory than its file")
        _left.set(left - nbytes)
