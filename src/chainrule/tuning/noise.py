"""How noisy the gradients of batches are."""

from __future__ import annotations

import copy
import functools
from collections.abc import Sequence

import numpy as np

from chainrule import ops
from chainrule.data.batches import Batches
from chainrule.graph import Value, Variable
from chainrule.optimizers import Optimizer
from chainrule.training.aside import load, rounds
from chainrule.training.step import layout_of
from chainrule.training.trace import trace
from chainrule.training.trainer import Trainer

_SMALL, _MOST = 16, 256  # samples in a batch, and batches, that the estimate is made of at most


class Meter(Optimizer):
    """An optimizer that leaves weights alone, adds gradients up, and takes their squared norm."""

    def __init__(self) -> None:
        super().__init__(0.0)
        self.square: Value | None = None
        self.sums: list[Variable] = []

    def updates(
        self, gradients: Sequence[Value | None], variables: Sequence[Variable]
    ) -> list[tuple[Variable, Value]]:
        """Return what adds each gradient to its sum."""
        squares, assigns = [], []
        for gradient, weight in zip(gradients, variables, strict=True):
            if gradient is not None:
                squares.append(ops.cast(ops.sum(ops.square(gradient)), "float64"))
                held = Variable(np.zeros(weight.shape, weight.dtype), trainable=False)
                assigns.append((held, ops.add(held.leaf, ops.cast(gradient, weight.dtype))))
                self.sums.append(held)
        self.square = functools.reduce(ops.add, squares)
        return assigns


def gradient_noise_scale(trainer: Trainer, lent: Trainer, batches: Batches) -> float | None:
    """Return ``tr(Sigma) / |G|^2`` in samples: at about that size, noise and gradient are equal.

    Sigma is the covariance of the gradients of single samples and G their mean; both are
    estimated without bias from the squared norms for small batches and for all of them together
    (`noise_scale`). Infinity stands for an estimate of G that is not above 0, ``None`` for losses
    that are no means over samples and for fewer than 4 samples.
    """
    how = trainer.loss
    if len(batches) < 4 or how is None or how.reduction not in ("sum_over_batch_size", "mean"):
        return None
    small = max(1, min(_SMALL, len(batches) // 8))
    count = min(_MOST, len(batches) // small)
    other = copy.copy(lent)
    meter = other.optimizer = Meter()
    layout = layout_of("train", small, batches, gathered=True)
    traced = trace(other, layout)
    if meter.square is None:
        return None
    step = load(layout, traced, [meter.square])
    squares = np.empty(count)
    step.program.bind_output(0, squares, squares.itemsize)
    step.run(batches, 0, count, rounds(trainer, batches, count * small))
    step.release()
    means = [v.value.astype(np.float64) / count for v in meter.sums]
    together = float(sum(np.square(m).sum() for m in means))
    return noise_scale(small, float(squares.mean()), small * count, together)


def noise_scale(small: int, of_small: float, big: int, of_big: float) -> float:
    """Return ``S / |G|^2`` of the squared norms of gradients of small and big batches.

    ``|G|^2 = (B of_big - b of_small) / (B - b)`` and ``S = (of_small - of_big) / (1/b - 1/B)``:
    McCandlish et al., arXiv 1812.06162, equations A.2 and A.3.
    """
    gradient = (big * of_big - small * of_small) / (big - small)
    noise = (of_small - of_big) / (1.0 / small - 1.0 / big)
    return max(noise, 0.0) / gradient if gradient > 0 else float("inf")
