"""Activations with settings or weights of their own, as layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule import activations, constraints, initializers, ops, regularizers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer, Shape


class ReLU(Layer):
    """``y = min(x, max_value)`` above `threshold`, ``negative_slope * (x - threshold)`` elsewhere.

    Shapes: x and y [n, ...].

    Parameters
    ----------
    max_value : float >= 0, optional
        The highest value; by default there is none.
    negative_slope : float >= 0, default 0
        With 0 and without a threshold it is ``max(x, 0)``.
    threshold : float >= 0, default 0
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For an argument that is negative or no number.

    Examples
    --------
    >>> from chainrule.layers import ReLU
    >>> ReLU(max_value=6, negative_slope=0.5)([[-4.0, 2.0, 9.0]]).numpy().tolist()
    [[-2.0, 2.0, 6.0]]

    Notes
    -----
    Source: Nair and Hinton, "Rectified linear units improve restricted Boltzmann machines" (2010).
    At `threshold` itself y is 0, as Keras computes it; its page says `threshold`.
    """

    supports_masking = True

    def __init__(
        self,
        max_value: float | None = None,
        negative_slope: float = 0.0,
        threshold: float = 0.0,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.max_value = None if max_value is None else _number("max_value", max_value, 0)
        self.negative_slope = _number("negative_slope", negative_slope, 0)
        self.threshold = _number("threshold", threshold, 0)

    def detail(self) -> str:
        """Return the settings that are not the usual ones."""
        told = {"max": self.max_value, "slope": self.negative_slope, "threshold": self.threshold}
        usual = {"max": None, "slope": 0.0, "threshold": 0.0}
        return ", ".join(f"{k} {v:g}" for k, v in told.items() if v != usual[k] and v is not None)

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the rectified x."""
        return activations.relu(x, self.negative_slope, self.max_value, self.threshold)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "max_value": self.max_value,
            "negative_slope": self.negative_slope,
            "threshold": self.threshold,
        }


class LeakyReLU(Layer):
    """``y = x`` above 0, ``negative_slope * x`` elsewhere.

    Shapes: x and y [n, ...].

    Parameters
    ----------
    negative_slope : float >= 0, default 0.3
        Mind that `activations.leaky_relu` takes 0.2 by default, as in Keras.
    alpha : float >= 0, optional
        Another name of `negative_slope`: what Keras 2 called it.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For a slope that is negative or no number.

    Examples
    --------
    >>> from chainrule.layers import LeakyReLU
    >>> LeakyReLU(0.5)([[-4.0, 2.0]]).numpy().tolist()
    [[-2.0, 2.0]]

    Notes
    -----
    Source: Maas, Hannun and Ng, "Rectifier nonlinearities improve neural network acoustic models"
    (2013), equation 2.
    """

    supports_masking = True

    def __init__(
        self, negative_slope: float = 0.3, *, alpha: float | None = None, **options: Any
    ) -> None:
        super().__init__(**options)
        slope = negative_slope if alpha is None else alpha
        self.negative_slope = _number("negative_slope" if alpha is None else "alpha", slope, 0)

    def detail(self) -> str:
        """Return the slope."""
        return f"slope {self.negative_slope:g}"

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x, sloped below 0."""
        return activations.leaky_relu(x, self.negative_slope)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "negative_slope": self.negative_slope}


class PReLU(Layer):
    """``y = x`` above 0, ``alpha * x`` elsewhere, alpha learnt for each element of a sample.

    Shapes: x [n, ...], alpha [...] with 1 along `shared_axes`, y [n, ...].

    Parameters
    ----------
    alpha_initializer : str, Initializer or callable, default "zeros"
    alpha_regularizer : str, Regularizer or callable, optional
        Its penalty is added to the loss.
    alpha_constraint : str, Constraint or callable, optional
        What alpha is held to after each step.
    shared_axes : int or sequence of int, optional
        The axes along which alpha is the same; they count from 1, the batch's being 0. For images
        ``[1, 2]`` gives each channel one slope. Axes whose size is not known must be among them.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For axes that are no whole numbers of at least 1.
    ShapeError
        For axes that a sample does not have, one of unknown size that is not shared, or inputs of
        other sizes than the layer was built for.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import PReLU
    >>> layer = PReLU("ones", shared_axes=[1, 2])
    >>> layer(np.full((8, 5, 4, 3), -2.0)).shape, layer.alpha.shape
    ((8, 5, 4, 3), (1, 1, 3))

    Notes
    -----
    Source: He, Zhang, Ren and Sun, arXiv 1502.01852, equation 1. The derivatives at 0 are 0.
    """

    supports_masking = True

    def __init__(
        self,
        alpha_initializer: Any = "zeros",
        alpha_regularizer: Any = None,
        alpha_constraint: Any = None,
        shared_axes: int | Sequence[int] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.alpha_initializer = initializers.get(alpha_initializer)
        self.alpha_regularizer = regularizers.get(alpha_regularizer)
        self.alpha_constraint = constraints.get(alpha_constraint)
        self.shared_axes = None if shared_axes is None else _axes(shared_axes)

    def build(self, input_shape: Shape) -> None:
        """Make alpha."""
        shared = self.shared_axes or []
        if max(shared, default=0) >= len(input_shape):
            raise ShapeError(
                f"shared_axes is {shared}, but a sample of shape {list(input_shape[1:])} has "
                f"{len(input_shape) - 1} axes"
            )
        sizes = [1 if i in shared else n for i, n in enumerate(input_shape)][1:]
        if None in sizes:
            axis = sizes.index(None) + 1
            raise ShapeError(
                f"axis {axis} of the inputs has no known size, so alpha must be shared along it.\n"
                f"  fix: shared_axes={sorted([*shared, axis])}"
            )
        self.alpha = self.add_weight(
            [n or 0 for n in sizes],
            self.alpha_initializer,
            name="alpha",
            regularizer=self.alpha_regularizer,
            constraint=self.alpha_constraint,
        )

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x, sloped below 0."""
        shared = self.shared_axes or []
        sizes = tuple(1 if i in shared else n for i, n in enumerate(x.shape))[1:]
        if sizes != self.alpha.shape:
            raise ShapeError(
                f"x has shape {list(x.shape)}, but the layer was built for samples with alpha of "
                f"shape {list(self.alpha.shape)}"
            )
        # Not x where x > 0: alpha's derivative would be 0 * inf there.
        return ops.subtract(ops.relu(x), ops.multiply(self.alpha, ops.relu(ops.negative(x))))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "alpha_initializer": initializers.serialize(self.alpha_initializer),
            "alpha_regularizer": regularizers.serialize(self.alpha_regularizer),
            "alpha_constraint": constraints.serialize(self.alpha_constraint),
            "shared_axes": self.shared_axes,
        }


