"""The range test: which learning rate, from one short run at rates that rise."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import ops
from chainrule.data.batches import Batches
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, missing_package
from chainrule.graph import Value
from chainrule.models.prepared import whole
from chainrule.optimizers import Optimizer
from chainrule.optimizers.schedules import LearningRateSchedule
from chainrule.optimizers.schedules.base import number
from chainrule.training.aside import aside, rounds, training_step
from chainrule.training.progress import Progress, mode_of
from chainrule.training.step import layout_of
from chainrule.training.trainer import Trainer

if TYPE_CHECKING:
    from chainrule.models.model import Model

_LOOK = 10  # steps between two looks at whether the loss has diverged
_WIDTH = 0.16  # decades: the standard deviation of the smoothing; see `LearningRates.smoothed`
_TIMES = 4.0  # so many times the lowest loss counts as diverged
_BELOW = 2.0  # decades below the lowest loss in which the fall that counts is looked for
_BARS = "▁▂▃▄▅▆▇█"


class Rising(LearningRateSchedule):
    """``rate(t) = start * (end / start)^((t - first) / (steps - 1))``."""

    arguments = ("start", "end", "steps", "first")

    def __init__(self, start: float, end: float, steps: int, first: int = 0) -> None:
        self.start, self.end, self.steps, self.first = start, end, steps, first

    def rate(self, step: Value) -> Value:
        """Return the rate, of the step's shape."""
        growth = math.log(self.end / self.start) / (self.steps - 1)
        return self.start * ops.exp(growth * (step - float(self.first)))


@dataclass(frozen=True, eq=False)
class LearningRates:
    """What a range test found; printing it says so in words.

    Attributes
    ----------
    rates : numpy.ndarray
        The learning rate of each step, float64.
    losses : numpy.ndarray
        The loss of the batch before that step, as training computes it.
    smoothed : numpy.ndarray
        The losses, averaged over neighbouring rates with the weights of a normal distribution
        whose standard deviation is 0.16 decades.
    suggestion : float or None
        The rate at which the smoothed loss falls fastest; ``None`` where it does not fall.
    diverged : bool
        Whether the test ended early because the loss had risen to four times its lowest.
    """

    rates: Array
    losses: Array
    smoothed: Array
    suggestion: float | None
    diverged: bool

    def __str__(self) -> str:
        tested = f"{len(self.rates)} rates from {self.rates[0]:.2g} to {self.rates[-1]:.2g}"
        ending = ", where the loss diverged" if self.diverged else ""
        lines = [self._verdict(), f"  tested : {tested}{ending}", f"  loss   : {self._bars()}"]
        if self.suggestion is not None:
            lowest = int(self.smoothed.argmin())
            numbers = f"{self.smoothed[0]:.4g} at first, {self.smoothed[lowest]:.4g} at its lowest"
            lines.append(f"           {numbers}, with the rate {self.rates[lowest]:.2g}")
        return "\n".join(lines)

    def _verdict(self) -> str:
        if self.suggestion is not None:
            return f"learning rate {self.suggestion:.2g}: the loss falls fastest there"
        return (
            "no learning rate to suggest: the loss falls at none of them.\n"
            "  fix: look at the network and the data with check_initialization, or test more steps"
        )

    def _bars(self) -> str:
        """Return the curve of the smoothed loss in one line."""
        at = np.linspace(0, len(self.smoothed) - 1, min(60, len(self.smoothed)))
        values = np.minimum(self.smoothed[at.round().astype(int)], _ceiling(self.smoothed))
        low, high = values.min(), values.max()
        height = (values - low) / max(high - low, 1e-30) * (len(_BARS) - 1)
        return "".join(_BARS[round(float(h))] for h in height)

    def __repr__(self) -> str:
        found = "none" if self.suggestion is None else f"{self.suggestion:.2g}"
        return f"<LearningRates of {len(self.rates)} steps, suggestion {found}>"

    def plot(self, path: str | os.PathLike[str] | None = None) -> Any:
        """Draw losses over rates, into a file or, without a path, with pyplot.

        Parameters
        ----------
        path : path-like, optional
            Its ending says in which format: ``.png``, ``.svg``, ``.pdf``.

        Returns
        -------
        matplotlib.axes.Axes

        Raises
        ------
        MissingDependencyError
            Without matplotlib.
        """
        try:
            from matplotlib import pyplot
            from matplotlib.figure import Figure
        except ImportError:
            raise missing_package("matplotlib", "a plot", "plot") from None
        figure = pyplot.figure(figsize=(7, 4)) if path is None else Figure(figsize=(7, 4))
        axes = figure.add_subplot()
        self._draw(axes)
        figure.tight_layout()
        if path is not None:
            figure.savefig(path)
        return axes

    def _draw(self, axes: Any) -> None:
        axes.plot(self.rates, self.losses, color="#b8c4d6", linewidth=1, label="loss of the batch")
        axes.plot(self.rates, self.smoothed, color="#1f4e9c", linewidth=2, label="smoothed")
        if self.suggestion is not None:
            at = int(np.abs(self.rates - self.suggestion).argmin())
            axes.axvline(self.suggestion, color="#d1495b", linestyle="--", linewidth=1)
            label = f"suggestion {self.suggestion:.2g}"
            axes.plot(self.suggestion, self.smoothed[at], "o", color="#d1495b", label=label)
        axes.set_xscale("log")
        top, low = _ceiling(self.smoothed), float(self.losses.min())
        axes.set_ylim(low - 0.05 * (top - low), top + 0.05 * (top - low))
        axes.set_xlabel("learning rate")
        axes.set_ylabel("loss")
        axes.grid(alpha=0.3)
        axes.legend(frameon=False)


