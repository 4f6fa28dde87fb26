"""What layers that change images in training share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from chainrule import dtypes, ops
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, MissingMethodError, ShapeError, unknown_name
from chainrule.graph import Value, scope
from chainrule.graph.symbol import is_symbolic
from chainrule.layers.regularization import _Random

Range = tuple[float, float]
Factor = float | Sequence[float]

_FORMATS = ("channels_first", "channels_last")


class _Augmentation(_Random):
    """A layer that makes other images of those given, in training; otherwise it lets them pass.

    Called on arrays, outside of any model or in a `Sequential` of nothing but such layers, it takes
    itself to be in training unless told otherwise; within a model it is what the model is. It takes
    images [n, h, w, c], or one [h, w, c], of floats or whole numbers, and gives floats. Called with
    ``{"images": x, ...}`` it changes the images, and `transform` says what becomes of labels and
    masks.

    A subclass writes `drawn`, the random numbers for a batch, and `transformed`, what they make of
    it, both for channels last.
    """

    augments = True

    def __init__(
        self, seed: int | None = None, data_format: str | None = None, **options: Any
    ) -> None:
        super().__init__(seed=seed, **options)
        if data_format is not None and data_format not in _FORMATS:
            raise unknown_name("data_format", data_format, _FORMATS)
        self.data_format = data_format or "channels_last"

    def drawn(self, x: Value) -> Any:
        """Return the random numbers for images x [n, h, w, c]."""
        raise MissingMethodError(f"{type(self).__name__} has no drawn")

    def transformed(self, x: Value, drawn: Any) -> Value:
        """Return what these numbers make of the images x [n, h, w, c]."""
        raise MissingMethodError(f"{type(self).__name__} has no transformed")

    def __call__(self, inputs: Any = None, *more: Any, **named: Any) -> Any:
        """Return the images changed; with a dict, all that is in it."""
        training = named.pop("training", None)
        alone = scope.idle() and not scope.path() and not is_symbolic(inputs)
        training = True if training is None and alone else training
        if alone and training:
            with self.alone():
                return self._applied(inputs, more, named, True)
        return self._applied(inputs, more, named, training)

    def _applied(self, x: Any, more: Any, named: dict[str, Any], training: bool | None) -> Any:
        if isinstance(x, Mapping) and "images" in x and not is_symbolic(x):
            return self.transform(x, bool(training))
        return super().__call__(x, *more, training=training, **named)

    def transform(self, given: Mapping[str, Any], training: bool = True) -> dict[str, Any]:
        """Return images changed, and labels as they are.

        Parameters
        ----------
        given : dict
            ``images``, and maybe ``labels``.
        training : bool, default True

        Raises
        ------
        ArgumentError
            For anything else in the dict.
        """
        for name in given:
            if name not in ("images", "labels"):
                raise ArgumentError(
                    f"{self.label} changes 'images' and keeps 'labels'; it does not know {name!r}"
                )
        return {**given, "images": self.call(ops.as_value(given["images"]), training)}

    def call(self, x: Value, training: bool = False) -> Value:
        """Return the images changed, or as they are."""
        x = x if dtypes.is_float(x.dtype) else ops.cast(x, self.dtype)
        if not training:
            return self.untouched(x)
        last = self._channels_last(x)
        return self._as_given(self.transformed(last, self.drawn(last)), x)

    def untouched(self, x: Value) -> Value:
        """Return what comes out where nothing is to be drawn: x itself."""
        return x

    def _channels_last(self, x: Value) -> Value:
        """Return x as [n, h, w, c]."""
        if x.ndim not in (3, 4):
            raise ShapeError(
                f"x has shape {list(x.shape)}; expected images [n, h, w, c], or one [h, w, c]"
            )
        x = ops.expand_dims(x, 0) if x.ndim == 3 else x
        first = self.data_format == "channels_first"
        return ops.transpose(x, (0, 2, 3, 1)) if first else x

    def _as_given(self, y: Value, x: Value) -> Value:
        """Return y [n, h, w, c] with the axes in the order of x."""
        y = ops.transpose(y, (0, 3, 1, 2)) if self.data_format == "channels_first" else y
        return ops.squeeze(y, 0) if x.ndim == 3 else y

    def uniform(self, x: Value, *ranges: Range) -> Value:
        """Return a column of numbers for each range, [n, ranges], uniform in it."""
        low, high = np.array(ranges, x.dtype).T
        drawn = self.draw(ops.random.uniform, x, (x.shape[0], len(ranges)))
        return ops.add(ops.multiply(drawn, high - low), low)

    def compute_output_shape(self, input_shape: Any) -> Any:
        """Return the input's shape."""
        return tuple(input_shape)

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this layer again."""
        return {**super().get_config(), "data_format": self.data_format}


def limits(name: str, given: Any, low: float, high: float, open_low: bool = False) -> Range:
    """Return the range that a factor stands for: f for [-f, f], cut at `low`, or a pair.

    Raises
    ------
    ArgumentError
        For what is no number, or pair of numbers, in [low, high]; above `low` with `open_low`.
    """
    many = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str)
    parts = list(given) if many else [given]
    for f in parts:
        number = isinstance(f, int | float | np.number) and not isinstance(f, bool)
        if not number or not low <= f <= high or (open_low and f == low) or len(parts) > 2:
            begin = "(" if open_low else "["
            raise ArgumentError(
                f"{name} is {given!r}; expected a number, or two, in {begin}{low:g}, {high:g}]"
            )
    if len(parts) == 2:
        first, last = sorted(map(float, parts))
        return first, last
    if not parts:
        raise ArgumentError(f"{name} is empty; expected a number, or two")
    size = abs(float(parts[0]))
    return max(-size, low), size


def plain(given: Any) -> Any:
    """Return a factor as plain data."""
    if isinstance(given, Sequence | np.ndarray):
        return [float(f) for f in given]
    return given


def combined(coefficients: Value, matrices: Sequence[Sequence[float]]) -> Value:
    """Return ``m[n] = sum_k coefficients[n, k] * matrices[k] + matrices[-1]`` as [n, 2, 3]."""
    *basis, fixed = np.array(matrices, coefficients.dtype)
    table: Array = np.array(basis)
    return ops.reshape(ops.add(ops.matmul(coefficients, table), fixed), (-1, 2, 3))


def pair(name: str, given: Any) -> Range:
    """Return two numbers, the smaller first.

    Raises
    ------
    ArgumentError
        For anything else, or two that are equal.
    """
    many = isinstance(given, Sequence | np.ndarray) and not isinstance(given, str)
    parts = list(given) if many else []
    numbers = all(isinstance(f, int | float | np.number) for f in parts)
    if len(parts) != 2 or not numbers or parts[0] == parts[1]:
        raise ArgumentError(f"{name} is {given!r}; expected two different numbers")
    low, high = sorted(map(float, parts))
    return low, high
