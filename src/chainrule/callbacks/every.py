"""Counting batches towards the next time that something is due."""

from __future__ import annotations

import math
from typing import Any

from chainrule.errors import ArgumentError


class Every:
    """Counts batches of training across epochs; `freq` is ``"epoch"`` or a number of batches.

    Examples
    --------
    >>> from chainrule.callbacks.every import Every
    >>> every = Every(3)
    >>> [every.due(batch) for batch in (0, 1, 2, 3)]
    [False, False, True, False]
    """

    def __init__(self, freq: Any, name: str = "save_freq") -> None:
        whole = isinstance(freq, int) and not isinstance(freq, bool) and freq > 0
        if freq != "epoch" and not whole:
            raise ArgumentError(f"{name} is {freq!r}; expected 'epoch' or a number of batches")
        self.epochs = freq == "epoch"
        self.freq = math.inf if self.epochs else freq
        self.reset()

    def reset(self) -> None:
        """Begin a run."""
        self.seen, self.batch = 0, -1

    def left(self) -> float:
        """Return how many batches are left until it is due; infinity where it goes by epochs."""
        return self.freq - self.seen

    def due(self, batch: int) -> bool:
        """Take in that batches up to this one of an epoch are done; return whether it is time."""
        # A number that does not grow is of another epoch. Batches may come one by one or not.
        self.seen += batch - self.batch if batch > self.batch else batch + 1
        self.batch = batch
        if self.seen < self.freq:
            return False
        self.seen = 0
        return True
