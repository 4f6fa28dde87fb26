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
        The loss, as it was given to `compile`.
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
    if not case.simple or y is None or not isinstance(loss, Loss) or loss.reduction == "sum":
        return None
    try:
        outputs = case.predicted(batches)
        reached, constant = measured(loss, y, outputs), constant_loss(case, y, outputs.shape)
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


def measured(loss: Loss, y: Array, outputs: Array) -> float:
    """Return the mean loss of outputs."""
    y = y[:, None] if y.ndim == outputs.ndim - 1 and outputs.shape[-1] == 1 else y
    return float(np.mean(loss(y, outputs.astype(np.float32)).numpy()))


def chance_of(case: Case, batches: Batches | None = None) -> float | None:
    """Return the loss of the best constant answer for the sample, or for others, without running
    the model."""
    name = "chance" if batches is None else "chance in validation"
    y = (case.sample if batches is None else batches).y
    if name not in case.memo:
        case.memo[name] = None
        if case.simple and y is not None and len(case.traced.outputs) == 1:
            shape = (len(y), *case.traced.outputs[0].shape[1:])
            with suppress(ChainruleError):
                case.memo[name] = constant_loss(case, y, shape)
    found: float | None = case.memo[name]
    return found


def constant_loss(case: Case, y: Array, shape: tuple[int, ...]) -> float | None:
    """Return the loss of the best constant answer, in the shape of the outputs."""
    loss = case.trainer.loss
    if not isinstance(loss, Loss):
        return None
    labels = labels_of(case, y)
    if labels is not None and len(labels.numbers) == len(y):
        answers = [_shares(case, labels, shape[-1])]
    elif y.dtype.kind in "fiub" and y.size == np.prod(shape):
        flat = y.reshape(shape).astype(np.float64)
        answers = [flat.mean(axis=0), np.median(flat, axis=0)]
    else:
        return None
    found = [measured(loss, y, np.broadcast_to(a, shape)) for a in answers]
    return min(found)


def _shares(case: Case, labels: Labels, units: int) -> Array:
    """Return the shares of the classes as probabilities, or logits, or margins."""
    loss = case.trainer.loss
    shares = np.clip(labels.counts / len(labels.numbers), _SURE, 1 - _SURE)
    if "hinge" in getattr(loss, "name", ""):
        return np.where(shares == shares.max(), 1.0, -1.0)[-units:]
    logits = getattr(loss, "from_logits", False) is True
    if units == 1:
        p = shares[1:]
        return np.log(p / (1 - p)) if logits else p
    return np.log(shares) if logits else shares
