"""Pictures as PNG, so that a page can hold them without a file beside it."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import ShapeError

_GAP = 5  # pixels between two filters
_KINDS = {1: 0, 3: 2, 4: 6}  # channels, and what PNG calls such pictures


def png(picture: Array) -> bytes:
    """Return a picture of uint8, [h, w] or [h, w, c] with 1, 3 or 4 channels, as a PNG file.

    Raises
    ------
    ShapeError
        For an array of another shape.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.insight.png import png
    >>> png(np.zeros((2, 3), "uint8"))[1:4]
    b'PNG'
    """
    pixels = np.ascontiguousarray(picture, np.uint8)
    pixels = pixels[:, :, None] if pixels.ndim == 2 else pixels
    if pixels.ndim != 3 or pixels.shape[2] not in _KINDS or not pixels.size:
        raise ShapeError(f"a picture is [h, w] or [h, w, 1, 3 or 4], not {list(picture.shape)}")
    height, width, channels = pixels.shape
    rows = pixels.reshape(height, width * channels)
    lines = np.zeros((height, 1 + width * channels), np.uint8)  # each begins with a 0: no filter
    lines[:, 1:] = rows
    head = struct.pack(">IIBBBBB", width, height, 8, _KINDS[channels], 0, 0, 0)
    parts = (b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + _sum(name + content)


def _sum(content: bytes) -> bytes:
    return struct.pack(">I", zlib.crc32(content))


def uri(content: bytes, kind: str = "image/png") -> str:
    """Return content as an address that holds it."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def as_pixels(values: Array) -> Array:
    """Return numbers of any range as uint8: as they are, from 0 to 1, or from least to most."""
    if values.dtype == np.uint8:
        return values
    x = np.nan_to_num(np.asarray(values, np.float64))
    low, high = float(x.min(initial=np.inf)), float(x.max(initial=-np.inf))
    if low >= 0 and 1 < high <= 255:
        low, high = 0.0, 255.0
    elif low >= 0 and 0.1 < high <= 1:
        low, high = 0.0, 1.0
    scaled = (x - low) * (255.0 / (high - low)) if high > low else np.zeros_like(x)
    return np.round(scaled).astype(np.uint8)


def as_picture(values: Array, largest: int = 128) -> Array | None:
    """Return a sample as a picture of at most so many pixels a side; ``None`` for other samples.

    Pictures are [h, w] or [h, w, c] with 1, 3 or 4 channels, and at least 6 pixels high and wide.
    """
    values = np.asarray(values)
    image = values.ndim == 2 or (values.ndim == 3 and values.shape[2] in _KINDS)
    if not image or min(values.shape[:2]) < 6 or values.dtype.kind not in "fiub":
        return None
    step = -(-max(values.shape[:2]) // largest)
    return as_pixels(values[::step, ::step])


def filters(kernel: Array, shape: tuple[int, ...] | None = None, most: int = 64) -> Array | None:
    """Return the filters of a first layer side by side in one picture; ``None`` where they are no
    pictures.

    A convolution's kernel is [h, w, c, m] or, over time, [t, c, m]; that of a dense layer [k, m]
    is one picture of inputs over units, or, where `shape` says that the inputs are an image, one
    image a unit.
    """
    kernel = np.asarray(kernel, np.float64)
    if kernel.ndim == 2 and shape is not None and int(np.prod(shape)) == len(kernel):
        kernel = kernel.reshape(*(shape if len(shape) == 3 else (*shape, 1)), -1)
    if kernel.ndim == 3:
        kernel = kernel.transpose(1, 0, 2)[:, :, None]  # channels down, time across
    if kernel.ndim == 2:
        # Columns of the same length, side by side: one tile.
        kernel = kernel[:most, :most, None, None]
    if kernel.ndim != 4 or not kernel.size:
        return None
    if kernel.shape[2] not in (1, 3):
        kernel = kernel.mean(axis=2, keepdims=True)
    return _tiled(kernel[..., :most])


def _tiled(kernel: Array) -> Array:
    """Return filters [h, w, c, m] as tiles, 0 in the middle of grey, with white lines between."""
    height, width, channels, count = kernel.shape
    limits = np.abs(kernel).max(axis=(0, 1, 2), initial=1e-12)
    pixels = np.round(127.5 + 127.5 * kernel / np.maximum(limits, 1e-12)).astype(np.uint8)
    zoom = max(1, 40 // max(height, width)) if count > 1 else max(1, min(340 // width, 12))
    columns = min(count, max(1, 340 // (width * zoom + _GAP)))
    lines = -(-count // columns)
    h, w = height * zoom + _GAP, width * zoom + _GAP
    out = np.full((lines * h, columns * w, channels), 255, np.uint8)
    for i in range(count):
        tile = pixels[..., i].repeat(zoom, axis=0).repeat(zoom, axis=1)
        y, x = i // columns * h, i % columns * w
        out[y : y + h - _GAP, x : x + w - _GAP] = tile
    return out
