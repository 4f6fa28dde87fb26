"""What the doctor goes by: the first look, the curve of the loss, statistics, trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ChainruleError
from chainrule.insight.case import Case
from chainrule.insight.layer_look import Look, look_at
from chainrule.insight.standing import chance_of as measured_chance
from chainrule.insight.strength_rules import penalties_of
from chainrule.insight.trials import Trials
from chainrule.losses import (
    BinaryCrossentropy,
    CategoricalCrossentropy,
    MeanAbsoluteError,
    MeanSquaredError,
    SparseCategoricalCrossentropy,
)
from chainrule.training.said import Said, said
from chainrule.training.statistics import Statistics

_EARLY = 8  # looks: those of the first 100 steps or so
STUCK = 0.05  # of the way from knowing nothing to no loss: less than this is no progress
LEARNT = 0.5  # more than this is a network that learns


@dataclass
class Evidence:
    """What is known of a run when it is judged.

    Attributes
    ----------
    case : Case
        The model, a sample of the data, the learning curves.
    first : Look or None
        What the layers did before the first step; ``None`` where they cannot be looked at.
    losses : sequence of float
        The mean loss of each epoch.
    per_epoch : int
        The number of steps of an epoch.
    statistics : Statistics or None
        What was collected within the steps.
    trials : Trials or None
        Short runs from the same beginning; ``None`` for models that they are not for.
    fresh : bool
        Whether the optimizer had taken no step before the run.
    """

    case: Case
    first: Look | None
    losses: Sequence[float]
    per_epoch: int
    statistics: Statistics | None = None
    trials: Trials | None = None
    fresh: bool = True

    @cached_property
    def now(self) -> Look | None:
        """What the layers do now."""
        try:
            return look_at(self.case.trainer, self.case.sample)
        except ChainruleError:
            return None

    @property
    def steps(self) -> int:
        """The number of steps so far."""
        return len(self.losses) * self.per_epoch

    def since(self, measure: str, layer: str, limit: float) -> int | None:
        """Return the first step looked into at which a layer's measure reached a limit."""
        s = self.statistics
        if s is None or layer not in (names := [one.name for one in s.layers]):
            return None
        table = s.dead if measure == "dead" else s.activation[measure]
        reached = np.flatnonzero(table[:, names.index(layer)] >= limit)
        return int(s.steps[reached[0]]) if len(reached) else None

    @property
    def ratio(self) -> float:
        """The norm of the update over that of the weight, of kernels in the median over the first
        looks; NaN where nothing was measured."""
        s = self.statistics
        if s is None or not len(s):
            return math.nan
        kernels = [i for i, weight in enumerate(s.weights) if len(weight.shape) > 1]
        found = s.ratio[:_EARLY, kernels]
        known = found[np.isfinite(found) & (found > 0)]  # gradients are summed up in between
        return float(np.median(known)) if known.size else math.nan

    @cached_property
    def moved(self) -> float:
        """By what share of their norm the weights have moved in all; NaN where it is not known."""
        if self.trials is None:
            return math.nan
        before = {id(variable): value for variable, value in self.trials.start.held}
        weights = [v for v in self.case.model.trainable_variables if id(v) in before]
        with np.errstate(all="ignore"):
            steps = [np.square(v.value - before[id(v)]).sum(dtype=float) for v in weights]
            norms = [np.square(before[id(v)]).sum(dtype=float) for v in weights]
        return math.sqrt(sum(steps) / sum(norms)) if sum(norms) > 0 else math.nan

    @cached_property
    def constant(self) -> float | None:
        """The loss of the best constant prediction, with the penalties of the first weights;
        ``None`` where it is not known."""
        known = chance_of(self.case)
        if known is not None:
            return known
        known = measured_chance(self.case)
        if known is None:
            return None
        first: dict[str, float] | None = self.case.memo.get("first penalties")
        return known + sum((penalties_of(self.case) if first is None else first).values())

    @property
    def chance(self) -> float:
        """What a network that has learnt nothing has: `constant`, or the loss of the first weights
        where it is not known; NaN where these were trained before."""
        if self.constant is not None:
            return self.constant
        return self.first.loss if self.first is not None and self.fresh else math.nan

    @property
    def nothing(self) -> Said:
        """What the loss is compared with, in words."""
        if self.constant is not None:
            return said("knowing nothing would cost {chance:.4g}", chance=self.constant)
        if self.first is not None:
            return said("the first loss was {loss:.4g}", loss=self.first.loss)
        return said("what knowing nothing would cost is not known")

    @property
    def falling(self) -> bool:
        """Whether the loss of the last epoch is a tenth below that of the one before."""
        return len(self.losses) > 1 and self.losses[-1] < 0.9 * self.losses[-2]

    @property
    def progress(self) -> float:
        """How far the loss has come from `chance` to 0; NaN where that cannot be told."""
        if not len(self.losses) or not self.chance > 0:
            return math.nan
        last = float(self.losses[-1])
        return (self.chance - last) / self.chance if math.isfinite(last) else -math.inf

    @property
    def fallen(self) -> float:
        """By what share of its first value the loss has fallen at best; NaN where unknown."""
        first = self.first.loss if self.first is not None else math.nan
        finite = [loss for loss in self.losses if math.isfinite(loss)]
        if not finite or not math.isfinite(first) or first == 0:
            return math.nan
        return (first - min(finite)) / abs(first)

    @property
    def diverged(self) -> bool:
        """Whether the loss is no number any more."""
        return bool(len(self.losses)) and not math.isfinite(self.losses[-1])

    @property
    def stuck(self) -> bool:
        """Whether the network has learnt next to nothing, and is not about to; not where that
        cannot be told."""
        return self.diverged or (self.progress < STUCK and not self.falling)

    @property
    def learns(self) -> bool:
        """Whether the network has learnt much of what there is to be learnt."""
        return self.progress > LEARNT


