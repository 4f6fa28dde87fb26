"""Rprop: a step size for each weight from the signs of its gradient alone; for full batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError
from chainrule.graph import Value, Variable
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, checked_number


class Rprop(Optimizer):
    """``w' = w - sign(g) * size'``; sizes grow while the gradient keeps its sign, else shrink.

    Where ``g * g_before`` is above 0 the size grows by ``etas[1]``; where it is below 0 it shrinks
    by ``etas[0]`` and the weight stays for this step. The signs mean something only if every step
    sees the same data, so fit with ``batch_size=len(x)``.

    Parameters
    ----------
    learning_rate : float, default 0.01
        At least 0: the first step size of every weight. A schedule would have nothing to change.
    etas : pair of float, default (0.5, 1.2)
        How step sizes shrink, between 0 and 1, and grow, above 1.
    step_sizes : pair of float, default (1e-6, 50)
        The smallest and the largest size of a step, at least 0.
    name : str, default "rprop"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

    Raises
    ------
    ArgumentError
        For an argument out of its range, or a schedule.

    Examples
    --------
    >>> from chainrule.optimizers import Rprop
    >>> Rprop().step_sizes
    (1e-06, 50.0)

    Source
    ------
    Riedmiller and Braun, "A Direct Adaptive Method for Faster Backpropagation Learning: The RPROP
    Algorithm", 1993, in the form without weight-backtracking (iRprop-): Igel and Huesken,
    "Improving the Rprop Learning Algorithm", 2000. Arguments and steps are those of PyTorch; Keras
    has no Rprop.
    """

    slot_names = ("previous", "step_size")

    def __init__(
        self,
        learning_rate: float = 0.01,
        etas: Sequence[float] = (0.5, 1.2),
        step_sizes: Sequence[float] = (1e-6, 50.0),
        name: str | None = "rprop",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        self._first_size()
        self.etas = _pair("etas", etas)
        self.step_sizes = _pair("step_sizes", step_sizes)
        if not 0.0 < self.etas[0] < 1.0 < self.etas[1]:
            raise ArgumentError(f"etas is {etas!r}; expected one between 0 and 1, one above 1")
        if self.step_sizes[0] > self.step_sizes[1]:
            raise ArgumentError(f"step_sizes is {step_sizes!r}; expected the smallest first")

    def new_slots(self, variable: Variable) -> dict[str, Array]:
        """Return no gradient before, and the first step sizes."""
        first = np.full(variable.shape, self._first_size(), variable.dtype)
        return {"previous": np.zeros(variable.shape, variable.dtype), "step_size": first}

    def _first_size(self) -> float:
        if self._rate is None:
            raise ArgumentError("the learning_rate of Rprop is its first step size: give a number")
        return float(self._rate)

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight, the gradient that counted and the new step sizes."""
        (shrink, grow), (least, most) = self.etas, self.step_sizes
        moved: Sequence[Value] = update.rprop_update(
            w, g, *slots, *update.unscaled(w), shrink=shrink, grow=grow, least=least, most=most
        )
        return moved

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        config = super().get_config()
        return {**config, "etas": list(self.etas), "step_sizes": list(self.step_sizes)}


def _pair(name: str, value: Any) -> tuple[float, float]:
    if not isinstance(value, Sequence) or len(value) != 2:
        raise ArgumentError(f"{name} is {value!r}; expected two numbers")
    low, high = (checked_number(f"{name}[{i}]", x) for i, x in enumerate(value))
    return low, high
