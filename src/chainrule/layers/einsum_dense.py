"""The layer of a product of arrays that is named by the letters of the axes."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any

from chainrule import activations, constraints, initializers, ops, regularizers
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.layers.base import Layer, Shape

_FORMS = ("{x},{w}->{y}", "...{x},{w}->...{y}", "{x}...,{w}->{y}...")
_NAMED = dict.fromkeys("xwy", "([a-zA-Z]+)")


class _Equation:
    """An equation's letters of x, of the kernel and of y; `dots` says where further axes stand: on
    neither side (0), on the left (1) or on the right (2)."""

    def __init__(self, equation: str) -> None:
        text = equation.replace(" ", "") if isinstance(equation, str) else ""
        forms = (form.replace(".", r"\.").format(**_NAMED) for form in _FORMS)
        matches = [match.groups() if (match := re.fullmatch(f, text)) else () for f in forms]
        if not any(matches):
            raise ArgumentError(
                f"equation is {equation!r}; expected one like 'ab,bc->ac', '...ab,bc->...ac' or "
                "'ab...,bc->ac...'"
            )
        self.dots, (self.x, self.kernel, self.y) = next((i, m) for i, m in enumerate(matches) if m)
        for a in self.y:
            if a not in self.x and a not in self.kernel:
                raise ArgumentError(f"equation {equation!r}: only the output has axis {a!r}")
        for a in self.kernel:
            if a not in self.x and a not in self.y:
                raise ArgumentError(f"equation {equation!r}: only the kernel has axis {a!r}")
        self.over = "".join(a for a in self.x if a not in self.y)
        self.new = "".join(a for a in self.y if a not in self.x)

    @property
    def flat(self) -> bool:
        """Whether this is a product of matrices but for the shapes."""
        lead = self.x.removesuffix(self.over)
        plain = (self.x, self.y) == (lead + self.over, lead + self.new)
        return plain and self.kernel == self.over + self.new and self.dots < 2

    def sizes(self, given: Shape, wanted: Sequence[int | None]) -> dict[str, int | None]:
        """Return the size of each letter for inputs of a shape; `wanted` are those of y."""
        further = len(given) - len(self.x)
        if further < 0 or (further and not self.dots):
            raise ShapeError(f"x has shape {list(given)}, whose axes {self.x!r} does not name")
        start = further if self.dots == 1 else 0
        sizes = dict(zip(self.x, given[start:], strict=False))
        letters = self.y if self.dots == 1 else self.y[1:]
        if len(letters) != len(wanted):
            raise ArgumentError(
                f"output_shape is {list(wanted)}; expected one size for each of {letters!r}"
            )
        for a, n in zip(letters, wanted, strict=True):
            if n is not None and sizes.get(a) not in (None, n):
                raise ShapeError(f"axis {a!r} is {sizes[a]} in x but {n} in output_shape")
            sizes[a] = sizes.get(a) if n is None else n
        return sizes


class EinsumDense(Layer):
    """``y = activation(einsum(equation, x, kernel) + bias)``.

    Shapes: x, kernel and y have the axes that the equation names; bias has those of `bias_axes`.

    Parameters
    ----------
    equation : str
        Such as ``"abc,cd->abd"``; the first letter is the batch's. With ``...`` before or behind
        the letters of x and y there are any number of further axes.
    output_shape : int or sequence of int or None
        The size of each letter of y but the batch's; None where x has the letter.
    activation : str or callable, optional
        See `chainrule.activations`; none by default.
    bias_axes : str, optional
        The letters of y that the bias has; by default there is no bias.
    kernel_initializer : str, Initializer or callable, default "glorot_uniform"
    bias_initializer : str, Initializer or callable, default "zeros"
    kernel_regularizer, bias_regularizer, kernel_constraint, bias_constraint : optional
        See `Dense`.
    **options
        `activity_regularizer`, `name`, `trainable`, `dtype`, `input_shape`: see `Layer`.

    Raises
    ------
    ArgumentError
        For another equation, or an output shape that does not name all new axes.
    ShapeError
        For inputs that do not have the axes of the equation, or others than the layer was built
        for.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import EinsumDense
    >>> EinsumDense("abc,cde->abde", (None, 4, 3), bias_axes="de")(np.zeros((2, 5, 6))).shape
    (2, 5, 4, 3)
    """

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: str | Callable[[Any], Any] | None = None,
        bias_axes: str | None = None,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self._letters = _Equation(equation)
        self.supports_masking = self._letters.flat  # y then has the steps of x
        self.equation = equation
        given = (output_shape,) if isinstance(output_shape, int) else tuple(output_shape)
        self.partial_output_shape = given
        self.activation = activations.get(activation)
        self.bias_axes = bias_axes
        if bias_axes is not None and (not bias_axes or set(bias_axes) - set(self._letters.y)):
            raise ArgumentError(f"bias_axes is {bias_axes!r}; y has the axes {self._letters.y!r}")
        self.kernel_initializer = initializers.get(kernel_initializer)
        self.bias_initializer = initializers.get(bias_initializer)
        self.kernel_regularizer = regularizers.get(kernel_regularizer)
        self.bias_regularizer = regularizers.get(bias_regularizer)
        self.kernel_constraint = constraints.get(kernel_constraint)
        self.bias_constraint = constraints.get(bias_constraint)

    def detail(self) -> str:
        """Return the equation."""
        return self.equation

    def build(self, input_shape: Shape) -> None:
        """Make the kernel and the bias."""
        sizes = self._letters.sizes(input_shape, self.partial_output_shape)
        self.kernel = self.add_weight(
            self._known(sizes, self._letters.kernel),
            self._first,
            name="kernel",
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.bias = None
        if self.bias_axes is not None:
            self.bias = self.add_weight(
                self._bias_shape(sizes, len(input_shape)),
                self.bias_initializer,
                name="bias",
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def _known(self, sizes: dict[str, int | None], letters: str) -> list[int]:
        found = {a: n for a in letters if (n := sizes.get(a)) is not None}
        for a in letters:
            if a not in found:
                raise ArgumentError(
                    f"output_shape is {list(self.partial_output_shape)}; axis {a!r} of "
                    f"{self.equation!r} needs a size"
                )
        return [found[a] for a in letters]

    def _bias_shape(self, sizes: dict[str, int | None], ndim: int) -> list[int]:
        """Return the shape of the bias: from its first letter in y on, 1 for letters of others."""
        axes = self.bias_axes or ""
        letters = self._letters.y[min(map(self._letters.y.index, axes)) :]
        known = dict(zip(axes, self._known(sizes, axes), strict=True))
        further = ndim - len(self._letters.x) if self._letters.dots == 2 else 0
        return [known.get(a, 1) for a in letters] + [1] * further

    def _first(self, shape: Any, dtype: Any) -> Any:
        """Return the first kernel; rules that count inputs and outputs count those of the sum."""
        rule, kernel = self.kernel_initializer, self._letters.kernel
        if not isinstance(rule, initializers.VarianceScaling):
            return rule(shape, dtype)
        order = [i for i, a in enumerate(kernel) if a not in self._letters.y]
        inputs = math.prod(shape[i] for i in order)
        order += [i for i, a in enumerate(kernel) if a in self._letters.y]
        first = rule((inputs, math.prod(shape) // max(inputs, 1)), dtype)
        turned = first.reshape([shape[i] for i in order])
        return turned.transpose([order.index(i) for i in range(len(order))])

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the activation of the product and the bias."""
        self._check(x)
        y = self._flat(x) if self._letters.flat else self._product(x)
        result: Value = self.activation(y)
        return result

    def _product(self, x: Value) -> Value:
        y = ops.einsum(self.equation, x, self.kernel)
        return y if self.bias is None else ops.add(y, self.bias)

    def _flat(self, x: Value) -> Value:
        """Return the product as one of matrices, to which a bias of all new axes is added as to the
        rows of `Dense`."""
        over, new = len(self._letters.over), self.kernel.shape[len(self._letters.over) :]
        lead, m = x.shape[: x.ndim - over], math.prod(new)
        k = math.prod(self.kernel.shape[:over])
        y = ops.matmul(ops.reshape(x, (math.prod(lead), k)), ops.reshape(self.kernel, (k, m)))
        if self.bias_axes == self._letters.new and self.bias is not None:
            return ops.reshape(ops.add(y, ops.reshape(self.bias, (m,))), (*lead, *new))
        y = ops.reshape(y, (*lead, *new))
        return y if self.bias is None else ops.add(y, self.bias)

    def _check(self, x: Value) -> None:
        sizes = self._letters.sizes(x.shape, self.partial_output_shape)
        for a, n in zip(self._letters.kernel, self.kernel.shape, strict=True):
            if a in self._letters.x and sizes[a] != n:
                raise ShapeError(
                    f"axis `{a}` is {sizes[a]} in x but {n} in the kernel.\n"
                    f"  x      : {list(x.shape)}\n"
                    f"  kernel : {list(self.kernel.shape)}   {self.kernel.name!r}\n"
                    f"  fix    : the layer was built for another size in {self.equation!r}; pass x "
                    f"with {n}, or build the model for {sizes[a]}"
                )

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the shape of y; sizes that are None stay so."""
        letters, shape = self._letters, tuple(input_shape)
        sizes = letters.sizes(shape, self.partial_output_shape)
        named = tuple(sizes[a] for a in letters.y)
        further = len(shape) - len(letters.x)
        if letters.dots == 1:
            return (*shape[:further], *named)
        return (*named, *shape[len(shape) - further :])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        shape = self.partial_output_shape
        return {
            **super().get_config(),
            "equation": self.equation,
            "output_shape": list(shape),
            "activation": activations.serialize(self.activation),
            "bias_axes": self.bias_axes,
            "kernel_initializer": initializers.serialize(self.kernel_initializer),
            "bias_initializer": initializers.serialize(self.bias_initializer),
            "kernel_regularizer": regularizers.serialize(self.kernel_regularizer),
            "bias_regularizer": regularizers.serialize(self.bias_regularizer),
            "kernel_constraint": constraints.serialize(self.kernel_constraint),
            "bias_constraint": constraints.serialize(self.bias_constraint),
        }
