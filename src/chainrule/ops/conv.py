"""Convolutions over one, two or three axes of space, and the two maps that are linear with them.

All three are sums over the same pairs: place ``o`` of the output meets place
``i = o * stride + k * dilation - low`` of the input at place ``k`` of the kernel. `conv` adds up
over k and the input's channels, `conv_transpose` over o and the output's channels,
`conv_kernel_gradient` over the samples and o; each is the derivative of the others.

Channels stand last. With `groups`, channels of the input and of the output form as many groups of
neighbours, and each group of the output sees its group of the input only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Spec, Value, primitive
from chainrule.ops.shape import reshape, transpose

Shape = tuple[int, ...]
Specs = Sequence[Spec]


def places(size: int, kernel: int, stride: int, dilation: int, low: int, high: int) -> int:
    """Return the number of places of the output along one axis of space, at least 0."""
    reach = (kernel - 1) * dilation + 1
    return max((size + low + high - reach) // stride + 1, 0)


def out_space(size: Shape, kernel: Shape, strides: Shape, padding: Shape, dilation: Shape) -> Shape:
    """Return the sizes of the output's axes of space."""
    low, high = padding[0::2], padding[1::2]
    return tuple(map(places, size, kernel, strides, dilation, low, high))


def swapped(w: Value, groups: int) -> Any:
    """Return the kernel [*k, c / groups, m] as [*k, m / groups, c]."""
    *kernel, inner, m = w.shape
    rank = len(kernel)
    if groups == 1:
        return transpose(w, axes=(*range(rank), rank + 1, rank))
    parts = reshape(w, shape=(*kernel, inner, groups, m // groups))
    turned = transpose(parts, axes=(*range(rank), rank + 2, rank + 1, rank))
    return reshape(turned, shape=(*kernel, m // groups, groups * inner))


def _taps(
    kernel: Shape, out: Shape, strides: Shape, dilation: Shape
) -> Iterator[tuple[Shape, tuple[slice, ...]]]:
    """Yield each place of the kernel with the places of the padded input that it meets."""
    for tap in np.ndindex(*kernel):
        yield (
            tap,
            tuple(
                slice(k * d, k * d + (o - 1) * s + 1 if o else k * d, s)
                for k, d, o, s in zip(tap, dilation, out, strides, strict=True)
            ),
        )


def _padded(x: Array, padding: Shape) -> Any:
    pairs = list(zip(padding[0::2], padding[1::2], strict=True))
    return np.pad(x, [(0, 0), *pairs, (0, 0)])


def _mixed(x: Array, w: Array, groups: int) -> Any:
    """Return ``y[..., g m] = sum_c x[..., g c] * w[c, g m]``."""
    if groups == 1:
        return np.matmul(x, w)
    c, m = w.shape[0], w.shape[1] // groups
    parts = x.reshape(*x.shape[:-1], groups, c)
    y = np.einsum("...gc,cgm->...gm", parts, w.reshape(c, groups, m))
    return y.reshape(*x.shape[:-1], groups * m)


def _checked(name: str, rank: int, **attributes: Any) -> None:
    """Raise unless there is one number, or pair of numbers, for each axis of space."""
    if not 1 <= rank <= 3:
        raise ShapeError(f"{name} takes one to three axes of space, not {rank}")
    for word, numbers in attributes.items():
        least = 0 if word == "padding" else 1
        wanted = 2 * rank if word == "padding" else rank
        if len(numbers) != wanted or any(n < least for n in numbers):
            raise ArgumentError(
                f"{name}: {word} is {list(numbers)}; expected {wanted} numbers of at least {least}"
            )


def _grouped(name: str, kernel: Sequence[int], channels: int, groups: int) -> None:
    """Raise unless a kernel [c / groups, m] fits `channels` channels in so many groups."""
    inner, m = kernel
    if groups < 1 or channels % groups or m % groups:
        raise ShapeError(
            f"{name}: {channels} channels in and {m} out do not form {groups} groups each"
        )
    if inner * groups != channels:
        raise ShapeError(
            f"{name}: the kernel takes {inner * groups} channels, but there are {channels}"
        )


def _flops(specs: Specs, outputs: Specs, **_: Any) -> float:
    """Return two for each output, place of the kernel and channel that it sees."""
    return 2.0 * outputs[0].size * math.prod(specs[1].shape[:-1])


@primitive("n *s c, *k -> ?", flops=_flops)
def conv(
    x: Array,
    w: Array,
    *,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int = 1,
) -> Any:
    """``y[n, o, m] = sum_k,c x[n, o * strides + k * dilation - low, c] * w[k, c, m]``; x is 0
    outside; `padding` is low and high of each axis in turn."""
    kernel = w.shape[:-2]
    out = out_space(x.shape[1:-1], kernel, strides, padding, dilation)
    whole = _padded(x, padding)
    y = np.zeros((x.shape[0], *out, w.shape[-1]), x.dtype)
    for tap, places in _taps(kernel, out, strides, dilation):
        y += _mixed(whole[(slice(None), *places)], w[tap], groups)
    return y


@conv.shape_rule
def _(x: Spec, w: Spec, *, strides: Shape, padding: Shape, dilation: Shape, groups: int) -> Spec:
    rank = len(x.shape) - 2
    if len(w.shape) != rank + 2:
        raise ShapeError(f"conv: x has {rank} axes of space, the kernel {len(w.shape) - 2}")
    _checked("conv", rank, strides=strides, padding=padding, dilation=dilation)
    _grouped("conv", w.shape[-2:], x.shape[-1], groups)
    out = out_space(x.shape[1:-1], w.shape[:-2], strides, padding, dilation)
    return Spec((x.shape[0], *out, w.shape[-1]), x.dtype)


def by_sample(specs: Specs, outputs: Specs, **_: Any) -> Any:
    """A sample of the output needs that of the first argument, and the others whole."""
    return (True, *(False for _ in specs[1:]))


conv.tiling(by_sample)


@conv.vjp
def _(g: Value, y: Value, x: Value, w: Value, *, groups: int, **form: Any) -> Any:
    form["groups"] = groups
    size, kernel = x.shape[1:-1], w.shape[:-2]
    return (
        conv_transpose(g, swapped(w, groups), size=size, **form),
        conv_kernel_gradient(x, g, kernel=kernel, **form),
    )


@primitive("n *s c, *k -> ?", flops=lambda specs, outputs, **_: _transposed_flops(specs))
def conv_transpose(
    g: Array,
    w: Array,
    *,
    size: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int = 1,
) -> Any:
    """``x[n, i, c] = sum g[n, o, m] * w[k, m, c]`` over m and all o and k with
    ``o * strides + k * dilation - low = i``, i within `size`: the derivative of `conv` by x."""
    kernel, out = w.shape[:-2], g.shape[1:-1]
    low, high = padding[0::2], padding[1::2]
    space = tuple(n + a + b for n, a, b in zip(size, low, high, strict=True))
    x = np.zeros((g.shape[0], *space, w.shape[-1]), g.dtype)
    for tap, places in _taps(kernel, out, strides, dilation):
        x[(slice(None), *places)] += _mixed(g, w[tap], groups)
    inner = tuple(slice(a, a + n) for a, n in zip(low, size, strict=True))
    return np.ascontiguousarray(x[(slice(None), *inner)])


def _transposed_flops(specs: Specs) -> float:
    return 2.0 * math.prod(specs[0].shape[:-1]) * specs[1].size


@conv_transpose.shape_rule
def _(
    g: Spec,
    w: Spec,
    *,
    size: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int,
) -> Spec:
    rank = len(g.shape) - 2
    if len(w.shape) != rank + 2:
        raise ShapeError(
            f"conv_transpose: g has {rank} axes of space, the kernel {len(w.shape) - 2}"
        )
    _checked("conv_transpose", rank, strides=strides, padding=padding, dilation=dilation)
    _grouped("conv_transpose", w.shape[-2:], g.shape[-1], groups)
    out = out_space(size, w.shape[:-2], strides, padding, dilation)
    if len(size) != rank or out != g.shape[1:-1]:
        raise ShapeError(
            f"conv_transpose: from {list(size)} this convolution gives {list(out)}, "
            f"but g has {list(g.shape[1:-1])}"
        )
    return Spec((g.shape[0], *size, w.shape[-1]), g.dtype)


conv_transpose.tiling(by_sample)


@conv_transpose.vjp
def _(h: Value, y: Value, g: Value, w: Value, *, size: Shape, groups: int, **form: Any) -> Any:
    form["groups"] = groups
    slope = conv_kernel_gradient(h, g, kernel=w.shape[:-2], **form)
    return conv(h, swapped(w, groups), **form), swapped(slope, groups)


@primitive("n *s c, n *t m -> ?", flops=lambda specs, outputs, **_: _kernel_flops(specs, outputs))
def conv_kernel_gradient(
    x: Array,
    g: Array,
    *,
    kernel: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int = 1,
) -> Any:
    """``w[k, c, m] = sum_n,o x[n, o * strides + k * dilation - low, c] * g[n, o, m]``: the
    derivative of `conv` by its kernel."""
    inner, m = x.shape[-1] // groups, g.shape[-1]
    whole = _padded(x, padding)
    count = math.prod(g.shape[:-1])
    slopes = g.reshape(count, groups, m // groups)
    w = np.zeros((*kernel, inner, m), x.dtype)
    for tap, places in _taps(kernel, g.shape[1:-1], strides, dilation):
        part = whole[(slice(None), *places)].reshape(count, groups, inner)
        w[tap] = np.einsum("pgc,pgm->cgm", part, slopes).reshape(inner, m)
    return w


def _kernel_flops(specs: Specs, outputs: Specs) -> float:
    return 2.0 * math.prod(specs[1].shape[:-1]) * outputs[0].size


@conv_kernel_gradient.shape_rule
def _(
    x: Spec,
    g: Spec,
    *,
    kernel: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int,
) -> Spec:
    rank = len(x.shape) - 2
    _checked(
        "conv_kernel_gradient",
        rank,
        kernel=kernel,
        strides=strides,
        padding=padding,
        dilation=dilation,
    )
    inner = x.shape[-1] // max(groups, 1)
    _grouped("conv_kernel_gradient", (inner, g.shape[-1]), x.shape[-1], groups)
    out = out_space(x.shape[1:-1], kernel, strides, padding, dilation)
    if out != g.shape[1:-1]:
        raise ShapeError(
            f"conv_kernel_gradient: this convolution of {list(x.shape[1:-1])} gives {list(out)}, "
            f"but g has {list(g.shape[1:-1])}"
        )
    return Spec((*kernel, inner, g.shape[-1]), x.dtype)


@conv_kernel_gradient.tiling
def _(specs: Specs, outputs: Specs, **_: Any) -> Any:
    return False, False


@conv_kernel_gradient.vjp
def _(h: Value, y: Value, x: Value, g: Value, *, kernel: Shape, groups: int, **form: Any) -> Any:
    form["groups"] = groups
    size = x.shape[1:-1]
    return conv_transpose(g, swapped(h, groups), size=size, **form), conv(x, h, **form)
