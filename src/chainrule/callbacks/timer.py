"""A budget of time."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from chainrule.callbacks.base import Callback, Logs
from chainrule.errors import ArgumentError


class Timer(Callback):
    """Stops `fit` after so many seconds by the clock on the wall, between two batches.

    The epoch under way still ends as any other, with its validation and its line in the history.
    A run that is resumed goes on with what was left.

    Parameters
    ----------
    seconds : float
        More than 0.
    verbose : {0, 1}, default 0
        Whether to say when.

    Attributes
    ----------
    elapsed : float
        Seconds used so far.

    Raises
    ------
    ArgumentError
        For a budget that is no positive number.

    Examples
    --------
    >>> from chainrule.callbacks import Timer
    >>> Timer(3600).elapsed
    0.0
    """

    def __init__(self, seconds: float, verbose: int = 0) -> None:
        if not isinstance(seconds, int | float | np.number) or not 0 < seconds < math.inf:
            raise ArgumentError(f"seconds is {seconds!r}; expected a number above 0")
        self.seconds = seconds
        self.verbose = verbose
        self._before = 0.0
        self._begun: float | None = None

    @property
    def elapsed(self) -> float:
        """Seconds used so far."""
        return self._before + (0.0 if self._begun is None else time.monotonic() - self._begun)

    def interval(self) -> None:
        """Look about ten times a second."""
        return None

    def get_state(self) -> dict[str, Any]:
        """Return the seconds used so far."""
        return {"elapsed": self.elapsed}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from so many seconds."""
        self._before, self._begun = float(state["elapsed"]), time.monotonic()

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._before, self._begun = 0.0, time.monotonic()

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Look at the clock."""
        self._look()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Look at the clock, validation being over."""
        self._look()

    def _look(self) -> None:
        if self.elapsed >= self.seconds and not self.model.stop_training:
            self.model.stop_training = True
            if self.verbose:
                print(f"training ends after {self.elapsed:.1f} s of {self.seconds:g} s")

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Stop the clock."""
        self._before, self._begun = self.elapsed, None
