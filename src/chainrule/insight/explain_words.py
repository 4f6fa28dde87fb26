"""What stands beside the numbers of an explanation: names, formulas, sizes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from chainrule.dtypes import Array

if TYPE_CHECKING:
    from chainrule.insight.explanation import Explanation, LayerStep

_DENSE = ("x·W + b", "xᵀ·δ", "sum of δ over the samples")
_CONV = ("W * x + b", "x ⋆ δ", "sum of δ over samples and places")
_SLOPES = {
    "relu": "1 where z > 0, else 0",
    "sigmoid": "a (1 - a)",
    "tanh": "1 - a²",
    "softplus": "sigmoid(z)",
    "exp": "a",
}


@dataclass(frozen=True, eq=False)
class Row:
    """One array of a layer: what it is, by which formula, and its numbers."""

    symbol: str
    formula: str
    what: str
    numbers: Array


def ends(explanation: Explanation) -> Iterator[Row]:
    """Yield samples and targets, one line for each."""
    for what, symbol, arrays in (
        ("samples", "x", explanation.inputs),
        ("targets", "y", explanation.targets),
    ):
        for array in arrays:
            yield Row(symbol, "", what, array[:, None] if array.ndim == 1 else array)


def rows(layer: LayerStep) -> Iterator[Row]:
    """Yield the arrays of a layer in the order of the chain rule: forward, back, the step."""
    function = layer.activation or ("f" if layer.within else layer.kind or "f")
    sums, by_kernel, by_bias = formulas(layer)
    if layer.sums is not None and layer.within:
        yield Row("z", f"z = {sums}", "weighted sums", layer.sums)
    elif layer.sums is not None:
        yield Row("z", "", "input", layer.sums)
    forward = f"a = {function}(z)" if layer.sums is not None else f"a = {sums}"
    yield Row("a", forward, "activations", layer.output)
    if layer.slope is not None:
        slope = _SLOPES.get(layer.activation, f"d{function}/dz")
        yield Row("f'(z)", f"f'(z) = {slope}", "local derivative", layer.slope)
    if layer.error is not None:
        yield Row("∂L/∂a", layer.source, "error signal", layer.error)
    if layer.delta is not None:
        where = "sums" if layer.within else "input"
        yield Row("δ", _delta(layer), f"error at the {where}", layer.delta)
    for w in layer.weights:
        part = w.name.rpartition(".")[2]
        how = by_bias if part == "bias" else by_kernel if part == "kernel" else ""
        how = f"∂L/∂{part} = {how}{w.more}" if how else ""
        yield Row(part, "", "weight", w.value)
        yield Row(f"∂L/∂{part}", how, "gradient", w.gradient)
        if w.update is not None:
            yield Row(f"Δ{part}", "what the optimizer adds", "update", w.update)


def formulas(layer: LayerStep) -> tuple[str, str, str]:
    """Return how the sums, and the gradients of kernel and bias, are computed."""
    biased = any(w.name.endswith(".bias") for w in layer.weights)
    found = (f"{layer.kind or 'f'}(x)", "", "")
    if layer.kind == "Dense":
        found = _DENSE
    elif layer.kind in ("Conv1D", "Conv2D", "Conv3D"):
        found = _CONV
    if layer.sums is None:
        found = (found[0], found[1].replace("δ", "∂L/∂a"), found[2].replace("δ", "∂L/∂a"))
    return found if biased else (found[0].replace(" + b", ""), *found[1:])


def _delta(layer: LayerStep) -> str:
    if layer.error is not None and layer.slope is not None:
        return "δ = ∂L/∂a · f'(z)" + (" + ∂L/∂z past a" if layer.past else "")
    if layer.error is not None:
        return "δ = ∂L/∂z, over all outputs"
    return f"δ = ∂L/∂z of {layer.activation} and loss together"


def size(array: Array) -> str:
    """Return an array's shape, e.g. ``4 x 3``."""
    return " x ".join(map(str, array.shape)) or "one number"


def number(value: float) -> str:
    """Return a number in four digits; zero as ``0``."""
    return "0" if value == 0 else f"{value:.4g}"


def norm(array: Array) -> float:
    """Return the root of the sum of squares."""
    return float(np.linalg.norm(array.astype("float64")))


def spread(array: Array) -> str:
    """Return norm, mean and extremes in words."""
    if not array.size:
        return "empty"
    held = array.astype("float64")
    with np.errstate(invalid="ignore", over="ignore"):
        told = (norm(held), held.mean(), held.std(), held.min(), held.max())
    of_all = "norm {}, mean {}, deviation {}, from {} to {}"
    return of_all.format(*(number(float(v)) for v in told))


def matrix(array: Array) -> Array:
    """Return an array with two axes, samples (or inputs) down, all else along the last."""
    if array.ndim == 2:
        return array
    return array.reshape(1, -1) if array.ndim < 2 else array.reshape(-1, array.shape[-1])


HEADS = ("layer", "activation", "z", "a", "f'(z)", "∂L/∂a", "δ", "gradient", "update", "of weight")
MEANING = (
    "z, a: standard deviation; f'(z): mean; ∂L/∂a, δ, gradient, update: norm; "
    "of weight: norm of the update as a share of the weight's"
)


def summary(layers: tuple[LayerStep, ...]) -> Iterator[tuple[str, ...]]:
    """Yield a line for each layer: spreads forward, norms back."""
    for layer in layers:
        kind = f" ({layer.kind})" if layer.kind else ""
        gradient = _joint([w.gradient for w in layer.weights])
        update = _joint([w.update for w in layer.weights if w.update is not None])
        weight = _joint([w.value for w in layer.weights])
        share = update / weight if update is not None and weight else None
        numbers = (
            _deviation(layer.sums),
            _deviation(layer.output),
            _mean(layer.slope),
            None if layer.error is None else norm(layer.error),
            None if layer.delta is None else norm(layer.delta),
            gradient,
            update,
            share,
        )
        cells = ("" if v is None else number(v) for v in numbers)
        yield layer.name + kind, layer.activation, *cells


def _deviation(array: Array | None) -> float | None:
    if array is None or not array.size:
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        return float(array.std(dtype="float64"))


def _mean(array: Array | None) -> float | None:
    if array is None or not array.size:
        return None
    with np.errstate(invalid="ignore", over="ignore"):
        return float(array.mean(dtype="float64"))


def _joint(arrays: list[Array]) -> float | None:
    return math.hypot(*(norm(a) for a in arrays)) if arrays else None
