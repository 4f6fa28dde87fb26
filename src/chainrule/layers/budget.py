"""A limit to the weights that may be made: while a model is rebuilt, those that its file holds."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from contextvars import ContextVar

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import FileError

_left: ContextVar[int | None] = ContextVar("bytes_left", default=None)


@contextlib.contextmanager
def limited(nbytes: int) -> Iterator[None]:
    """Within the block, weights of no more than so many bytes are made.

    Examples
    --------
    >>> from chainrule.layers import Dense
    >>> from chainrule.layers.budget import limited
    >>> with limited(100):
    ...     Dense(10**9).build((None, 3))
    Traceback (most recent call last):
    ...
    chainrule.errors.FileError: the layers have more weights than there are in the file
    """
    token = _left.set(nbytes)
    try:
        yield
    finally:
        _left.reset(token)


def spend(shape: Sequence[int], dtype: str) -> None:
    """Take the bytes of a weight from those left, where there is a limit."""
    left = _left.get()
    if left is not None:
        left -= abs(math.prod(shape)) * np.dtype(dtype).itemsize
        if left < 0:
            raise FileError("the layers have more weights than there are in the file")
        _left.set(left)


def loading() -> bool:
    """Return whether a model is being rebuilt, so that its weights come from a file."""
    return _left.get() is not None


def blank(shape: Sequence[int], dtype: str) -> Array:
    """Return zeros that take no memory, for a weight that a file will fill."""
    return np.broadcast_to(np.zeros((), dtype), tuple(shape))
