"""Single images from files to arrays and back, under the names of Keras's ``utils``."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path
from typing import IO, Any

import numpy as np

from chainrule.data.images import Form, Size, checked_size, picture, pillow
from chainrule.dtypes import Array, is_float, name_of
from chainrule.errors import ArgumentError, DataError, DataWarning, FileError

_CHANNELS = (1, 3, 4)


def load_img(
    path: str | os.PathLike[str] | bytes | IO[bytes],
    color_mode: str = "rgb",
    target_size: int | Size | None = None,
    interpolation: str = "nearest",
    keep_aspect_ratio: bool = False,
) -> Any:
    """One image file as Pillow's image, upright, in the colours and of the size asked for.

    Parameters
    ----------
    path : path-like, bytes or binary file
        The file, or its content.
    color_mode : {"rgb", "grayscale", "rgba"}, default "rgb"
        What it becomes. Transparent parts become white, except in ``"rgba"``; gray of 16 bits stays
        so in ``"grayscale"``.
    target_size : (int, int), optional
        Height and width; by default those of the file.
    interpolation : str, default "nearest"
        ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos"``, ``"box"`` or ``"hamming"``.
    keep_aspect_ratio : bool, default False
        Whether to take the largest part in the middle that has the ratio of `target_size`, rather
        than stretch the whole.

    Returns
    -------
    PIL.Image.Image

    Raises
    ------
    ImageError
        For a file that is missing, not an image, cut short or too large.
    MissingDependencyError
        Without Pillow.

    Notes
    -----
    Keras does not turn photos upright by their Exif note, and shows the colours that transparent
    parts happen to have; for all other files the pixels are the same.

    Examples
    --------
    >>> import io
    >>> import numpy as np
    >>> from chainrule.utils import load_img, save_img
    >>> file = io.BytesIO()
    >>> save_img(file, np.zeros((2, 3, 3)), file_format="png")
    >>> load_img(file.getvalue(), target_size=(4, 4)).size
    (4, 4)
    """
    if hasattr(path, "read"):
        path = bytes(path.read() if not isinstance(path, io.BytesIO) else path.getvalue())
    size = None if target_size is None else checked_size(target_size)
    aspect = "crop" if keep_aspect_ratio else "stretch"
    return picture(path, Form(size, color_mode, interpolation, aspect), deep=True)


def img_to_array(img: Any, data_format: str | None = None, dtype: str | None = None) -> Array:
    """The pixels of Pillow's image as an array.

    Shapes
    ------
    returned : [h, w, c], or [c, h, w] for ``"channels_first"``

    Parameters
    ----------
    img : PIL.Image.Image
        The image.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The order of the axes.
    dtype : str, default "float32"
        Of the array, whose values stay as they are, mostly 0 to 255.

    Raises
    ------
    DataError
        For what is no image.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.utils import array_to_img, img_to_array
    >>> img_to_array(array_to_img(np.ones((2, 3, 1)), scale=False)).shape
    (2, 3, 1)
    """
    first = _channels_first(data_format)
    x = np.asarray(img, dtype or "float32")
    if x.ndim not in (2, 3):
        raise DataError(f"expected an image, not {type(img).__name__} of shape {list(x.shape)}")
    x = x[..., None] if x.ndim == 2 else x
    return x.transpose(2, 0, 1) if first else x


def array_to_img(
    x: Any, data_format: str | None = None, scale: bool = True, dtype: str | None = None
) -> Any:
    """An array as Pillow's image of 8 bits.

    Shapes
    ------
    x : [h, w, c] with c = 1 (gray), 3 (RGB) or 4 (RGBA); or [c, h, w]

    Parameters
    ----------
    x : array_like
        The pixels.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The order of the axes.
    scale : bool, default True
        Whether the least value becomes 0 and the greatest 255; else values are taken as they are,
        and those of gray beyond 255 give an image of 32 bits.
    dtype : str, default "float32"
        What is calculated in.

    Raises
    ------
    DataError
        For another number of axes or channels.
    MissingDependencyError
        Without Pillow.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.utils import array_to_img
    >>> array_to_img(np.zeros((2, 3, 3))).size
    (3, 2)
    """
    library, kind = pillow(), name_of(dtype or "float32")
    if not is_float(kind) and scale:
        raise ArgumentError(f"scale=True calculates in floats; dtype is {kind!r}")
    x = np.asarray(x, kind)
    if x.ndim == 3 and _channels_first(data_format):
        x = x.transpose(1, 2, 0)
    if x.ndim != 3 or x.shape[2] not in _CHANNELS or not x.size:
        raise DataError(
            f"x has shape {list(x.shape)}; expected that of an image, [h, w, c] with c = 1, 3 or 4"
        )
    if scale:
        x = x - x.min()
        x = x / (x.max() or 1) * 255
    plane = x[:, :, 0] if x.shape[2] == 1 else x
    if x.shape[2] == 1 and x.max() > 255:
        return library.fromarray(plane.astype("int32"))
    return library.fromarray(plane.astype("uint8"))


def save_img(
    path: str | os.PathLike[str] | IO[bytes],
    x: Any,
    data_format: str | None = None,
    file_format: str | None = None,
    scale: bool = True,
    **kwargs: Any,
) -> None:
    """Write an array as an image file.

    Shapes
    ------
    x : [h, w, c] with c = 1 (gray), 3 (RGB) or 4 (RGBA); or [c, h, w]

    Parameters
    ----------
    path : path-like or binary file
        Where to.
    x : array_like
        The pixels.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
        The order of the axes.
    file_format : str, optional
        By default what the name ends in; needed for a file object.
    scale : bool, default True
        Whether the least value becomes 0 and the greatest 255.
    **kwargs
        Passed to Pillow, e.g. ``quality=95``.

    Raises
    ------
    FileError
        Where it cannot be written, or the format is not known.
    DataError
        For what is no image.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.utils import save_img
    >>> save_img(pathlib.Path(tempfile.mkdtemp()) / "dark.jpg", np.zeros((2, 3, 3)))
    """
    if file_format is None and isinstance(path, str | os.PathLike):
        file_format = Path(path).suffix[1:]
    file_format = (file_format or "").lower().replace("jpg", "jpeg") or None
    img = array_to_img(x, data_format, scale)
    if img.mode == "RGBA" and file_format == "jpeg":
        warnings.warn("JPEG keeps no transparency: saved as RGB", DataWarning, stacklevel=2)
        img = img.convert("RGB")
    try:
        img.save(path, format=file_format, **kwargs)
    except (OSError, ValueError, KeyError) as error:
        name = path if isinstance(path, str | os.PathLike) else type(path).__name__
        why = f"unknown format {error}" if isinstance(error, KeyError) else error
        raise FileError(f"cannot write the image {str(name)!r}: {why}") from error


def _channels_first(data_format: str | None) -> bool:
    if data_format not in (None, "channels_last", "channels_first"):
        raise ArgumentError(
            f"data_format is {data_format!r}; expected 'channels_last' or 'channels_first'"
        )
    return data_format == "channels_first"
