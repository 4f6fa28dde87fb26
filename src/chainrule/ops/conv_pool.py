"""Convolutions fused with the pooling behind them, so that what lies in between is never stored.

Each body is its decomposition. Of a convolution, `strides`, `padding`, `dilation` and `groups` are
its own; of the pooling, `window`, `pool_strides` and `pool_padding`; `space` is the size of what
lies in between. A place that is the number of a window's cells stands for none of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from chainrule.errors import ArgumentError
from chainrule.graph import Primitive, Spec, Value, fused
from chainrule.ops.conv import by_sample, conv_transpose
from chainrule.ops.conv_fused import conv_bias, partial_kernel_gradients, parts_of
from chainrule.ops.elementwise import relu, where
from chainrule.ops.logic import equal, less
from chainrule.ops.pool import max_pool, max_pool_gradient, place_dtype
from chainrule.ops.reduce import reduce_sum
from chainrule.ops.shape import concatenate, fill, reshape

Shape = tuple[int, ...]
Specs = Sequence[Spec]


def _pool(window: Shape, pool_strides: Shape, pool_padding: Shape) -> dict[str, Shape]:
    """Return the attributes of the pooling under its own names."""
    return {"window": window, "strides": pool_strides, "padding": pool_padding}


def _split(attributes: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the attributes of the convolution, and those of the pooling."""
    form = dict(attributes)
    words = ("window", "pool_strides", "pool_padding")
    return form, _pool(*(form.pop(word) for word in words))


def _slopes(g: Spec, place: Spec, attributes: dict[str, Any]) -> tuple[Spec, dict[str, Any]]:
    """Return the type of what the pooling spreads, and the attributes of the convolution."""
    form, pool = _split(attributes)
    (slopes,) = max_pool_gradient.infer([g, place], {"size": form.pop("space"), **pool})
    return slopes, form


def _flops(convolution: Primitive, specs: Specs, form: dict[str, Any]) -> float:
    """Return the arithmetic operations of the convolution, beside which pooling is little."""
    if convolution.flops is None:
        return 0.0
    return float(convolution.flops(specs, convolution.infer(specs, form), **form))


def _forward_flops(
    specs: Specs, outputs: Specs, *, rectified: bool = False, **attributes: Any
) -> float:
    form, _ = _split(attributes)
    return _flops(conv_bias, specs, form)


def _gradient_flops(
    specs: Specs, outputs: Specs, *, bias: bool = False, **attributes: Any
) -> float:
    x, g, place = specs
    slopes, form = _slopes(g, place, attributes)
    return _flops(partial_kernel_gradients, [x, slopes], form)


def _transposed_flops(specs: Specs, outputs: Specs, **attributes: Any) -> float:
    g, place, w = specs
    slopes, form = _slopes(g, place, attributes)
    return _flops(conv_transpose, [slopes, w], form)


@fused("n *s c:float, *k:float, m:float -> ?", flops=_forward_flops)
def conv_pool(
    x: Any,
    w: Any,
    b: Any,
    *,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    window: Shape,
    pool_strides: Shape,
    pool_padding: Shape,
    groups: int = 1,
    activation: str = "linear",
    rectified: bool = False,
) -> Any:
    """``max_pool(conv_bias(x, w, b))`` and the places of the maxima; where `rectified`, the relu of
    the maxima, of which those that are not above 0 stand in no place."""
    form = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    z = conv_bias(x, w, b, activation=activation, **form)
    y, place = max_pool(z, **_pool(window, pool_strides, pool_padding))
    if not rectified:
        return y, place
    above = less(_full(y, 0), y)
    return relu(y), where(above, place, _full(place, math.prod(window)))


def _full(like: Any, value: int) -> Any:
    """Return this number for each element of an array or `Value`, in its type."""
    if isinstance(like, Value):
        return fill(shape=like.shape, value=float(value), dtype=like.dtype)
    return np.full(like.shape, value, like.dtype)


def has_nowhere(window: Shape) -> bool:
    """Return whether the type of the places has a number that stands for none of them."""
    return math.prod(window) <= np.iinfo(place_dtype(window)).max


