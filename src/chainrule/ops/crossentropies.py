"""Crossentropies, element by element or row by row; the losses take means and check more."""

from __future__ import annotations

from typing import Any

from chainrule.errors import ShapeError
from chainrule.graph import Value
from chainrule.ops import fused
from chainrule.ops.arrays import squeeze
from chainrule.ops.convert import as_value, cast, floating
from chainrule.ops.curves import log
from chainrule.ops.functions import add, clip, divide, multiply, subtract
from chainrule.ops.gather import one_hot
from chainrule.ops.orders import log_softmax
from chainrule.ops.reductions import sum
from chainrule.ops.signs import negative

Like = Any
_EPSILON = 1e-7


def binary_crossentropy(target: Like, output: Like, from_logits: bool = False) -> Value:
    """``y = -(t ln p + (1 - t) ln(1 - p))`` of each element.

    Shapes
    ------
    target, output : [*s]; returned : [*s]

    Parameters
    ----------
    target : array_like
        From 0 to 1.
    output : array_like
        Probabilities, kept 1e-7 from 0 and 1; or logits.
    from_logits : bool, default False
        Whether `output` are logits: ``p = sigmoid(output)``.

    Raises
    ------
    ShapeError
        Where the shapes differ.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.binary_crossentropy([1.0, 0.0], [0.5, 0.5]).numpy().round(4))
    [0.6931 0.6931]
    """
    target, p = _matched("binary_crossentropy", target, output)
    if from_logits:
        crossed: Value = fused.sigmoid_cross_entropy(p, target)
        return crossed
    p = clip(p, _EPSILON, 1.0 - _EPSILON)
    miss = multiply(subtract(1.0, target), log(subtract(1.0, p)))
    return negative(add(multiply(target, log(p)), miss))


def categorical_crossentropy(
    target: Like, output: Like, from_logits: bool = False, axis: int = -1
) -> Value:
    """``y[n] = -sum_m t[n, m] ln p[n, m]`` along `axis`.

    Shapes
    ------
    target, output : [n, m]; returned : [n]; with axes between them as well

    Parameters
    ----------
    target : array_like
        One-hot rows, or the probability of each class.
    output : array_like
        Probabilities (divided by their sum, and kept 1e-7 from 0 and 1); or logits.
    from_logits : bool, default False
        Whether `output` are logits: ``p = softmax(output)``.
    axis : int, default -1
        The axis of the classes.

    Raises
    ------
    ShapeError
        Where the shapes differ.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.categorical_crossentropy([[0, 1]], [[0.5, 0.5]]).numpy().round(4))
    [0.6931]
    """
    target, output = _matched("categorical_crossentropy", target, output)
    return _expected(target, output, from_logits, axis)


def sparse_categorical_crossentropy(
    target: Like, output: Like, from_logits: bool = False, axis: int = -1
) -> Value:
    """``y[n] = -ln p[n, t[n]]`` of class numbers t.

    Shapes
    ------
    target : [n] or [n, 1]; output : [n, m]; returned : [n]; with axes between them as well

    Parameters
    ----------
    target : array_like of int
        From 0 to ``m - 1``.
    output, from_logits, axis
        As in `categorical_crossentropy`.

    Raises
    ------
    ShapeError
        Where there is not one class number for each row of `output`.

    Examples
    --------
    >>> from chainrule import ops
    >>> print(ops.sparse_categorical_crossentropy([1], [[0.5, 0.5]]).numpy().round(4))
    [0.6931]
    """
    target, output = as_value(target), floating(output)
    if target.ndim == output.ndim and target.ndim and target.shape[axis] == 1:
        target = squeeze(target, axis)
    if target.shape != tuple(n for i, n in enumerate(output.shape) if i != axis % output.ndim):
        raise _misfit("sparse_categorical_crossentropy", target, output)
    classes = cast(target, "int64")
    hot = one_hot(classes, output.shape[axis], axis=axis, dtype=output.dtype)
    return _expected(hot, output, from_logits, axis)


def _expected(target: Value, output: Value, from_logits: bool, axis: int) -> Value:
    if from_logits:
        logs = log_softmax(output, axis)
    else:
        shares = divide(output, sum(output, axis=axis, keepdims=True))
        logs = log(clip(shares, _EPSILON, 1.0 - _EPSILON))
    return negative(sum(multiply(target, logs), axis=axis))


def _matched(name: str, target: Any, output: Any) -> tuple[Value, Value]:
    target, output = as_value(target), floating(output)
    if target.shape != output.shape:
        raise _misfit(name, target, output)
    return cast(target, output.dtype), output


def _misfit(name: str, target: Value, output: Value) -> ShapeError:
    return ShapeError(
        f"{name}: the targets do not fit the output.\n"
        f"  target : {list(target.shape)}\n"
        f"  output : {list(output.shape)}"
    )
