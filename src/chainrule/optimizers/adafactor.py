"""Adafactor: second moments of a matrix kept as those of its rows and columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.graph import Value, Variable
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_number


class Adafactor(Optimizer):
    """``w' = w - rate_t * max(epsilon_2, rms(w)) * u / max(1, rms(u) / clip_threshold)``.

    ``u = g / sqrt(v')``, where v' is the outer product of running means over rows and columns,
    ``v' = r' c' / mean(r')`` with ``r' = r + (mean_columns(g^2 + epsilon_1) - r) * share`` and c'
    likewise, of which a matrix of n by m needs n + m numbers. ``share = t^beta_2_decay``. A bias
    keeps its v whole.

    Parameters
    ----------
    learning_rate : float or callable, default 0.001
        At least 0; or a function from the number of finished steps to the rate. Relative to the
        size of the weights.
    beta_2_decay : float, default -0.8
        At most 0: how the share of a new gradient in the means falls with the step.
    epsilon_1 : float, default 1e-30
        At least 0: added to squares of gradients.
    epsilon_2 : float, default 1e-3
        At least 0: the least that counts as the size of a weight.
    clip_threshold : float, default 1.0
        Above 0: how large the root of the mean square of u may be.
    relative_step : bool, default True
        Whether the rate is at most ``1 / sqrt(t)``.
    name : str, default "adafactor"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers import Adafactor
    >>> Adafactor(0.01).beta_2_decay
    -0.8

    Source
    ------
    Shazeer and Stern, "Adafactor: Adaptive Learning Rates with Sublinear Memory Cost", arXiv
    1804.04235, algorithms 4 to 6, as in Keras: the last two axes are factored. Keras 3.15 bounds
    the rate by ``1 / sqrt(t)`` whatever `relative_step` is; here False leaves the rate as given.
    PyTorch raises v' to ``epsilon_1^2`` instead of adding to squares.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_2_decay: float = -0.8,
        epsilon_1: float = 1e-30,
        epsilon_2: float = 1e-3,
        clip_threshold: float = 1.0,
        relative_step: bool = True,
        name: str | None = "adafactor",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        if not isinstance(beta_2_decay, int | float | np.number) or not -np.inf < beta_2_decay <= 0:
            raise ArgumentError(f"beta_2_decay is {beta_2_decay!r}; expected a number of at most 0")
        self.beta_2_decay = float(beta_2_decay)
        self.epsilon_1 = checked_number("epsilon_1", epsilon_1)
        self.epsilon_2 = checked_number("epsilon_2", epsilon_2)
        self.clip_threshold = checked_number("clip_threshold", clip_threshold)
        if self.clip_threshold == 0:
            raise ArgumentError("clip_threshold is 0, so that no weight could move")
        self.relative_step = bool(relative_step)

    def new_slots(self, variable: Variable) -> dict[str, Array]:
        """Return zeros: for rows and columns, or for every element of what has one axis."""
        shape = variable.shape
        shapes = (
            {"v": shape} if len(shape) < 2 else {"r": shape[:-1], "c": (*shape[:-2], shape[-1])}
        )
        return {name: np.zeros(s, variable.dtype) for name, s in shapes.items()}

    def corrected(self, rate: Value) -> Value:
        """Return the rate, with `relative_step` at most ``1 / sqrt(t)``."""
        return ops.minimum(rate, ops.rsqrt(self.step_number())) if self.relative_step else rate

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight and second moments."""
        share = ops.cast(ops.power(self.step_number(), self.beta_2_decay), w.dtype)
        squares = ops.square(g)
        if len(slots) == 1:
            moments = [self._toward(slots[0], squares, share)]
            u = ops.multiply(g, ops.rsqrt(moments[0]))
        else:
            r, c = slots
            moments = [
                self._toward(r, ops.mean(squares, axis=-1), share),
                self._toward(c, ops.mean(squares, axis=-2), share),
            ]
            u = _over_root(g, *moments)
        excess = ops.maximum(ops.multiply(_rms(u), 1.0 / self.clip_threshold), 1.0)
        rate = ops.multiply(rate, ops.maximum(_rms(w), self.epsilon_2))
        rate = ops.divide(rate, excess)
        return [update.sgd_update(w, u, rate, *update.unscaled(w)), *moments]

    def _toward(self, mean: Value, squares: Value, share: Value) -> Value:
        new = ops.add(squares, self.epsilon_1)
        return ops.add(mean, ops.multiply(ops.subtract(new, mean), share))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "beta_2_decay": self.beta_2_decay,
            "epsilon_1": self.epsilon_1,
            "epsilon_2": self.epsilon_2,
            "clip_threshold": self.clip_threshold,
            "relative_step": self.relative_step,
        }


def _rms(x: Value) -> Value:
    return ops.sqrt(ops.mean(ops.square(x)))


def _over_root(g: Value, r: Value, c: Value) -> Value:
    """Return ``g / sqrt(r c / mean(r))`` with a root for each row and column, not each element."""
    rows = ops.rsqrt(ops.divide(r, ops.mean(r, axis=-1, keepdims=True)))
    columns = ops.rsqrt(c)
    scaled = ops.multiply(g, ops.expand_dims(rows, axis=-1))
    return ops.multiply(scaled, ops.expand_dims(columns, axis=-2))
