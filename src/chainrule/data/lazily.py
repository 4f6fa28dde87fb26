"""Arrays that are converted by windows: maps of other dtypes, arrays of HDF5 and Zarr files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from chainrule.data.arrays import NAMES
from chainrule.data.batches import Batches
from chainrule.data.blocks import Rows
from chainrule.data.mapped import WINDOW_MB, Mapped, map_of
from chainrule.data.source import Arrays
from chainrule.errors import ArgumentError, DataError

_BLOCK_BYTES = 1 << 20
Given = tuple[Any, Any, Any]


class Windowed:
    """Arrays with the size of the windows that they are shuffled in; given to `fit` as `x`.

    Memory maps are shuffled by windows of 64 MB, other arrays as a whole. This says otherwise.

    Parameters
    ----------
    x, y, sample_weight : array_like
        As in `fit`.
    window_mb : float, default 64
        Megabytes that are shuffled together. At most two windows are in memory at a time.

    Examples
    --------
    >>> import numpy as np, tempfile, pathlib
    >>> from chainrule.data import Windowed
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "x.npy"
    >>> np.save(path, np.zeros((40, 2), "float32"))
    >>> x = np.load(path, mmap_mode="r")
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile(loss="mse")
    >>> len(model.fit(Windowed(x, np.ones(40), window_mb=0.0002), epochs=2, verbose=0).epoch)
    2
    """

    def __init__(
        self, x: Any, y: Any = None, sample_weight: Any = None, window_mb: float = WINDOW_MB
    ) -> None:
        self.given: Given = (x, y, sample_weight)
        self.window_bytes = window_bytes(window_mb)


def window_bytes(window_mb: float) -> int:
    """Return the bytes of so many megabytes.

    Raises
    ------
    ArgumentError
        For what is no number of megabytes.
    """
    if not isinstance(window_mb, int | float) or not 0 < window_mb < 1 << 20:
        raise ArgumentError(f"window_mb is {window_mb!r}; expected megabytes, more than 0")
    return int(window_mb * (1 << 20))


class LazyRows:
    """Arrays side by side, of which a few rows at a time are made NumPy arrays."""

    def __init__(self, given: Given) -> None:
        self._given = given
        self._arrays = dict(_flat(given))
        lengths = {len(array) for array in self._arrays.values()}
        if len(lengths) > 1:
            told = ", ".join(f"{name} has {len(a)}" for name, a in self._arrays.items())
            raise DataError(f"one row a sample is needed in each array, but {told}")
        total = lengths.pop()
        row = sum(_nbytes(a) for a in self._arrays.values()) // max(total, 1)
        step = max(_BLOCK_BYTES // max(row, 1), 1)
        self.sizes = np.full(-(-total // step), step, np.int64)
        if total:
            self.sizes[-1] = total - step * (len(self.sizes) - 1)
        self._step = step

    def rows(self, block: int, begin: int) -> Iterator[Rows]:
        """Yield the rows of a block."""
        first, last = block * self._step + begin, block * self._step + int(self.sizes[block])
        yield {name: _native(array[first:last]) for name, array in self._arrays.items()}

    def place(self, row: int) -> str:
        """Return where the user finds a row."""
        return f"row {row}"

    def where(self, block: int) -> str:
        """Return what errors call a block."""
        return f"rows {block * self._step} to {block * self._step + int(self.sizes[block])}"

    def about(self) -> dict[str, str]:
        """Return nothing more than what the samples say."""
        return {}

    def formed(self, rows: Rows) -> Given:
        """Return rows in the form that the arrays were given in."""
        x, y, weights = self._given
        return _like(x, "x", rows), _like(y, "y", rows), _like(weights, "w", rows)


def arrays_source(batches: Batches, window: int) -> Arrays | Mapped:
    """Return the source of arrays: with windows where there are maps larger than one."""
    return Mapped(batches, window) if Mapped.needed(batches, window) else Arrays(batches)


def is_lazy(given: Given, window: int, host: bool) -> bool:
    """Return whether arrays are too large to be made batches at once, and must be.

    That is so for maps of a dtype or a layout that the engine does not read (or that layers on the
    host work on), and for arrays that lie in HDF5 and Zarr files.
    """
    arrays = [array for _, array in _flat(given)]
    if any(_is_stored(array) for array in arrays):
        return all(hasattr(array, "shape") for array in arrays)
    mapped = [a for a in arrays if map_of(a) is not None and _nbytes(a) > 0]
    if not mapped or not all(isinstance(array, np.ndarray) for array in arrays):
        return False
    large = sum(_nbytes(array) for array in arrays) > window
    return large and any(host or not _is_readable(array) for array in mapped)


def _is_stored(array: Any) -> bool:
    return type(array).__module__.partition(".")[0] in ("h5py", "zarr") and hasattr(array, "shape")


def _is_readable(array: Any) -> bool:
    return array.dtype in NAMES and array.flags.c_contiguous and array.flags.aligned


def _nbytes(array: Any) -> int:
    return int(np.prod(array.shape)) * int(np.dtype(array.dtype).itemsize)


def _native(rows: Any) -> Any:
    """Return rows in the machine's order of bytes."""
    rows = np.asarray(rows)
    return rows.astype(rows.dtype.newbyteorder("="), copy=False)


def _flat(given: Given) -> Iterator[tuple[str, Any]]:
    """Yield the arrays that are given, alone, in lists or by name."""
    for part, kind in zip(given, "xyw", strict=True):
        if part is None:
            continue
        if isinstance(part, Mapping):
            yield from ((f"{kind}/{name}", array) for name, array in part.items())
        elif isinstance(part, list | tuple) and part and hasattr(part[0], "shape"):
            yield from ((f"{kind}/{i}", array) for i, array in enumerate(part))
        else:
            yield kind, part


def _like(part: Any, kind: str, rows: Rows) -> Any:
    if isinstance(part, Mapping):
        return {name: rows[f"{kind}/{name}"] for name in part}
    if isinstance(part, list | tuple):
        return [rows[f"{kind}/{i}"] for i in range(len(part))]
    return None if part is None else rows[kind]
