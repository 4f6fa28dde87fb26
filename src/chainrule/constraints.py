"""What weights are held to: applied to the new weight in each step, after the optimizer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError
from chainrule.graph import Value
from chainrule.named import Named, itself

_EPSILON = 1e-7  # keeps a norm of 0 from dividing

Axis = int | Sequence[int]


class Constraint:
    """A rule for weights: calling it with a weight returns the nearest one that is allowed.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.constraints import Constraint
    >>> class AtMostOne(Constraint):
    ...     def __call__(self, w):
    ...         return ops.minimum(w, 1.0)
    >>> AtMostOne()([0.5, 3.0]).numpy().tolist()
    [0.5, 1.0]
    """

    def __call__(self, w: Any) -> Value:
        """Return the weight as it may be."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this constraint again."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a constraint with these arguments."""
        return cls(**config)


def _norms(w: Value, axis: Axis) -> Value:
    return ops.sqrt(ops.sum(ops.square(w), axis=axis, keepdims=True))


def _checked(name: str, value: Any, high: float = math.inf) -> float:
    known = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not known or not 0.0 <= value <= high or value == math.inf:
        limit = f" and at most {high:g}" if high < math.inf else ""
        raise ArgumentError(f"{name} is {value!r}; expected a number of at least 0{limit}")
    return float(value)


def _axis(axis: Any) -> Axis:
    given = axis if isinstance(axis, list | tuple) else (axis,)
    if any(isinstance(a, bool) or not isinstance(a, int | np.integer) for a in given):
        raise ArgumentError(f"axis is {axis!r}; expected a whole number or several")
    return int(axis) if not isinstance(axis, list | tuple) else [int(a) for a in axis]


class MaxNorm(Constraint):
    """``w * min(|w|, max_value) / |w|``, ``|w|`` being the norm along `axis`.

    Parameters
    ----------
    max_value : float >= 0, default 2
        The greatest norm.
    axis : int or sequence of int, default 0
        What a norm is taken over: 0 for the weights into each unit of a `Dense`, ``[0, 1, 2]`` for
        the filters of a convolution.

    Raises
    ------
    ArgumentError
        For a negative norm, or an axis that is no whole number.

    Examples
    --------
    >>> from chainrule.constraints import MaxNorm
    >>> MaxNorm(5.0)([[6.0, 0.0], [8.0, 1.0]]).numpy().round(4).tolist()
    [[3.0, 0.0], [4.0, 1.0]]

    Notes
    -----
    Source: Srivastava et al., JMLR 15 (2014), section 5.1. As in Keras, 1e-7 is added to the norm
    that divides.
    """

    def __init__(self, max_value: float = 2, axis: Axis = 0) -> None:
        self.max_value, self.axis = _checked("max_value", max_value), _axis(axis)

    def __call__(self, w: Any) -> Value:
        """Return the weight with norms of at most `max_value`."""
        w = ops.as_value(w)
        norms = _norms(w, self.axis)
        return ops.multiply(w, ops.minimum(norms, self.max_value) / (norms + _EPSILON))


class NonNeg(Constraint):
    """``max(w, 0)``.

    Examples
    --------
    >>> from chainrule.constraints import NonNeg
    >>> NonNeg()([-1.0, 2.0]).numpy().tolist()
    [0.0, 2.0]
    """

    def __call__(self, w: Any) -> Value:
        """Return the weight without what is below 0."""
        return ops.maximum(ops.as_value(w), 0.0)


class UnitNorm(Constraint):
    """``w / |w|``, ``|w|`` being the norm along `axis`.

    Parameters
    ----------
    axis : int or sequence of int, default 0
        As for `MaxNorm`.

    Raises
    ------
    ArgumentError
        For an axis that is no whole number.

    Examples
    --------
    >>> from chainrule.constraints import UnitNorm
    >>> print(UnitNorm()([[3.0], [4.0]]).numpy().round(4).ravel())
    [0.6 0.8]
    """

    def __init__(self, axis: Axis = 0) -> None:
        self.axis = _axis(axis)

    def __call__(self, w: Any) -> Value:
        """Return the weight with norms of 1."""
        w = ops.as_value(w)
        return ops.divide(w, _norms(w, self.axis) + _EPSILON)


class MinMaxNorm(Constraint):
    """``w * (rate * clip(|w|, min_value, max_value) + (1 - rate) * |w|) / |w|``.

    Parameters
    ----------
    min_value, max_value : float >= 0, default 0 and 1
        The least and the greatest norm.
    rate : float in [0, 1], default 1
        How much of the way to the allowed norm a step goes.
    axis : int or sequence of int, default 0
        As for `MaxNorm`.

    Raises
    ------
    ArgumentError
        For numbers outside of these ranges, or a least norm above the greatest.

    Examples
    --------
    >>> from chainrule.constraints import MinMaxNorm
    >>> print(MinMaxNorm(1.0, 5.0)([[6.0, 0.3], [8.0, 0.4]]).numpy().round(4).ravel())
    [3.  0.6 4.  0.8]
    """

    def __init__(
        self, min_value: float = 0.0, max_value: float = 1.0, rate: float = 1.0, axis: Axis = 0
    ) -> None:
        self.min_value = _checked("min_value", min_value)
        self.max_value = _checked("max_value", max_value)
        self.rate, self.axis = _checked("rate", rate, 1.0), _axis(axis)
        if self.min_value > self.max_value:
            raise ArgumentError(f"min_value {min_value!r} is above max_value {max_value!r}")

    def __call__(self, w: Any) -> Value:
        """Return the weight with norms nearer to the allowed ones."""
        w = ops.as_value(w)
        norms = _norms(w, self.axis)
        wanted = self.rate * ops.clip(norms, self.min_value, self.max_value)
        wanted = wanted + (1.0 - self.rate) * norms
        return ops.multiply(w, wanted / (norms + _EPSILON))


max_norm, non_neg, unit_norm, min_max_norm = MaxNorm, NonNeg, UnitNorm, MinMaxNorm

_CLASSES: tuple[type[Constraint], ...] = (MaxNorm, NonNeg, UnitNorm, MinMaxNorm)


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


_BY_NAME = {n: c for c in _CLASSES for n in (c.__name__, _snake(c.__name__))}
_NAMED = Named(
    "constraint",
    Constraint,
    "a constraint is a name or a function of a weight",
    _BY_NAME,
    function=itself,
    optional=True,
    closed=True,
)


def get(identifier: Any) -> Callable[[Any], Value] | None:
    """Return the constraint for a name, a configuration, a constraint or function, or ``None``.

    Raises
    ------
    ArgumentError
        For a name that does not exist, with the nearest that does.

    Examples
    --------
    >>> from chainrule import constraints
    >>> constraints.get("max_norm").max_value
    2.0
    """
    found: Callable[[Any], Value] | None = _NAMED.get(identifier)
    return found


def serialize(constraint: Any) -> dict[str, Any] | None:
    """Return the configuration from which `deserialize` makes the constraint again.

    Raises
    ------
    ArgumentError
        For a function or a class of your own, whose code a file cannot hold.

    Examples
    --------
    >>> from chainrule import constraints
    >>> constraints.serialize(constraints.UnitNorm())
    {'class_name': 'UnitNorm', 'config': {'axis': 0}}
    """
    return _NAMED.serialize(constraint)


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, type[Constraint]] | None = None
) -> Constraint:
    """Return the constraint that `serialize` described; `custom_objects` are your own by name.

    Raises
    ------
    ArgumentError
        For a class that is not known.
    """
    made: Constraint = _NAMED.deserialize(config, custom_objects)
    return made
