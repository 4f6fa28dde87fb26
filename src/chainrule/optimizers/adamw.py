"""AdamW: Adam with weight decay apart from the gradient."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ArgumentError
from chainrule.optimizers.adam import Adam
from chainrule.optimizers.base import Schedule


class AdamW(Adam):
    """Adam's step from ``w * (1 - rate * weight_decay)``.

    An L2 penalty in the loss would go through Adam's quotient and decay weights with large
    gradients less; here all decay alike.

    Parameters
    ----------
    learning_rate : float or callable, default 0.001
        At least 0; or a function from the number of finished steps to the rate.
    weight_decay : float, default 0.004
        At least 0: how fast weights shrink, in parts of the learning rate.
    beta_1 : float, default 0.9
        From 0 to less than 1: how slowly the mean of gradients moves.
    beta_2 : float, default 0.999
        From 0 to less than 1: how slowly the mean of their squares moves.
    epsilon : float, default 1e-7
        At least 0: keeps the quotient finite.
    amsgrad : bool, default False
        Whether to divide by the largest of all v so far.
    name : str, default "adamw"
        Shown in files.
    **options
        What all optimizers take, see `Optimizer`.

    Raises
    ------
    ArgumentError
        For an argument out of its range.

    Examples
    --------
    >>> from chainrule.optimizers import AdamW
    >>> AdamW().weight_decay
    0.004

    Source
    ------
    Loshchilov and Hutter, "Decoupled Weight Decay Regularization", arXiv 1711.05101, algorithm 2.
    The paper decays by ``schedule * weight_decay`` without the rate; here, as in Keras and PyTorch,
    the decay is multiplied by the learning rate.
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        weight_decay: float = 0.004,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        amsgrad: bool = False,
        name: str | None = "adamw",
        **options: Any,
    ) -> None:
        if weight_decay is None:
            raise ArgumentError("AdamW needs a weight_decay; without one use Adam")
        options["weight_decay"] = weight_decay
        super().__init__(learning_rate, beta_1, beta_2, epsilon, amsgrad, name, **options)
