"""Dense layers and what only changes the form of the data."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from chainrule import activations, constraints, initializers, ops, regularizers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer, Shape
from chainrule.ops.fused import ACTIVATIONS


class Dense(Layer):
    """``y = activation(x @ kernel + bias)``.

    Shapes: x [n, ..., k], kernel [k, m], bias [m], y [n, ..., m].

    Parameters
    ----------
    units : int >= 1
        m, the size of the output.
    activation : str or callable, optional
        See `chainrule.activations`; none by default.
    use_bias : bool, default True
    kernel_initializer : str, Initializer or callable, default "glorot_uniform"
    bias_initializer : str, Initializer or callable, default "zeros"
    kernel_regularizer, bias_regularizer : str, Regularizer or callable, optional
        Their penalties are added to the loss: see `chainrule.regularizers`.
    activity_regularizer : str, Regularizer or callable, optional
        Its penalty for y, divided by the batch size, is added to the loss.
    kernel_constraint, bias_constraint : str, Constraint or callable, optional
        What the weights are held to after each step: see `chainrule.constraints`.
    **options
        `name`, `trainable`, `dtype`, `input_shape`: see `Layer`.

    Raises
    ------
    ArgumentError
        For units below 1, or an unknown activation or initializer.
    ShapeError
        For inputs of another width than the layer was built for.

    Examples
    --------
    >>> from chainrule.layers import Dense
    >>> Dense(8, activation="relu")([[1.0, 2.0]]).shape
    (1, 8)

    Notes
    -----
    Source: Rumelhart, Hinton and Williams, Nature 323 (1986), equations 1 and 2.
    """

    supports_masking = True

    def __init__(
        self,
        units: int,
        activation: str | Callable[[Any], Any] | None = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        activity_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **options)
        if isinstance(units, bool) or not isinstance(units, int) or units < 1:
            raise ArgumentError(f"units is {units!r}; expected an integer of at least 1")
        self.units = units
        self.activation = activations.get(activation)
        self.use_bias = use_bias
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def detail(self) -> str:
        """Return the number of units."""
        return f"{self.units} unit{'s' if self.units != 1 else ''}"

    def build(self, input_shape: Shape) -> None:
        """Make the kernel and the bias."""
        width = input_shape[-1] if len(input_shape) > 1 else None
        if not width:
            size = "of size 1 or more" if width == 0 else "of known size"
            what = f"{size}, but a sample has" if input_shape[1:] else "but a sample has"
            raise ShapeError(f"the inputs must have an axis of features {what} {input_shape[1:]}")
        self.kernel = self.add_weight(
            (width, self.units),
            self.kernel_initializer,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        if self.use_bias:
            self.bias = self.add_weight(
                (self.units,),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(self, x: Value, training: bool = False) -> Value:
        """Return ``activation(x @ kernel + bias)``."""
        self._check(x)
        flat = x if x.ndim == 2 else ops.reshape(x, (-1, x.shape[-1]))
        fusible = getattr(self.activation, "__name__", "") in ACTIVATIONS
        fusible = fusible and activations.get(self.activation.__name__) is self.activation
        if self.use_bias and fusible:
            y = ops.dense(flat, self.kernel, self.bias, activation=self.activation.__name__)
        else:
            y = ops.matmul(flat, self.kernel)
            y = self.activation(ops.add(y, self.bias) if self.use_bias else y)
        return y if x.ndim == 2 else ops.reshape(y, (*x.shape[:-1], self.units))

    def _check(self, x: Value) -> None:
        k, m = self.kernel.shape
        if x.ndim >= 2 and x.shape[-1] == k:
            return
        if x.ndim < 2:
            raise ShapeError(f"x has shape {list(x.shape)}; expected (n, {k})")
        axes = ["n", *(f"a{i}" for i in range(1, x.ndim - 1)), "k"]
        named = ", ".join(f"{a}={n}" for a, n in zip(axes, x.shape, strict=True))
        where = f"   {x.name}" if x.name and x.constant is None else ""
        other = f", or build the model with Input(({x.shape[-1]},))" if x.shape[-1] else ""
        raise ShapeError(
            f"axis `k` is {x.shape[-1]} in x but {k} in the kernel.\n"
            f"  x      : [{named}]{where}\n"
            f"  kernel : [k={k}, m={m}]   {self.kernel.name!r}\n"
            f"  fix    : the layer was built for inputs of {k} features; "
            f"pass x with shape (n, {k}){other}"
        )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape with the last axis of size `units`."""
        self.build_for(input_shape)
        if input_shape[-1] != self.kernel.shape[0]:
            return super().compute_output_shape(input_shape)
        return (*input_shape[:-1], self.units)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {
            **super().get_config(),
            "units": self.units,
            "activation": activations.serialize(self.activation),
            "use_bias": self.use_bias,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }


