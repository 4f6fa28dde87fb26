"""Lion: steps of one size in the direction of the sign of a momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph import Value
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_share


class Lion(Optimizer):
    """``w' = w - rate * sign(beta_1 * m + (1 - beta_1) * g)`` with a running mean m of g.

    ``m' = m + (g - m)(1 - beta_2)``. Every weight moves by the rate, so rates are 3 to 10 times
    smaller than Adam's, and weight decays as much larger.

    Parameters
    ----------
    learning_rate : float or callable, default 0.001
        At least 0; or a function from the number of finished steps to the rate.
    beta_1 : float, default 0.9
        From 0 to less than 1: the part of the mean in the direction. With 0 the sign of the
        gradient alone decides.
    beta_2 : float, default 0.99
        From 0 to less than 1: how slowly the mean of gradients moves.
    name : str, default "lion"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers import Lion
    >>> Lion(1e-4).beta_2
    0.99

    Source
    ------
    Chen et al., "Symbolic Discovery of Optimization Algorithms", arXiv 2302.06675, algorithm 2.
    """

    slot_names = ("m",)

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        beta_1: float = 0.9,
        beta_2: float = 0.99,
        name: str | None = "lion",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        self.beta_1 = checked_share("beta_1", beta_1)
        self.beta_2 = checked_share("beta_2", beta_2)

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight and mean."""
        moved: Sequence[Value] = update.lion_update(
            w, g, *slots, rate, *update.unscaled(w), beta_1=self.beta_1, beta_2=self.beta_2
        )
        return moved

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "beta_1": self.beta_1, "beta_2": self.beta_2}
