"""Ends a run that has gone wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from chainrule.callbacks.base import Callback, Logs

_PACE = 16  # batches between two looks: a loss that is NaN stays so, and fewer looks cost less


class TerminateOnNaN(Callback):
    """Stops `fit` when the loss is NaN or infinite.

    The mean over the epoch so far is looked at every 16 batches and at the end of the epoch, which
    costs next to nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.callbacks import TerminateOnNaN
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile("sgd", loss=lambda y, p: (y - p) ** 2 / 0.0)
    >>> history = model.fit(np.ones((8, 2)), np.ones(8), epochs=5, verbose=0,
    ...                     callbacks=TerminateOnNaN())
    epoch 1, batch 1: the loss is inf, training ends
    >>> history.epoch
    [0]
    """

    def __init__(self) -> None:
        self._epoch = self._done = 0

    def interval(self) -> float:
        """Return the batches left until the next look."""
        return _PACE - self._done % _PACE

    def get_state(self) -> dict[str, Any]:
        """Return the batches done, so that a resumed run looks at the same ones."""
        return {"done": self._done}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from so many batches."""
        self._done = int(state["done"])

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Take the number of the epoch."""
        self._epoch, self._done = epoch, 0

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the loss, where it is time."""
        self._done = batch + 1
        # What else makes the engine stop here and there must not change where training ends.
        if self._done % _PACE and self._done != self.params.get("steps"):
            return
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            print(f"epoch {self._epoch + 1}, batch {batch + 1}: the loss is {loss}, training ends")
            self.model.stop_training = True
