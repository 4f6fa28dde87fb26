"""What each layer does with some samples: the numbers that the rules on layers judge by."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from chainrule.data.batches import Batches
from chainrule.dtypes import Array
from chainrule.training.initialization import look, rows_of
from chainrule.training.trainer import Trainer
from chainrule.training.verdicts import Signal, Weight

ROWS = 128  # samples that are looked at
ROOM = 2**26  # bytes that their outputs and gradients may take
BOUNDS = {"tanh": (-1.0, 1.0), "sigmoid": (0.0, 1.0)}
ACTIVATIONS = {*BOUNDS, "relu", "elu", "selu", "gelu", "hard_sigmoid"}
_NEAR = 0.005  # of the width between the bounds: so near, the slope is 2 % of the largest, or less


@dataclass(frozen=True)
class LayerLook:
    """One layer at one moment.

    Attributes
    ----------
    name, activation : str
        Of the layer, within another behind that one's name and a slash; and of what it ends with:
        of one with a kernel and no activation, what one behind it applies.
    into : str
        The name of that layer behind it; ``""`` for none.
    spread : float
        The standard deviation of its outputs over the samples, in the mean over its units.
    error : float
        The norm of the gradient of the loss by its outputs.
    finite : float
        The share of samples whose outputs are all finite.
    dead : float
        The share of its units that put out 0 for all samples; NaN where it does not end with relu.
    saturated : float
        The share of its outputs within 1 % of the bounds of tanh or sigmoid; NaN for others.
    gain : float
        ``sqrt(fan_in * mean(w^2))`` of its kernel; NaN where it has none.
    pull : float
        ``sum_w ||g_w|| ||w|| / |loss|`` over its kernels w: by how many times as large a share the
        loss changes as the kernels do, at most.
    equal, alike : bool
        Whether its units have the same weights; and whether they get the same gradient too, and so
        stay one.
    """

    name: str
    activation: str
    spread: float
    error: float
    finite: float = 1.0
    dead: float = math.nan
    saturated: float = math.nan
    gain: float = math.nan
    pull: float = math.nan
    equal: bool = False
    alike: bool = False
    into: str = ""


@dataclass(frozen=True)
class Look:
    """All layers at one moment, in the order of their outputs, and the loss of the samples."""

    layers: tuple[LayerLook, ...]
    loss: float
    rows: int = ROWS

    @property
    def weighted(self) -> list[LayerLook]:
        """The layers that have kernels."""
        return [layer for layer in self.layers if not math.isnan(layer.gain)]


def look_at(trainer: Trainer, batches: Batches) -> Look:
    """Return what the layers do with some of the samples; nothing is changed.

    Raises
    ------
    ChainruleError
        For data that the model cannot be trained on.
    """
    rows = rows_of(len(batches), ROWS)
    signals, loss = look(trainer, batches, rows, ROOM)
    with np.errstate(all="ignore"):
        layers = [_summary(s, loss) for s in signals]
    return Look(tuple(_applied(*pair) for pair in _followed(layers)), loss, len(rows))


def _followed(layers: Sequence[LayerLook]) -> Iterator[tuple[LayerLook, LayerLook | None]]:
    """Yield each layer with the first activation behind it, if that comes before more kernels."""
    behind: LayerLook | None = None
    pairs = []
    for layer in reversed(layers):
        pairs.append((layer, behind))
        if not math.isnan(layer.gain):
            behind = None
        elif layer.activation in ACTIVATIONS:
            behind = layer
    return reversed(pairs)


def _applied(layer: LayerLook, behind: LayerLook | None) -> LayerLook:
    """Return a layer with a kernel and no activation with that which is applied to its outputs."""
    if behind is None or math.isnan(layer.gain) or layer.activation in {*ACTIVATIONS, "take"}:
        return layer
    return replace(layer, activation=behind.activation, into=behind.name)


def _summary(s: Signal, loss: float) -> LayerLook:
    rows = s.output.reshape(len(s.output), -1)
    return LayerLook(
        s.layer,
        s.activation,
        s.spread,
        s.error,
        float(np.isfinite(rows).all(axis=1).mean()),
        _dead(s.output) if s.activation == "relu" else math.nan,
        _saturated(s.output, *BOUNDS[s.activation]) if s.activation in BOUNDS else math.nan,
        max(map(_gain, s.weights), default=math.nan),
        sum(map(_pull, s.weights)) / max(abs(loss), 1e-300) if s.weights else math.nan,
        any(_alike(w.value) for w in s.weights),
        any(_alike(w.value, w.gradient) for w in s.weights),
    )


def _dead(output: Array) -> float:
    """Return the share of units, along the last axis, that are 0 everywhere."""
    units = output.reshape(-1, output.shape[-1])
    return float((~units.any(axis=0)).mean()) if output.size else 0.0


def _saturated(output: Array, low: float, high: float) -> float:
    margin = _NEAR * (high - low)
    return float(((output < low + margin) | (output > high - margin)).mean())


def _gain(w: Weight) -> float:
    units = max(w.value.shape[-1], 1)
    flat = w.value.astype(np.float64).ravel()
    return float(np.sqrt(np.dot(flat, flat) / units))


def _pull(w: Weight) -> float:
    norms = [float(np.linalg.norm(a.astype(np.float64))) for a in (w.gradient, w.value)]
    return norms[0] * norms[1]


def _alike(*arrays: Array) -> bool:
    """Return whether in all arrays the units, along the last axis, are one and the same; of
    recurrent layers, those of each of three or four gates."""
    units = arrays[0].shape[-1]
    return any(
        units % gates == 0 and units // gates > 1 and all(_equal(a, gates) for a in arrays)
        for gates in (1, 3, 4)
    )


def _equal(a: Array, gates: int) -> bool:
    """Return whether the columns of each gate have the same numbers up to rounding."""
    split = a.reshape(*a.shape[:-1], gates, a.shape[-1] // gates)
    return bool(np.ptp(split, axis=-1).max(initial=0.0) <= 1e-6 * np.abs(a).max(initial=0.0))
