"""`ImageDataGenerator`: batches of images, changed at random and standardized as they are drawn."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from chainrule import dtypes
from chainrule.data.image_files import array_to_img, img_to_array, load_img, save_img
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, unknown_name
from chainrule.preprocessing.changing import Changing
from chainrule.preprocessing.files import DataFrameIterator, DirectoryIterator, Reading
from chainrule.preprocessing.iterators import Iterator, NumpyArrayIterator, Saving
from chainrule.preprocessing.transforms import Filling, Ranges, number, shift_range, zoom_limits

__all__ = [
    "DataFrameIterator",
    "DirectoryIterator",
    "ImageDataGenerator",
    "Iterator",
    "NumpyArrayIterator",
    "array_to_img",
    "img_to_array",
    "load_img",
    "save_img",
]


class ImageDataGenerator(Changing):
    """Batches of images, each turned, moved, stretched and lit at random, then standardized.

    ``fit(generator.flow(x, y))`` trains on other images each epoch. What is drawn for an image is
    a function of seed, epoch and its number: the same in every run, for any number of threads and
    where a run is resumed. The batches are made in a thread beside the training.

    Parameters
    ----------
    featurewise_center, featurewise_std_normalization : bool, default False
        Whether to take the mean of each channel over all data from the images, and divide by the
        standard deviation, which takes the mean away too. Call `fit` first.
    samplewise_center, samplewise_std_normalization : bool, default False
        The same with the mean and deviation of all of one image.
    zca_whitening : bool, default False
        Whether to whiten images by the principal components of all data, which takes the means
        away too. Call `fit` first.
    zca_epsilon : float, default 1e-6
        Beside the deviations of the components.
    rotation_range : float, default 0
        Degrees; images are turned by up to as much to either side.
    width_shift_range, height_shift_range : float, int or sequence, default 0
        The most that images are moved across and down: below 1 as a share of their size, from 1 on
        pixels. An int draws whole pixels below it; a sequence holds what to draw from, with either
        sign.
    brightness_range : two floats, optional
        The range of a factor of all values, of which 1 changes nothing. Values are cut to
        [0, 255]; images with others are scaled to that and back.
    shear_range : float, default 0
        Degrees; columns are slanted by up to as much to either side.
    zoom_range : float or two, default 0
        z for [1 - z, 1 + z], from which a factor for each axis is drawn; above 1 the image becomes
        smaller.
    channel_shift_range : float, default 0
        The most that is added to all values of an image; they stay within the range they had.
    fill_mode : {"nearest", "constant", "reflect", "wrap"}, default "nearest"
        What stands beyond the edge: see `RandomRotation`.
    cval : float, default 0
        What stands there for ``"constant"``.
    horizontal_flip, vertical_flip : bool, default False
        Whether half of the images are mirrored.
    rescale : float, optional
        Factor of all values, after the changes.
    preprocessing_function : callable, optional
        From an image [h, w, c] to one of the same shape; called after the changes, before
        `rescale`.
    data_format : {"channels_last", "channels_first"}, default "channels_last"
    validation_split : float in [0, 1), default 0
        The share of images that ``subset="validation"`` gives: the first ones, of each class where
        they come from a folder.
    interpolation_order : {1, 0}
        Bilinear, or nearest.
    dtype : {"float32", "float64"}, default `floatx()`

    Raises
    ------
    ArgumentError
        For arguments outside their ranges.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.layers import Dense, Flatten, Input
    >>> from chainrule.models import Sequential
    >>> from chainrule.preprocessing.image import ImageDataGenerator
    >>> generator = ImageDataGenerator(rotation_range=10, horizontal_flip=True, rescale=1 / 255)
    >>> x, y = np.full((40, 8, 8, 1), 255.0), np.zeros(40)
    >>> images, labels = next(generator.flow(x, y, batch_size=32))
    >>> images.shape, labels.shape, float(images.max())
    ((32, 8, 8, 1), (32,), 1.0)
    >>> model = Sequential([Input((8, 8, 1)), Flatten(), Dense(1)])
    >>> model.compile("sgd", "mse")
    >>> len(model.fit(generator.flow(x, y, seed=1), epochs=2, verbose=0).epoch)
    2

    Notes
    -----
    As in Keras 2, except: `width_shift_range` moves images across also where it is drawn together
    with other changes; the middle of images that are not square is theirs; brightness is not
    rounded to whole values; without `fit` statistics are an error.
    """

    def __init__(
        self,
        featurewise_center: bool = False,
        samplewise_center: bool = False,
        featurewise_std_normalization: bool = False,
        samplewise_std_normalization: bool = False,
        zca_whitening: bool = False,
        zca_epsilon: float = 1e-6,
        rotation_range: float = 0,
        width_shift_range: Any = 0.0,
        height_shift_range: Any = 0.0,
        brightness_range: Sequence[float] | None = None,
        shear_range: float = 0.0,
        zoom_range: float | Sequence[float] = 0.0,
        channel_shift_range: float = 0.0,
        fill_mode: str = "nearest",
        cval: float = 0.0,
        horizontal_flip: bool = False,
        vertical_flip: bool = False,
        rescale: float | None = None,
        preprocessing_function: Callable[[Array], Array] | None = None,
        data_format: str | None = None,
        validation_split: float = 0.0,
        interpolation_order: int = 1,
        dtype: str | None = None,
    ) -> None:
        self.ranges = Ranges(
            number("rotation_range", rotation_range),
            shift_range("width_shift_range", width_shift_range),
            shift_range("height_shift_range", height_shift_range),
            number("shear_range", shear_range),
            zoom_limits(zoom_range),
            number("channel_shift_range", channel_shift_range),
            _two(brightness_range),
            bool(horizontal_flip),
            bool(vertical_flip),
        )
        self.filling = Filling(fill_mode, cval, interpolation_order)
        self.data_format = data_format or "channels_last"
        if self.data_format not in ("channels_last", "channels_first"):
            raise unknown_name("data_format", data_format, ("channels_last", "channels_first"))
        if isinstance(validation_split, bool) or not 0 <= validation_split < 1:
            raise ArgumentError(f"validation_split is {validation_split!r}; expected a share < 1")
        self.validation_split, self.dtype = validation_split, _float(dtype)
        self.rescale = None if rescale is None else number("rescale", rescale)
        self.preprocessing_function = preprocessing_function
        self.zca_whitening, self.zca_epsilon = bool(zca_whitening), zca_epsilon
        self.featurewise_std_normalization = featurewise_std_normalization and not zca_whitening
        self.featurewise_center = bool(
            featurewise_center or featurewise_std_normalization or zca_whitening
        )
        self.samplewise_std_normalization = bool(samplewise_std_normalization)
        self.samplewise_center = bool(samplewise_center or samplewise_std_normalization)

    def flow(
        self,
        x: Any,
        y: Any = None,
        batch_size: int = 32,
        shuffle: bool = True,
        sample_weight: Any = None,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        ignore_class_split: bool = False,
        subset: str | None = None,
    ) -> NumpyArrayIterator:
        """Batches of images in an array.

        Shapes
        ------
        x : [n, h, w, c]; y : [n, *t]; sample_weight : [n]

        Parameters
        ----------
        x, y, sample_weight : array_like
            x may be a pair of images and further inputs, which are passed on as they are.
        batch_size : int, default 32
        shuffle : bool, default True
            Whether each epoch has an order of its own.
        seed : int, optional
            By default one that follows from `set_random_seed`.
        save_to_dir : path-like, optional
            Where to save what is drawn as pictures, called `save_prefix`, sample and epoch.
        save_prefix, save_format : str, default "" and "png"
        ignore_class_split : bool, default False
            Whether both subsets may have different classes.
        subset : {"training", "validation"}, optional
            One part by `validation_split`.

        Raises
        ------
        ShapeError, DataError
            For what are no images, or other numbers of targets.
        ArgumentError
            For another subset.
        """
        return NumpyArrayIterator(
            x,
            y,
            self,
            batch_size,
            shuffle,
            sample_weight,
            seed,
            _saving(save_to_dir, save_prefix, save_format),
            subset,
            ignore_class_split,
        )

    def flow_from_directory(
        self,
        directory: str | os.PathLike[str],
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        follow_links: bool = False,
        subset: str | None = None,
        interpolation: str = "nearest",
        keep_aspect_ratio: bool = False,
    ) -> DirectoryIterator:
        """Batches of the images in a folder with one subfolder a class.

        Parameters
        ----------
        directory : path-like
        target_size : (int, int), default (256, 256)
            Height and width.
        color_mode : {"rgb", "grayscale", "rgba"}, default "rgb"
        classes : sequence of str, optional
            Which subfolders to take, in the order of the class numbers; by default all, by name.
        class_mode : {"categorical", "sparse", "binary", "input", None}, default "categorical"
            Targets: one-hot vectors, numbers, the numbers of two classes, the images, or none.
        batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, subset
            See `flow`.
        follow_links : bool, default False
            Whether to look into folders that are links.
        interpolation : str, default "nearest"
            See `load_img`.
        keep_aspect_ratio : bool, default False
            Whether to cut images to the ratio of `target_size` rather than stretch them.

        Raises
        ------
        FileError, DataError
            Where there is no such folder, or no image in it; while batches are drawn, for files
            that cannot be decoded, by name.
        MissingDependencyError
            Without Pillow.
        """
        return DirectoryIterator(
            directory,
            self,
            Reading(target_size, color_mode, interpolation, keep_aspect_ratio),
            classes,
            class_mode,
            batch_size,
            shuffle,
            seed,
            _saving(save_to_dir, save_prefix, save_format),
            follow_links,
            subset,
        )

    def flow_from_dataframe(
        self,
        dataframe: Any,
        directory: str | os.PathLike[str] | None = None,
        x_col: str = "filename",
        y_col: str | Sequence[str] = "class",
        weight_col: str | None = None,
        target_size: tuple[int, int] = (256, 256),
        color_mode: str = "rgb",
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        save_to_dir: str | os.PathLike[str] | None = None,
        save_prefix: str = "",
        save_format: str = "png",
        subset: str | None = None,
        interpolation: str = "nearest",
        validate_filenames: bool = True,
        keep_aspect_ratio: bool = False,
    ) -> DataFrameIterator:
        """Batches of the images that a table names.

        Parameters
        ----------
        dataframe : table
            Of pandas, Polars or Arrow, or a dict of columns.
        directory : path-like, optional
            What the names of files are relative to.
        x_col, y_col, weight_col : str
            The columns of the names, of the classes or targets, and of sample weights. For
            ``class_mode="multi_output"`` `y_col` is a list, for ``"raw"`` it may be one.
        class_mode : str or None, default "categorical"
            As in `flow_from_directory`, where a row may hold a list of classes; or ``"raw"``: the
            column as it is, of several an array [n, columns]; or ``"multi_output"``: several
            columns, each an output.
        validate_filenames : bool, default True
            Whether to leave out, with a warning, what is no file of an image by its name.
        target_size, color_mode, classes, interpolation, keep_aspect_ratio
            See `flow_from_directory`.
        batch_size, shuffle, seed, save_to_dir, save_prefix, save_format, subset
            See `flow`.

        Raises
        ------
        DataError, ArgumentError
            For a table without such columns, or without files.
        """
        columns = {"x": _column(dataframe, x_col)}
        if class_mode not in (None, "input"):
            columns["y"] = _target_columns(dataframe, y_col, class_mode)
        if weight_col is not None:
            columns["weights"] = _column(dataframe, weight_col)
        return DataFrameIterator(
            columns,
            directory,
            self,
            Reading(target_size, color_mode, interpolation, keep_aspect_ratio),
            classes,
            class_mode,
            batch_size,
            shuffle,
            seed,
            _saving(save_to_dir, save_prefix, save_format),
            subset,
            validate_filenames,
        )


def _two(given: Sequence[float] | None) -> tuple[float, float] | None:
    if given is None:
        return None
    if not isinstance(given, Sequence | np.ndarray) or len(given) != 2:
        raise ArgumentError(f"brightness_range is {given!r}; expected two numbers")
    return number("brightness_range[0]", given[0]), number("brightness_range[1]", given[1])


def _float(dtype: str | None) -> str:
    name = dtypes.name_of(dtype or dtypes.floatx())
    if not dtypes.is_float(name):
        raise ArgumentError(f"dtype is {dtype!r}; expected 'float32' or 'float64'")
    return name


def _saving(folder: Any, prefix: str, file_format: str) -> Saving | None:
    return None if folder is None else Saving(folder, prefix, file_format)


def _target_columns(table: Any, names: str | Sequence[str], class_mode: str) -> list[Any]:
    """Return what the targets are made of: a list of rows; for several outputs, of columns."""
    several = class_mode == "multi_output"
    if isinstance(names, str) and not several:
        return _column(table, names)
    if isinstance(names, str) or not (several or class_mode == "raw"):
        expected = "a list of columns" if several else "the name of one column"
        raise ArgumentError(f"y_col is {names!r}; class_mode {class_mode!r} takes {expected}")
    columns = [_column(table, name) for name in names]
    return columns if several else list(zip(*columns, strict=True))


def _column(table: Any, name: str) -> list[Any]:
    """Return a column of a table as a list."""
    try:
        column = table[name]
    except (KeyError, IndexError):
        raise ArgumentError(f"the table has no column {name!r}") from None
    for method in ("to_list", "tolist", "to_pylist"):
        if hasattr(column, method):
            return list(getattr(column, method)())
    return list(column)
