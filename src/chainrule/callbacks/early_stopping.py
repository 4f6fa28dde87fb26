"""Stops training when it no longer helps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from chainrule.callbacks.arguments import epochs, number
from chainrule.callbacks.base import Logs
from chainrule.callbacks.monitor import Monitor
from chainrule.dtypes import Array


class EarlyStopping(Monitor):
    """Stops `fit` after `patience` epochs without an improvement of more than `min_delta`.

    Parameters
    ----------
    monitor : str, default "val_loss"
        The number to watch, one of the names in the history.
    min_delta : float, default 0
        What counts as an improvement.
    patience : int, default 0
        Epochs without one before training stops; 0 stops after the first.
    verbose : {0, 1}, default 0
        Whether to say when and why.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better; ``"auto"`` goes by the metric or its name.
    baseline : float, optional
        A value that must be improved on from the start.
    restore_best_weights : bool, default False
        Whether to end with the weights of the best epoch instead of the last.
    start_from_epoch : int, default 0
        Epochs to wait before watching.

    Raises
    ------
    ArgumentError
        For an unknown `mode`, or a `monitor` that the run does not measure.

    Examples
    --------
    >>> from chainrule.callbacks import EarlyStopping
    >>> EarlyStopping(patience=5, restore_best_weights=True).mode
    'min'

    Source
    ------
    The rules are those of Keras 3's callback of this name, except that an unknown `monitor` is an
    error.
    """

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        self.patience = epochs("patience", patience)
        self.verbose = verbose
        self.baseline = None if baseline is None else number("baseline", baseline)
        self.restore_best_weights = restore_best_weights
        self.start_from_epoch = epochs("start_from_epoch", start_from_epoch)
        self._reset()

    def _reset(self) -> None:
        self.wait = 0
        self.stopped_epoch = 0
        self.best = self.worst
        self.best_epoch = 0
        self.best_weights: list[Array] | None = None

    def get_state(self) -> dict[str, Any]:
        """Return the best epoch, its weights, and how long it has been."""
        names = ("wait", "stopped_epoch", "best", "best_epoch", "best_weights")
        return {name: getattr(self, name) for name in names}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        self.wait, self.stopped_epoch = int(state["wait"]), int(state["stopped_epoch"])
        self.best, self.best_epoch = float(state["best"]), int(state["best_epoch"])
        self.best_weights = state["best_weights"]

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget what an earlier run measured."""
        super().on_train_begin(logs)
        self._reset()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the best one so far."""
        current = self.current(logs)
        if current is None or epoch < self.start_from_epoch:
            return
        if self.restore_best_weights and self.best_weights is None:
            self._keep(epoch)
        self.wait += 1
        if self.better(current, self.best):
            self.best = current
            self._keep(epoch)
            if self.baseline is None or self.better(current, self.baseline):
                self.wait = 0
        elif self.wait >= self.patience and epoch > 0:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Restore the best weights where asked for."""
        if self.stopped_epoch and self.verbose:
            print(
                f"stopped after epoch {self.stopped_epoch + 1}: {self.monitor} was best "
                f"({self.best:.6g}) in epoch {self.best_epoch + 1}"
            )
        if self.best_weights is not None:
            self.model.set_weights(self.best_weights)

    def _keep(self, epoch: int) -> None:
        self.best_epoch = epoch
        if self.restore_best_weights:
            self.best_weights = self.model.get_weights()
