"""The loss of a model as a function of its weights: value, gradient, Hessian times a vector."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.data.batches import Batches
from chainrule.dtypes import Array
from chainrule.errors import GraphError, ShapeError
from chainrule.executors import Fault
from chainrule.graph import Value, Variable, gradient, placeholder, registry
from chainrule.insight.posed import Posed, posed
from chainrule.insight.wide import Wide
from chainrule.training.trainer import Trainer

_STEP = 1e-5  # of the size of the weights, where the second derivative is measured


class Objective:
    """``L(w)`` in float64: the mean over the samples, by batches, as training computes it.

    A vector of weights, and of directions, is one array: all trainable weights behind each other,
    in the order of `variables`.

    Parameters
    ----------
    trainer : Trainer
        Of a compiled model.
    batches : Batches
        The samples.
    batch_size : int
        How many are computed at a time; a batch normalization in training is over as many.
    training : bool
        Whether layers do what they do in training.
    exact : bool
        Whether a product differentiates twice; else it takes differences of the gradient, right to
        seven digits: a recurrent layer differentiated twice is planned step by step, which takes
        seconds.
    """

    def __init__(
        self,
        trainer: Trainer,
        batches: Batches,
        batch_size: int,
        training: bool = True,
        exact: bool = True,
    ) -> None:
        self.trainer, self.training = trainer, training
        size = min(batch_size, len(batches))
        self._parts = [batches.part(i, i + size) for i in range(0, len(batches), size)]
        self._steps: dict[int, Posed] = {}
        self._programs: dict[tuple[str, int], Wide] = {}
        self.variables: list[Variable] = self._step(self._parts[0]).variables
        self.size = sum(v.size for v in self.variables)
        self._twice = exact  # whether the step is, and can be, differentiated twice

    @cached_property
    def weights(self) -> Array:
        """The weights as they are."""
        return joined([v.value for v in self.variables])

    def loss(self, weights: Array) -> float:
        """Return the loss for these weights."""
        return float(self._mean("loss", weights)[0])

    def gradient(self, weights: Array) -> tuple[float, Array]:
        """Return the loss, and its gradient."""
        value, *found = self._mean("gradient", weights)
        return float(value), joined(found)

    def product(self, weights: Array, way: Array) -> Array:
        """Return the Hessian at these weights times a direction."""
        if self._twice:
            try:
                return joined(self._mean("product", weights, way))
            except GraphError:
                self._twice = False
        return self._measured(weights, way)

    def _measured(self, weights: Array, way: Array) -> Array:
        """Return the same by differences of the gradient, for operations (the CTC loss) whose
        derivative has no derivative."""
        length = float(np.linalg.norm(way))
        if not length:
            return np.zeros_like(way)
        h = _STEP * max(float(np.linalg.norm(weights)), 1.0) / length
        up, down = (self.gradient(weights + t * way)[1] for t in (h, -h))
        found: Array = (up - down) / (2 * h)
        return found

    def split(self, vector: Array) -> list[Array]:
        """Return a vector in the shapes of the weights."""
        ends = np.cumsum([v.size for v in self.variables])[:-1]
        parts = np.split(vector, ends)
        return [p.reshape(v.shape) for p, v in zip(parts, self.variables, strict=True)]

    def vector(self, arrays: Sequence[Any], what: str = "vector") -> Array:
        """Return arrays of the shapes of the weights as one.

        Raises
        ------
        ShapeError
            Where they have other shapes.
        """
        held = [np.asarray(a, "float64") for a in arrays]
        shapes = [v.shape for v in self.variables]
        if [a.shape for a in held] != shapes:
            raise ShapeError(
                f"{what} must have the shapes of the trainable weights, "
                f"{', '.join(str(list(s)) for s in shapes)}; "
                f"not {', '.join(str(list(a.shape)) for a in held)}"
            )
        return joined(held)

    def _mean(self, kind: str, *vectors: Array) -> list[Array]:
        """Return what a program computes, in the mean over the samples."""
        fed = [a for vector in vectors for a in self.split(vector)]
        total: list[Array] = []
        count = sum(len(part) for part in self._parts)
        for part in self._parts:
            share = len(part) / count
            found = [share * a for a in self._run(kind, part, fed)]
            total = found if not total else [a + b for a, b in zip(total, found, strict=True)]
        return total

    def _run(self, kind: str, part: Batches, fed: Sequence[Array]) -> list[Array]:
        step = self._step(part)
        key = kind, len(part)
        if key not in self._programs:
            values, ways = _MAKE[kind](step)
            leaves = [v.leaf for v in step.variables]
            ends = list(step.feeds())
            self._programs[key] = Wide(values, [*leaves, *ways, *ends])
        try:
            return self._programs[key]([*fed, *step.feeds(part).values()])
        except Fault as fault:
            raise step.mistake(fault, part) from None

    def _step(self, part: Batches) -> Posed:
        if len(part) not in self._steps:
            self._steps[len(part)] = posed(self.trainer, part, self.training)
        return self._steps[len(part)]


def joined(arrays: Sequence[Array]) -> Array:
    """Return arrays behind each other, in float64."""
    held = [np.asarray(a, "float64").ravel() for a in arrays]
    return np.concatenate(held) if held else np.zeros(0)


Made = tuple[list[Value], list[Value]]


def _value(step: Posed) -> Made:
    return [step.loss], []


def _gradient(step: Posed) -> Made:
    return [step.loss, *(g for g, _ in step.pairs)], []


def _product(step: Posed) -> Made:
    """Return d(g . v)/dw, and placeholders for v: two passes backward, as Pearlmutter's operator
    R{} is one of each kind."""
    ways = [placeholder(v.shape, v.dtype, "direction") for v in step.variables]
    op = registry()
    total: Value | None = None
    for (g, _), way in zip(step.pairs, ways, strict=True):
        flat = op["reshape"].apply((op["multiply"](g, way),), {"shape": (way.size,)})
        part = op["reduce_sum"].apply((flat,), {"axes": (0,)})
        total = part if total is None else op["add"](total, part)
    if total is None:
        return [], ways
    return gradient(total, [v.leaf for v in step.variables]), ways


_MAKE: dict[str, Callable[[Posed], Made]] = {
    "loss": _value,
    "gradient": _gradient,
    "product": _product,
}
