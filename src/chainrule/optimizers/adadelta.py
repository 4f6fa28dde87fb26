"""Adadelta: steps in the units of the weights, from the sizes of earlier steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph import Value
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_number, checked_share


class Adadelta(Optimizer):
    """``w' = w - rate * d`` with ``d = g * sqrt(x + epsilon) / sqrt(v' + epsilon)``.

    v is a running mean of g^2, ``v' = v + (g^2 - v)(1 - rho)``, x one of the steps,
    ``x' = x + (d^2 - x)(1 - rho)``.

    Parameters
    ----------
    learning_rate : float or callable, default 0.001
        At least 0; or a function from the number of finished steps to the rate. The paper's rule
        is that of rate 1.
    rho : float, default 0.95
        From 0 to less than 1: how slowly the means move.
    epsilon : float, default 1e-7
        At least 0: what the first steps grow from.
    name : str, default "adadelta"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers import Adadelta
    >>> Adadelta(learning_rate=1.0).rho
    0.95

    Source
    ------
    Zeiler, "ADADELTA: An Adaptive Learning Rate Method", arXiv 1212.5701, algorithm 1, times a
    learning rate, as in Keras and PyTorch.
    """

    slot_names = ("v", "x")

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.95,
        epsilon: float = 1e-7,
        name: str | None = "adadelta",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        self.rho = checked_share("rho", rho)
        self.epsilon = checked_number("epsilon", epsilon)

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight and means."""
        moved: Sequence[Value] = update.adadelta_update(
            w, g, *slots, rate, *update.unscaled(w), rho=self.rho, epsilon=self.epsilon
        )
        return moved

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "rho": self.rho, "epsilon": self.epsilon}
