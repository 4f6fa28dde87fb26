"""How good predictions are, beside an answer that looks at no input."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.targets import Target

Array = NDArray[Any]


def trivial_answer(target: Target, y: Array) -> float:
    """Return what to answer always: the commonest class of `y`, or its mean."""
    if target.task == "classification":
        return float(np.bincount(y, minlength=len(target.labels)).argmax())
    return float(y.mean())


def result_lines(what: str, target: Target, y: Array, outputs: Array, trivial: float) -> list[str]:
    """Return the lines that say how good the outputs of a model are, `what` being e.g. Test."""
    if target.task == "classification":
        return _classification(what, target, y, outputs, int(trivial))
    return _regression(what, y, outputs.reshape(-1).astype(np.float64), trivial)


def _classification(what: str, target: Target, y: Array, outputs: Array, trivial: int) -> list[str]:
    right, baseline = np.mean(outputs.argmax(axis=1) == y), np.mean(y == trivial)
    return [
        f"{what} accuracy: {right:.4f}",
        f"  always answering {target.labels[trivial]!r}: {baseline:.4f} ({len(y):,} rows)",
    ]


def _regression(what: str, y: Array, predicted: Array, trivial: float) -> list[str]:
    return [
        f"{what} {_measures(y, predicted)}",
        f"  always answering {trivial:.4g}: {_measures(y, np.full(len(y), trivial))} "
        f"({len(y):,} rows)",
    ]


def _measures(y: Array, predicted: Array) -> str:
    """Return R2, root mean squared and mean absolute error in words."""
    error = predicted - y
    mean_square, variance = float(np.mean(error**2)), float(np.var(y))
    r2 = f"{1 - mean_square / variance:.4f}" if variance else "undefined"
    return f"R2: {r2}, RMSE: {mean_square**0.5:.4g}, MAE: {float(np.mean(np.abs(error))):.4g}"
