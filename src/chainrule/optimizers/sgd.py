"""Gradient descent, plain and with momentum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph import Value
from chainrule.ops import update
from chainrule.optimizers.base import Optimizer, Schedule, checked_share


class SGD(Optimizer):
    """``w' = w - rate * g``; with momentum ``v' = momentum * v - rate * g`` and ``w' = w + v'``.

    Parameters
    ----------
    learning_rate : float or callable, default 0.01
        At least 0; or a function from the number of finished steps to the rate.
    momentum : float, default 0.0
        From 0 to less than 1: the share of the last movement that is kept.
    nesterov : bool, default False
        Whether the weight moves to where the momentum will carry it:
        ``w' = w + momentum * v' - rate * g``. Without momentum it changes nothing.
    name : str, default "sgd"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

    Raises
    ------
    ArgumentError
        For a rate below 0 or a momentum out of range.

    Examples
    --------
    >>> from chainrule.optimizers import SGD
    >>> SGD(learning_rate=0.1, momentum=0.9).momentum
    0.9

    Source
    ------
    Sutskever et al., "On the importance of initialization and momentum in deep learning", 2013,
    equations 3 and 4, in Keras's form: the velocity holds the learning rate, and with Nesterov
    the weights stand at the place looked ahead to.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        momentum: float = 0.0,
        nesterov: bool = False,
        name: str | None = "sgd",
        **options: Any,
    ) -> None:
        super().__init__(learning_rate, name, **options)
        self.momentum = checked_share("momentum", momentum)
        self.nesterov = bool(nesterov)
        self.slot_names = ("momentum",) if self.momentum else ()

    def rule(self, w: Value, g: Value, rate: Value, *slots: Value) -> Sequence[Value]:
        """Return the new weight, and with momentum the new velocity."""
        if not slots:
            return [update.sgd_update(w, g, rate, *update.unscaled(w))]
        moved: Sequence[Value] = update.momentum_update(
            w,
            g,
            slots[0],
            rate,
            *update.unscaled(w),
            momentum=self.momentum,
            nesterov=self.nesterov,
        )
        return moved

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "momentum": self.momentum, "nesterov": self.nesterov}
