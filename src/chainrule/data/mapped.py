"""Arrays mapped from files: read where they lie, with little of them in memory at a time."""

from __future__ import annotations

import ctypes
import functools
import mmap
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.data.batches import Batches
from chainrule.data.order import Piece, Visit, window_rows
from chainrule.data.source import Window, Windows
from chainrule.dtypes import Array

WINDOW_MB = 64
_BLOCK_BYTES = 1 << 20
_SLOTS = 2
_WILLNEED = getattr(mmap, "MADV_WILLNEED", 3)
_DONTNEED = getattr(mmap, "MADV_DONTNEED", 4)


def map_of(array: Any) -> np.memmap[Any, Any] | mmap.mmap | None:
    """Return the memory map that an array is a view of, if it is one."""
    while array is not None:
        if isinstance(array, mmap.mmap):
            return array
        if isinstance(array, np.memmap) and getattr(array, "_mmap", None) is not None:
            return array
        array = getattr(array, "base", None)
    return None


@functools.cache
def _madvise() -> Callable[[int, int, int], int] | None:
    """Return the system's call, which unlike `mmap.madvise` lets other threads of Python run."""
    try:
        call = ctypes.CDLL(None).madvise
    except (AttributeError, OSError, TypeError):
        return None
    call.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    call.restype = ctypes.c_int
    return call


class Pages:
    """The pages of a mapped array's rows: fetched ahead, and let go of behind.

    Only what a file shared with it holds is let go of: it is still in the file.
    """

    def __init__(self, array: Array) -> None:
        self._address = array.__array_interface__["data"][0]
        self._row = array.nbytes // max(len(array), 1)
        self._begin = self._address // mmap.PAGESIZE * mmap.PAGESIZE
        self._end = self._address + array.nbytes
        base = map_of(array)
        self._shared = isinstance(base, np.memmap) and base.mode in ("r", "r+", "w+")

    def fetch(self, first: int, last: int) -> None:
        """Ask for the rows from `first` to `last`, without waiting."""
        begin = (self._address + first * self._row) // mmap.PAGESIZE * mmap.PAGESIZE
        self._advise(_WILLNEED, begin, min(self._address + last * self._row, self._end))

    def release(self) -> None:
        """Let go of all pages; those still in use are entered again when they are read.

        Letting go of the rows of each block by itself takes longer than entering a window again:
        each call has the other cores forget what they know of the page table.
        """
        if self._shared:
            self._advise(_DONTNEED, self._begin, self._end)

    def _advise(self, how: int, begin: int, end: int) -> None:
        # Advice that is not taken (an older system) costs speed, nothing else.
        call = _madvise()
        if call is not None and begin < end:
            call(begin, end - begin, how)


class Mapped:
    """Arrays of which some are memory maps, too large to be shuffled as a whole.

    Neighbouring rows (about 1 MB) are visited together, some 128 blocks at a time, whose rows are
    shuffled exactly. The engine gathers them where they lie: nothing is copied.
    """

    slots = _SLOTS

    def __init__(self, batches: Batches, window_bytes: int) -> None:
        self.sample = batches
        self._total = len(batches)
        self.samples: int | None = self._total
        self.passes = 0
        self.window_bytes = window_bytes
        arrays = batches.arrays().values()
        self._row = sum(a.nbytes for a in arrays) // self._total
        self._pages = [Pages(a) for a in arrays if map_of(a) is not None]

    @staticmethod
    def needed(batches: Batches, window_bytes: int) -> bool:
        """Return whether there are maps among these arrays, of more than a window."""
        arrays = batches.arrays().values()
        size = sum(a.nbytes for a in arrays)
        return size > window_bytes and any(map_of(a) is not None for a in arrays)

    @property
    def gathered(self) -> bool:
        """Batches are gathered from the maps."""
        return True

    def batch(self, size: int) -> int:
        """Return the size of a batch, which is no more than all samples."""
        return min(size, self._total)

    def steps(self, size: int) -> int:
        """Return the number of batches."""
        return -(-self._total // size)

    def spread(self, most: int) -> Batches | None:
        """Return all samples, where they lie."""
        return self.sample

    def about(self) -> dict[str, str]:
        """Return the number of samples and the size of a window."""
        return {
            "number of samples": str(self.samples),
            "bytes of a window": str(self.window_bytes),
        }

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield the windows of an epoch from batch `skip` on, their pages asked for.

        The engine waits for a page that is not there yet, and enters it in the page table with
        those around it: a thread that did so ahead would take a core from the engine for as long.
        """
        window = window_rows(self._row, self.window_bytes, size)
        visit = Visit(self._blocks(), window, seed, epoch, shuffle)
        number, skipped = divmod(skip * size, window)
        try:
            for begin, end in visit.windows(number):
                pieces = visit.pieces(begin, end)
                for pages in self._pages:
                    pages.release()
                    for first, last in visit.spans(pieces):
                        pages.fetch(first, last)
                made = self._window(visit, pieces, (begin, end), size)
                if skipped:
                    made, skipped = made.part(skipped // size, made.steps), 0
                if len(made):
                    yield made
        finally:
            for pages in self._pages:
                pages.release()

    def _blocks(self) -> Any:
        rows = max(_BLOCK_BYTES // max(self._row, 1), 1)
        sizes = np.full(-(-self._total // rows), rows, np.int64)
        sizes[-1] = self._total - rows * (len(sizes) - 1)
        return sizes

    def _window(
        self, visit: Visit, pieces: Sequence[Piece], span: tuple[int, int], size: int
    ) -> Window:
        order = visit.shuffled(*span)
        if order is None:
            return Window(self.sample.part(*span), size)
        return Window(self.sample, size, visit.rows_of(pieces)[order])
