"""Stops training once it is good enough."""

from __future__ import annotations

from chainrule.callbacks.arguments import number
from chainrule.callbacks.base import Logs
from chainrule.callbacks.monitor import Monitor


class Goal(Monitor):
    """Stops `fit` after the first epoch in which a number is at least as good as `value`.

    Parameters
    ----------
    monitor : str
        The number to watch, one of the names in the history.
    value : float
        Where to stop.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better; ``"auto"`` goes by the metric or its name.
    verbose : {0, 1}, default 0
        Whether to say when.

    Raises
    ------
    ArgumentError
        For an unknown `mode`, or a `monitor` that the run does not measure.

    Examples
    --------
    >>> from chainrule.callbacks import Goal
    >>> Goal("val_accuracy", 0.98).mode
    'max'
    """

    def __init__(self, monitor: str, value: float, mode: str = "auto", verbose: int = 0) -> None:
        super().__init__(monitor, mode)
        self.value = number("value", value)
        self.verbose = verbose

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the goal."""
        current = self.current(logs)
        if current is not None and (current == self.value or self.better(current, self.value)):
            self.model.stop_training = True
            if self.verbose:
                print(f"epoch {epoch + 1}: {self.monitor} is {current:.6g}, the goal is reached")