class ELU(Layer):
    """``y = x`` above 0, ``alpha * (e^x - 1)`` elsewhere.

    Shapes: x and y [n, ...].

    Parameters
    ----------
    alpha : float, default 1.0
        The result is above ``-alpha``.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For an alpha that is no finite number.

    Examples
    --------
    >>> from chainrule.layers import ELU
    >>> print(ELU(0.5)([[-1.0, 2.0]]).numpy().round(4))
    [[-0.3161  2.    ]]

    Notes
    -----
    Source: Clevert, Unterthiner and Hochreiter, arXiv 1511.07289, equation 15.
    """

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **options: Any) -> None:
        super().__init__(**options)
        self.alpha = _number("alpha", alpha)

    def detail(self) -> str:
        """Return alpha."""
        return f"alpha {self.alpha:g}"

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x, bent below 0."""
        return activations.elu(x, self.alpha)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "alpha": self.alpha}


class Identity(Layer):
    """``y = x``: stands where another layer may be put.

    Shapes: x and y [n, ...]; of several inputs, in a list, tuple or dict, each.

    Parameters
    ----------
    **options
        See `Layer`.

    Examples
    --------
    >>> from chainrule.layers import Identity
    >>> Identity()([[1.0, 2.0]]).numpy().tolist()
    [[1.0, 2.0]]
    """

    supports_masking = True

    def call(self, x: Any, training: bool = False) -> Any:
        """Return x."""
        return x


def _number(name: str, value: Any, least: float = -math.inf) -> float:
    """Return an argument that must be a finite number of at least this."""
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not real or not least <= value < math.inf or value == -math.inf:
        from_ = "" if least == -math.inf else f" of at least {least:g}"
        raise ArgumentError(f"{name} is {value!r}; expected a finite number{from_}")
    return float(value)


def _axes(given: Any) -> list[int]:
    """Return the checked axes in order, each once."""
    axes = list(given) if isinstance(given, list | tuple) else [given]
    for a in axes:
        if isinstance(a, bool) or not isinstance(a, int | np.integer) or a < 1:
            raise ArgumentError(
                f"shared_axes is {given!r}; expected axes from 1 on, the batch's being 0"
            )
    return sorted({int(a) for a in axes})
