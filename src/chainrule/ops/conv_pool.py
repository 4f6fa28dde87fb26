"""Convolutions fused with the pooling behind them, so that what lies in between is never stored.

Each body is its decomposition. Of a convolution, `strides`, `padding`, `dilation` and `groups` are
its own; of the pooling, `window`, `pool_strides` and `pool_padding`; `space` is the size of what
lies in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule.graph import Primitive, Spec, fused
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


def _forward_flops(specs: Specs, outputs: Specs, **attributes: Any) -> float:
    form, _ = _split(attributes)
    return _flops(conv_bias, specs, form)


def _gradient_flops(specs: Specs, outputs: Specs, **attributes: Any) -> float:
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
) -> Any:
    """``partial_kernel_gradients(x, max_pool_gradient(g, place))``."""
    form = {"strides": strides, "padding": padding, "dilation": dilation, "groups": groups}
    slopes = max_pool_gradient(g, place, size=space, **_pool(window, pool_strides, pool_padding))
    return partial_kernel_gradients(x, slopes, kernel=kernel, parts=parts, **form)


@unpooled_kernel_gradients.shape_rule
def _(x: Spec, g: Spec, place: Spec, **attributes: Any) -> Any:
    slopes, form = _slopes(g, place, attributes)
    return partial_kernel_gradients.infer([x, slopes], form)


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
