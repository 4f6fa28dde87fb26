"""Data sets of the user's own: batches by number."""

from __future__ import annotations

from typing import Any

from chainrule.errors import MissingMethodError


class PyDataset:
    """Batch i is ``self[i]``: x, ``(x, y)`` or ``(x, y, sample_weight)``; a subclass says how.

    A subclass writes ``__getitem__`` and ``__len__``, the number of batches; it may have
    `on_epoch_begin` and `on_epoch_end`. `fit`, `evaluate` and `predict` take it, read ahead in a
    thread, and shuffle the order of the batches where asked to; a resumed run begins at its batch.

    Parameters
    ----------
    workers, use_multiprocessing, max_queue_size
        Taken for Keras's sake: one thread reads ahead, whatever they are, and no processes are
        begun, so that the order is the same in each run.

    Examples
    --------
    >>> import numpy as np
    >>> import chainrule as cr
    >>> class Squares(cr.utils.PyDataset):
    ...     def __len__(self):
    ...         return 3
    ...     def __getitem__(self, i):
    ...         x = np.arange(4.0)[:, None] + i
    ...         return x, x**2
    >>> model = cr.Sequential([cr.Input((1,)), cr.layers.Dense(1, kernel_initializer="zeros")])
    >>> model.compile("sgd", "mae")
    >>> round(model.evaluate(Squares(), verbose=0), 2)
    8.17
    """

    def __init__(
        self, workers: int = 1, use_multiprocessing: bool = False, max_queue_size: int = 10
    ) -> None:
        self.workers = workers
        self.use_multiprocessing = use_multiprocessing
        self.max_queue_size = max_queue_size

    def __getitem__(self, index: int) -> Any:
        """Return a batch by its number, from 0."""
        raise MissingMethodError(f"{type(self).__name__} must define __getitem__(self, index)")

    def __len__(self) -> int:
        """Return the number of batches."""
        raise MissingMethodError(f"{type(self).__name__} must define __len__(self)")

    def on_epoch_begin(self) -> None:
        """Do what belongs before an epoch: nothing, by default."""

    def on_epoch_end(self) -> None:
        """Do what belongs behind an epoch: nothing, by default."""


Sequence = PyDataset  # Keras's older name
