"""Nadam: Adam with Nesterov's look ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import ops
from chainrule.dtypes import Array
from chainrule.graph import Value, Variable
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_number, checked_share


class Nadam(Optimizer):
    """``w' = w - rate * (a_t * m' + b_t * g) / (sqrt(v' / (1 - beta_2^t)) + epsilon)``.

    m and v are Adam's running means of g and g^2. With the momentum of step t,
    ``u_t = beta_1 * (1 - 0.96^t / 2)``, and the product ``P_t = u_1 * ... * u_t``,
    ``a_t = u_(t+1) / (1 - P_t * u_(t+1))`` and ``b_t = (1 - u_t) / (1 - P_t)``.

    Parameters
    ----------
    learning_rate : float or callable, default 0.001
        At least 0; or a function from the number of finished steps to the rate.
    beta_1 : float, default 0.9
        From 0 to less than 1: how slowly the mean of gradients moves.
    beta_2 : float, default 0.999
        From 0 to less than 1: how slowly the mean of their squares moves.
    epsilon : float, default 1e-7
        At least 0: keeps the quotient finite.
    name : str, default "nadam"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers import Nadam
    >>> Nadam(0.002).epsilon
    1e-07

    Source
    ------
    Dozat, "Incorporating Nesterov Momentum into Adam", 2016, algorithm 2, with the schedule of the
    momentum from the technical report of the same name (2015), as in Keras. PyTorch's schedule is
    ``0.96^(t * momentum_decay)`` with 0.004 by default: its momentum_decay=1 is this rule.
    """

    slot_names = ("m", "v", "momentum_product")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str | None = "nadam",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        self.beta_1 = checked_share("beta_1", beta_1)
        self.beta_2 = checked_share("beta_2", beta_2)
        self.epsilon = checked_number("epsilon", epsilon)

    def new_slots(self, variable: Variable) -> dict[str, Array]:
        """Return zeros for the moments and 1 for the product of all momenta."""
        return {**super().new_slots(variable), "momentum_product": np.ones((), np.float64)}

    def corrected(self, rate: Value) -> Value:
        """Return ``rate * sqrt(1 - beta_2^t)``, which moves the correction of v out of the root."""
        return ops.multiply(rate, self._root())

    def _root(self) -> Value:
        return ops.sqrt(ops.subtract(1.0, ops.power(self.beta_2, self.step_number())))

    def _momentum(self, t: Value) -> Value:
        return ops.multiply(ops.subtract(1.0, ops.multiply(ops.power(0.96, t), 0.5)), self.beta_1)

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight, moments and product of momenta."""
        m, v, product = slots
        t = self.step_number()
        now, following = self._momentum(t), self._momentum(ops.add(t, 1.0))
        product = ops.multiply(product, now)
        of_m = ops.divide(following, ops.subtract(1.0, ops.multiply(product, following)))
        of_g = ops.divide(ops.subtract(1.0, now), ops.subtract(1.0, product))
        rates = [ops.multiply(rate, ops.cast(part, w.dtype)) for part in (of_m, of_g)]
        epsilon = ops.cast(ops.multiply(self._root(), self.epsilon), w.dtype)
        moved: Sequence[Value] = update.nadam_update(
            w, g, m, v, *rates, epsilon, *update.unscaled(w), beta_1=self.beta_1, beta_2=self.beta_2
        )
        return [*moved, product]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }
