"""Colours and orientation of Pillow's images: whatever a file holds becomes gray, RGB or RGBA."""

from __future__ import annotations

from typing import Any

import numpy as np

CHANNELS = {"grayscale": 1, "rgb": 3, "rgba": 4}
_MODES = {"grayscale": "L", "rgb": "RGB", "rgba": "RGBA"}
_ORIENTATION = 0x0112  # the tag of Exif
# What makes an image upright, by the value of the tag.
_TURNS = {
    2: "FLIP_LEFT_RIGHT",
    3: "ROTATE_180",
    4: "FLIP_TOP_BOTTOM",
    5: "TRANSPOSE",
    6: "ROTATE_270",
    7: "TRANSVERSE",
    8: "ROTATE_90",
}


class _Turn:
    """Makes an image upright; `sideways` where that exchanges height and width."""

    def __init__(self, orientation: int) -> None:
        self._name = _TURNS.get(orientation)
        self.sideways = orientation in (5, 6, 7, 8)

    def __call__(self, image: Any) -> Any:
        if self._name is None:
            return image
        from PIL import Image

        return image.transpose(getattr(Image.Transpose, self._name))


def upright(image: Any) -> _Turn:
    """Return what turns an image as the camera that took it was held."""
    try:
        return _Turn(int(image.getexif().get(_ORIENTATION, 1)))
    except Exception:  # damaged notes on a picture do not make the picture worse
        return _Turn(1)


def coloured(image: Any, color_mode: str, deep: bool, library: Any) -> Any:
    """Return the image in gray, RGB or RGBA of 8 bits.

    What is transparent is laid on white, as it is mostly looked at, unless RGBA is asked for. With
    `deep`, gray that has more than 8 bits stays as it is.
    """
    mode = _MODES[color_mode]
    image.load()  # now: the file is closed soon
    if image.mode.startswith("I") or image.mode == "F":
        if deep and mode == "L" and image.mode != "F":
            return image
        image = _eight_bits(image, library)
    if mode != "RGBA" and image.has_transparency_data:
        front = image.convert("RGBA")
        white = library.new("RGBA", front.size, "white")
        return library.alpha_composite(white, front).convert(mode)
    if image.mode not in ("1", "L", "LA", "RGB", "RGBA"):
        # Palettes, CMYK, YCbCr: their gray is that of the colours they stand for.
        image = image.convert("RGBA" if mode == "RGBA" else "RGB")
    return image if image.mode == mode else image.convert(mode)


def _eight_bits(image: Any, library: Any) -> Any:
    """Return gray of 16 bits, or of fractions of 1, in 8 bits.

    Raises
    ------
    ValueError
        For values outside 0 to 65535, or 0 to 1: nothing says what white is.
    """
    values = np.asarray(image)
    most = 1 if image.mode == "F" else 65535
    if not (values.min() >= 0 and values.max() <= most):
        raise ValueError(
            f"its values go from {values.min()} to {values.max()}, but those of an image of mode "
            f"{image.mode!r} are taken to go from 0 to {most}"
        )
    eight = np.empty(values.shape, np.uint8)
    for row, bits in zip(
        values, eight, strict=True
    ):  # else floats of 8 bytes a pixel lay beside it
        bits[:] = np.rint(row * (255 / most))
    return library.fromarray(eight)
