"""What is added to the loss so that weights or outputs stay small."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np

from chainrule import ops
from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.graph import Value
from chainrule.named import Named, itself


class Regularizer:
    """A rule for a penalty: calling it with an array returns a scalar, to be added to the loss.

    Examples
    --------
    >>> from chainrule import ops
    >>> from chainrule.regularizers import Regularizer
    >>> class Largest(Regularizer):
    ...     def __call__(self, x):
    ...         return 0.5 * ops.max(ops.abs(x))
    >>> Largest()([1.0, -3.0]).item()
    1.5
    """

    def __call__(self, x: Any) -> Value:
        """Return the penalty for x."""
        raise NotImplementedError(f"{type(self).__name__} has no __call__")

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regularizer again."""
        return dict(vars(self))

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Return a regularizer with these arguments."""
        return cls(**config)


def _amount(name: str, value: Any) -> float:
    known = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not known or not 0.0 <= value < math.inf:
        raise ArgumentError(f"{name} is {value!r}; expected a number of at least 0")
    return float(value)


class L1L2(Regularizer):
    """``l1 * sum |x| + l2 * sum x^2``.

    Parameters
    ----------
    l1, l2 : float >= 0, default 0
        The weights of both sums.

    Raises
    ------
    ArgumentError
        For a weight that is negative or no number.

    Examples
    --------
    >>> from chainrule.regularizers import L1L2
    >>> L1L2(l1=0.5, l2=0.25)([1.0, -2.0]).item()
    2.75

    Notes
    -----
    Source: Zou and Hastie, J. R. Statist. Soc. B 67 (2005), equation 3.
    """

    def __init__(self, l1: float = 0.0, l2: float = 0.0) -> None:
        self.l1, self.l2 = _amount("l1", l1), _amount("l2", l2)

    def __call__(self, x: Any) -> Value:
        """Return the penalty for x; infinite or NaN elements show in it."""
        x = ops.as_value(x)
        parts = []
        if self.l1:
            parts.append(ops.multiply(ops.sum(ops.abs(x)), self.l1))
        if self.l2:
            parts.append(ops.multiply(ops.sum(ops.square(x)), self.l2))
        if not parts:
            return ops.as_value(0.0, x.dtype)
        return parts[0] if len(parts) == 1 else ops.add(*parts)


class L1(L1L2):
    """``l1 * sum |x|``: drives many weights to 0.

    Parameters
    ----------
    l1 : float >= 0, default 0.01
        The weight of the sum.

    Raises
    ------
    ArgumentError
        For a weight that is negative or no number.

    Examples
    --------
    >>> from chainrule.regularizers import L1
    >>> L1(0.5)([1.0, -2.0]).item()
    1.5

    Notes
    -----
    Source: Tibshirani, J. R. Statist. Soc. B 58 (1996), equation 1, as a penalty.
    """

    def __init__(self, l1: float = 0.01) -> None:
        super().__init__(l1=l1)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regularizer again."""
        return {"l1": self.l1}


