"""Adagrad: rates that fall with the sum of squared gradients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.graph import Value, Variable
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_number


class Adagrad(Optimizer):
    """``w' = w - rate * g / sqrt(a' + epsilon)`` with the sum of squares ``a' = a + g^2``.

    Parameters
    ----------
    learning_rate : float or callable, default 0.001
        At least 0; or a function from the number of finished steps to the rate. The paper's
        experiments use larger ones, up to 1.
    initial_accumulator_value : float, default 0.1
        At least 0: what the sum begins with.
    epsilon : float, default 1e-7
        At least 0: keeps the quotient finite.
    name : str, default "adagrad"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers import Adagrad
    >>> Adagrad(0.5).initial_accumulator_value
    0.1

    Source
    ------
    Duchi, Hazan and Singer, "Adaptive Subgradient Methods for Online Learning and Stochastic
    Optimization", JMLR 12, 2011, equation 1 with the diagonal of G. Epsilon is under the root, as
    in Keras; PyTorch adds it to the root.
    """

    slot_names = ("accumulator",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        initial_accumulator_value: float = 0.1,
        epsilon: float = 1e-7,
        name: str | None = "adagrad",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        self.initial_accumulator_value = checked_number(
            "initial_accumulator_value", initial_accumulator_value
        )
        self.epsilon = checked_number("epsilon", epsilon)

    def new_slots(self, variable: Variable) -> dict[str, Array]:
        """Return the sum as it begins."""
        start = self.initial_accumulator_value
        return {"accumulator": np.full(variable.shape, start, variable.dtype)}

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight and sum of squares."""
        moved: Sequence[Value] = update.adagrad_update(
            w, g, *slots, rate, *update.unscaled(w), epsilon=self.epsilon
        )
        return moved

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "initial_accumulator_value": self.initial_accumulator_value,
            "epsilon": self.epsilon,
        }
