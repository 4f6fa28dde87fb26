"""LAMB: Adam's direction, as long for each layer as its weights are; for large batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import ops
from chainrule.graph import Value
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_number, checked_share


class Lamb(Optimizer):
    """``w' = w - rate * |w| / |d| * d`` with Adam's direction d, and norms over the whole weight.

    ``d = m' / (1 - beta_1^t) / (sqrt(v' / (1 - beta_2^t)) + epsilon)`` with Adam's running means
    m of g and v of g^2. Where ``|w|`` or ``|d|`` is 0 their quotient counts as 1.

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
    name : str, default "lamb"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`. `weight_decay` shrinks the weights before the
        step, as in Keras.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers import Lamb
    >>> Lamb(0.01).beta_1
    0.9

    Source
    ------
    You et al., "Large Batch Optimization for Deep Learning: Training BERT in 76 minutes", arXiv
    1904.00962, algorithm 2 with phi(z) = z, as in Keras. The paper adds ``weight_decay * w`` to d
    before its norm is taken. PyTorch has no LAMB.
    """

    slot_names = ("m", "v")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        name: str | None = "lamb",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        self.beta_1 = checked_share("beta_1", beta_1)
        self.beta_2 = checked_share("beta_2", beta_2)
        self.epsilon = checked_number("epsilon", epsilon)

    def _unbiased(self, beta: float, dtype: str) -> Value:
        """Return ``1 / (1 - beta^t)``."""
        rest = ops.subtract(1.0, ops.power(beta, self.step_number()))
        return ops.cast(ops.reciprocal(rest), dtype)

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight and the new moments."""
        first, second = (self._unbiased(beta, w.dtype) for beta in (self.beta_1, self.beta_2))
        d, m, v = update.adam_direction(
            g, *slots, first, second, beta_1=self.beta_1, beta_2=self.beta_2, epsilon=self.epsilon
        )
        rate = ops.multiply(rate, _trust(w, d))
        return [update.sgd_update(w, d, rate, *update.unscaled(w)), m, v]

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "beta_1": self.beta_1,
            "beta_2": self.beta_2,
            "epsilon": self.epsilon,
        }


def _trust(w: Value, d: Value) -> Value:
    """Return ``|w| / |d|``, or 1 where either is 0."""
    of_w, of_d = (ops.sqrt(ops.sum(ops.square(x))) for x in (w, d))
    both = ops.logical_and(ops.greater(of_w, 0.0), ops.greater(of_d, 0.0))
    one = ops.ones_like(of_w)
    return ops.where(both, ops.divide(of_w, ops.where(both, of_d, one)), one)
