"""The losses as functions: one number for each sample."""

from __future__ import annotations

import math
from typing import Any

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.losses.logits import logits_of_sigmoid, logits_of_softmax
from chainrule.losses.shapes import EPSILON, floats, labels, matched, mean_last, misfit
from chainrule.ops import fused


def mean_squared_error(y_true: Any, y_pred: Any) -> Value:
    """``loss[n] = mean_d (y_pred[n, d] - y_true[n, d])^2``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Parameters
    ----------
    y_true, y_pred : array_like
        Targets and predictions. A trailing axis of 1 may be missing in one of them.

    Raises
    ------
    ShapeError
        Where the shapes differ otherwise.

    Examples
    --------
    >>> from chainrule.losses import mean_squared_error
    >>> mean_squared_error([[0.0, 1.0]], [[2.0, 1.0]]).item()
    2.0
    """
    y_true, y_pred = matched("mean_squared_error", y_true, y_pred)
    return mean_last(ops.square(ops.subtract(y_pred, y_true)))


def mean_absolute_error(y_true: Any, y_pred: Any) -> Value:
    """``loss[n] = mean_d |y_pred[n, d] - y_true[n, d]|``; the derivative at 0 is 0.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Parameters
    ----------
    y_true, y_pred : array_like
        Targets and predictions. A trailing axis of 1 may be missing in one of them.

    Raises
    ------
    ShapeError
        Where the shapes differ otherwise.

    Examples
    --------
    >>> from chainrule.losses import mean_absolute_error
    >>> mean_absolute_error([[0.0, 1.0]], [[2.0, 1.0]]).item()
    1.0
    """
    y_true, y_pred = matched("mean_absolute_error", y_true, y_pred)
    return mean_last(ops.abs(ops.subtract(y_pred, y_true)))


def huber(y_true: Any, y_pred: Any, delta: float = 1.0) -> Value:
    """``loss[n] = mean_d (e^2 / 2 if |e| <= delta else delta * |e| - delta^2 / 2)``, e the error.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Parameters
    ----------
    y_true, y_pred : array_like
        Targets and predictions. A trailing axis of 1 may be missing in one of them.
    delta : float, default 1.0
        Above 0, in the unit of the targets: errors beyond it count linearly.

    Raises
    ------
    ShapeError
        Where the shapes differ otherwise.
    ArgumentError
        Where `delta` is not above 0.

    Examples
    --------
    >>> from chainrule.losses import huber
    >>> huber([[0.0, 0.0]], [[1.0, 3.0]]).item()
    1.5

    Source
    ------
    Huber, "Robust Estimation of a Location Parameter", 1964. Written as ``c * (|e| - c / 2)`` with
    ``c = min(|e|, delta)``, which is the same and squares no large error.
    """
    delta = checked_delta(delta)
    y_true, y_pred = matched("huber", y_true, y_pred)
    size = ops.abs(ops.subtract(y_pred, y_true))
    cut = ops.minimum(size, delta)
    return mean_last(ops.multiply(cut, ops.subtract(size, ops.multiply(cut, 0.5))))


def log_cosh(y_true: Any, y_pred: Any) -> Value:
    """``loss[n] = mean_d ln cosh(y_pred[n, d] - y_true[n, d])``.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Parameters
    ----------
    y_true, y_pred : array_like
        Targets and predictions. A trailing axis of 1 may be missing in one of them.

    Raises
    ------
    ShapeError
        Where the shapes differ otherwise.

    Examples
    --------
    >>> from chainrule.losses import log_cosh
    >>> round(log_cosh([[0.0]], [[1.0]]).item(), 4)
    0.4338

    Notes
    -----
    Computed as ``e + ln(1 + exp(-2 e)) - ln 2``, which does not overflow.
    """
    y_true, y_pred = matched("log_cosh", y_true, y_pred)
    error = ops.subtract(y_pred, y_true)
    curve = ops.add(error, ops.softplus(ops.multiply(error, -2.0)))
    return mean_last(ops.subtract(curve, math.log(2.0)))


def binary_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Value:
    """``loss[n] = mean_d -(t ln p + (1 - t) ln(1 - p))`` of targets t and probabilities p.

    Shapes
    ------
    y_true, y_pred : [n, *s, d] or [n]; returned : [n, *s]

    Parameters
    ----------
    y_true : array_like
        From 0 to 1.
    y_pred : array_like
        Probabilities from 0 to 1, or logits.
    from_logits : bool, default False
        Whether `y_pred` are logits: ``p = sigmoid(y_pred)``.
    label_smoothing : float, default 0
        From 0 to 1; moves targets to 0.5 by this share.
    axis : int, default -1
        The axis that the mean is taken over.

    Raises
    ------
    ShapeError
        Where the shapes differ by more than a trailing axis of 1.
    ArgumentError
        Where `label_smoothing` is not from 0 to 1.

    Examples
    --------
    >>> from chainrule.losses import binary_crossentropy
    >>> round(binary_crossentropy([[1.0]], [[0.5]]).item(), 4)
    0.6931

    Notes
    -----
    Probabilities that come out of a sigmoid are taken back to its logits, so the loss is exact for
    any of them. Others are kept ``1e-7`` from 0 and 1, as in Keras.
    """
    smoothing = checked_smoothing(label_smoothing)
    y_true, y_pred = matched("binary_crossentropy", y_true, y_pred)
    if smoothing:
        y_true = ops.add(ops.multiply(y_true, 1.0 - smoothing), 0.5 * smoothing)
    logits = y_pred if from_logits else logits_of_sigmoid(y_pred)
    if logits is None:
        each = bernoulli(y_true, ops.clip(y_pred, EPSILON, 1.0 - EPSILON))
    else:
        each = fused.sigmoid_cross_entropy(logits, y_true)
    return ops.mean(each, axis=axis) if each.ndim > 1 else each


def bernoulli(t: Value, p: Value) -> Value:
    """Return ``-(t ln p + (1 - t) ln(1 - p))``."""
    hit = ops.multiply(t, ops.log(p))
    miss = ops.multiply(ops.subtract(1.0, t), ops.log(ops.subtract(1.0, p)))
    return ops.negative(ops.add(hit, miss))


def categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    label_smoothing: float = 0.0,
    axis: int = -1,
) -> Value:
    """``loss[n] = -sum_m y_true[n, m] * ln p[n, m]`` of targets and class probabilities p.

    Shapes
    ------
    y_true, y_pred : [n, *s, m]; returned : [n, *s]

    Parameters
    ----------
    y_true : array_like
        One-hot vectors, or the probability of each class.
    y_pred : array_like
        Probabilities (divided by their sum) or logits.
    from_logits : bool, default False
        Whether `y_pred` are logits: ``p = softmax(y_pred)``.
    label_smoothing : float, default 0
        From 0 to 1; moves targets to ``1 / m`` by this share.
    axis : int, default -1
        The axis of the classes.

    Raises
    ------
    ShapeError
        Where the shapes differ, or there is one class only.
    ArgumentError
        Where `label_smoothing` is not from 0 to 1.

    Examples
    --------
    >>> from chainrule.losses import categorical_crossentropy
    >>> round(categorical_crossentropy([[0.0, 1.0]], [[0.5, 0.5]]).item(), 4)
    0.6931

    Notes
    -----
    Probabilities that come out of a softmax are taken back to its logits, so the loss is exact for
    any of them. Others are kept ``1e-7`` from 0 and 1, as in Keras.
    """
    name = "categorical_crossentropy"
    smoothing = checked_smoothing(label_smoothing)
    y_pred = classes_last(name, floats(y_pred), axis)
    y_true = ops.as_value(y_true)
    y_true = ops.cast(classes_last(name, y_true, axis) if y_true.ndim else y_true, y_pred.dtype)
    if y_true.shape != y_pred.shape:
        numbers = y_true.ndim < y_pred.ndim or y_true.shape[-1] == 1
        fix = "if y_true holds class numbers, use sparse_categorical_crossentropy"
        raise ShapeError(misfit(name, y_true, y_pred, fix if numbers else ""))
    _check_classes(name, y_pred)
    if smoothing:
        part = smoothing / y_pred.shape[-1]
        y_true = ops.add(ops.multiply(y_true, 1.0 - smoothing), part)
    logits = y_pred if from_logits else logits_of_softmax(y_pred)
    if logits is None:
        each = ops.multiply(y_true, log_probabilities(y_pred))
        return ops.negative(ops.sum(each, axis=-1))
    loss = fused.softmax_cross_entropy(_rows(logits), _rows(y_true))
    return ops.reshape(loss, logits.shape[:-1])


