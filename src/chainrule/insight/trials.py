"""Short runs on the side, from the weights that a run began with, at other learning rates."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from chainrule import ops
from chainrule.data.batches import Batches
from chainrule.dtypes import Array
from chainrule.errors import ChainruleError
from chainrule.graph import Variable
from chainrule.optimizers import Adam, Optimizer
from chainrule.optimizers.base import Schedule
from chainrule.training.aside import aside, rounds, training_step
from chainrule.training.step import Step, layout_of
from chainrule.training.trainer import Snapshot, Trainer
from chainrule.tuning.learning_rate import LearningRates, found

STEPS = 60  # of a trial: enough to tell a falling loss from one that is not, and cheap
_OUT = 120  # steps out of a flat place
_RISING = 90  # steps of the range test
_LOWEST, _HIGHEST = 1e-7, 30.0  # the rates that it goes through, those of all optimizers in use
_END = 4  # the last of so many parts of a trial is where its loss is read


@dataclass
class Trials:
    """What becomes of the loss in a few steps from the beginning of a run, rate by rate.

    Attributes
    ----------
    trainer : Trainer
        Of the model; it is put back as it was after each trial.
    batches : Batches
        Samples to run over.
    size : int
        Those of a step.
    start : Snapshot
        What the run began with.
    rate : float
        The learning rate of the run: of a schedule the highest of its first steps, of what
        callbacks set the highest so far; NaN where it cannot be told.
    first : int, default 0
        How many steps the optimizer had taken before the run, from which a schedule goes on.
    """

    trainer: Trainer
    batches: Batches
    size: int
    start: Snapshot
    rate: float
    first: int = 0
    _known: dict[float, Array | None] = field(default_factory=dict)

    def losses(self, rate: float) -> Array | None:
        """Return the losses of the steps of a trial; ``None`` for a model that none fits."""
        if rate not in self._known:
            self._known[rate] = self._run(np.full(STEPS, rate))
        return self._known[rate]

    def end(self, rate: float) -> float:
        """Return the mean loss at the end of a trial: infinity where it is not finite."""
        losses = self.losses(rate)
        if losses is None or not np.isfinite(losses).all() or len(losses) < STEPS:
            return np.inf
        return float(losses[-len(losses) // _END :].mean())

    @property
    def possible(self) -> bool:
        """Whether trials can be made with this model and optimizer."""
        return self.rate > 0 and self.losses(self.rate) is not None

    @cached_property
    def rising(self) -> LearningRates | None:
        """A range test: the losses at rates that rise, beside those of the same samples where no
        weight moves, so that it does not matter that some are easier; ``None`` for no such test."""
        rates = np.geomspace(_LOWEST, _HIGHEST, _RISING)
        losses, still = self._run(rates), self._run(np.zeros(_RISING))
        if losses is None or still is None or len(losses) < 2 or len(still) < len(losses):
            return None
        still = still[: len(losses)]
        return found(rates[: len(losses)], losses - still + still.mean(), len(losses) < _RISING)

    @cached_property
    def best(self) -> tuple[float, float] | None:
        """The rate with the lowest loss at the end of a trial, and that loss: of those where the
        range test falls fastest and those below its lowest."""
        if self.rising is None:
            return None
        lowest = float(self.rising.rates[self.rising.smoothed.argmin()])
        near = [lowest * factor for factor in (0.03, 0.1, 0.3)]
        if self.rising.suggestion is not None:
            near += [self.rising.suggestion * factor for factor in (0.3, 1.0, 3.0)]
        rates = sorted({float(f"{rate:.1g}") for rate in near})
        end, rate = min((self.end(rate), rate) for rate in rates)
        return (rate, end) if np.isfinite(end) else None

    def led_out(self, rate: float) -> float:
        """Return the loss after some steps with Adam from the weights as they are now; infinity
        where there is none."""
        try:
            with aside(self.trainer) as lent, np.errstate(all="ignore"):
                lent.optimizer = Adam(rate)
                order = rounds(self.trainer, self.batches, _OUT * self.size)
                layout = layout_of("train", self.size, self.batches, gathered=True)
                step = training_step(lent, layout)
                losses = [self._one(step, order, i) for i in range(_OUT)]
        except ChainruleError:
            return np.inf
        return float(np.mean(losses[-_OUT // _END :])) if np.isfinite(losses).all() else np.inf

    def _one(self, step: Step, order: Array, number: int) -> float:
        step.run(self.batches, number * self.size, 1, order)
        return float(step.program.output(0))

    def mean(self, steps: int) -> float:
        """Return the mean learning rate of so many steps of the run where a schedule lowers it, and
        else its rate."""
        optimizer = self.trainer.optimizer
        if optimizer is None or isinstance(optimizer.learning_rate, Variable) or steps < 2:
            return self.rate
        at = np.unique(np.geomspace(1, steps, STEPS).round().astype(int)) - 1
        try:
            rates = np.array([_at(optimizer.learning_rate, self.first + int(i)) for i in at])
        except (ChainruleError, TypeError, ValueError):
            return self.rate
        return float((rates[1:] + rates[:-1]) @ np.diff(at) / 2 / at[-1])

    def higher(self) -> tuple[float, float] | None:
        """Return the best of the rates 10, 100, ... times that of the run, and its loss at the end;
        a range test may miss it, where noise hides how little the loss falls at most rates."""
        tried: list[tuple[float, float]] = []
        rate = 10 * self.rate
        while 0 < rate <= _HIGHEST and (not tried or np.isfinite(tried[-1][0])):
            tried.append((self.end(rate), rate))
            rate *= 10
        end, rate = min(tried, default=(np.inf, 0.0))
        return (rate, end) if np.isfinite(end) else None

    def _run(self, rates: Array) -> Array | None:
        """Return the losses of steps at these rates, up to where one is far above the lowest."""
        rate = Variable(np.float64(rates[0]), name="rate", trainable=False)
        try:
            with (
                going_back(self.trainer),
                aside(self.trainer, lambda step: rate.leaf) as lent,
                np.errstate(all="ignore"),
            ):
                self.start.restore()
                order = rounds(self.trainer, self.batches, len(rates) * self.size)
                layout = layout_of("train", self.size, self.batches, gathered=True)
                return self._follow(training_step(lent, layout), order, rate, rates)
        except ChainruleError:
            return None  # what is wrong with data or shapes, the first step says

    def _follow(self, step: Step, order: Array, rate: Variable, rates: Array) -> Array:
        losses = np.empty(len(rates))
        for i, now in enumerate(rates):
            rate.value[...] = now
            losses[i] = self._one(step, order, i)
            if not _going(losses[: i + 1]):
                return losses[: i + 1] if np.isfinite(losses[i]) else losses[:i]
        return losses


@contextmanager
def going_back(trainer: Trainer) -> Iterator[None]:
    """Put back at the end of the block what the state of an earlier time has replaced: states that
    go on from batch to batch, and the number of the epoch."""
    epoch = trainer.epoch
    held = [(v, v.numpy()) for v in trainer.model.carried()]
    try:
        yield
    finally:
        trainer.epoch = epoch
        for variable, value in held:
            variable.assign(value)


def _going(losses: Array) -> bool:
    """Return whether the loss has not risen to a multiple of what it was."""
    last = losses[-3:]
    first, low = float(losses[0]), float(losses.min())
    far = 4 * abs(first) + max(first - low, 0.0) + 1e-12
    return bool(np.isfinite(last).all() and last.min() - low <= far)


def rate_of(optimizer: Optimizer, steps: int = STEPS) -> float:
    """Return the learning rate; of a schedule, the highest of the next steps; NaN where it cannot
    be told."""
    rate = optimizer.learning_rate
    if isinstance(rate, Variable):
        return float(rate)
    first = int(optimizer._batches().numpy())
    try:
        steps_seen = (first, first + steps // 2, first + steps)
        return max(_at(rate, step) for step in steps_seen)
    except (ChainruleError, TypeError, ValueError):
        return np.nan


def _at(schedule: Schedule, step: int) -> float:
    return float(ops.as_value(schedule(ops.as_value(np.float64(step)))).numpy())
