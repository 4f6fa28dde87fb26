"""The layer whose kernel makes signals fade or grow."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from chainrule.insight.layer_look import LayerLook

_CULPRIT = 10.0  # so many times its neighbours' share in what is lost, one layer alone is at fault
_CHANGES = (
    2.0  # times the gain that its activation needs: a kernel that counts, where others do not
)
SIGMOIDS = ("sigmoid", "hard_sigmoid")
_GAINS = {"relu": math.sqrt(2.0)}


def culprit(
    layers: Sequence[LayerLook], otherwise: str, extreme: Callable[..., LayerLook]
) -> LayerLook:
    """Return the layer whose kernel alone makes the gradient fade or grow, if there is one; or else
    the one named `otherwise`, unless its kernel does not and another's does."""
    gains = [layer.gain for layer in layers]
    far = extreme(layers, key=lambda layer: layer.gain)
    others = float(np.median(gains)) if len(gains) > 2 else math.nan
    if others > 0 and max(far.gain / others, others / max(far.gain, 1e-300)) > _CULPRIT:
        return far
    named = next(layer for layer in layers if layer.name == otherwise)
    # The gradient by a layer's outputs went through the kernels behind it, not through its own.
    if extreme is max:
        return far if off_of(named) <= 1 and off_of(far) > _CHANGES else named
    shrinks = off_of(far) < 1 / _CHANGES and far.activation not in SIGMOIDS
    return far if off_of(named) >= 1 and shrinks else named


def off_of(layer: LayerLook) -> float:
    """Return the gain of a kernel in multiples of what its activation needs."""
    return layer.gain / _GAINS.get(layer.activation, 1.0)
