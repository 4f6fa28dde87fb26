"""Layers and losses as users write them, with mistakes."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule import ops
from chainrule.initializers import GlorotUniform, Initializer
from chainrule.layers import Layer


class Logarithm(Layer):
    """``log x``, of what may be 0 or negative."""

    def call(self, x: Any, training: bool = False) -> Any:
        return ops.log(x)


class Root(Layer):
    """``sqrt x``, whose slope at 0 is infinite."""

    def build(self, input_shape: Any) -> None:
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")

    def call(self, x: Any, training: bool = False) -> Any:
        return ops.sqrt(x * self.factor)


class Quotient(Layer):
    """``x / x``, made of what may be 0."""

    def call(self, x: Any, training: bool = False) -> Any:
        return x + ops.abs(x) / x


class Exponential(Layer):
    """``exp x``, squashed again too late."""

    def call(self, x: Any, training: bool = False) -> Any:
        large = ops.exp(x)
        return large / (1.0 + large)


class Rounded(Layer):
    """``round x``, which has no slope."""

    def call(self, x: Any, training: bool = False) -> Any:
        return ops.round(x)


class Stopped(Layer):
    """``x``, without a gradient."""

    def call(self, x: Any, training: bool = False) -> Any:
        return ops.stop_gradient(x)


def logarithmic(y_true: Any, y_pred: Any) -> Any:
    """``(log y_pred - log y_true)^2``, of what may be negative."""
    return ops.mean(ops.square(ops.log(y_pred) - ops.log(ops.abs(y_true) + 1.0)), axis=-1)


def bare_crossentropy(y_true: Any, y_pred: Any) -> Any:
    """The crossentropy of probabilities that may be 0 or 1."""
    y = ops.reshape(ops.cast(y_true, "float32"), ops.shape(y_pred))
    losses = y * ops.log(y_pred) + (1.0 - y) * ops.log(1.0 - y_pred)
    return -ops.mean(losses, axis=-1)


class Given(Initializer):
    """The numbers that were given, if they fit."""

    def __init__(self, value: Any) -> None:
        self.value = np.asarray(value)

    def __call__(self, shape: Any, dtype: Any = None) -> Any:
        if self.value.shape != tuple(shape):  # a remedy has made the layer wider
            return GlorotUniform()(shape, dtype)
        return self.value.astype(dtype or "float32")
