"""`image_dataset_from_directory`: from a folder's name to what `fit` takes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np

from chainrule.data.folders import ImageFolder, Options, SampleFolder
from chainrule.data.images import Form, Size, checked_size
from chainrule.data.listing import IMAGES, Kind, Listing, flat, listed
from chainrule.errors import ArgumentError, unknown_name

_SUBSETS = ("training", "validation", "both")
Some = TypeVar("Some", bound=SampleFolder)


def image_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    color_mode: str = "rgb",
    batch_size: int | None = 32,
    image_size: int | Size = (256, 256),
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    interpolation: str = "bilinear",
    follow_links: bool = False,
    crop_to_aspect_ratio: bool = False,
    pad_to_aspect_ratio: bool = False,
    data_format: str | None = None,
    verbose: bool = True,
    *,
    on_error: str = "skip",
    memory_mb: float = 1024,
) -> ImageFolder | tuple[ImageFolder, ImageFolder]:
    """The images of a folder that has one subfolder a class, to be given to `fit` as ``x``.

    Shapes
    ------
    a batch : [n, h, w, c], values 0 to 255; labels [n], [n, 1] or [n, k] by `label_mode`

    Parameters
    ----------
    directory : path-like
        ``directory/cat/1.jpg``, ``directory/dog/a/2.png``, ...: PNG, JPEG, BMP, GIF (the first
        picture), PPM, TIFF, WebP. Hidden files and those of other kinds are passed over.
    labels : "inferred", sequence of int, or None
        The class is that of the subfolder; or a number for each file, in the order of their paths;
        or there are none (to predict).
    label_mode : {"int", "categorical", "binary", None}, default "int"
        Class numbers; vectors of 0 and 1; one column of 0 and 1, for two classes; or no labels.
    class_names : sequence of str, optional
        The subfolders to take, in the order of the class numbers; by default all, by name.
    color_mode : {"rgb", "grayscale", "rgba"}, default "rgb"
        What all images become. What is transparent becomes white, except in ``"rgba"``; 16 bits
        become 8; photos are turned upright.
    batch_size : int, optional
        By default 32.
    image_size : (int, int), default (256, 256)
        Height and width that all images are resized to.
    shuffle : bool, default True
        Whether each epoch visits them in another order, all of them and exactly shuffled.
    seed : int, optional
        The order is a function of it and the epoch, by default of the model's seed; and it chooses
        what is held out.
    validation_split : float, optional
        The share of each class that is held out.
    subset : {"training", "validation", "both"}, optional
        Which part to return where there is a `validation_split`; ``"both"`` returns two.
    interpolation : str, default "bilinear"
        ``"nearest"``, ``"bilinear"``, ``"bicubic"``, ``"lanczos"`` (``"lanczos3"``), ``"box"``
        (``"area"``) or ``"hamming"``.
    follow_links : bool, default False
        Whether to look into folders that are links.
    crop_to_aspect_ratio, pad_to_aspect_ratio : bool, default False
        Keep the ratio of height and width: cut the rest off, or frame it in black.
    data_format : {"channels_last"}, optional
        The only one there is.
    verbose : bool, default True
        Whether to print what was found, and progress in a terminal.
    on_error : {"skip", "raise"}, default "skip"
        Broken files are named in a warning and left out, or refused.
    memory_mb : float, default 1024
        Images that fit are decoded once and kept; else each epoch decodes them, in threads beside
        the training. Nothing else depends on it.

    Returns
    -------
    ImageFolder, or a tuple of two for ``subset="both"``

    Raises
    ------
    FileError
        Where there is no such folder.
    DataError
        Where it holds no classes or no images.
    ArgumentError
        For arguments out of range.
    MissingDependencyError
        Without Pillow.

    Notes
    -----
    Keras resizes without averaging what is made smaller, holds out of a shuffled list instead of
    each class, and needs ``seed`` for that.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.utils import image_dataset_from_directory, save_img
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("dark", "light"):
    ...     (folder / name).mkdir()
    ...     for i in range(4):
    ...         pixels = np.full((5, 5, 3), 200 * (name == "light") + i)
    ...         save_img(folder / name / f"{i}.png", pixels, scale=False)
    >>> training, validation = image_dataset_from_directory(
    ...     folder, image_size=(4, 4), validation_split=0.25, subset="both")
    Found 8 files belonging to 2 classes.
    Using 6 files for training and 2 for validation.
    >>> images, labels = next(iter(validation))
    >>> images.shape, labels.tolist()
    ((2, 4, 4, 3), [0, 1])
    """
    if data_format not in (None, "channels_last"):
        raise ArgumentError(f"data_format is {data_format!r}; images are 'channels_last' here")
    aspect = _aspect(crop_to_aspect_ratio, pad_to_aspect_ratio)
    form = Form(checked_size(image_size), color_mode, interpolation, aspect)
    options = Options(label_mode, batch_size, shuffle, seed, on_error, memory_mb, verbose)
    check_subset(validation_split, subset)
    found, numbers, names = labelled(directory, labels, label_mode, class_names, follow_links)
    if verbose:
        print(found.told())
    folder = ImageFolder(found.files, numbers, names, form, options)
    return folder if subset is None else chosen(folder, validation_split or 0.0, subset)


def _aspect(crop: bool, pad: bool) -> str:
    if crop and pad:
        raise ArgumentError("only one of crop_to_aspect_ratio and pad_to_aspect_ratio can be True")
    return "crop" if crop else "pad" if pad else "stretch"


def check_subset(fraction: float | None, subset: str | None) -> None:
    """Refuse a share without a part to return, and a part that there is not."""
    if subset is not None and subset not in _SUBSETS:
        raise unknown_name("subset", subset, _SUBSETS)
    if (fraction is None) != (subset is None):
        raise ArgumentError(
            f"validation_split is {fraction!r} and subset is {subset!r}: give both or neither"
        )


def labelled(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None,
    label_mode: str | None,
    class_names: Sequence[str] | None,
    follow_links: bool,
    kind: Kind = IMAGES,
) -> tuple[Listing, Any, list[str]]:
    """Return the files, their class numbers, and the names of the classes."""
    if isinstance(labels, str):
        if labels != "inferred":
            raise unknown_name("labels", labels, ("inferred",))
        found = listed(directory, class_names, follow_links, kind)
        numbers, names = None if label_mode is None else found.labels, found.class_names
    elif class_names is not None:
        raise ArgumentError("class_names is for labels='inferred': else classes are numbers")
    else:
        found = flat(directory, follow_links, kind)
        if labels is None or label_mode is None:
            return found, None, []
        numbers = _numbers(labels, found)
        names = [str(k) for k in range(int(numbers.max()) + 1)]
    if label_mode == "binary" and len(names) != 2:
        raise ArgumentError(
            f"label_mode='binary' is for 2 classes; there are {len(names)}: {names}"
        )
    return found, numbers, names


def _numbers(labels: Sequence[int], found: Listing) -> Any:
    numbers = np.asarray(labels)
    if numbers.shape != (len(found.files),) or numbers.dtype.kind not in "iu" or numbers.min() < 0:
        raise ArgumentError(
            f"labels must be a class number from 0 on for each of the {len(found.files)} "
            f"{found.kind.noun}s in {str(found.directory)!r}; it is of shape "
            f"{list(numbers.shape)} and {numbers.dtype}"
        )
    return numbers.astype(np.int64)


def chosen(folder: Some, fraction: float, subset: str) -> Some | tuple[Some, Some]:
    """Return the part of a folder that was asked for, or both, and say how large they are."""
    training, held = folder.split(fraction)
    n, k = len(training.file_paths), len(held.file_paths)
    used = {"training": f"{n} files for training", "validation": f"{k} files for validation"}
    if folder.options.verbose:
        print(f"Using {used.get(subset, f'{n} files for training and {k} for validation')}.")
    return {"training": training, "validation": held}.get(subset, (training, held))
