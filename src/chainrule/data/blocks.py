"""Windows put together from blocks that a reader gives: shards, row groups, parts of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from chainrule.data.batches import Batches, Order
from chainrule.data.order import Piece, Visit, rows_from, window_rows
from chainrule.data.source import Arrays, Window, Windows
from chainrule.dtypes import Array
from chainrule.errors import DataError

Rows = Mapping[str, Array]

_SLOTS = 2
_SAMPLE = 64  # rows from which a program is planned
_READ = 2**30  # bytes of data that are gone through for a few rows from all over it


class Reader(Protocol):
    """What gives rows by blocks: arrays of equal length, by name."""

    sizes: npt.NDArray[np.int64]

    def rows(self, block: int, begin: int) -> Iterator[Rows]:
        """Yield the rows of a block from number `begin` on, in parts of any length."""
        ...

    def place(self, row: int) -> str:
        """Return where the user finds a row, by its number among all."""
        ...

    def where(self, block: int) -> str:
        """Return what errors call a block."""
        ...

    def about(self) -> dict[str, str]:
        """Return what a resumed run must share."""
        ...


class Part:
    """The rows of a reader from one number to another, as a reader."""

    def __init__(self, reader: Reader, begin: int, end: int) -> None:
        self._reader, self._begin, self._end = reader, begin, end
        starts = np.cumsum(reader.sizes) - reader.sizes
        first = np.clip(begin - starts, 0, reader.sizes)
        last = np.clip(end - starts, 0, reader.sizes)
        self._blocks = np.flatnonzero(last > first)
        self._first = first[self._blocks]
        self.sizes = (last - first)[self._blocks]

    def rows(self, block: int, begin: int) -> Iterator[Rows]:
        """Yield the rows of a block from number `begin` on."""
        left = int(self.sizes[block]) - begin
        for part in self._reader.rows(int(self._blocks[block]), int(self._first[block]) + begin):
            taken = _cut(part, 0, left)
            left -= _length(taken)
            yield taken
            if not left:
                return

    def place(self, row: int) -> str:
        """Return where the user finds a row."""
        return self._reader.place(self._begin + row)

    def where(self, block: int) -> str:
        """Return what errors call a block."""
        return self._reader.where(int(self._blocks[block]))

    def about(self) -> dict[str, str]:
        """Return what the reader says, and which rows these are."""
        return {**self._reader.about(), "rows": f"{self._begin} to {self._end}"}


def _length(rows: Rows) -> int:
    return len(next(iter(rows.values())))


def _cut(rows: Rows, begin: int, end: int) -> Rows:
    return {name: array[begin:end] for name, array in rows.items()}


class _Cursor:
    """Reads pieces of blocks; one that goes on where the last ended is read on, not anew."""

    def __init__(self, reader: Reader) -> None:
        self.reader = reader
        self._at = (-1, -1)
        self._parts: Iterator[Rows] = iter(())
        self._left: Rows | None = None

    def read(self, piece: Piece) -> Iterator[Rows]:
        """Yield the rows of a piece."""
        block, at, end = piece
        if self._at != (block, at):
            self._parts, self._left = self.reader.rows(block, at), None
        while at < end:
            part = self._left if self._left is not None else next(self._parts, None)
            if part is None:
                raise DataError(f"{self.reader.where(block)} ends after {at} rows")
            taken = _cut(part, 0, end - at)
            rest = _length(part) - _length(taken)
            self._left = _cut(part, _length(taken), _length(part)) if rest else None
            at += _length(taken)
            yield taken
        self._at = (block, at)


class Blocks:
    """Windows of rows that a reader gives, each put together in shuffled order as it is read."""

    slots = _SLOTS
    gathered = False

    def __init__(
        self, reader: Reader, sample: Batches, made: Callable[[Rows], Batches], window_bytes: int
    ) -> None:
        self._reader, self._made, self.window_bytes = reader, made, window_bytes
        self.sample = sample
        self._total = int(reader.sizes.sum())
        self.samples: int | None = self._total
        self.passes = 0
        self._row = row_bytes(sample)

    def batch(self, size: int) -> int:
        """Return the size of a batch, which is no more than all samples."""
        return min(size, self._total)

    def steps(self, size: int) -> int:
        """Return the number of batches."""
        return -(-self._total // size)

    def spread(self, most: int) -> Batches | None:
        """Return rows drawn from all blocks; ``None`` where to read these would take long."""
        if self._total * self._row > _READ:
            return None
        rows = rows_from(self._total, most)
        places = _Places(len(rows))
        made = self._made(places.picked(self._reader, rows))
        return replace(made, rows=self._total, where=lambda row: self._reader.place(int(rows[row])))

    def about(self) -> dict[str, str]:
        """Return what the reader says and the size of a window."""
        return {
            "number of samples": str(self.samples),
            "bytes of a window": str(self.window_bytes),
            **self._reader.about(),
        }

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield the windows of an epoch from batch `skip` on."""
        window = window_rows(self._row, self.window_bytes, size)
        visit = Visit(self._reader.sizes, window, seed, epoch, shuffle)
        number, skipped = divmod(skip * size, window)
        cursor = _Cursor(self._reader)
        places = [_Places(window) for _ in range(_SLOTS)]
        for i, (begin, end) in enumerate(visit.windows(number)):
            order, pieces = visit.shuffled(begin, end), visit.pieces(begin, end)
            # The slot of a window that nobody uses any more.
            rows = places[i % _SLOTS].filled(cursor, pieces, order)
            where = _Where(self._reader, visit, pieces, order)
            batches = replace(self._made(rows), rows=self._total, where=where)
            made = Window(batches, size)
            if skipped:
                made, skipped = made.part(skipped // size, made.steps), 0
            if len(made):
                yield made


class _Places:
    """Arrays that windows are written into, one after the other."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._arrays: dict[str, Array] = {}

    def filled(self, cursor: _Cursor, pieces: Sequence[Piece], order: Order | None) -> Rows:
        """Return the rows of these pieces; row i of the result is row ``order[i]`` of theirs."""
        n = sum(end - begin for _, begin, end in pieces)
        goes = None
        if order is not None:
            goes = np.empty(n, np.int64)
            goes[order] = np.arange(n)
        at = 0
        for piece in pieces:
            for part in cursor.read(piece):
                end = at + _length(part)
                where = slice(at, end) if goes is None else goes[at:end]
                self._put(part, where, cursor.reader, piece[0])
                at = end
        return {name: array[:n] for name, array in self._arrays.items()}

    def picked(self, reader: Reader, rows: Order) -> Rows:
        """Return the rows of these numbers, which rise; blocks without any are not read."""
        ends = np.cumsum(reader.sizes)
        done = 0
        for block in np.unique(np.searchsorted(ends, rows, side="right")).tolist():
            start = int(ends[block] - reader.sizes[block])
            at = int(rows[done])
            for part in reader.rows(block, at - start):
                end = int(np.searchsorted(rows, at + _length(part)))
                taken = rows[done:end] - at
                some = {name: array[taken] for name, array in part.items()}
                self._put(some, slice(done, end), reader, block)
                at, done = at + _length(part), end
                if done == len(rows) or rows[done] >= ends[block]:
                    break
        return self._arrays

    def _put(self, rows: Rows, where: slice | Order, reader: Reader, block: int) -> None:
        for name, array in rows.items():
            place = self._place(name, array)
            if array.shape[1:] != place.shape[1:] or array.dtype != place.dtype:
                raise DataError(_unlike(name, array, place, reader.where(block)))
            place[where] = array

    def _place(self, name: str, like: Array) -> Array:
        if name not in self._arrays:
            self._arrays[name] = np.empty((self._window, *like.shape[1:]), like.dtype)
        return self._arrays[name]


def _unlike(name: str, array: Array, place: Array, where: str) -> str:
    return (
        f"{name} is not alike everywhere: {array.dtype} with rows of shape {list(array.shape[1:])} "
        f"in {where}, but {place.dtype} with {list(place.shape[1:])} before\n"
        "  fix: write all parts with the same columns, shapes and dtypes"
    )


class _Where:
    """Says where the user finds a row of a window."""

    def __init__(
        self, reader: Reader, visit: Visit, pieces: Sequence[Piece], order: Order | None
    ) -> None:
        self._reader, self._visit, self._pieces, self._order = reader, visit, pieces, order

    def __call__(self, row: int) -> str:
        row = row if self._order is None else int(self._order[row])
        return self._reader.place(int(self._visit.rows_of(self._pieces)[row]))


def row_bytes(batches: Batches) -> int:
    """Return the bytes of one sample, at least 1."""
    return max(sum(a.nbytes for a in batches.arrays().values()) // len(batches), 1)


class Held(Arrays):
    """Rows that a reader gave, few enough to be kept in memory."""

    def __init__(self, batches: Batches, reader: Reader) -> None:
        super().__init__(batches)
        self._reader = reader

    def about(self) -> dict[str, str]:
        """Return what the reader says."""
        return {**super().about(), **self._reader.about()}


def source_of(reader: Reader, made: Callable[[Rows], Batches], window_bytes: int) -> Blocks | Held:
    """Return the source of a reader's rows; `made` turns rows into batches.

    Rows that fit one window are read once and kept, and so are shuffled and fed as arrays are.

    Raises
    ------
    DataError
        Where there are no rows, or they cannot be made batches.
    """
    total = int(reader.sizes.sum())
    if not total:
        raise DataError(f"there are no rows in {reader.about().get('files', 'the data')}")
    sample = _first(reader, made, min(_SAMPLE, total))
    if total <= window_bytes // (row_bytes(sample) + 24):
        return Held(_first(reader, made, total), reader)
    return Blocks(reader, sample, made, window_bytes)


def _first(reader: Reader, made: Callable[[Rows], Batches], n: int) -> Batches:
    """Return the first rows, in the order of the reader."""
    visit = Visit(reader.sizes, n, 0, 0, shuffle=False)
    pieces = visit.pieces(0, n)
    rows = _Places(n).filled(_Cursor(reader), pieces, None)
    total = int(reader.sizes.sum())
    return replace(made(rows), rows=total, where=_Where(reader, visit, pieces, None))
