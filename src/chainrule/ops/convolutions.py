"""Convolutions under Keras's names: numbers for all axes or for each, paddings as words.

The primitives stand in `chainrule.ops.conv`; here their numbers are worked out and checked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from chainrule import dtypes
from chainrule.errors import ArgumentError, ShapeError
from chainrule.graph import Value
from chainrule.ops import conv as primitives
from chainrule.ops import space
from chainrule.ops.arrays import reshape
from chainrule.ops.convert import as_value, cast

Like = Any
Shape = tuple[int, ...]
Many = int | Sequence[int]


def pads(padding: str, size: Shape, kernel: Shape, strides: Shape, dilation: Shape) -> Shape:
    """Return how many zeros "valid", "same" or "causal" puts before and after each axis in turn.

    "same" is TensorFlow's: as few as give ``ceil(size / stride)`` places, the odd one after.

    Examples
    --------
    >>> pads("same", (5, 4), (3, 3), (1, 2), (1, 1)), pads("causal", (9,), (3,), (1,), (2,))
    ((1, 1, 0, 1), (4, 0))
    """
    found: list[int] = []
    for n, k, s, d in zip(size, kernel, strides, dilation, strict=True):
        reach = (k - 1) * d
        total = max((-(-n // s) - 1) * s + reach + 1 - n, 0) if padding == "same" else 0
        found += (reach, 0) if padding == "causal" else (total // 2, total - total // 2)
    return tuple(found)


def require_room(size: Any, kernel: Shape, dilation: Shape, padding: str) -> None:
    """Raise unless the kernel finds room in each axis; sizes that are None are not looked at.

    Raises
    ------
    ShapeError
        Where it does not, with both sizes.
    """
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    tight = [n is not None and 0 < n < r for n, r in zip(size, reach, strict=True)]
    if padding == "valid" and any(tight):
        why = f" ({space.times(kernel)}, dilated)" if max(dilation) > 1 else ""
        raise ShapeError(
            f"the kernel spans {space.times(reach)} places{why}, but x has {space.times(size)}\n"
            '  fix: padding="same", a smaller kernel, or larger inputs'
        )


def _values(*given: Like) -> list[Value]:
    """Return values of one float dtype, the widest among them."""
    values = [as_value(x) for x in given]
    floats = {v.dtype for v in values if dtypes.is_float(v.dtype)}
    return [cast(v, max(floats, default=dtypes.floatx())) for v in values]


def _ranked(name: str, x: Value, w: Value) -> int:
    """Return the number of axes of space."""
    if x.ndim != w.ndim or not 3 <= x.ndim <= 5:
        raise ShapeError(
            f"{name}: inputs have shape {list(x.shape)} and the kernel {list(w.shape)}; expected "
            "inputs [n, *space, channels] and a kernel [*space, channels, outputs], with one to "
            "three axes of space"
        )
    if min(w.shape[:-2]) < 1:
        raise ShapeError(f"{name}: a kernel of shape {list(w.shape)} has no places")
    return x.ndim - 2


def _form(x: Value, kernel: Shape, strides: Many, padding: str, dilation: Many) -> dict[str, Any]:
    """Return strides, padding and dilation as the primitives take them."""
    rank, size = x.ndim - 2, x.shape[1:-1]
    word = space.checked_padding(padding, causal=rank == 1)
    steps = space.numbers(strides, rank, "strides")
    rate = space.numbers(dilation, rank, "dilation_rate")
    require_room(size, kernel, rate, word)
    return {"strides": steps, "padding": pads(word, size, kernel, steps, rate), "dilation": rate}


def conv(
    inputs: Like,
    kernel: Like,
    strides: Many = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Many = 1,
) -> Value:
    """``y[n, o, m] = sum_k,c x[n, o * strides + k * dilation_rate - low, c] * kernel[k, c, m]``.

    x is 0 outside; low is what `padding` puts before it. A kernel of fewer channels than x makes a
    grouped convolution: with x of g times as many, the channels of x and y form g groups of
    neighbours, and each of y sees its group of x alone.

    Shapes
    ------
    inputs : [n, *space, c]; kernel : [*k, c / g, m]; returned : [n, *out, m], with one to three
    axes of space, and ``out = (space - (k - 1) * dilation_rate - 1) // strides + 1`` for "valid",
    ``ceil(space / strides)`` for the others

    Parameters
    ----------
    inputs, kernel : array_like
        Cast to the widest float dtype among them.
    strides : int or sequence of int, default 1
        Steps from one place of the output to the next, at least 1.
    padding : {"valid", "same", "causal"}, default "valid"
        None; as much on both sides as keeps the size for strides of 1; all before, for one axis
        of space, so that no place sees later ones.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    dilation_rate : int or sequence of int, default 1
        Steps from one place of the kernel to the next, at least 1.

    Raises
    ------
    ShapeError
        Where shapes do not fit, groups do not come out, or the kernel is larger than the inputs.
    ArgumentError
        For an unknown padding or data format, and numbers below 1.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ops
    >>> ops.conv(np.ones((1, 3, 1)), np.ones((2, 1, 1)), padding="same").shape
    (1, 3, 1)
    >>> ops.conv(np.ones((8, 28, 28, 1)), np.ones((3, 3, 1, 16)), strides=2).shape
    (8, 13, 13, 16)
    """
    order = space.checked_format(data_format)
    x, w = _values(inputs, kernel)
    _ranked("conv", x, w)
    x = space.channels_last(x, order)
    inner, channels = w.shape[-2], x.shape[-1]
    if inner == 0 or channels % inner:
        raise ShapeError(
            f"conv: inputs have {channels} channels, which the {inner} of the kernel do not divide"
        )
    form = _form(x, w.shape[:-2], strides, padding, dilation_rate)
    y = primitives.conv(x, w, groups=channels // inner, **form)
    return space.channels_back(y, order)


def depthwise_conv(
    inputs: Like,
    kernel: Like,
    strides: Many = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Many = 1,
) -> Value:
    """``y[n, o, c * q + i] = sum_k x[n, o * strides + k * dilation_rate - low, c] * kernel[k, c,
    i]``: each channel by itself gives q channels.

    Shapes
    ------
    inputs : [n, *space, c]; kernel : [*k, c, q]; returned : [n, *out, c * q], out as for `conv`

    Parameters
    ----------
    inputs, kernel : array_like
        Cast to the widest float dtype among them.
    strides, padding, data_format, dilation_rate
        See `conv`.

    Raises
    ------
    ShapeError
        Where shapes do not fit, or the kernel is larger than the inputs.
    ArgumentError
        As `conv`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ops
    >>> ops.depthwise_conv(np.ones((1, 5, 5, 3)), np.ones((3, 3, 3, 2))).shape
    (1, 3, 3, 6)
    """
    order = space.checked_format(data_format)
    x, w = _values(inputs, kernel)
    _ranked("depthwise_conv", x, w)
    x = space.channels_last(x, order)
    *places, c, q = w.shape
    if c != x.shape[-1]:
        raise ShapeError(
            f"depthwise_conv: inputs have {x.shape[-1]} channels, but the kernel is for {c}"
        )
    form = _form(x, tuple(places), strides, padding, dilation_rate)
    y = primitives.conv(x, reshape(w, (*places, min(c, 1), c * q)), groups=max(c, 1), **form)
    return space.channels_back(y, order)


def separable_conv(
    inputs: Like,
    depthwise_kernel: Like,
    pointwise_kernel: Like,
    strides: Many = 1,
    padding: str = "valid",
    data_format: str | None = None,
    dilation_rate: Many = 1,
) -> Value:
    """``conv(depthwise_conv(inputs, depthwise_kernel), pointwise_kernel)``: first over space,
    within each channel, then over the channels, at each place.

    Shapes
    ------
    inputs : [n, *space, c]; depthwise_kernel : [*k, c, q]; pointwise_kernel : [1, ..., c * q, m];
    returned : [n, *out, m], out as for `conv`

    Parameters
    ----------
    inputs, depthwise_kernel, pointwise_kernel : array_like
        Cast to the widest float dtype among them.
    strides, padding, data_format, dilation_rate
        Of the first; see `conv`.

    Raises
    ------
    ShapeError
        Where shapes do not fit, or the kernel is larger than the inputs.
    ArgumentError
        As `conv`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ops
    >>> ops.separable_conv(np.ones((1, 5, 3)), np.ones((3, 3, 2)), np.ones((1, 6, 4))).shape
    (1, 3, 4)
    """
    order = space.checked_format(data_format)
    x, depthwise, pointwise = _values(inputs, depthwise_kernel, pointwise_kernel)
    if any(n != 1 for n in pointwise.shape[:-2]) or pointwise.ndim != depthwise.ndim:
        raise ShapeError(
            f"separable_conv: pointwise_kernel has shape {list(pointwise.shape)}; "
            f"expected [{'1, ' * (depthwise.ndim - 2)}channels, outputs]"
        )
    x = space.channels_last(x, order) if x.ndim > 2 else x
    seen = depthwise_conv(x, depthwise, strides, padding, None, dilation_rate)
    if seen.shape[-1] != pointwise.shape[-2]:
        raise ShapeError(
            f"separable_conv: {seen.shape[-1]} channels come out of the first kernel, but "
            f"pointwise_kernel is for {pointwise.shape[-2]}"
        )
    return space.channels_back(conv(seen, pointwise), order)


def conv_transpose(
    inputs: Like,
    kernel: Like,
    strides: Many = 1,
    padding: str = "valid",
    output_padding: Many | None = None,
    data_format: str | None = None,
    dilation_rate: Many = 1,
) -> Value:
    """``y[n, i, m] = sum x[n, o, c] * kernel[k, m, c]`` over c and all o and k with ``o * strides +
    k * dilation_rate - low = i``: what the derivative of `conv` by its inputs computes.

    Shapes
    ------
    inputs : [n, *space, c]; kernel : [*k, m, c]; returned : [n, *out, m]. With r = ``(k - 1) *
    dilation_rate + 1`` and p the `output_padding`, out is ``(space - 1) * strides + max(r,
    strides)`` for "valid" (with p: ``r + p`` for the maximum), and ``space * strides`` for "same"
    (with p: ``(space - 1) * strides + r % 2 + p``).

    Parameters
    ----------
    inputs, kernel : array_like
        Cast to the widest float dtype among them.
    strides : int or sequence of int, default 1
        Places of the output from one place of the inputs to the next, at least 1.
    padding : {"valid", "same"}, default "valid"
        See the shapes.
    output_padding : int or sequence of int, optional
        From 0 to below the strides: which of the sizes that a `conv` of these strides would bring
        to that of the inputs the output has.
    data_format, dilation_rate
        See `conv`.

    Raises
    ------
    ShapeError
        Where shapes do not fit.
    ArgumentError
        For an unknown padding or data format, and numbers out of their range.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule import ops
    >>> ops.conv_transpose(np.ones((1, 2, 1)), np.ones((3, 1, 1)), strides=2).numpy().ravel()
    array([1., 1., 2., 1., 1.])
    """
    order = space.checked_format(data_format)
    g, w = _values(inputs, kernel)
    rank = _ranked("conv_transpose", g, w)
    g = space.channels_last(g, order)
    if w.shape[-1] != g.shape[-1]:
        raise ShapeError(
            f"conv_transpose: inputs have {g.shape[-1]} channels, but the kernel is for "
            f"{w.shape[-1]}; its shape is [*space, outputs, channels]"
        )
    word, steps = space.checked_padding(padding), space.numbers(strides, rank, "strides")
    more = checked_output_padding(output_padding, steps)
    rate = space.numbers(dilation_rate, rank, "dilation_rate")
    parts = [
        _unfolded(n, (k - 1) * d + 1, s, word, p)
        for n, k, d, s, p in zip(g.shape[1:-1], w.shape[:-2], rate, steps, more, strict=True)
    ]
    size, low, high = zip(*parts, strict=True)
    both = tuple(n for pair in zip(low, high, strict=True) for n in pair)
    y = primitives.conv_transpose(
        g, primitives.swapped(w, 1), size=size, strides=steps, padding=both, dilation=rate
    )
    return space.channels_back(y, order)


def checked_output_padding(value: Many | None, strides: Shape) -> tuple[int | None, ...]:
    """Return a number, or None, for each axis.

    Raises
    ------
    ArgumentError
        For numbers that are not below the strides.
    """
    if value is None:
        return (None,) * len(strides)
    found = space.numbers(value, len(strides), "output_padding", 0)
    if any(p >= s for p, s in zip(found, strides, strict=True)):
        raise ArgumentError(
            f"output_padding is {space.times(found)}, and strides {space.times(strides)}: "
            "it must be below them in each axis"
        )
    return found


def _unfolded(n: int, reach: int, stride: int, padding: str, more: int | None) -> Shape:
    """Return the size of an axis of a transposed convolution's output, and the padding before and
    after with which a convolution of that size gives n places.

    Keras's count: zeros are put before and after the inputs with strides between their places, and
    the kernel runs over them; of ``reach - 1`` before, all that are not put in are cut off.
    """
    if padding == "valid":
        before = reach - 1
        after = before + (max(stride - reach, 0) if more is None else more)
    else:
        total = stride + reach - 2 if more is None else reach + reach % 2 - 2 + more
        before = min(total - total // 2, reach - 1)
        after = total - before
    size = max((n - 1) * stride + before + after - reach + 2, 0) if n else 0
    low = reach - 1 - before
    return size, low, max(reach - 1 - after, 0)


def transposed_size(n: int, reach: int, stride: int, padding: str, more: int | None) -> int:
    """Return the size of an axis that a transposed convolution makes of one of size n.

    Examples
    --------
    >>> transposed_size(4, 3, 2, "valid", None), transposed_size(4, 3, 2, "same", None)
    (9, 8)
    """
    return _unfolded(n, reach, stride, padding, more)[0]
