"""Images in other sizes: interpolation is a matrix along each axis, so it needs no derivative."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.graph import Value, room
from chainrule.ops import space
from chainrule.ops.arrays import expand_dims, squeeze, transpose
from chainrule.ops.convert import as_value, floating
from chainrule.ops.gather import take
from chainrule.ops.indexing import getitem
from chainrule.ops.joins import pad
from chainrule.ops.products import matmul

Like = Any
Shape = tuple[int, ...]


def _triangle(x: Array) -> Array:
    return np.maximum(0.0, 1.0 - x)


def _cubic(x: Array) -> Array:
    """Return the weights of cubic convolution with a = -1/2 (Keys, 1981, equation 15)."""
    near = (1.5 * x - 2.5) * x * x + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return np.where(x >= 2.0, 0.0, np.where(x >= 1.0, far, near))


def _lanczos(radius: float) -> Callable[[Array], Array]:
    return lambda x: np.where(x > radius, 0.0, np.sinc(x) * np.sinc(x / radius))


_KERNELS: dict[str, Callable[[Array], Array]] = {
    "bilinear": _triangle,
    "bicubic": _cubic,
    "lanczos3": _lanczos(3.0),
    "lanczos5": _lanczos(5.0),
}
INTERPOLATIONS = ("nearest", *_KERNELS)


def checked_interpolation(interpolation: Any) -> str:
    """Return the name of an interpolation in small letters.

    Raises
    ------
    ArgumentError
        For another one.
    """
    if not isinstance(interpolation, str) or interpolation.lower() not in INTERPOLATIONS:
        raise unknown_name("interpolation", interpolation, INTERPOLATIONS)
    return interpolation.lower()


def weights(n: int, m: int, interpolation: str, antialias: bool = False) -> Array:
    """Return the matrix [m, n] that brings n samples to m.

    Sample j of the result stands at ``(j + 1/2) n / m - 1/2``. Each row adds up to 1; with
    `antialias` the kernel is as wide as a sample of the result, where there are fewer.

    Examples
    --------
    >>> weights(2, 4, "bilinear").tolist()
    [[1.0, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 1.0]]
    """
    room.take(8 * n * m)
    at = (np.arange(m) + 0.5) * n / m - 0.5
    width = max(n / m, 1.0) if antialias else 1.0
    matrix = _KERNELS[interpolation](np.abs(at[:, None] - np.arange(n)) / width)
    total = matrix.sum(axis=1, keepdims=True)
    known = np.abs(total) > 1e-4
    result: Array = np.where(known, matrix / np.where(known, total, 1.0), 0.0)
    return result


def resampled(x: Value, matrices: Sequence[Array | None]) -> Value:
    """Return ``y[n, j, ..., c] = sum_i,... matrix_1[j, i] ... x[n, i, ..., c]``.

    Parameters
    ----------
    x : value [n, *space, c]
    matrices : sequence of NumPy arrays [m, k] or None
        One for each axis of space; None leaves it as it is.

    Examples
    --------
    >>> from chainrule import ops
    >>> x = ops.as_value([[[1.0], [2.0]]])
    >>> resampled(x, [np.array([[1.0, 1.0], [0.0, 2.0]])]).numpy().tolist()
    [[[3.0], [4.0]]]
    """
    order = list(range(x.ndim))
    for axis, matrix in enumerate(matrices, 1):
        if matrix is not None:
            x = transpose(x, [i for i, a in enumerate(order) if a != axis] + [order.index(axis)])
            order = [a for a in order if a != axis] + [axis]
            x = matmul(x, as_value(np.ascontiguousarray(matrix.T), x.dtype))
    back = [order.index(a) for a in range(x.ndim)]
    return x if back == list(range(x.ndim)) else transpose(x, back)


def interpolated(x: Value, size: Shape, interpolation: str, antialias: bool = False) -> Value:
    """Return x [n, *space, c] with axes of space of these sizes.

    Raises
    ------
    ShapeError
        For an axis without samples.
    """
    given = x.shape[1:-1]
    if 0 in given and given != size:
        raise ShapeError(f"x has no pixels to interpolate: {space.named(x.shape)}")
    if interpolation == "nearest":
        for axis, (n, m) in enumerate(zip(given, size, strict=True), 1):
            if n != m:
                room.take(8 * m)
                x = take(x, (2 * np.arange(m) + 1) * n // (2 * m), axis)
        return x
    x = floating(x)
    pairs = zip(given, size, strict=True)
    return resampled(
        x, [None if n == m else weights(n, m, interpolation, antialias) for n, m in pairs]
    )


def _form(given: Shape, size: Shape) -> Shape:
    """Return the sizes with the form of `size` of which one is that of `given`, each above 0."""
    (h, w), (height, width) = given, size
    return max(w * height // width, 1), max(h * width // height, 1)


def _cropped(x: Value, size: Shape) -> Value:
    """Return the largest part in the middle of x that has the form of `size`."""
    given = x.shape[1:3]
    kept = [min(n, m) for n, m in zip(given, _form(given, size), strict=True)]
    starts = [(n - m) // 2 for n, m in zip(given, kept, strict=True)]
    rows, columns = (slice(a, a + m) for a, m in zip(starts, kept, strict=True))
    part: Value = getitem(x, (slice(None), rows, columns))
    return part


def _framed(x: Value, size: Shape, value: float) -> Value:
    """Return x with as much of `value` on both sides as gives it the form of `size`."""
    given = x.shape[1:3]
    more = [max(m - n, 0) // 2 for n, m in zip(given, _form(given, size), strict=True)]
    pairs = [(0, 0), *((k, k) for k in more), (0, 0)]
    return pad(x, pairs, constant_values=value) if any(more) else x


def resize(
    images: Like,
    size: Sequence[int],
    interpolation: str = "bilinear",
    antialias: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    fill_mode: str = "constant",
    fill_value: float = 0.0,
    data_format: str | None = None,
) -> Value:
    """``y[n, i, j, c] = sum_h,w k((i + 1/2) H / height - 1/2 - h) ... x[n, h, w, c]``: images in
    another size, k the kernel of the interpolation.

    Shapes
    ------
    images : [n, h, w, c] or [h, w, c]; returned : [n, *size, c] or [*size, c]

    Parameters
    ----------
    images : array_like
        Integers and truths are cast to `floatx()`, but for "nearest".
    size : two int
        Height and width, at least 1.
    interpolation : {"bilinear", "nearest", "bicubic", "lanczos3", "lanczos5"}
        By default "bilinear".
    antialias : bool, default False
        Whether kernels grow with the pixels of a smaller image, so that none is left out.
    crop_to_aspect_ratio : bool, default False
        Whether to take the largest part in the middle that has the form of `size`.
    pad_to_aspect_ratio : bool, default False
        Whether to put `fill_value` on both sides first until the form is that of `size`.
    fill_mode : {"constant"}
    fill_value : float, default 0
    data_format : {"channels_last", "channels_first"}, default "channels_last"

    Raises
    ------
    ShapeError
        For images of another number of axes, or without pixels.
    ArgumentError
        For a size that is not two numbers of at least 1, an unknown interpolation, fill mode or
        format, or where images are to be cropped and padded.

    Examples
    --------
    >>> from chainrule import ops
    >>> ops.image.resize([[[0.0], [4.0]]], (1, 4)).numpy().ravel().tolist()
    [0.0, 1.0, 3.0, 4.0]

    Source
    ------
    Keys, "Cubic convolution interpolation for digital image processing", IEEE Trans. ASSP 29
    (1981), equation 15, for "bicubic".
    """
    order, how = space.checked_format(data_format), checked_interpolation(interpolation)
    wanted = space.numbers(size, 2, "size")
    check_frame(crop_to_aspect_ratio, pad_to_aspect_ratio, fill_mode)
    x = as_value(images)
    if x.ndim not in (3, 4):
        raise ShapeError(
            f"resize: images have shape {list(x.shape)}; expected [n, h, w, c] or [h, w, c]"
        )
    single = x.ndim == 3
    x = space.channels_last(expand_dims(x, 0) if single else x, order)
    if 0 in x.shape[1:3]:
        raise ShapeError(f"x has no pixels to interpolate: {space.named(x.shape)}")
    if crop_to_aspect_ratio:
        x = _cropped(x, wanted)
    elif pad_to_aspect_ratio:
        x = _framed(x, wanted, fill_value)
    y = space.channels_back(interpolated(x, wanted, how, antialias), order)
    return squeeze(y, 0) if single else y


def check_frame(crop: bool, framed: bool, fill_mode: str) -> None:
    """Raise where images are to be both cropped and padded, or padded by something unknown."""
    if crop and framed:
        raise ArgumentError("either crop_to_aspect_ratio or pad_to_aspect_ratio, not both")
    if fill_mode != "constant":
        raise unknown_name("fill_mode", fill_mode, ("constant",))
