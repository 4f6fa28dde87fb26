"""Lowers the learning rate when progress stalls."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from chainrule.callbacks.arguments import epochs, number
from chainrule.callbacks.base import Logs
from chainrule.callbacks.learning_rate import rate_of
from chainrule.callbacks.monitor import Monitor
from chainrule.errors import ArgumentError


class ReduceLROnPlateau(Monitor):
    """``rate = max(rate * factor, min_lr)`` after `patience` epochs without an improvement.

    The rate an epoch was trained with is in its logs as ``"learning_rate"``.

    Parameters
    ----------
    monitor : str, default "val_loss"
        The number to watch, one of the names in the history. Where the run does not measure it,
        there is a warning and nothing happens.
    factor : float in (0, 1), default 0.1
        What the rate is multiplied by.
    patience : int, default 10
        Epochs without an improvement before the rate is lowered.
    verbose : {0, 1}, default 0
        Whether to say when.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better; ``"auto"`` goes by the metric or its name.
    min_delta : float, default 1e-4
        What counts as an improvement.
    cooldown : int, default 0
        Epochs after a lowering in which none is waited for.
    min_lr : float, default 0
        The least rate.

    Raises
    ------
    ArgumentError
        For arguments out of range, or an optimizer whose rate follows a schedule.

    Examples
    --------
    >>> from chainrule.callbacks import ReduceLROnPlateau
    >>> ReduceLROnPlateau(factor=0.2, patience=5, min_lr=1e-3).mode
    'min'

    Source
    ------
    The rules are those of Keras 3's callback of this name.
    """

    adds = ("learning_rate",)

    def __init__(
        self,
        monitor: str = "val_loss",
        factor: float = 0.1,
        patience: int = 10,
        verbose: int = 0,
        mode: str = "auto",
        min_delta: float = 1e-4,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        super().__init__(monitor, mode, min_delta)
        if not 0 < number("factor", factor) < 1:
            raise ArgumentError(f"factor is {factor!r}; expected a number between 0 and 1")
        if not number("min_lr", min_lr) >= 0:
            raise ArgumentError(f"min_lr is {min_lr!r}; expected a rate of at least 0")
        self.factor = factor
        self.patience = epochs("patience", patience)
        self.verbose = verbose
        self.cooldown = epochs("cooldown", cooldown)
        self.min_lr = min_lr
        self._reset()

    def _reset(self) -> None:
        self.best = self.worst
        self.wait = 0
        self.cooldown_counter = 0
        self._warned = False

    def get_state(self) -> dict[str, Any]:
        """Return the best number and how long it has been."""
        return {"best": self.best, "wait": self.wait, "cooldown": self.cooldown_counter}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on from such a state."""
        self.best, self.wait = float(state["best"]), int(state["wait"])
        self.cooldown_counter = int(state["cooldown"])

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Forget what an earlier run measured."""
        if self.monitor in (self._foreseen() or {}):
            self._check_direction()
        self._reset()
        rate_of(self.model, "ReduceLROnPlateau")

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compare the epoch with the best one so far."""
        logs = {} if logs is None else logs
        logs["learning_rate"] = rate_of(self.model, "ReduceLROnPlateau")
        if self.monitor not in logs:
            self._warn(logs)
            return
        if self.cooldown_counter:
            self.cooldown_counter -= 1
            self.wait = 0
        self._check_direction()
        current = float(logs[self.monitor])
        if self.better(current, self.best):
            self.best, self.wait = current, 0
        elif not self.cooldown_counter:
            self.wait += 1
            if self.wait >= self.patience:
                self._lower(epoch, logs["learning_rate"])

    def _lower(self, epoch: int, rate: float) -> None:
        if rate <= self.min_lr:
            return
        self.model.optimizer.learning_rate = max(rate * self.factor, self.min_lr)
        self.cooldown_counter, self.wait = self.cooldown, 0
        if self.verbose:
            now = rate_of(self.model, "ReduceLROnPlateau")
            print(f"epoch {epoch + 1}: learning rate lowered from {rate:.6g} to {now:.6g}")

    def _warn(self, logs: Logs) -> None:
        """Say once that the number is missing, unless it is only not measured in each epoch."""
        if not self._warned and not self._not_validated(logs):
            text = f"ReduceLROnPlateau does nothing: it monitors {self.missing(logs)}"
            warnings.warn(text, stacklevel=2)
            self._warned = True
