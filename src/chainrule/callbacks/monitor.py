"""What callbacks that watch one number of a run have in common."""

from __future__ import annotations

import math

from chainrule.callbacks.arguments import number
from chainrule.callbacks.base import Callback, Logs
from chainrule.errors import ArgumentError, closest, unknown_name

_FALLING = ("loss", "error", "entropy", "divergence", "perplexity", "hinge", "poisson", "logcosh",
            "distance", "false_positive", "false_negative", "learning_rate")  # fmt: skip
_RISING = ("acc", "auc", "precision", "recall", "f1", "fbeta", "r2", "iou", "io_u", "top_k",
           "similarity", "sensitivity", "specificity", "correlation", "dice", "kappa",
           "true_positive", "true_negative")  # fmt: skip
# Too short to be looked for within words.
_SHORT = ("mae", "mse", "rmse", "mape", "msle", "bce", "kld", "nll", "cer", "wer", "skipped")


class Monitor(Callback):
    """Base of callbacks that compare one number of the history with the best so far.

    Parameters
    ----------
    monitor : str
        One of the names in the history, e.g. ``"val_loss"``.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better; ``"auto"`` goes by the metric that is reported by this
        name, or where that does not say (see `Metric.direction`), by the name.
    min_delta : float, default 0
        What counts as an improvement.

    Raises
    ------
    ArgumentError
        For an unknown `mode`, a `monitor` that the run does not measure, or with ``"auto"`` one of
        which neither metric nor name tells what is better.

    Examples
    --------
    >>> from chainrule.callbacks.monitor import Monitor
    >>> watch = Monitor("val_accuracy", min_delta=0.01)
    >>> watch.mode, watch.better(0.905, 0.9)
    ('max', False)
    """

    def __init__(self, monitor: str, mode: str = "auto", min_delta: float = 0) -> None:
        if mode not in ("auto", "min", "max"):
            raise unknown_name("mode", mode, ("auto", "min", "max"))
        self.monitor = monitor
        self._asked = mode
        self.min_delta = abs(number("min_delta", min_delta))

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Refuse a number that the run is known not to measure, before any epoch is spent."""
        foreseen = self._foreseen()
        if foreseen is not None and type(self).current is Monitor.current:
            self.current(foreseen)

    def _foreseen(self) -> Logs | None:
        """Return what the logs of an epoch will hold, where that is known."""
        return None if self.run is None else self.run.foreseen(self)

    @property
    def mode(self) -> str:
        """``"min"`` or ``"max"``: whether lower or higher is better; ``"min"`` where that is not
        known."""
        return self._direction() or "min"

    def _direction(self) -> str | None:
        if self._asked != "auto":
            return self._asked
        name = self.monitor.removeprefix("val_")
        metric = None if self.run is None else self.run.trainer.reported(name)
        told = getattr(metric, "direction", None)
        return told if told in ("min", "max") else _direction_of(name)

    def _check_direction(self) -> None:
        if self._direction() is None:
            raise ArgumentError(
                f"{type(self).__name__} monitors {self.monitor!r}, of which neither metric nor "
                "name tells whether lower or higher is better.\n"
                "  fix: pass mode='max' or mode='min', or give the metric a `direction`"
            )

    @property
    def worst(self) -> float:
        """What every number but a NaN is better than."""
        return math.inf if self.mode == "min" else -math.inf

    def better(self, current: float, best: float) -> bool:
        """Return whether a number improves on the best; a NaN never does."""
        if self.mode == "min":
            return current < best - self.min_delta
        return current > best + self.min_delta

    def current(self, logs: Logs | None) -> float | None:
        """Return the number; ``None`` after an epoch that was not to be validated."""
        if logs is not None and self.monitor in logs:
            self._check_direction()
            return float(logs[self.monitor])
        if self._not_validated(logs or {}):
            return None
        raise ArgumentError(f"{type(self).__name__} monitors {self.missing(logs)}")

    def _not_validated(self, logs: Logs) -> bool:
        if not self.monitor.startswith("val_") or self.run is None or self.run.validation is None:
            return False
        return self.monitor.removeprefix("val_") in logs and not any(
            name.startswith("val_") for name in logs
        )

    def missing(self, logs: Logs | None) -> str:
        """Return what is to be told where the run does not measure the number."""
        names = sorted(logs or {})
        text = f"{self.monitor!r}, but the run measures {', '.join(names)}"
        if self.monitor.startswith("val_") and not any(n.startswith("val_") for n in names):
            return f"{text}\n  fix: pass validation_data or validation_split to fit"
        return text + closest(self.monitor, names)


def _direction_of(name: str) -> str | None:
    """Return what a name says is better: its last word that does, since the outputs of a model come
    before what is measured of them."""
    found = [(name.rfind(word), "max") for word in _RISING]
    found += [(name.rfind(word), "min") for word in _FALLING]
    found += [(f"_{name}_".rfind(f"_{word}_"), "min") for word in _SHORT]
    at, direction = max(found)
    return None if at < 0 else direction
