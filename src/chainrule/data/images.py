"""Image files as arrays: decoded through Pillow, in threads, refused by name where broken."""

from __future__ import annotations

import contextlib
import io
import os
import stat
import zlib
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from chainrule.data import decoding
from chainrule.data.decoding import File
from chainrule.data.pictures import CHANNELS, coloured, upright
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, FileError, ImageError, missing_package, unknown_name

SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif",
            ".tiff", ".webp")  # fmt: skip
# What Pillow may try: no format that runs another program (EPS) or is of use to nobody here.
_FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")
# Pillow's names for them, and Keras's where they differ.
INTERPOLATIONS = {
    "nearest": "NEAREST",
    "bilinear": "BILINEAR",
    "bicubic": "BICUBIC",
    "lanczos": "LANCZOS",
    "box": "BOX",
    "hamming": "HAMMING",
    "area": "BOX",
    "lanczos3": "LANCZOS",
}
ASPECTS = ("stretch", "crop", "pad")

Size = tuple[int, int]


@dataclass(frozen=True)
class Form:
    """What images of any size and kind are made: height and width, colours, the way to get there.

    A `size` of ``None`` keeps that of the file. With `aspect` ``"stretch"`` the whole image fills
    the size; with ``"crop"`` its largest part in the middle that has the same ratio; with ``"pad"``
    it keeps its ratio and is framed in black.
    """

    size: Size | None = None
    color_mode: str = "rgb"
    interpolation: str = "bilinear"
    aspect: str = "stretch"

    def __post_init__(self) -> None:
        if self.color_mode not in CHANNELS:
            raise unknown_name("color_mode", self.color_mode, CHANNELS)
        if self.interpolation not in INTERPOLATIONS:
            raise unknown_name("interpolation", self.interpolation, INTERPOLATIONS)
        if self.aspect not in ASPECTS:
            raise unknown_name("aspect", self.aspect, ASPECTS)
        if self.size is not None:
            object.__setattr__(self, "size", checked_size(self.size))

    noun: ClassVar[str] = "image"
    dtype: ClassVar[str] = "uint8"

    @property
    def channels(self) -> int:
        """The channels of the arrays."""
        return CHANNELS[self.color_mode]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Height, width and channels."""
        height, width = self.size or (0, 0)
        return height, width, self.channels

    def read(self, path: File) -> Array:
        """Return one file as an array; raises ImageError where it is broken."""
        return read(path, self)


def checked_size(size: Any) -> Size:
    """Return a height and a width, both for one number alone.

    Raises
    ------
    ArgumentError
        For what is not one or two integers of at least 1.
    """
    pair = size if isinstance(size, list | tuple) else (size, size)
    whole = all(isinstance(n, int | np.integer) and not isinstance(n, bool) for n in pair)
    if len(pair) != 2 or not whole or min(pair) < 1:
        raise ArgumentError(
            f"the size of images is {size!r}; expected (height, width), e.g. 64, 64"
        )
    return int(pair[0]), int(pair[1])


def pillow() -> Any:
    """Return the module ``PIL.Image``.

    Raises
    ------
    MissingDependencyError
        Where Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError:
        raise missing_package("Pillow", "reading images", "images") from None
    return Image


def decode(
    paths: Sequence[File],
    size: int | Size,
    color_mode: str = "rgb",
    interpolation: str = "bilinear",
    aspect: str = "stretch",
    threads: int | None = None,
) -> Array:
    """Return images of one size as one array, decoded in threads.

    Shapes
    ------
    returned : [n, h, w, c], uint8, c = 1 (grayscale), 3 (rgb) or 4 (rgba)

    Parameters
    ----------
    paths : sequence of path-like or bytes
        The files, or their contents.
    size : int or (int, int)
        Height and width.
    color_mode : {"rgb", "grayscale", "rgba"}, default "rgb"
        What all become. Transparent parts become white, except in ``"rgba"``; 16 bits become 8.
    interpolation : str, default "bilinear"
        ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos"``, ``"box"`` or ``"hamming"``.
        What is made smaller is averaged over the area that a pixel covers (but by ``"nearest"``).
    aspect : {"stretch", "crop", "pad"}, default "stretch"
        What becomes of images of another ratio: see `Form`.
    threads : int, optional
        By default `chainrule.num_threads`. The result does not depend on it.

    Raises
    ------
    ImageError
        For the first file that is not an image, is cut short or too large, by its name.
    MissingDependencyError
        Without Pillow.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.data.images import decode
    >>> from chainrule.utils import save_img
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "red.png"
    >>> save_img(path, np.full((2, 3, 3), [255, 0, 0]), scale=False)
    >>> decode([path], (1, 1)).tolist()
    [[[[255, 0, 0]]]]
    """
    pillow()
    form = Form(checked_size(size), color_mode, interpolation, aspect)
    return decoding.gathered(paths, form, threads)


def attempts(
    paths: Sequence[File], form: Form, threads: int | None = None
) -> Generator[Array | FileError, None, None]:
    """Yield each image, or the error that says what is wrong with its file, in their order."""
    pillow()
    return decoding.attempts(paths, form.read, threads)


def read(path: File, form: Form) -> Array:
    """Return one image file, or the content of one, as an array uint8 [h, w, c].

    Raises
    ------
    ImageError
        For what is not an image, cut short or too large, by name.
    """
    image = np.asarray(_opened(path, form), np.uint8)
    return image[..., None] if image.ndim == 2 else image