def chance_of(case: Case) -> float | None:
    """Return the loss of the constant prediction that has the least; ``None`` where it is not
    known for this loss.

    For crossentropy it is the entropy of the labels, for the squared error the variance of the
    targets, for the absolute error their mean distance from the median.
    """
    loss, y = case.trainer.loss, case.sample.y
    if y is None or not case.representative or not case.simple or case.sample.weights is not None:
        return None
    if case.trainer.model.regularization() or getattr(loss, "reduction", "") == "sum":
        return None
    with np.errstate(all="ignore"):
        known = _constant(loss, np.asarray(y))
    return None if known is None else case.trainer.loss_weight * known


def _constant(loss: Any, y: Array) -> float | None:
    smooth = getattr(loss, "label_smoothing", 0.0)
    if isinstance(loss, SparseCategoricalCrossentropy):
        if loss.ignore_class is not None:
            return None
        _, counts = np.unique(y, return_counts=True)
        return _entropy(counts / counts.sum())
    if smooth or y.dtype.kind not in "fiub":
        return None
    flat = y.reshape(len(y), -1).astype(np.float64)
    if isinstance(loss, CategoricalCrossentropy):
        rows = y.reshape(-1, y.shape[-1]).astype(np.float64)
        return _entropy(rows.mean(axis=0))
    if isinstance(loss, BinaryCrossentropy):
        p = np.clip(flat.mean(axis=0), 1e-12, 1 - 1e-12)
        return float(-(p * np.log(p) + (1 - p) * np.log1p(-p)).mean())
    if isinstance(loss, MeanSquaredError):
        return float(flat.var(axis=0).mean())
    if isinstance(loss, MeanAbsoluteError):
        return float(np.abs(flat - np.median(flat, axis=0)).mean())
    return None


def _entropy(shares: Array) -> float:
    shares = shares[shares > 0]
    return float(-(shares * np.log(shares)).sum())
