"""Convolutions fused with the pooling behind them, so that what lies in between is never stored.

Each body is its decomposition. Of a convolution, `strides`, `padding`, `dilation` and `groups` are
its own; of the pooling, `window`, `pool_strides` and `pool_padding`; `space` is the size of what
lies in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph import Spec, fused
from chainrule.ops.conv import by_sample, conv_transpose
from chainrule.ops.conv_fused import conv_bias, partial_kernel_gradients
from chainrule.ops.pool import max_pool, max_pool_gradient

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


def _flops(specs: Specs, outputs: Specs, **attributes: Any) -> float:
    form, _ = _split(attributes)
    z = conv_bias.infer(specs, form)
    return float(conv_bias.flops(specs, z, **form)) if conv_bias.flops else 0.0


@fused("n *s c:float, *k:float, m:float -> ?", flops=_flops)
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
) -> Any:
    """``max_pool(conv_bias(x, w, b))`` and the places of the maxima."""
    form = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    z = conv_bias(x, w, b, activation=activation, **form)
    return max_pool(z, **_pool(window, pool_strides, pool_padding))


@conv_pool.shape_rule
def _(x: Spec, w: Spec, b: Spec, **attributes: Any) -> Any:
    form, pool = _split(attributes)
    return max_pool.infer(conv_bias.infer([x, w, b], form), pool)


conv_pool.tiling(by_sample)


@fused("n *s c:float, n *t m:float, n *t m:any -> ?", flops=lambda *a, **k: _partial_flops(*a, **k))
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
) -> Any:
    """``partial_kernel_gradients(x, max_pool_gradient(g, place))``."""
    form = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    slopes = max_pool_gradient(g, place, size=space, **_pool(window, pool_strides, pool_padding))
    return partial_kernel_gradients(x, slopes, kernel=kernel, parts=parts, **form)


@unpooled_kernel_gradients.shape_rule
def _(x: Spec, g: Spec, place: Spec, *, space: Shape, **attributes: Any) -> Any:
    form, pool = _split(attributes)
    (slopes,) = max_pool_gradient.infer([g, place], {"size": space, **pool})
    return partial_kernel_gradients.infer([x, slopes], form)


def _partial_flops(specs: Specs, outputs: Specs, *, space: Shape, **_: Any) -> float:
    places = specs[0].shape[0]
    for n in space:
        places *= n
    return 2.0 * places * outputs[0].size / max(outputs[0].shape[0], 1)


@unpooled_kernel_gradients.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return False, False, False


@fused("n *t m:float, n *t m:any, *k:float -> ?", flops=lambda *a, **k: _transposed_flops(*a, **k))
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
def _(g: Spec, place: Spec, w: Spec, *, space: Shape, **attributes: Any) -> Any:
    form, pool = _split(attributes)
    (slopes,) = max_pool_gradient.infer([g, place], {"size": space, **pool})
    return conv_transpose.infer([slopes, w], form)


def _transposed_flops(specs: Specs, outputs: Specs, *, space: Shape, **_: Any) -> float:
    taps = specs[2].size // max(specs[2].shape[-1], 1)
    places = specs[0].shape[0]
    for n in space:
        places *= n
    return 2.0 * places * taps * specs[2].shape[-1]


@unpooled_conv_transpose.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return True, True, False
