"""Sequences of different lengths as one array."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, ShapeError

_SIDES = ("pre", "post")


def pad_sequences(
    sequences: Sequence[Any],
    maxlen: int | None = None,
    dtype: npt.DTypeLike = "int32",
    padding: str = "pre",
    truncating: str = "pre",
    value: Any = 0.0,
) -> Array:
    """``y[n, t]``: sequences of different lengths, filled up and cut to one length.

    Shapes
    ------
    sequences : n of [t_n, *s]
    returned : [n, t=maxlen, *s]

    Parameters
    ----------
    sequences : sequence of array_like
        Those of each sample; their steps may be numbers or arrays of one shape.
    maxlen : int >= 0, optional
        By default the length of the longest.
    dtype : dtype, default "int32"
        Of the result; ``object`` for strings of any length. Features of sound need ``"float32"``.
    padding : {"pre", "post"}, default "pre"
        Whether `value` fills the beginning or the end of what is shorter.
    truncating : {"pre", "post"}, default "pre"
        Whether what is longer loses its beginning or its end.
    value : float or str, default 0.0

    Raises
    ------
    ArgumentError
        For an argument outside its range.
    DataError
        For what is no sequence, or values that are not of the dtype.
    ShapeError
        For steps of different shapes.

    Examples
    --------
    >>> from chainrule.utils import pad_sequences
    >>> pad_sequences([[1], [2, 3], [4, 5, 6]], maxlen=2).tolist()
    [[0, 1], [2, 3], [5, 6]]
    >>> pad_sequences([[1], [2, 3]], padding="post", value=-1).tolist()
    [[1, -1], [2, 3]]
    """
    for name, given in (("padding", padding), ("truncating", truncating)):
        if given not in _SIDES:
            raise ArgumentError(f"{name} is 'pre' or 'post', not {given!r}")
    lengths, shape = _lengths(sequences)
    if maxlen is None and not lengths:
        raise DataError("there is no sequence to pad to the length of: give maxlen")
    width = max(lengths) if maxlen is None else _width(maxlen)
    padded = _filled((len(lengths), width, *shape), value, dtype)
    for i, (sequence, length) in enumerate(zip(sequences, lengths, strict=True)):
        kept = min(length, width)
        if kept:
            part = sequence[length - kept :] if truncating == "pre" else sequence[:kept]
            steps = _steps(part, i, shape, padded.dtype)
            padded[i, slice(width - kept, None) if padding == "pre" else slice(kept)] = steps
    return padded


def _lengths(sequences: Any) -> tuple[list[int], tuple[int, ...]]:
    """Return the length of each sequence, and the shape of a step."""
    if not hasattr(sequences, "__len__") or isinstance(sequences, str | bytes):
        raise DataError(f"sequences are a list or an array, not {type(sequences).__name__}")
    lengths = []
    shape: tuple[int, ...] | None = None
    for i, sequence in enumerate(sequences):
        try:
            lengths.append(len(sequence))
        except TypeError:
            raise DataError(f"sequence {i} is {sequence!r}, which is no sequence") from None
        if shape is None and lengths[-1]:
            shape = np.shape(sequence[:1])[1:]
    return lengths, shape or ()


def _width(maxlen: Any) -> int:
    if isinstance(maxlen, bool) or not isinstance(maxlen, int | np.integer) or maxlen < 0:
        raise ArgumentError(f"maxlen is {maxlen!r}; expected a whole number of at least 0")
    return int(maxlen)


def _filled(shape: tuple[int, ...], value: Any, dtype: npt.DTypeLike) -> Array:
    texts = dtype is not object and np.dtype(dtype).kind not in "OUST"
    if isinstance(value, str) and texts:
        raise ArgumentError(
            f"value is {value!r}, a string, but dtype is {np.dtype(dtype).name}: give dtype=object"
        )
    return np.full(shape, value, dtype)


def _steps(part: Any, number: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Return the steps of a sequence as an array; they must have the shape of all others."""
    try:
        steps: Array = np.asarray(part, dtype)
    except (TypeError, ValueError) as error:
        raise DataError(f"sequence {number} cannot be made {dtype.name}: {error}") from None
    if steps.shape[1:] != shape:
        raise ShapeError(
            f"the steps of sequence {number} have shape {list(steps.shape[1:])}, "
            f"those before {list(shape)}"
        )
    return steps
