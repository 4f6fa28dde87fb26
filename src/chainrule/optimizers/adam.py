"""Adam: a rate for each weight from the moments of its gradient; AMSGrad."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_number, checked_share


class Adam(Optimizer):
    """``w' = w - rate_t * m' / (sqrt(v') + epsilon)`` with running means m of g and v of g^2.

    ``m' = m + (g - m)(1 - beta_1)``, ``v' = v + (g^2 - v)(1 - beta_2)`` and, for the bias of their
    first steps, ``rate_t = rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)``. AMSGrad takes for v' the
    largest it has been.

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
    amsgrad : bool, default False
        Whether to divide by the largest of all v so far, so that no weight's rate grows again.
    name : str, default "adam"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

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
    the correction of the bias, so it acts as ``epsilon * sqrt(1 - beta_2^t)`` would here. AMSGrad:
    Reddi, Kale and Kumar, "On the Convergence of Adam and Beyond", arXiv 1904.09237, algorithm 2,
    with Adam's correction of the bias, as in Keras and PyTorch.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        name: str | None = "adam",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        self.beta_1 = checked_share("beta_1", beta_1)
        self.beta_2 = checked_share("beta_2", beta_2)
        self.epsilon = checked_number("epsilon", epsilon)
        self.amsgrad = bool(amsgrad)
        self.slot_names = ("m", "v", "v_max") if self.amsgrad else ("m", "v")

    def corrected(self, rate: Value) -> Value:
        """Return ``rate * sqrt(1 - beta_2^t) / (1 - beta_1^t)`` for the step t, from 1."""
        t = self.step_number()
        second = ops.sqrt(ops.subtract(1.0, ops.power(self.beta_2, t)))
        first = ops.subtract(1.0, ops.power(self.beta_1, t))
        return ops.multiply(rate, ops.divide(second, first))

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight and the new moments."""
        operation = update.amsgrad_update if self.amsgrad else update.adam_update
        moved: Sequence[Value] = operation(
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
            "amsgrad": self.amsgrad,
        }
