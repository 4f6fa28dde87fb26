"""Adam: a rate for each weight from the moments of its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_share


class Adam(Optimizer):
    """``w' = w - rate_t * m' / (sqrt(v') + epsilon)`` with running means m of g and v of g^2.

    ``m' = m + (g - m)(1 - beta_1)``, ``v' = v + (g^2 - v)(1 - beta_2)`` and, for the bias of their
    first steps, ``rate_t = rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)``.

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
    name : str, default "adam"
        Shown in files.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers import Adam
    >>> Adam(learning_rate=0.01).get_config()["beta_2"]
    0.999

    Source
    ------
    Kingma and Ba, "Adam: A Method for Stochastic Optimization", arXiv 1412.6980, the form before
    section 2.1 ("epsilon hat"), as in Keras. PyTorch's epsilon is that of algorithm 1: added after
    the correction of the bias, so it acts as ``epsilon * sqrt(1 - beta_2^t)`` would here.
    """

    slot_names = ("m", "v")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str | None = "adam",
    ) -> None:
        super().__init__(learning_rate, name)
        self.beta_1 = checked_share("beta_1", beta_1)
        self.beta_2 = checked_share("beta_2", beta_2)
        if not 0.0 <= epsilon < float("inf"):
            raise ArgumentError(f"epsilon is {epsilon!r}; expected a number of at least 0")
        self.epsilon = float(epsilon)

    def corrected(self, rate: Value) -> Value:
        """Return ``rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)`` for the step t, from 1."""
        # In float64: in float32, 1 - 0.999^t of the first steps has an error of 1e-4.
        t = ops.cast(ops.add(self.iterations.leaf, 1), "float64")
        second = ops.sqrt(ops.subtract(1.0, ops.power(self.beta_2, t)))
        first = ops.subtract(1.0, ops.power(self.beta_1, t))
        return ops.multiply(rate, ops.divide(second, first))

    def step(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight and the new moments."""
        moved: Sequence[Value] = update.adam_update(
            w, g, *slots, rate, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon
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
