"""RMSprop: the gradient over the root of the mean of its squares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph import Value
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_number, checked_share

# By (centered, with momentum).
_RULES = {
    (False, False): update.rmsprop_update,
    (False, True): update.rmsprop_momentum_update,
    (True, False): update.centered_rmsprop_update,
    (True, True): update.centered_rmsprop_momentum_update,
}


class RMSprop(Optimizer):
    """``w' = w - rate * g / sqrt(v' + epsilon)`` with a running mean v of g^2.

    ``v' = v + (g^2 - v)(1 - rho)``. Centered, the variance takes the place of the mean of squares:
    ``v' - a'^2`` with ``a' = a + (g - a)(1 - rho)``. With momentum
    ``b' = momentum * b + rate * g / sqrt(...)`` and ``w' = w - b'``.

    Parameters
    ----------
    learning_rate : float or callable, default 0.001
        At least 0; or a function from the number of finished steps to the rate.
    rho : float, default 0.9
        From 0 to less than 1: how slowly the means move.
    momentum : float, default 0.0
        From 0 to less than 1: the share of the last movement that is kept.
    epsilon : float, default 1e-7
        At least 0: keeps the quotient finite.
    centered : bool, default False
        Whether to divide by the standard deviation of the gradient; costs one more slot.
    name : str, default "rmsprop"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers import RMSprop
    >>> RMSprop(momentum=0.9, centered=True).slot_names
    ('v', 'momentum', 'mean')

    Source
    ------
    Tieleman and Hinton, "Lecture 6.5: rmsprop", Coursera 2012; centered: Graves, "Generating
    Sequences With Recurrent Neural Networks", arXiv 1308.0850, equations 38 to 45. Epsilon is
    under the root, as in Keras and Graves; PyTorch adds it to the root.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        rho: float = 0.9,
        momentum: float = 0.0,
        epsilon: float = 1e-7,
        centered: bool = False,
        name: str | None = "rmsprop",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        self.rho = checked_share("rho", rho)
        self.momentum = checked_share("momentum", momentum)
        self.epsilon = checked_number("epsilon", epsilon)
        self.centered = bool(centered)
        more = [("momentum", self.momentum), ("mean", self.centered)]
        self.slot_names = ("v", *(name for name, wanted in more if wanted))

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight, mean of squares, movement and mean."""
        numbers = {"rho": self.rho, "epsilon": self.epsilon}
        if self.momentum:
            numbers["momentum"] = self.momentum
        operation = _RULES[self.centered, self.momentum > 0]
        moved: Sequence[Value] = operation(w, g, *slots, rate, *update.unscaled(w), **numbers)
        return moved

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {
            **super().get_config(),
            "rho": self.rho,
            "momentum": self.momentum,
            "epsilon": self.epsilon,
            "centered": self.centered,
        }