def _ceiling(smoothed: Array) -> float:
    """Return the loss up to which a curve is shown: somewhat above where it began."""
    first, low = float(smoothed[0]), float(smoothed.min())
    return min(float(smoothed.max()), first + 0.5 * max(first - low, abs(first), 1e-12))


def find_learning_rate(
    model: Model,
    x: Any,
    y: Any,
    *,
    batch_size: int = 32,
    start: float = 1e-7,
    end: float = 10.0,
    steps: int = 100,
    sample_weight: Any = None,
    class_weight: Mapping[int, float] | None = None,
    verbose: str | int = "auto",
) -> LearningRates:
    """``rate(t) = start * (end / start)^(t / (steps - 1))``: train briefly, watch where loss falls.

    The model stays as it is: weights, optimizer, counters and random numbers. One that has no
    weights yet gets them. The test uses the optimizer, and what it remembers, that the model was
    compiled with, and goes through the data in the order in which `fit` would.

    Shapes
    ------
    x : [n, *s], y : [n] or [n, *t], sample_weight : [n]

    Parameters
    ----------
    model : Model
        Compiled.
    x, y, sample_weight, class_weight
        As in `fit`.
    batch_size : int, default 32
        That of the training to come: the best rate depends on it.
    start, end : float, default 1e-7 and 10
        The range of rates, above 0.
    steps : int, default 100
        At least 10. The test ends earlier when the loss diverges.
    verbose : {"auto", 0, 1, 2}, default "auto"
        As in `fit`.

    Returns
    -------
    LearningRates
        Rates, losses, a suggestion, and `plot`.

    Raises
    ------
    ArgumentError
        For a range that is none.
    DataError, ShapeError, NotBuiltError
        As `fit`.

    Examples
    --------
    >>> import chainrule
    >>> from chainrule.datasets import digits
    >>> from chainrule.layers import Dense, Flatten
    >>> (x, y), _ = digits.load_data()
    >>> model = chainrule.Sequential(
    ...     [Flatten(input_shape=(28, 28)), Dense(32, "relu"), Dense(10, "softmax")])
    >>> model.compile("adam", "sparse_categorical_crossentropy")
    >>> found = chainrule.find_learning_rate(model, x / 255, y, verbose=0)
    >>> 1e-4 < found.suggestion < 1e-1
    True
    >>> model.optimizer.learning_rate = found.suggestion

    Source
    ------
    The test: Smith, "Cyclical Learning Rates for Training Neural Networks", arXiv 1506.01186,
    section 3.3, with rates rising exponentially, steps and end at four times the lowest loss as
    fastai's ``lr_find``. The suggestion is the one that fastai calls "steep", of a curve smoothed
    to both sides, which does not lag behind the rate as fastai's running mean does; the fall is
    looked for in the two decades below the lowest loss.
    """
    start, end = _range(start, end)
    steps = whole("steps", steps, 10)
    trainer = model._compiled_trainer("find_learning_rate")
    batches = model._collect_targets("find_learning_rate", x, y, sample_weight, class_weight)
    size = min(whole("batch_size", batch_size), len(batches))
    model._build_for(batches.x)
    first = 0 if trainer.optimizer is None else _batches_done(trainer.optimizer)
    schedule = Rising(start, end, steps, first)
    with Progress(mode_of(verbose), title="learning rate", counted="rates") as progress:
        losses = _run(trainer, schedule, batches, size, progress)
    return found(schedule(first + np.arange(len(losses))), losses, len(losses) < steps)


