"""What callbacks that watch one number of a run have in common."""

from __future__ import annotations

import math

from chainrule.callbacks.base import Callback, Logs
from chainrule.errors import ArgumentError, closest, unknown_name

_FALLING = ("loss", "error", "entropy", "divergence", "perplexity")
_RISING = ("acc", "auc", "precision", "recall", "f1", "fbeta", "r2", "iou", "top_k", "similarity",
           "sensitivity", "specificity", "correlation", "dice", "kappa")  # fmt: skip


class Monitor(Callback):
    """Base of callbacks that compare one number of the history with the best so far.

    Parameters
    ----------
    monitor : str
        One of the names in the history, e.g. ``"val_loss"``.
    mode : {"auto", "min", "max"}, default "auto"
        Whether lower or higher is better; ``"auto"`` goes by the name.
    min_delta : float, default 0
        What counts as an improvement.

    Raises
    ------
    ArgumentError
        For an unknown `mode`, or a `monitor` that the run does not measure.

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
        self.mode = _direction(monitor) if mode == "auto" else mode
        self.min_delta = abs(min_delta)

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


def _direction(monitor: str) -> str:
    if any(word in monitor for word in _FALLING):
        return "min"
    return "max" if any(word in monitor for word in _RISING) else "min"
