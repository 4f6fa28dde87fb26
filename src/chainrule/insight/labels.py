"""What targets are: numbers of classes, truths, or quantities; and what is wrong with them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.insight.case import Case
from chainrule.insight.head_rules import DISTANCES
from chainrule.insight.heads import Head, head_of
from chainrule.losses import (
    BinaryCrossentropy,
    BinaryFocalCrossentropy,
    CategoricalCrossentropy,
    CategoricalFocalCrossentropy,
    Hinge,
    KLDivergence,
    Poisson,
    SquaredHinge,
)
from chainrule.training.finding import Finding
from chainrule.training.said import Said, said
from chainrule.training.trace import is_sparse

# A class is rare where the most frequent one has so many times its samples, and it has so small a
# part of its fair share. He and Garcia, "Learning from Imbalanced Data" (IEEE TKDE 21, 2009),
# section 2, speak of 100 : 1 and more; from 9 : 1, nine tenths of two classes, always the same
# answer is right more often than most networks are asked to be.
RATIO, SHARE = 9.0, 0.25
# Among many classes a long tail is usual. Worth a word is that one makes up half of the samples, or
# that one alone is so many times rarer than the next.
HALF = 0.5
_BY_CHANCE = 5
# Where each class that is met has so many samples, one that is as frequent as the rarest of them is
# absent with a probability of e**-20.
_EACH = 20
_MANY = 50  # samples of the most frequent class by which a ratio is told from chance


@dataclass(frozen=True)
class Labels:
    """One class number a sample, and how many classes there are room for."""

    numbers: Array
    classes: int

    @property
    def counts(self) -> Array:
        """How many samples each class has."""
        return np.bincount(self.numbers, minlength=self.classes)

    @property
    def chance(self) -> float:
        """How often the most frequent class is right."""
        return float(self.counts.max() / max(len(self.numbers), 1))

    @property
    def entropy(self) -> float:
        """The cross-entropy of always answering with the shares of the classes."""
        shares = self.counts[self.counts > 0] / len(self.numbers)
        return float(-(shares * np.log(shares)).sum())


def labels_of(case: Case, y: Array | None = None) -> Labels | None:
    """Return the class of each sample, of those in memory or of `y`; ``None`` where targets are
    something else."""
    y = case.targets if y is None else y
    if not case.simple or y is None or not len(y):
        return None
    loss = case.trainer.loss
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if is_sparse(loss):
        return _numbered(case, y)
    if isinstance(loss, BinaryCrossentropy | BinaryFocalCrossentropy | Hinge | SquaredHinge):
        return _truths(y) or _one_hot(y)
    return _one_hot(y)


def _numbered(case: Case, y: Array) -> Labels | None:
    if y.ndim != 1 or not case.traced.outputs or case.traced.outputs[0].ndim != 2:
        return None
    ignored = getattr(case.trainer.loss, "ignore_class", None)
    y = y if ignored is None else y[y != ignored]
    classes = case.traced.outputs[0].shape[-1]
    right = len(y) and np.isfinite(y).all() and y.min() >= 0 and y.max() < classes
    return Labels(y.astype(np.int64), classes) if right else None


def _truths(y: Array) -> Labels | None:
    if y.ndim != 1 or not ((y == 0) | (y == 1) | (y == -1)).all() or {0, -1} <= {*np.unique(y)}:
        return None
    return Labels((y > 0).astype(np.int64), 2)


def _one_hot(y: Array) -> Labels | None:
    if y.ndim != 2 or not ((y == 0) | (y == 1)).all() or not (y.sum(axis=1) == 1).all():
        return None
    return Labels(y.argmax(axis=1).astype(np.int64), y.shape[1])


def labels_imbalanced(case: Case) -> list[Finding]:
    """Return where a class is so rare that it hardly counts in the loss."""
    labels = labels_of(case)
    if labels is None or case.sample.weights is not None:
        return []  # weights may be the remedy
    counts = labels.counts
    met = np.flatnonzero(counts)
    if len(met) < 2 or counts.max() < _MANY:
        return []
    rare, most = int(met[counts[met].argmin()]), int(counts.argmax())
    ratio = float(counts[most] / counts[rare])
    if ratio < RATIO or counts[rare] > SHARE * len(labels.numbers) / len(met):
        return []
    if labels.chance < HALF and not _alone(counts[met]):
        return []
    return [
        Finding(
            "labels_imbalanced",
            None,
            said(
                "class {rare} has {few:,} of {samples:,} samples and class {most} {many:,}, "
                "{ratio:.0f} times as many: always answering {most} is right in {chance:.1%}",
                rare=rare,
                few=counts[rare],
                samples=len(labels.numbers),
                most=most,
                many=counts[most],
                ratio=ratio,
                chance=labels.chance,
            ),
            said(
                "pass class_weight to fit, or collect or repeat samples of the rare classes; "
                "measure by F1, AUC or balanced accuracy instead of accuracy"
            ),
            cause=said("the classes are not equally frequent where the samples come from"),
            change={"class_weight": _weights(counts)},
            numbers={"ratio": ratio, "rare": float(counts[rare]), "chance": labels.chance},
        )
    ]


def _alone(counts: Array) -> bool:
    """Return whether one class is far rarer than all others, chance taken into account."""
    least, next_ = np.sort(counts)[:2] + _BY_CHANCE
    return bool(next_ > RATIO * least)


def _weights(counts: Array) -> dict[int, float]:
    """Return weights by which each class that is met counts alike, 1 in the mean."""
    met = np.flatnonzero(counts)
    total = counts.sum()
    return {int(k): round(float(total / (len(met) * counts[k])), 4) for k in met}


def labels_out_of_range(case: Case) -> list[Finding]:
    """Return targets that the last layer cannot put out, and classes that never occur."""
    head = head_of(case)
    if head is None:
        return []
    return _classes_missing(case) or _unreachable(case, head)


def _classes_missing(case: Case) -> list[Finding]:
    labels = labels_of(case)
    if labels is None or len(labels.numbers) < _EACH:
        return []
    counts = labels.counts
    met, n = np.flatnonzero(counts), len(labels.numbers)
    used = np.union1d(met, _ignored(case, labels))
    if len(met) == 1:
        told = said(
            "all {samples:,} samples are of class {label}, so there is nothing to tell apart",
            samples=n,
            label=met[0],
        )
        remedy = said("look at how the targets are read")
        return [_finding(told, remedy, said("a wrong column, or rows that are sorted by class"))]
    if len(used) == labels.classes or counts[met].min() < _EACH:
        return []  # one as rare as these may be absent by chance
    if used[0] == 0 and len(used) == used[-1] + 1 and labels.classes <= 1.1 * len(used):
        return []  # a unit more at the end, e.g. for none of the classes, is soon never chosen
    absent = [int(k) for k in np.setdiff1d(np.arange(labels.classes), used)]
    told = said(
        "of {classes} classes {count} never occur in {samples:,} samples ({absent}); the labels go "
        "from {least} to {most}",
        classes=labels.classes,
        count=len(absent),
        samples=n,
        absent=[*absent[:5], *(["..."] if len(absent) > 5 else [])],
        least=met[0],
        most=met[-1],
    )
    remedy = said(
        "number the classes from 0 without gaps, and give the last layer {units} units",
        units=len(used),
    )
    return [_finding(told, remedy, said("labels that do not count from 0, or rows left out"))]


def _ignored(case: Case, labels: Labels) -> Array:
    """Return the class that the loss leaves out, if it is one of those that there are units for."""
    ignored = getattr(case.trainer.loss, "ignore_class", None)
    here = ignored is not None and 0 <= ignored < labels.classes
    return np.array([ignored] if here else [], np.int64)


def _unreachable(case: Case, head: Head) -> list[Finding]:
    """Return quantities outside of what activation or loss allow."""
    y = case.y
    if y is None or is_sparse(case.trainer.loss) or not len(y):
        return []
    low, high = _allowed(case, head)
    values = y.astype(np.float64)
    # What an activation only comes close to, 0 and 1 of a sigmoid, is no fault.
    outside = float(((values < low) | (values > high)).mean())
    if not outside:
        return []
    which = (
        said("the {activation}", activation=head.activation)
        if (low, high) == head.range
        else getattr(case.trainer.loss, "name", said("the loss"))
    )
    told = said(
        "{outside:.0%} of the targets are outside of {low:g} to {high:g}, what {which} allows: "
        "they go from {least:.4g} to {most:.4g}",
        outside=outside,
        low=low,
        high=high,
        which=which,
        least=values.min(),
        most=values.max(),
    )
    cause = said("targets and last layer were not chosen together")
    if isinstance(case.trainer.loss, DISTANCES):
        change = {"layer": head.layer, "activation": "linear"}
        remedy = said("make the last layer linear, or scale the targets into this range")
        return [_finding(told, remedy, cause, change)]
    return [_finding(told, said("scale the targets into this range"), cause, {"y": "scale"})]


def _allowed(case: Case, head: Head) -> tuple[float, float]:
    """Return the range of targets that the loss makes sense of, or, where it takes differences,
    what the last activation can put out."""
    loss, y = case.trainer.loss, case.y
    probabilities = (
        BinaryCrossentropy,
        BinaryFocalCrossentropy,
        CategoricalCrossentropy,
        CategoricalFocalCrossentropy,
        KLDivergence,
    )
    if isinstance(loss, probabilities):
        return 0.0, 1.0
    if isinstance(loss, Poisson):
        return 0.0, float("inf")
    if isinstance(loss, Hinge | SquaredHinge):
        return -1.0, 1.0
    alike = y is not None and y[0].size == math.prod(case.traced.outputs[0].shape[1:])
    if isinstance(loss, DISTANCES) and alike:
        return head.range
    return -float("inf"), float("inf")


def _finding(
    told: Said, remedy: Said, cause: Said, change: dict[str, Any] | None = None
) -> Finding:
    return Finding("labels_out_of_range", None, told, remedy, cause=cause, change=change)
