"""How far a network has come: its loss and skill on the sample, beside the best constant answer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from chainrule.data.batches import Batches
from chainrule.dtypes import Array
from chainrule.errors import ChainruleError
from chainrule.insight.case import Case
from chainrule.insight.labels import Labels, labels_of
from chainrule.losses import Loss

_SURE = 1e-6  # how near to 0 and 1 the shares of classes are kept


@dataclass(frozen=True)
class Standing:
    """What a network makes of some samples as it is now, without dropout and penalties.

    Attributes
    ----------
    loss : float
        The loss in the units of the learning curve, with the weights of samples and that of the
        loss.
    chance : float
        That of the best answer that is the same for all samples.
    skill : float
        The share of right classes, or of the variance of quantities that is explained.
    base : float
        The skill of that constant answer: the share of the most frequent class, or 0.
    classes : bool
        Whether the targets are classes.
    rows : int
        Of how many samples.
    outputs : ndarray
        [rows, d].
    """

    loss: float
    chance: float
    skill: float
    base: float
    classes: bool
    rows: int
    outputs: Array

    @property
    def error(self) -> float:
        """The standard error of `skill` where it is a share of right classes, else 0."""
        p = self.skill
        return float(np.sqrt(max(p * (1 - p), 0.25 / self.rows) / self.rows)) * self.classes

    @property
    def learnt(self) -> float:
        """How much of the way from chance to no loss is done: 1 at the end, below 0 for worse."""
        return 1.0 - self.loss / self.chance if self.chance > 0 else float("nan")


def standing(case: Case, batches: Batches | None = None) -> Standing | None:
    """Return how the model does on the sample, or on others; ``None`` where it cannot be told."""
    batches = case.sample if batches is None else batches
    y, loss = batches.y, case.trainer.loss
    if not case.representative:
        return None
    if not case.simple or y is None or not isinstance(loss, Loss) or loss.reduction == "sum":
        return None
    try:
        outputs = case.predicted(batches)
        reached = _cost(case, batches, outputs)
        constant = constant_loss(case, batches, outputs.shape)
    except ChainruleError:
        return None
    if constant is None or not np.isfinite(outputs).all():
        return None
    flat = outputs.reshape(len(outputs), -1)
    labels = labels_of(case, y)
    if labels is not None and len(labels.numbers) == len(outputs):
        right = float((_classes(case, flat) == labels.numbers).mean())
        return Standing(reached, constant, right, labels.chance, True, len(flat), flat)
    if y.size != outputs.size:
        return Standing(reached, constant, 1 - reached / constant, 0.0, False, len(flat), flat)
    target = y.reshape(flat.shape).astype(np.float64)
    variance = float(target.var(axis=0).mean())
    explained = 1.0 - float(np.square(flat - target).mean()) / max(variance, 1e-300)
    return Standing(reached, constant, explained, 0.0, False, len(flat), flat)


def _classes(case: Case, outputs: Array) -> Array:
    """Return the class that each row of outputs stands for."""
    if outputs.shape[1] > 1:
        return np.asarray(outputs.argmax(axis=1))
    logits = getattr(case.trainer.loss, "from_logits", False) is True
    margin = "hinge" in getattr(case.trainer.loss, "name", "")
    found: Array = (outputs[:, 0] > (0.0 if logits or margin else 0.5)).astype(np.int64)
    return found


def _cost(case: Case, batches: Batches, outputs: Array) -> float:
    """Return the mean loss of outputs, in the units of the learning curve."""
    loss, y = case.trainer.loss, np.asarray(batches.y)
    if not isinstance(loss, Loss):
        return float("nan")
    y = y[:, None] if y.ndim == outputs.ndim - 1 and outputs.shape[-1] == 1 else y
    found = loss(y, outputs.astype(np.float32), batches.weights).numpy()
    return case.trainer.loss_weight * float(np.mean(found))


def chance_of(case: Case, batches: Batches | None = None) -> float | None:
    """Return the loss of the best constant answer for the sample, or for others, without running
    the model."""
    name = "chance" if batches is None else "chance in validation"
    batches = case.sample if batches is None else batches
    if name not in case.memo:
        case.memo[name] = None
        if case.representative and case.simple and len(case.traced.outputs) == 1:
            shape = (len(batches), *case.traced.outputs[0].shape[1:])
            with suppress(ChainruleError):
                case.memo[name] = constant_loss(case, batches, shape)
    found: float | None = case.memo[name]
    return found


def constant_loss(case: Case, batches: Batches, shape: tuple[int, ...]) -> float | None:
    """Return the loss of the best constant answer, in the shape of the outputs."""
    loss, y, weights = case.trainer.loss, batches.y, batches.weights
    if y is None or not isinstance(loss, Loss) or loss.reduction == "sum":
        return None
    if weights is not None and (weights.shape != (len(y),) or not weights.sum() > 0):
        return None
    labels = labels_of(case, y)
    if labels is not None and len(labels.numbers) == len(y):
        answers = [_shares(case, labels, weights, shape[-1])]
    elif y.dtype.kind in "fiub" and y.size == np.prod(shape):
        flat = y.reshape(shape).astype(np.float64)
        answers = [np.average(flat, axis=0, weights=weights), np.median(flat, axis=0)]
    else:
        return None
    return min(_cost(case, batches, np.broadcast_to(a, shape)) for a in answers)


def _shares(case: Case, labels: Labels, weights: Array | None, units: int) -> Array:
    """Return the shares of the classes as probabilities, or logits, or margins."""
    loss = case.trainer.loss
    counts = np.bincount(labels.numbers, weights, labels.classes)
    shares: Array = np.clip(counts / counts.sum(), _SURE, 1 - _SURE)
    if "hinge" in getattr(loss, "name", ""):
        return np.where(shares == shares.max(), 1.0, -1.0)[-units:]
    logits = getattr(loss, "from_logits", False) is True
    if units == 1:
        p = shares[1:]
        return np.log(p / (1 - p)) if logits else p
    return np.log(shares) if logits else shares
