"""Which networks start as networks usually do, told from their weights alone."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from chainrule.dtypes import Array
from chainrule.layers import Layer

# By what a small signal is multiplied: the derivative at 0, of relu in the quadratic mean; where
# none is given, 1.
_SLOPES = {
    "sigmoid": 0.25,
    "hard_sigmoid": 1 / 6,
    "relu": math.sqrt(0.5),
    "leaky_relu": math.sqrt(0.5),
    **dict.fromkeys(("gelu", "swish", "silu", "softplus", "mish"), 0.5),
}
_FAR = 100.0  # times and shares of a signal that are looked into
_SATURATING = 4.0  # the deviation from which on sums are large for a sigmoid or tanh
_OFF = 3.0  # of a bias: so far it decides alone
_SCALE = 30.0  # of the samples


@dataclass
class _Gains:
    """By what signals are multiplied on their way forward and back."""

    forward: float = 1.0
    backward: float = 1.0
    plain: bool = field(default=True)

    def through(self, layer: Layer) -> None:
        """Go through a layer."""
        name = getattr(getattr(layer, "activation", None), "__name__", "")
        for variable in layer._own:
            if variable.trainable and variable.value.size:
                self._weigh(variable.value, name)
        slope = _SLOPES.get(name, 1.0)
        self.forward, self.backward = self.forward * slope, self.backward * slope
        for gain in (self.forward, self.backward):
            self.plain &= 1 / _FAR < gain < _FAR

    def _weigh(self, w: Array, activation: str) -> None:
        if w.ndim < 2:
            self.plain &= bool(np.abs(w).max() <= _OFF)
            return
        units = w.shape[-1]
        fan_in = w.size // units
        flat = w.ravel()
        total = float(np.dot(flat, flat))
        forward, backward = math.sqrt(total / units), math.sqrt(total / fan_in)
        self.plain &= activation not in ("tanh", "sigmoid") or forward < _SATURATING
        row = w.reshape(-1, units)[0]
        self.plain &= units == 1 or bool(row[0] != row[-1])
        self.forward, self.backward = self.forward * forward, self.backward * backward


def is_plain(model: Layer, x: Array) -> bool:
    """Return whether nothing in the weights, nor in the scale of the samples x, is unusual.

    ``forward = sqrt(fan_in * mean(w^2))`` is what a layer multiplies the deviation of a signal by
    and ``backward = sqrt(fan_out * mean(w^2))`` that of a gradient (He et al., arXiv 1502.01852,
    equations 9 and 13). The products of each, with the activations' slopes, must stay near 1; no
    two units be alike, no bias large. What passes is healthy; what does not has to be looked at.
    """
    if (x.dtype.kind == "f" or x.dtype == np.uint8) and not _usual(x):  # the latter are images
        return False
    gains = _Gains()
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in _leaves(model):
            gains.through(layer)
            if not gains.plain:
                return False
    return True


def _usual(x: Array) -> bool:
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.abs(x).max(initial=0.0) <= _SCALE)


def _leaves(layer: Layer) -> Iterator[Layer]:
    """Yield the layer and all within, in order."""
    yield layer
    for part in layer.sublayers():
        yield from _leaves(part)