def _check_nowhere(name: str, window: Shape) -> None:
    if not has_nowhere(window):
        raise ArgumentError(
            f"{name}: {place_dtype(window)} has no number beside those of a window of "
            f"{math.prod(window)} cells"
        )


@conv_pool.shape_rule
def _(x: Spec, w: Spec, b: Spec, *, rectified: bool = False, **attributes: Any) -> Any:
    form, pool = _split(attributes)
    if rectified:
        _check_nowhere("conv_pool", pool["window"])
    return max_pool.infer(conv_bias.infer([x, w, b], form), pool)


conv_pool.tiling(by_sample)


@fused("n *t m:float, n *t m:any -> ?", cost=2, reduces=True)
def pooled_bias_gradient(g: Any, place: Any, *, window: Shape) -> Any:
    """``sum_t g[n, t, m]`` over the t whose maximum stands in some place: for each sample, the
    derivative by a bias that is added before `rectified` pooling."""
    nowhere = equal(place, _full(place, math.prod(window)))
    return reduce_sum(where(nowhere, _full(g, 0), g), axes=tuple(range(1, len(g.shape) - 1)))


@pooled_bias_gradient.shape_rule
def _(g: Spec, place: Spec, *, window: Shape) -> Spec:
    _check_nowhere("pooled_bias_gradient", window)
    return Spec((g.shape[0], g.shape[-1]), g.dtype)


@pooled_bias_gradient.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, True


@fused("n *s c:float, n *t m:float, n *t m:any -> ?", flops=_gradient_flops)
def unpooled_kernel_gradients(
    x: Any,
    g: Any,
    place: Any,
    *,
    kernel: Shape,
    space: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    window: Shape,
    pool_strides: Shape,
    pool_padding: Shape,
    groups: int = 1,
    parts: int = 1,
    bias: bool = False,
) -> Any:
    """``partial_kernel_gradients(x, max_pool_gradient(g, place))``; where `bias`, also the sums of
    `pooled_bias_gradient` over the same parts, [parts, m]."""
    form = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    slopes = max_pool_gradient(g, place, size=space, **_pool(window, pool_strides, pool_padding))
    w = partial_kernel_gradients(x, slopes, kernel=kernel, parts=parts, **form)
    if not bias:
        return w
    sums = pooled_bias_gradient(g, place, window=window)
    found = [reduce_sum(part, axes=(0,)) for part in parts_of(sums, parts)]
    rows = [reshape(part, shape=(1, *part.shape)) for part in found]
    return w, concatenate(*rows, axis=0)


@unpooled_kernel_gradients.shape_rule
def _(x: Spec, g: Spec, place: Spec, *, bias: bool = False, **attributes: Any) -> Any:
    slopes, form = _slopes(g, place, attributes)
    (w,) = partial_kernel_gradients.infer([x, slopes], form)
    if not bias:
        return w
    _check_nowhere("unpooled_kernel_gradients", attributes["window"])
    return w, Spec((w.shape[0], w.shape[-1]), w.dtype)


@unpooled_kernel_gradients.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return False, False, False


@fused("n *t m:float, n *t m:any, *k:float -> ?", flops=_transposed_flops)
def unpooled_conv_transpose(
    g: Any,
    place: Any,
    w: Any,
    *,
    size: Shape,
    space: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    window: Shape,
    pool_strides: Shape,
    pool_padding: Shape,
    groups: int = 1,
) -> Any:
    """``conv_transpose(max_pool_gradient(g, place), w)``."""
    form = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    slopes = max_pool_gradient(g, place, size=space, **_pool(window, pool_strides, pool_padding))
    return conv_transpose(slopes, w, size=size, **form)


@unpooled_conv_transpose.shape_rule
def _(g: Spec, place: Spec, w: Spec, **attributes: Any) -> Any:
    slopes, form = _slopes(g, place, attributes)
    return conv_transpose.infer([slopes, w], form)


@unpooled_conv_transpose.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, True, False