def sparse_categorical_crossentropy(
    y_true: Any,
    y_pred: Any,
    from_logits: bool = False,
    ignore_class: int | None = None,
    axis: int = -1,
) -> Value:
    """``loss[n] = -ln p[n, y_true[n]]`` of class numbers and class probabilities p.

    Shapes
    ------
    y_true : [n, *s] or [n, *s, 1]; y_pred : [n, *s, m]; returned : [n, *s]

    Parameters
    ----------
    y_true : array_like
        Class numbers from 0 to ``m - 1``.
    y_pred : array_like
        Probabilities (divided by their sum) or logits.
    from_logits : bool, default False
        Whether `y_pred` are logits: ``p = softmax(y_pred)``.
    ignore_class : int, optional
        A label that costs nothing, e.g. -1 or 255 for what was not labelled.
    axis : int, default -1
        The axis of the classes in `y_pred`.

    Raises
    ------
    ShapeError
        Where there is not one class number for each prediction, or there is one class only.
    DataError
        Where a class number is out of range.

    Examples
    --------
    >>> from chainrule.losses import sparse_categorical_crossentropy
    >>> round(sparse_categorical_crossentropy([1], [[0.5, 0.5]]).item(), 4)
    0.6931

    Notes
    -----
    Probabilities as in `categorical_crossentropy`.
    """
    name = "sparse_categorical_crossentropy"
    y_pred = classes_last(name, floats(y_pred), axis)
    _check_classes(name, y_pred)
    if ignore_class is None:
        return _of_classes(name, y_true, y_pred, from_logits)
    y_true = ops.as_value(y_true)
    kept = ops.not_equal(y_true, ignore_class)
    loss = _of_classes(name, ops.where(kept, y_true, 0), y_pred, from_logits)
    return ops.where(ops.reshape(kept, loss.shape), loss, 0.0)


def _of_classes(name: str, y_true: Any, y_pred: Value, from_logits: bool) -> Value:
    classes = labels(name, y_true, y_pred)
    logits = y_pred if from_logits else logits_of_softmax(y_pred)
    if logits is None:
        hot = ops.one_hot(classes, y_pred.shape[-1], dtype=y_pred.dtype)
        each = ops.multiply(hot, log_probabilities(y_pred))
        return ops.negative(ops.sum(each, axis=-1))
    flat = ops.reshape(classes, (classes.size,))
    loss = fused.sparse_softmax_cross_entropy(_rows(logits), flat)
    return ops.reshape(loss, classes.shape)


def _rows(x: Value) -> Value:
    """Return x with one axis before the last."""
    return ops.reshape(x, (math.prod(x.shape[:-1]), x.shape[-1]))


def log_probabilities(p: Value) -> Value:
    """Return the logs of the shares that p are of their sum, kept from 0 and 1."""
    shares = ops.divide(p, ops.sum(p, axis=-1, keepdims=True))
    return ops.log(ops.clip(shares, EPSILON, 1.0 - EPSILON))


def classes_last(name: str, x: Value, axis: int) -> Value:
    """Return x with the axis of the classes moved to the end."""
    if not -x.ndim <= axis < x.ndim:
        raise ShapeError(f"{name}: axis {axis} is not an axis of the shape {list(x.shape)}.")
    order = [i for i in range(x.ndim) if i != axis % x.ndim]
    return x if axis % x.ndim == x.ndim - 1 else ops.transpose(x, [*order, axis % x.ndim])


def _check_classes(name: str, y_pred: Value) -> None:
    if y_pred.shape[-1] < 2:
        raise ShapeError(
            f"{name}: y_pred has {y_pred.shape[-1]} class, and its loss would always be 0.\n"
            f"  y_pred : {list(y_pred.shape)}\n"
            "  fix    : use binary_crossentropy, or give the last layer a unit for each class"
        )


def checked_smoothing(label_smoothing: float) -> float:
    """Return the share by which targets are smoothed."""
    if not 0.0 <= label_smoothing <= 1.0:
        raise ArgumentError(f"label_smoothing is {label_smoothing!r}; expected a share from 0 to 1")
    return float(label_smoothing)


def checked_delta(delta: float) -> float:
    """Return the error from which Huber's loss is linear."""
    if not 0.0 < delta < math.inf:
        raise ArgumentError(f"delta is {delta!r}; expected a number above 0")
    return float(delta)
