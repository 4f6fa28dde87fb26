"""Images sampled at the places that an affine map of each sample names, and what is linear with it.

A place between pixels is a mixture of the four around it (``bilinear``) or the one that is nearest
(``nearest``, upwards at 1/2). A pixel outside of the image is, by `fill_mode`, that of

- ``nearest``: its edge, ``a a a | a b c d | d d d``,
- ``reflect``: the image mirrored at its edge, ``c b a | a b c d | d c b``,
- ``wrap``: the image's other side, ``b c d | a b c d | a b c``,
- ``constant``: `fill_value` everywhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, ShapeError, unknown_name
from chainrule.graph import Spec, Value, primitive

Shape = tuple[int, ...]

INTERPOLATIONS = ("bilinear", "nearest")
FILL_MODES = ("constant", "nearest", "reflect", "wrap")
_FAR = 2.0**30  # places beyond are taken for this one, NaN for minus this one


def _places(m: Array, size: Shape) -> Iterator[Array]:
    """Yield the rows, then the columns of the input that all pixels of the output are taken at."""
    rows, columns = np.arange(size[0], dtype=np.float64)[:, None], np.arange(size[1])
    a = m.astype(np.float64)[..., None, None]
    for k in range(2):
        at = (a[:, k, 0] * rows + a[:, k, 2]) + a[:, k, 1] * columns
        yield np.where(at >= -_FAR, np.minimum(at, _FAR), -_FAR)


def _folded(i: Array, n: int, fill_mode: str) -> tuple[Array, Array]:
    """Return the number of the pixel that stands at `i`, and whether it is one of the image."""
    if fill_mode == "wrap":
        i = i % n
    elif fill_mode == "reflect":
        i = np.minimum(i % (2 * n), 2 * n - 1 - i % (2 * n))
    inside = (i >= 0) & (i < n) | (fill_mode == "nearest")
    return np.clip(i, 0, n - 1), inside


def _along(at: Array, n: int, interpolation: str, fill_mode: str) -> list[tuple[Array, ...]]:
    """Return number, share and presence of the one or two pixels along an axis."""
    if interpolation == "nearest":
        i, inside = _folded(np.floor(at + 0.5).astype(np.int64), n, fill_mode)
        return [(i, np.ones_like(at), inside)]
    low = np.floor(at)
    share = at - low
    pair = [_folded(low.astype(np.int64) + k, n, fill_mode) for k in range(2)]
    return [(i, s, inside) for (i, inside), s in zip(pair, (1 - share, share), strict=True)]


def _taps(
    m: Array, size: Shape, space: Shape, interpolation: str, fill_mode: str
) -> Iterator[tuple[tuple[Array, ...], Array, Array]]:
    """Yield, for each pixel that a place is a mixture of, where it is, its share, its presence."""
    rows, columns = _places(m, size)
    sample = np.arange(len(m))[:, None, None]
    for i, of_row, row_inside in _along(rows, space[0], interpolation, fill_mode):
        for j, of_column, inside in _along(columns, space[1], interpolation, fill_mode):
            share = (of_row * of_column)[..., None]
            yield (sample, i, j), share, (row_inside & inside)[..., None]


def _checked(name: str, m: Spec, space: Shape, size: Shape, words: tuple[str, str]) -> None:
    if m.shape[1:] != (2, 3):
        raise ShapeError(f"{name}: m must be [n, 2, 3], but its shape is {list(m.shape)}")
    if len(size) != 2 or min(size) < 0:
        raise ArgumentError(f"{name}: size is {list(size)}; expected a height and a width")
    if 0 in space:
        raise ShapeError(f"{name}: there is no pixel in images of {list(space)}")
    for word, given, known in zip(
        ("interpolation", "fill_mode"), words, (INTERPOLATIONS, FILL_MODES), strict=True
    ):
        if given not in known:
            raise unknown_name(word, given, known)


# A pixel takes as long as 70 vectorised passes over it (AVX-512, one channel, bilinear).
@primitive("n h w c, n two three:float -> ?", cost=70)
def warp(
    x: Array,
    m: Array,
    *,
    size: Shape,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
    fill_value: float = 0.0,
) -> Any:
    """``y[n, i, j, c] = x[n, h, w, c]`` at ``(h, w) = m[n] (i, j, 1)``, i and j within `size`.

    There is no derivative by m.
    """
    y = np.zeros((len(x), *size, x.shape[-1]), x.dtype)
    for place, share, inside in _taps(m, size, x.shape[1:3], interpolation, fill_mode):
        y += np.where(inside, x[place], x.dtype.type(fill_value)) * share.astype(x.dtype)
    return y


@warp.shape_rule
def _(
    x: Spec, m: Spec, *, size: Shape, interpolation: str, fill_mode: str, fill_value: float
) -> Spec:
    _checked("warp", m, x.shape[1:3], size, (interpolation, fill_mode))
    return Spec((x.shape[0], *size, x.shape[-1]), x.dtype)


@warp.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> Any:
    return True, True


@warp.vjp
def _(g: Value, y: Value, x: Value, m: Value, **form: Any) -> Any:
    form["size"] = x.shape[1:3]
    form.pop("fill_value")
    return warp_gradient(g, m, **form), None


@primitive("n h w c, n two three:float -> ?", cost=90)
def warp_gradient(
    g: Array,
    m: Array,
    *,
    size: Shape,
    interpolation: str = "bilinear",
    fill_mode: str = "constant",
) -> Any:
    """``x[n, h, w, c]`` = the sum of g over all places that the pixel (h, w) is mixed into by
    `warp`, each by its share; h and w within `size`: the derivative of `warp` by x."""
    x = np.zeros((len(g), *size, g.shape[-1]), g.dtype)
    for place, share, inside in _taps(m, g.shape[1:3], size, interpolation, fill_mode):
        np.add.at(x, place, np.where(inside, g, 0) * share.astype(g.dtype))
    return x


@warp_gradient.shape_rule
def _(g: Spec, m: Spec, *, size: Shape, interpolation: str, fill_mode: str) -> Spec:
    _checked("warp_gradient", m, size, size, (interpolation, fill_mode))
    return Spec((g.shape[0], *size, g.shape[-1]), g.dtype)


@warp_gradient.tiling
def _(specs: Sequence[Spec], outputs: Sequence[Spec], **_: Any) -> Any:
    return True, True


@warp_gradient.vjp
def _(h: Value, x: Value, g: Value, m: Value, **form: Any) -> Any:
    form["size"] = g.shape[1:3]
    return warp(h, m, **form), None
