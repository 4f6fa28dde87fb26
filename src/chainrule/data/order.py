"""The order in which an epoch visits samples: exact within windows of blocks, and repeatable."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from chainrule.data.batches import Order, permutation

# Streams of random numbers of an epoch, beside that of a whole array (0): that of the blocks, and
# from 2 on those of the windows.
_BLOCKS, _WINDOWS = 1, 2

Piece = tuple[int, int, int]


class Visit:
    """The way of one epoch through blocks of neighbouring samples.

    The blocks are visited in a random order; what comes one after the other is cut into windows of
    `window` samples, and each window is shuffled exactly. Samples that fit one window are shuffled
    as an array is. Everything is a function of seed, epoch and window, so that a run can go on
    anywhere, and nothing has to be kept but the order of the blocks.
    """

    def __init__(
        self, sizes: npt.NDArray[np.int64], window: int, seed: int, epoch: int, shuffle: bool
    ) -> None:
        self.rows = int(sizes.sum())
        self._window, self._key, self._shuffle = window, (seed, epoch), shuffle
        several = shuffle and self.rows > window
        count = len(sizes)
        self._blocks = permutation(seed, epoch, count, _BLOCKS) if several else np.arange(count)
        self._sizes, self._starts = sizes, np.cumsum(sizes) - sizes
        self._ends = np.cumsum(sizes[self._blocks])

    def windows(self, first: int = 0) -> list[tuple[int, int]]:
        """Return where on the way the windows from number `first` on begin and end."""
        begins = range(first * self._window, self.rows, self._window)
        return [(begin, min(begin + self._window, self.rows)) for begin in begins]

    def pieces(self, begin: int, end: int) -> list[Piece]:
        """Return the blocks on the way from `begin` to `end`, and from and to which row in each."""
        ends = self._ends
        i = int(np.searchsorted(ends, begin, side="right"))
        found: list[Piece] = []
        while begin < end:
            block = int(self._blocks[i])
            offset = int(self._sizes[block]) - int(ends[i]) + begin
            take = min(int(ends[i]), end) - begin
            if take:
                found.append((block, offset, offset + take))
            begin, i = begin + take, i + 1
        return found

    def spans(self, pieces: Sequence[Piece]) -> list[tuple[int, int]]:
        """Return the first sample of each piece and the one behind its last; neighbours joined."""
        found: list[tuple[int, int]] = []
        for block, begin, end in pieces:
            first, last = int(self._starts[block]) + begin, int(self._starts[block]) + end
            if found and found[-1][1] == first:
                first = found.pop()[0]
            found.append((first, last))
        return found

    def rows_of(self, pieces: Sequence[Piece]) -> Order:
        """Return the numbers of the samples in these pieces, in order."""
        return np.concatenate([np.arange(*span) for span in self.spans(pieces)])

    def shuffled(self, begin: int, end: int) -> Order | None:
        """Return the order within a window; ``None`` where it is not shuffled."""
        if not self._shuffle:
            return None
        stream = _WINDOWS + begin // self._window if self.rows > self._window else 0
        return permutation(*self._key, end - begin, stream)


def rows_from(n: int, most: int) -> Order:
    """Return the numbers of some rows, drawn without order and always alike.

    Evenly spaced ones would not do: where labels come in turns, each could be of one class.
    """
    if n <= most:
        return np.arange(n, dtype=np.int64)
    drawn = np.random.default_rng(0).choice(n, most, replace=False)
    return np.sort(drawn).astype(np.int64)


def window_rows(row_bytes: int, window_bytes: int, batch: int) -> int:
    """Return the samples of a window: whole batches, of about so many bytes with their order."""
    # Beside each row: its number, its place in the window, and what the shuffle works on.
    return max(window_bytes // (row_bytes + 24) // batch, 1) * batch
