"""Adamax: Adam with the largest gradient instead of the mean of squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_number, checked_share


class Adamax(Optimizer):
    """``w' = w - rate / (1 - beta_1^t) * m' / (u' + epsilon)`` with ``u' = max(beta_2 * u, |g|)``.

    m is a running mean of g, ``m' = m + (g - m)(1 - beta_1)``; u is the largest gradient, which
    fades, and needs no correction of its first steps.

    Parameters
    ----------
    learning_rate : float or callable, default 0.001
        At least 0; or a function from the number of finished steps to the rate.
    beta_1 : float, default 0.9
        From 0 to less than 1: how slowly the mean of gradients moves.
    beta_2 : float, default 0.999
        From 0 to less than 1: how slowly the largest gradient fades.
    epsilon : float, default 1e-7
        At least 0: keeps the quotient finite.
    name : str, default "adamax"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers import Adamax
    >>> Adamax(beta_1=0.8).beta_1
    0.8

    Source
    ------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv 1412.6980, algorithm 2. The
    paper has no epsilon; it is Keras's. PyTorch adds it to ``|g|`` instead.
    """

    slot_names = ("m", "u")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str | None = "adamax",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        self.beta_1 = checked_share("beta_1", beta_1)
        self.beta_2 = checked_share("beta_2", beta_2)
        self.epsilon = checked_number("epsilon", epsilon)

    def corrected(self, rate: Value) -> Value:
        """Return ``rate / (1 - beta_1^t)`` for the step t, from 1."""
        return ops.divide(rate, ops.subtract(1.0, ops.power(self.beta_1, self.step_number())))

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight, mean and largest gradient."""
        moved: Sequence[Value] = update.adamax_update(
            w,
            g,
            *slots,
            rate,
            *update.unscaled(w),
            beta_1=self.beta_1,
            beta_2=self.beta_2,
            epsilon=self.epsilon,
        )
        return moved

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