def _range(start: Any, end: Any) -> tuple[float, float]:
    low, high = number("start", start, open_below=True), number("end", end, open_below=True)
    if low >= high:
        raise ArgumentError(f"start is {low:g} and end {high:g}; rates must rise")
    return low, high


def _batches_done(optimizer: Optimizer) -> int:
    """Return the number of batches that the optimizer's schedule has counted."""
    return int(optimizer._batches().numpy())


def _run(
    trainer: Trainer, schedule: Rising, batches: Batches, size: int, progress: Progress
) -> Array:
    """Return the loss of each step, up to where it diverged."""
    steps = schedule.steps
    losses = np.empty(steps)
    with aside(trainer, schedule) as lent:
        order = rounds(trainer, batches, steps * size)
        step = training_step(lent, layout_of("train", size, batches, gathered=True))
        progress.begin(0, steps * size, size)
        done = 0
        while done < steps:
            count = min(_LOOK, steps - done)
            part = np.empty(count, step.program.plan.outputs[0].dtype)
            step.program.bind_output(0, part, part.itemsize)
            step.run(batches, done * size, count, order)
            losses[done : done + count] = part
            done += count
            progress.update(done, {"loss": float(part[-1])})
            if (stop := _diverged(losses[:done])) is not None:
                done = stop
                break
        done = max(done, 1)
        progress.end({"loss": float(losses[done - 1])}, done)
    return losses[:done]


def _diverged(losses: Array) -> int | None:
    """Return the number of steps before the loss went too high, ``None`` where it has not."""
    finite = np.isfinite(losses)
    known = len(losses) if finite.all() else int(finite.argmin())
    smooth = smoothed(losses[:known], 1.0)
    best = np.minimum.accumulate(smooth) if known else smooth
    # A loss near 0 may rise to a multiple of itself by chance.
    limit = np.maximum((_TIMES - 1) * np.abs(best), (smooth[:1] - best) / 4)
    high = np.flatnonzero(smooth - best > limit)
    if len(high):
        return int(high[0]) + 1
    return known if known < len(losses) else None


def smoothed(losses: Array, width: float) -> Array:
    """Return means over neighbours, with the weights of a normal distribution this wide."""
    mean: Array = _weights(len(losses), width) @ losses
    return mean


def _weights(count: int, width: float) -> Array:
    """Return the weights of neighbours in each mean."""
    at = np.arange(count)
    weights = np.exp(-0.5 * ((at[:, None] - at) / width) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


def found(rates: Array, losses: Array, diverged: bool) -> LearningRates:
    """Return the result of a test with these losses at these rates, at least one."""
    logs = np.log10(rates)
    spacing = float(logs[1] - logs[0]) if len(logs) > 1 else 1.0
    weights = _weights(len(losses), max(1.0, _WIDTH / spacing))
    smooth = weights @ losses
    lowest = int(smooth.argmin())
    suggestion = None
    if lowest > 0 and smooth[0] - smooth[lowest] > _by_chance(losses, weights, lowest):
        slopes = np.gradient(smooth, logs)
        near = (logs >= logs[lowest] - _BELOW) & (np.arange(len(logs)) <= lowest)
        suggestion = float(rates[np.where(near, slopes, np.inf).argmin()])
    return LearningRates(rates, losses, smooth, suggestion, diverged)


def _by_chance(losses: Array, weights: Array, lowest: int) -> float:
    """Return by how much the smoothed loss may fall until there by chance: four deviations of the
    difference of two means. Of 1,000 flat curves of 60 to 200 steps two or fewer fall so far."""
    until = max(lowest + 1, len(losses) // 4)
    variance = float(np.square(np.diff(losses[:until])).mean()) / 2  # of a single loss
    share = float(np.square(weights[[0, lowest]]).sum())
    # Less is rounding.
    return max(4.0 * math.sqrt(variance * share), 1e-4 * abs(float(weights[0] @ losses)))
