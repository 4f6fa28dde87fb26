"""What all losses have in common: the weights of samples and the reduction to one number."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from chainrule import dtypes, ops
from chainrule.errors import ArgumentError, unknown_name
from chainrule.graph import Value
from chainrule.graph.calls import Calls, Watched, at_hand
from chainrule.losses.shapes import both, floats, over_losses, spread_weight
from chainrule.ops.convert import as_value  # for values alone, not for symbols

REDUCTIONS = ("sum_over_batch_size", "mean", "mean_with_sample_weight", "sum", "none")


class Loss(Watched):
    """``L = reduce_n weight[n] * loss(y_true[n], y_pred[n])``: what training makes small.

    A subclass gives `call`, the loss of each sample. Where the predictions have a mask, the steps
    that it leaves out count neither in the sum nor in the number of samples.

    Parameters
    ----------
    reduction : str, default "sum_over_batch_size"
        ``"sum_over_batch_size"`` or ``"mean"``: the sum by the number of samples (not of weights);
        ``"mean_with_sample_weight"``: the sum by that of the weights as given; ``"sum"``;
        ``"none"``.
    name : str, optional
        By default that of the class.
    dtype : str, optional
        What the loss is computed in; by default the predictions' dtype.

    Raises
    ------
    ArgumentError
        For an unknown reduction.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.losses import Loss
    >>> class Quartic(Loss):
    ...     def call(self, y_true, y_pred):
    ...         return ops.mean(ops.power(y_pred - y_true, 4.0), axis=-1)
    >>> round(Quartic()([[0.0]], [[2.0]]).item(), 3)
    16.0
    """

    def __init__(
        self,
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        self._calls = Calls()
        self.reduction = checked_reduction(reduction)
        self.name = name or snake_case(type(self).__name__)
        self.dtype = None if dtype is None else dtypes.name_of(dtype)

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return the loss of each sample."""
        raise NotImplementedError(f"{type(self).__name__} must define call(y_true, y_pred)")

    def __call__(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> Value:
        """Return the reduced loss.

        Shapes
        ------
        y_true, y_pred : [n, *s]; sample_weight : [n] or [n, *t], t the first axes of the losses

        Raises
        ------
        ShapeError
            For shapes that do not fit each other.
        """
        if "_used" not in self.__dict__:
            self.__dict__["_used"] = True
        given = [
            y_true if isinstance(y_true, Value) else as_value(y_true),
            y_pred if isinstance(y_pred, Value) else as_value(y_pred),
        ]
        self._check(*given)
        if sample_weight is not None:
            given.append(as_value(sample_weight))
        if at_hand(*given):
            total: Value = self._calls.run(self._total, given, False)
            return total
        return self._total(*given)

    def __setattr__(self, name: str, value: Any) -> None:
        if "_used" in self.__dict__:
            super().__setattr__(name, value)
        else:  # made in the turn of a loop, it is no reason to trace what was there before anew
            object.__setattr__(self, name, value)

    def _check(self, y_true: Value, y_pred: Value) -> None:
        """Raise where targets that are known already cannot be what the loss expects."""

    def _total(self, y_true: Value, y_pred: Value, sample_weight: Value | None = None) -> Value:
        mask, y_pred = y_pred.mask, floats(y_pred, self.dtype)
        losses = ops.as_value(_returned(self.name, self.call(y_true, y_pred)))
        counted = both(self._of_steps(mask, losses), self._counted(y_true, losses))
        if counted is not None:
            sample_weight = self._over(ops.cast(counted, losses.dtype), sample_weight)
        if sample_weight is None:
            return self._reduced(losses, None)
        weight = ops.cast(sample_weight, losses.dtype)
        if losses.shape:
            weight = spread_weight(weight, losses)
        return self._reduced(ops.multiply(losses, weight), weight)

    def _of_steps(self, mask: Value | None, losses: Value) -> Value | None:
        """Return which losses the mask of the predictions leaves in; ``None`` for all."""
        return over_losses(mask, losses)

    def _counted(self, y_true: Value, losses: Value) -> Value | None:
        """Return which losses the mean is over; ``None`` for all."""
        return None

    def _over(self, counted: Value, sample_weight: Value | None) -> Value:
        """Return the weights that leave out what is not counted, in the sum and in the mean."""
        if self.reduction in ("sum_over_batch_size", "mean"):
            share = ops.divide(float(counted.size), ops.maximum(ops.sum(counted), 1.0))
            counted = ops.multiply(counted, share)
        if sample_weight is None:
            return counted
        weight = spread_weight(ops.cast(sample_weight, counted.dtype), counted)
        return ops.multiply(counted, weight)

    def _reduced(self, losses: Value, weight: Value | None) -> Value:
        if self.reduction == "none":
            return losses
        total = ops.sum(losses)
        if self.reduction == "sum":
            return total
        if self.reduction == "mean_with_sample_weight" and weight is not None:
            return _by_weight(total, ops.sum(weight))
        # The sum over no sample is 0, and so is its mean.
        return ops.divide(total, float(max(math.prod(losses.shape), 1)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        config = {"name": self.name, "reduction": self.reduction}
        return config if self.dtype is None else {**config, "dtype": self.dtype}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Loss:
        """Return the loss that `get_config` described."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"<{type(self).__name__} {arguments}>"


class FunctionLoss(Loss):
    """``L = reduce_n weight[n] * function(y_true, y_pred)[n]``: a loss of the user's own.

    Parameters
    ----------
    function : callable
        Takes ``(y_true, y_pred)`` as values and returns one loss a sample, or one for all.
    reduction, name, dtype
        As in `Loss`.

    Raises
    ------
    ArgumentError
        For what is no function.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.losses import FunctionLoss
    >>> loss = FunctionLoss(lambda y_true, y_pred: ops.max(ops.abs(y_pred - y_true), axis=-1))
    >>> loss([[0.0, 0.0]], [[3.0, -4.0]]).item()
    4.0
    """

    def __init__(
        self,
        function: Callable[[Any, Any], Any],
        reduction: str | None = "sum_over_batch_size",
        name: str | None = None,
        dtype: str | None = None,
    ) -> None:
        if not callable(function):
            raise ArgumentError(f"a loss is computed by a function, not by {function!r}")
        super().__init__(reduction, name or getattr(function, "__name__", "loss"), dtype)
        self.function = function

    def call(self, y_true: Any, y_pred: Any) -> Value:
        """Return what the function returns."""
        return ops.as_value(_returned(self.name, self.function(y_true, y_pred)))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments; the function itself is not plain data."""
        return {**super().get_config(), "function": self.function}


def _returned(name: str, losses: Any) -> Any:
    """Return what a loss has returned, if it has."""
    if losses is None:
        raise ArgumentError(
            f"the loss {name!r} returned None; expected one number a sample, or one for all\n"
            "  fix: end it with return"
        )
    return losses


def _by_weight(total: Value, weight: Value) -> Value:
    """Return ``total / weight``, 0 where the weight is 0."""
    none = ops.equal(weight, 0.0)
    return ops.where(none, 0.0, ops.divide(total, ops.where(none, 1.0, weight)))


def checked_reduction(reduction: str | None) -> str:
    """Return the name of the reduction."""
    name = "none" if reduction is None else reduction
    if name not in REDUCTIONS:
        raise unknown_name("reduction", reduction, REDUCTIONS)
    return name


def snake_case(name: str) -> str:
    """Return e.g. ``mean_squared_error`` for ``MeanSquaredError``."""
    parts = [("_" if c.isupper() and i else "") + c.lower() for i, c in enumerate(name)]
    return "".join(parts)
