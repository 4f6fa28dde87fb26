"""How targets, predictions and weights are brought to shapes that fit, and never broadcast."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from chainrule import dtypes, ops
from chainrule.errors import ArgumentError, DataError, ShapeError
from chainrule.graph import Value

# Probabilities are kept this far from 0 and 1 where the logits are not known; Keras's epsilon.
EPSILON = 1e-7


def floats(x: Any, dtype: str | None = None) -> Value:
    """Return x as a value of a float dtype: `dtype` if given, else its own or ``floatx()``."""
    x = ops.as_value(x)
    return ops.cast(x, dtype or (x.dtype if dtypes.is_float(x.dtype) else dtypes.floatx()))


def matched(name: str, y_true: Any, y_pred: Any) -> tuple[Value, Value]:
    """Return both as floats of one shape; only a trailing axis of 1 may be added or taken away.

    ``[n, 1]`` against ``[n]`` would broadcast to ``[n, n]``, a mistake that trains without a
    word; so nothing else than equal shapes passes.
    """
    y_pred = floats(y_pred)
    y_true = ops.cast(y_true, y_pred.dtype)
    y_true, y_pred = same_rank(y_true, y_pred)
    if y_true.shape != y_pred.shape:
        raise ShapeError(misfit(name, y_true, y_pred))
    return y_true, y_pred


def mean_last(x: Value) -> Value:
    """Return the mean over the last axis; a single axis is that of the samples and stays."""
    return ops.mean(x, axis=-1) if x.ndim > 1 else x


def same_rank(x: Value, y: Value) -> tuple[Value, Value]:
    """Return both with equal rank, where one has a trailing axis of 1 more; [n] becomes [n, 1]."""
    if y.ndim == x.ndim + 1:
        y, x = same_rank(y, x)
    elif x.ndim == y.ndim + 1 and x.shape[-1] == 1:
        if y.ndim == 1:
            y = ops.expand_dims(y, -1)
        else:
            x = ops.squeeze(x, -1)
    return x, y


def misfit(name: str, y_true: Value, y_pred: Value, fix: str = "") -> str:
    """Return the text of the error for targets and predictions of different shapes."""
    lines = [
        f"{name}: y_true and y_pred have different shapes.",
        f"  y_true : {list(y_true.shape)}",
        f"  y_pred : {list(y_pred.shape)}",
    ]
    return "\n".join([*lines, f"  fix    : {fix}"] if fix else lines)


def spread_weight(weight: Value, like: Value) -> Value:
    """Return the weights with as many axes as `like`, their axes matched from the first.

    Raises
    ------
    ShapeError
        Where an axis has neither the size of that of `like` nor 1.
    """
    shape = weight.shape
    while len(shape) > like.ndim and shape[-1] == 1:
        shape = shape[:-1]
    shape = (*shape, *(1,) * (like.ndim - len(shape)))
    fits = len(shape) == like.ndim
    if not fits or any(a not in (1, b) for a, b in zip(shape, like.shape, strict=True)):
        raise ShapeError(
            "the sample weights do not fit the samples: expected one weight a sample.\n"
            f"  sample_weight : {list(weight.shape)}\n"
            f"  values        : {list(like.shape)}"
        )
    return ops.reshape(weight, shape)


def over_losses(mask: Value | None, losses: Value) -> Value | None:
    """Return the mask of the predictions in the shape of the losses, one of each step.

    Raises
    ------
    ShapeError
        Where the losses have other steps.
    """
    if mask is None or not losses.shape:
        return None
    shape = mask.shape
    while len(shape) > losses.ndim and shape[-1] == 1:
        shape = shape[:-1]
    if shape != losses.shape[: len(shape)]:
        raise ShapeError(
            "the predictions have a mask for other steps than there are losses.\n"
            f"  mask   : {list(mask.shape)}\n"
            f"  losses : {list(losses.shape)}"
        )
    counted = ops.reshape(mask, (*shape, *(1,) * (losses.ndim - len(shape))))
    return ops.broadcast_to(counted, losses.shape)


def both(one: Value | None, other: Value | None) -> Value | None:
    """Return where both are true; ``None`` counts as true."""
    if one is None or other is None:
        return other if one is None else one
    return ops.logical_and(one, other)


def labels(name: str, y_true: Any, y_pred: Value) -> Value:
    """Return class numbers as int64 in the shape of the predictions without their last axis.

    Raises
    ------
    ShapeError
        Where there is not one class number for each row of predictions.
    DataError
        Where the numbers are known already, and one is no class.
    """
    y_true = ops.as_value(y_true)
    if y_true.ndim == y_pred.ndim and y_true.shape[-1:] == (1,):
        y_true = ops.squeeze(y_true, -1)
    if y_true.shape != y_pred.shape[:-1]:
        one_hot = y_true.shape == y_pred.shape
        fix = "y_true is one-hot: use categorical_crossentropy" if one_hot else ""
        raise ShapeError(misfit(name, y_true, y_pred, fix))
    if y_true.constant is not None:
        check_classes(name, y_true.constant, y_pred.shape[-1])
    return ops.cast(y_true, "int64")


def check_known(name: str, y_true: Value, y_pred: Value, axis: int = -1) -> None:
    """Check labels whose numbers are known already, in a shape that can be labels.

    Raises
    ------
    DataError
        Where one is no class.
    """
    rest = y_pred.size // max(y_pred.shape[axis], 1)
    if y_true.constant is not None and y_true.size == rest:
        check_classes(name, y_true.constant, y_pred.shape[axis])


_WHOLE = np.dtype(np.int64)


def check_classes(name: str, given: dtypes.Array, classes: int) -> None:
    """Raise where a number is not one of the classes."""
    # Taken as unsigned, a negative number is a large one: one look where all are right.
    whole = given.dtype is _WHOLE and given.size
    if whole and np.maximum.reduce(given.view(np.uint64), axis=None) < classes:
        return
    with np.errstate(invalid="ignore"):
        wrong = ~((given >= 0) & (given < classes) & (np.floor(given) == given))
    if wrong.any():
        raise DataError(
            f"{name}: label {given[wrong].flat[0]} is not one of the classes.\n"
            f"  expected: whole numbers from 0 to {classes - 1}, one for each output"
        )


def inside(name: str, share: float) -> float:
    """Return a share between 0 and 1, both excluded."""
    if not 0.0 < share < 1.0:
        raise ArgumentError(f"{name} is {share!r}; expected a number between 0 and 1")
    return float(share)


def at_least_zero(name: str, number: float) -> float:
    """Return a finite number from 0."""
    if not 0.0 <= number < math.inf:
        raise ArgumentError(f"{name} is {number!r}; expected 0 or more")
    return float(number)


def above_zero(name: str, number: float) -> float:
    """Return a finite number above 0."""
    if not 0.0 < number < math.inf:
        raise ArgumentError(f"{name} is {number!r}; expected a number above 0")
    return float(number)