class Activation(Layer):
    """``y = activation(x)``.

    Parameters
    ----------
    activation : str or callable
        See `chainrule.activations`.
    **options
        See `Layer`.

    Examples
    --------
    >>> from chainrule.layers import Activation
    >>> Activation("relu")([[-1.0, 2.0]]).numpy().tolist()
    [[0.0, 2.0]]
    """

    supports_masking = True

    def __init__(self, activation: str | Callable[[Any], Any], **options: Any) -> None:
        super().__init__(**options)
        self.activation = activations.get(activation)

    def detail(self) -> str:
        """Return the activation's name."""
        return getattr(self.activation, "__name__", "")

    def call(self, x: Value, training: bool = False) -> Any:
        """Return ``activation(x)``."""
        return self.activation(x)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "activation": activations.serialize(self.activation)}


class Flatten(Layer):
    """Each sample as one row: [n, a, b, ...] becomes [n, a * b * ...].

    Parameters
    ----------
    **options
        See `Layer`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Flatten
    >>> Flatten()(np.zeros((2, 3, 4))).shape
    (2, 12)
    """

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the rows."""
        return ops.reshape(x, (x.shape[0], math.prod(x.shape[1:])))


class Reshape(Layer):
    """Each sample in another shape with as many elements.

    Parameters
    ----------
    target_shape : sequence of int
        Without the batch's axis; one size may be -1.
    **options
        See `Layer`.

    Raises
    ------
    ShapeError
        Where the elements do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Reshape
    >>> Reshape((2, -1))(np.zeros((5, 6))).shape
    (5, 2, 3)
    """

    def __init__(self, target_shape: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.target_shape = tuple(int(n) for n in target_shape)
        if self.target_shape.count(-1) > 1 or any(n < -1 for n in self.target_shape):
            raise ArgumentError(f"target_shape {self.target_shape} has at most one -1")

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the samples in the target shape."""
        each = math.prod(x.shape[1:])
        known = math.prod(n for n in self.target_shape if n != -1)
        sizes = [each // max(known, 1) if n == -1 else n for n in self.target_shape]
        if math.prod(sizes) != each:
            raise ShapeError(
                f"a sample of shape {list(x.shape[1:])} has {each} elements, "
                f"which do not fit {list(self.target_shape)}"
            )
        return ops.reshape(x, (x.shape[0], *sizes))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "target_shape": list(self.target_shape)}


class Permute(Layer):
    """``y = x with the axes of each sample in another order``.

    Parameters
    ----------
    dims : sequence of int
        Axis i of y is axis ``dims[i - 1]`` of x; they count from 1, the batch's being 0, and each
        stands there once.
    **options
        See `Layer`.

    Raises
    ------
    ArgumentError
        For axes that are not 1, 2, ..., each once.
    ShapeError
        For samples of another number of axes.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Permute
    >>> Permute((3, 1, 2))(np.zeros((8, 28, 30, 3))).shape
    (8, 3, 28, 30)
    """

    def __init__(self, dims: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        self.dims = tuple(dims)
        if sorted(self.dims) != list(range(1, len(self.dims) + 1)):
            raise ArgumentError(f"dims is {dims!r}; expected the axes 1, 2, ..., each once")

    def call(self, x: Value, training: bool = False) -> Value:
        """Return x with its axes in the other order."""
        if x.ndim != len(self.dims) + 1:
            raise ShapeError(f"a sample has {x.ndim - 1} axes, but dims is {self.dims}")
        return ops.transpose(x, (0, *self.dims))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "dims": list(self.dims)}