def picture(path: File, form: Form, deep: bool = False) -> Any:
    """Return one image file as Pillow's image, with the colours and of the size of the form.

    With `deep`, grayscale keeps more than 8 bits where the file has them.
    """
    return _opened(path, form, deep, reduced=False)


def _opened(path: File, form: Form, deep: bool = False, reduced: bool = True) -> Any:
    library = pillow()
    try:
        with _file(path) as file, library.open(file, formats=_formats(library)) as image:
            _check_pixels(image, library)
            if image.format == "PNG":
                _check_png(memoryview(file.getvalue()))
            turn = upright(image)
            if reduced:
                _reduce(image, form, turn)
            return resized(turn(coloured(image, form.color_mode, deep, library)), form, library)
    except (ImageError, ArgumentError):
        raise
    except Exception as error:  # damaged files make Pillow raise whatever there is
        raise ImageError(_what_is_wrong(path, error)) from error


def _file(path: File) -> io.BytesIO:
    """Return the content in memory, of which no more can be read than there is: of a file, Python
    takes memory for as many bytes as Pillow asks for, which a damaged one says are gigabytes."""
    if isinstance(path, bytes):
        return io.BytesIO(path)
    mode = os.stat(path).st_mode
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
        raise OSError("it is no ordinary file")  # to read it might never end
    with open(path, "rb") as file:
        return io.BytesIO(file.read())


def _formats(library: Any) -> list[str]:
    """Return the formats that this Pillow was built with."""
    library.init()
    return [name for name in _FORMATS if name in library.OPEN]


def _check_pixels(image: Any, library: Any) -> None:
    most = library.MAX_IMAGE_PIXELS
    width, height = image.size
    if most is not None and width * height > most:
        raise ValueError(
            f"{width} x {height} pixels are more than the {most} that are decoded; if it is "
            "meant, set PIL.Image.MAX_IMAGE_PIXELS"
        )


def _check_png(content: memoryview) -> None:
    """Refuse pixels that are not those that were written: Pillow heeds no checksum of them."""
    at = 8
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(content[at : at + 4], "big")
        part, given = content[at + 4 : end], bytes(content[end : end + 4])
        if (
            bytes(part[:4]) == b"IDAT"
            and zlib.crc32(part).to_bytes(4, "big") != given
            and len(given) == 4
        ):
            raise ValueError("its pixels are damaged, by the checksum beside them")
        at = end + 4


def _reduce(image: Any, form: Form, turn: Any) -> None:
    """Let a JPEG be decoded at 1/2, 1/4 or 1/8 of its size, where that is twice as much as asked.

    As Pillow's own thumbnails. A photo of 12 megapixels at 64 x 64 takes a quarter of the time.
    """
    if form.size is None or form.interpolation == "nearest":
        return
    height, width = form.size[::-1] if turn.sideways else form.size
    image.draft(image.mode, (2 * width, 2 * height))


def resized(image: Any, form: Form, library: Any) -> Any:
    """Return Pillow's image in the size of the form."""
    if form.size is None:
        return image
    height, width = form.size
    method = getattr(library.Resampling, INTERPOLATIONS[form.interpolation])
    if image.size == (width, height):
        return image
    if form.aspect == "pad":
        return _padded(image, width, height, method, library)
    box = _middle(image.size, width, height) if form.aspect == "crop" else None
    return image.resize((width, height), method, box=box)


def _middle(size: Size, width: int, height: int) -> tuple[int, int, int, int]:
    """Return left, top, right, bottom of the largest part in the middle with this ratio."""
    w = max(min(size[0], size[1] * width // height), 1)
    h = max(min(size[1], size[0] * height // width), 1)
    left, top = (size[0] - w) // 2, (size[1] - h) // 2
    return left, top, left + w, top + h


def _padded(image: Any, width: int, height: int, method: Any, library: Any) -> Any:
    """Return the image as large as fits, in the middle of a black frame."""
    w, h = image.size
    ratio = max(w / width, h / height)
    inner = max(int(w / ratio), 1), max(int(h / ratio), 1)
    framed = library.new(image.mode, (width, height))
    framed.paste(image.resize(inner, method), ((width - inner[0]) // 2, (height - inner[1]) // 2))
    return framed


def _what_is_wrong(path: File, error: Exception) -> str:
    """Return one line that names the file and says what is wrong with it."""
    name = f"an image of {len(path)} bytes" if isinstance(path, bytes) else repr(os.fspath(path))
    if isinstance(error, IsADirectoryError) or (
        not isinstance(path, bytes) and os.path.isdir(path)
    ):
        return f"{name} is a folder, not an image"
    if isinstance(error, FileNotFoundError):
        return f"there is no file {name}"
    if not (begin := _begin(path)):
        return f"{name} is empty (0 bytes)"
    if type(error).__name__ == "UnidentifiedImageError":
        known = ", ".join(_FORMATS)
        return f"{name} is not an image ({known}): it begins with {begin!r}"
    return f"{name} cannot be decoded: {error or type(error).__name__}"


def _begin(path: File) -> bytes:
    with contextlib.suppress(OSError):
        return _file(path).read(12)
    return b"?"
