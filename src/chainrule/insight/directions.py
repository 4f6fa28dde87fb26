"""Directions in the space of the weights, of the size that the weights have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from chainrule.dtypes import Array
from chainrule.graph import Variable
from chainrule.layers import Layer

# The axes of a kernel that number its filters, where they are not the last alone. A transposed
# convolution has [h, w, m, c], a depthwise one a filter for each channel and each multiple; a row
# of an embedding is what one word is looked up by.
_FILTERS = {
    "Conv1DTranspose": (-2,),
    "Conv2DTranspose": (-2,),
    "Conv3DTranspose": (-2,),
    "DepthwiseConv1D": (-2, -1),
    "DepthwiseConv2D": (-2, -1),
    "Embedding": (0,),
}


def random_direction(
    variables: Sequence[Variable], owners: Mapping[Variable, Layer], seed: int
) -> list[Array]:
    """Return a normal direction whose filters have the norms of those of the weights."""
    rng = np.random.default_rng(seed)
    ways = [rng.standard_normal(v.shape) for v in variables]
    return filter_normalized(ways, variables, owners)


def filter_normalized(
    ways: Sequence[Array], variables: Sequence[Variable], owners: Mapping[Variable, Layer]
) -> list[Array]:
    """``d_ij <- d_ij / ||d_ij|| * ||w_ij||`` for filter j of weight i; weights of one axis, biases
    and what normalization has, get 0."""
    return [
        _normalized(way, v.value.astype("float64"), filter_axes(v, owners.get(v)))
        for way, v in zip(ways, variables, strict=True)
    ]


def filter_axes(variable: Variable, owner: Layer | None) -> tuple[int, ...] | None:
    """Return the axes that number the filters; ``None`` for a weight that has none: of one axis,
    or a bias (a gated recurrent unit's has two)."""
    if variable.ndim < 2 or variable.name.endswith(("bias", "gamma", "beta")):
        return None
    if variable.name.endswith("pointwise_kernel"):
        return (-1,)
    if variable.name.endswith("depthwise_kernel"):
        return (-2, -1)
    return _FILTERS.get(type(owner).__name__, (-1,))


def _normalized(way: Array, weight: Array, filters: tuple[int, ...] | None) -> Array:
    if filters is None:
        return np.zeros_like(way)
    kept = {axis % way.ndim for axis in filters}
    rest = tuple(axis for axis in range(way.ndim) if axis not in kept)
    lengths = np.sqrt(np.square(way).sum(axis=rest, keepdims=True))
    sizes = np.sqrt(np.square(weight).sum(axis=rest, keepdims=True))
    found: Array = way * np.divide(sizes, lengths, out=np.zeros_like(sizes), where=lengths > 0)
    return found


def owners_of(layer: Layer) -> dict[Variable, Layer]:
    """Return the innermost layer that each variable belongs to."""
    found = dict.fromkeys(layer._own, layer)
    for inner in layer.sublayers():
        found.update(owners_of(inner))
    return found
