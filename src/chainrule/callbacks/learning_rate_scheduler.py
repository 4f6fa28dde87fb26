"""A learning rate for each epoch."""

from __future__ import annotations

import inspect
from collections.abc import Callable

from chainrule.callbacks.base import Callback, Logs
from chainrule.callbacks.learning_rate import rate_of
from chainrule.errors import ArgumentError


class LearningRateScheduler(Callback):
    """``rate = schedule(epoch, rate)`` before each epoch.

    The rate an epoch was trained with is in its logs as ``"learning_rate"``. For a rate that moves
    with each step, give the optimizer a schedule instead.

    Parameters
    ----------
    schedule : callable
        Takes the epoch (from 0) and the rate so far, or the epoch alone; returns the rate.
    verbose : {0, 1}, default 0
        Whether to say what it is set to.

    Raises
    ------
    ArgumentError
        For a rate that is negative or no number, or an optimizer whose rate follows a schedule.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.callbacks import LearningRateScheduler
    >>> from chainrule.layers import Dense, Input
    >>> from chainrule.models import Sequential
    >>> model = Sequential([Input((2,)), Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> history = model.fit(np.zeros((8, 2)), np.ones(8), epochs=3, verbose=0,
    ...                     callbacks=LearningRateScheduler(lambda epoch, rate: rate / 2))
    >>> history.history["learning_rate"]
    [0.005, 0.0025, 0.00125]
    """

    adds = ("learning_rate",)

    def __init__(
        self, schedule: Callable[[int, float], float] | Callable[[int], float], verbose: int = 0
    ) -> None:
        if not callable(schedule):
            raise ArgumentError(f"schedule is a function of the epoch, not {schedule!r}")
        self.schedule: Callable[..., float] = schedule
        self.verbose = verbose
        self._takes_rate = _takes_two(schedule)

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Set the rate."""
        rate = rate_of(self.model, "LearningRateScheduler")
        rate = self.schedule(epoch, rate) if self._takes_rate else self.schedule(epoch)
        self.model.optimizer.learning_rate = rate
        if self.verbose:
            print(f"epoch {epoch + 1}: learning rate {float(rate):.6g}")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Put the rate into the logs."""
        if logs is not None:
            logs["learning_rate"] = rate_of(self.model, "LearningRateScheduler")


def _takes_two(schedule: Callable[..., float]) -> bool:
    try:
        inspect.signature(schedule).bind(0, 0.1)
    except (TypeError, ValueError):
        return False
    return True