class L2(L1L2):
    """``l2 * sum x^2``: keeps weights small. Its gradient is ``2 * l2 * x``.

    Parameters
    ----------
    l2 : float >= 0, default 0.01
        The weight of the sum.

    Raises
    ------
    ArgumentError
        For a weight that is negative or no number.

    Examples
    --------
    >>> from chainrule.regularizers import L2
    >>> L2(0.5)([1.0, -2.0]).item()
    2.5

    Notes
    -----
    Source: Krogh and Hertz, NIPS 1991, equation 2, whose lambda is ``2 * l2``.
    """

    def __init__(self, l2: float = 0.01) -> None:
        super().__init__(l2=l2)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this regularizer again."""
        return {"l2": self.l2}


class OrthogonalRegularizer(Regularizer):
    """``factor`` times the mean of ``|cos(a, b)|`` over all pairs of rows (or columns) of a matrix.

    A matrix of one row has no pair, and no penalty; a row of zeros has the cosine 0.

    Parameters
    ----------
    factor : float >= 0, default 0.01
        The weight of the mean.
    mode : {"rows", "columns"}, default "rows"
        What is to be at right angles.

    Raises
    ------
    ArgumentError
        For a negative factor, or another mode.
    ShapeError
        When called with an array that has not two axes.

    Examples
    --------
    >>> from chainrule.regularizers import OrthogonalRegularizer
    >>> OrthogonalRegularizer(1.0)([[1.0, 0.0], [0.0, 2.0]]).item()
    0.0
    """

    def __init__(self, factor: float = 0.01, mode: str = "rows") -> None:
        if mode not in ("rows", "columns"):
            raise unknown_name("mode", mode, ("rows", "columns"))
        self.factor, self.mode = _amount("factor", factor), mode

    def __call__(self, x: Any) -> Value:
        """Return the penalty for x [n, m]."""
        x = ops.as_value(x)
        if x.ndim != 2:
            raise ShapeError(
                f"an orthogonal regularizer takes arrays of two axes, not of shape {list(x.shape)}"
            )
        x = x if self.mode == "rows" else ops.transpose(x)
        size = x.shape[0]
        if size < 2:
            return ops.as_value(0.0, x.dtype)
        # Bounded as Keras does, so that the gradient of a row of zeros is 0 and not NaN.
        squares = ops.maximum(ops.sum(ops.square(x), axis=1, keepdims=True), 1e-14)
        x = ops.multiply(x, ops.rsqrt(squares))
        others = ops.as_value(1.0 - np.eye(size), x.dtype)
        cosines = ops.multiply(ops.matmul(x, ops.transpose(x)), others)
        pairs = size * (size - 1) / 2
        return ops.multiply(ops.sum(ops.abs(cosines)), 0.5 * self.factor / pairs)


l1, l2, l1_l2, orthogonal_regularizer = L1, L2, L1L2, OrthogonalRegularizer

_CLASSES: tuple[type[Regularizer], ...] = (L1, L2, L1L2, OrthogonalRegularizer)
_BY_NAME: dict[str, type[Regularizer]] = {
    **{cls.__name__: cls for cls in _CLASSES},
    "l1": L1,
    "l2": L2,
    "l1_l2": L1L2,
    "orthogonal": OrthogonalRegularizer,
    "orthogonal_regularizer": OrthogonalRegularizer,
}
_NAMED = Named(
    "regularizer",
    Regularizer,
    "a regularizer is a name or a function of an array",
    _BY_NAME,
    function=itself,
    optional=True,
    closed=True,
)


def get(identifier: Any) -> Callable[[Any], Value] | None:
    """Return the regularizer for a name, a configuration, a regularizer or function, or ``None``.

    Raises
    ------
    ArgumentError
        For a name that does not exist, with the nearest that does.

    Examples
    --------
    >>> from chainrule import regularizers
    >>> regularizers.get("l2").l2
    0.01
    """
    found: Callable[[Any], Value] | None = _NAMED.get(identifier)
    return found


def serialize(regularizer: Any) -> dict[str, Any] | None:
    """Return the configuration from which `deserialize` makes the regularizer again.

    Raises
    ------
    ArgumentError
        For a function or a class of your own, whose code a file cannot hold.

    Examples
    --------
    >>> from chainrule import regularizers
    >>> regularizers.serialize(regularizers.L2(0.5))
    {'class_name': 'L2', 'config': {'l2': 0.5}}
    """
    return _NAMED.serialize(regularizer)


def deserialize(
    config: dict[str, Any], custom_objects: Mapping[str, type[Regularizer]] | None = None
) -> Regularizer:
    """Return the regularizer that `serialize` described; `custom_objects` are your own by name.

    Raises
    ------
    ArgumentError
        For a class that is not known.
    """
    made: Regularizer = _NAMED.deserialize(config, custom_objects)
    return made
