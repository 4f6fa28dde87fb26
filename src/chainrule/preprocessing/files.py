"""Batches of images in files: those of a folder with one subfolder a class, or of a table."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.data.images import SUFFIXES, Size, checked_size, decode
from chainrule.data.listing import listed, shown
from chainrule.data.showing import warn
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, ImageError, unknown_name
from chainrule.preprocessing.iterators import Iterator, Saving, cut, targets

if TYPE_CHECKING:
    from chainrule.preprocessing.image import ImageDataGenerator

_FOLDER_MODES = ("categorical", "binary", "sparse", "input", None)
_TABLE_MODES = (*_FOLDER_MODES, "raw", "multi_output")


class Reading:
    """How files become images: their size, colours, and the way to get there."""

    def __init__(
        self, target_size: int | Size, color_mode: str, interpolation: str, keep_aspect_ratio: bool
    ) -> None:
        self.size = checked_size(target_size)
        self.color_mode, self.interpolation = color_mode, interpolation
        self.aspect = "crop" if keep_aspect_ratio else "stretch"

    def read(self, paths: Sequence[str]) -> Array:
        """Return the images, uint8 [n, h, w, c]; raises for one that cannot be decoded."""
        try:
            return decode(paths, self.size, self.color_mode, self.interpolation, self.aspect)
        except ImageError as error:
            error.add_note(
                "fix: mend or remove the file; utils.image_dataset_from_directory leaves out what "
                "cannot be decoded"
            )
            raise


class FileIterator(Iterator):
    """Batches of images in files, decoded in threads as they are drawn: see `Iterator`.

    Attributes
    ----------
    filenames : list of str
        The files, relative to the folder.
    filepaths : list of str
        The files.
    classes : sequence of int
        The class number of each.
    class_indices : dict of str to int
        The classes by name.
    num_classes : int
    image_shape : tuple of int
        That of each image.
    """

    def __init__(
        self,
        image_data_generator: ImageDataGenerator,
        reading: Reading,
        class_mode: str | None,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        saving: Saving | None,
    ) -> None:
        super().__init__(len(self.filenames), batch_size, shuffle, seed)
        self.image_data_generator, self._reading, self._saving = (
            image_data_generator,
            reading,
            saving,
        )
        self.class_mode, self.color_mode = class_mode, reading.color_mode
        self.target_size, self.data_format = reading.size, image_data_generator.data_format
        channels = {"rgb": 3, "rgba": 4}.get(reading.color_mode, 1)
        first = self.data_format == "channels_first"
        self.image_shape = (channels, *reading.size) if first else (*reading.size, channels)

    filenames: list[str]
    filepaths: list[str]
    class_indices: dict[str, int]
    sample_weight: Array | None = None
    _targets: Any = None

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_indices)

    @property
    def labels(self) -> Any:
        """The class numbers, or what else the targets are."""
        return self._targets if self.class_mode in ("raw", "multi_output") else self.classes

    def batch(self, samples: Array, epoch: int) -> Any:
        """Return the images of these samples, changed, with targets and sample weights if any."""
        generator = self.image_data_generator
        images = self._reading.read([self.filepaths[i] for i in samples.tolist()])
        if self.data_format == "channels_first":
            images = images.transpose(0, 3, 1, 2)
        x = generator.changed(images, self.seed, epoch, samples)
        if self._saving is not None:
            self._saving.save(x, samples, epoch, self.data_format)
        if self.class_mode is None:
            return x
        y = self._targets_of(x, samples)
        return (x, y) if self.sample_weight is None else (x, y, self.sample_weight[samples])

    def _targets_of(self, x: Array, samples: Array) -> Any:
        if self.class_mode == "input":
            return x.copy()
        if self.class_mode == "multi_output":
            return [part[samples] for part in self._targets]
        return self._targets[samples]


class DirectoryIterator(FileIterator):
    """Batches of a folder with one subfolder a class: see `FileIterator`.

    Made by `ImageDataGenerator.flow_from_directory`.
    """

    def __init__(
        self,
        directory: str | os.PathLike[str],
        image_data_generator: ImageDataGenerator,
        reading: Reading,
        classes: Sequence[str] | None = None,
        class_mode: str | None = "categorical",
        batch_size: int = 32,
        shuffle: bool = True,
        seed: int | None = None,
        saving: Saving | None = None,
        follow_links: bool = False,
        subset: str | None = None,
    ) -> None:
        if class_mode not in _FOLDER_MODES:
            raise unknown_name("class_mode", class_mode, map(str, _FOLDER_MODES))
        found = listed(directory, classes or None, follow_links)
        self.directory = directory
        self.class_indices = {name: i for i, name in enumerate(found.class_names)}
        _require_two(class_mode, self.num_classes)
        kept: list[int] = []
        for label in range(self.num_classes):
            rows = np.flatnonzero(found.labels == label)
            kept += rows[cut(len(rows), image_data_generator.validation_split, subset)].tolist()
        self.filepaths = [str(found.files[i]) for i in kept]
        self.filenames = [os.path.relpath(path, directory) for path in self.filepaths]
        self.classes = found.labels[kept].astype(np.int32)
        dtype = image_data_generator.dtype
        self._targets = targets(class_mode, self.classes.tolist(), self.num_classes, dtype)
        super().__init__(
            image_data_generator, reading, class_mode, batch_size, shuffle, seed, saving
        )
        print(f"Found {self.samples} images belonging to {self.num_classes} classes.")


class DataFrameIterator(FileIterator):
    """Batches of the files that a table names: see `FileIterator`.

    Made by `ImageDataGenerator.flow_from_dataframe`.
    """

    def __init__(
        self,
        columns: dict[str, list[Any]],
        directory: str | os.PathLike[str] | None,
        image_data_generator: ImageDataGenerator,
        reading: Reading,
        classes: Sequence[str] | None,
        class_mode: str | None,
        batch_size: int,
        shuffle: bool,
        seed: int | None,
        saving: Saving | None,
        subset: str | None,
        validate_filenames: bool,
    ) -> None:
        if class_mode not in _TABLE_MODES:
            raise unknown_name("class_mode", class_mode, map(str, _TABLE_MODES))
        names = [str(name) for name in columns["x"]]
        paths = [os.path.join(directory or "", name) for name in names]
        kept = _files(paths) if validate_filenames else list(range(len(paths)))
        labels, weights = columns.get("y"), columns.get("weights")
        self.class_indices = {}
        numbered = class_mode in ("categorical", "binary", "sparse")
        if numbered:
            _require_classes(labels, kept)
            known = _names(labels, kept) if not classes else list(dict.fromkeys(map(str, classes)))
            self.class_indices = {name: i for i, name in enumerate(known)}
            _require_two(class_mode, self.num_classes)
            kept, numbers = _numbered(labels or [], kept, self.class_indices)
        part = cut(len(kept), image_data_generator.validation_split, subset)
        kept = kept[part]
        self.filenames, self.filepaths = [names[i] for i in kept], [paths[i] for i in kept]
        self.directory = directory
        self.sample_weight = None if weights is None else np.asarray(weights)[kept]
        if numbered:
            self.classes = numbers[part]
            count, dtype = self.num_classes, image_data_generator.dtype
            self._targets = targets(class_mode, self.classes, count, dtype)
        elif class_mode == "raw":
            self._targets = np.asarray(labels)[kept]
        elif class_mode == "multi_output":
            self._targets = [np.array(column)[kept] for column in labels or []]
        super().__init__(
            image_data_generator, reading, class_mode, batch_size, shuffle, seed, saving
        )
        print(f"Found {self.samples} image filenames" + _belonging(self.num_classes))


def _require_two(class_mode: str | None, count: int) -> None:
    if class_mode == "binary" and count != 2:
        raise ArgumentError(f"class_mode 'binary' needs 2 classes, not {count}")


def _belonging(count: int) -> str:
    return f" belonging to {count} classes." if count else "."


def _files(paths: Sequence[str]) -> list[int]:
    """Return which of the paths are files with the name of an image; warn of the others."""
    good = [Path(p).suffix.lower() in SUFFIXES and os.path.isfile(p) for p in paths]
    if missing := [Path(p) for p, is_file in zip(paths, good, strict=True) if not is_file]:
        warn(f"{len(missing)} of the files are no images or not there: {shown(missing)}")
    return [i for i, is_file in enumerate(good) if is_file]


def _several(label: Any) -> list[Any]:
    """Return the classes of a row: one, or several in a list."""
    return list(label) if isinstance(label, list | tuple) else [label]


def _names(labels: Any, kept: Sequence[int]) -> list[str]:
    """Return the names of all classes in order: that of numbers, where all are whole numbers."""
    found = {label for i in kept for label in _several(labels[i])}
    whole = all(isinstance(label, int | np.integer) for label in found)
    return list(dict.fromkeys(map(str, sorted(found, key=None if whole else str))))


def _require_classes(labels: Any, kept: Sequence[int]) -> None:
    """Refuse rows whose class is missing: None, NaN, or what pandas has for them."""
    for i in kept:
        for label in _several(labels[i]):
            if not isinstance(label, str) and str(label) in ("None", "nan", "<NA>", "NaT"):
                raise DataError(
                    f"row {i} of the table has no class: it is {label!r}\n"
                    "  fix: leave out such rows, in pandas dataframe.dropna(subset=[y_col])"
                )


def _numbered(
    labels: Sequence[Any], kept: Sequence[int], known: dict[str, int]
) -> tuple[list[int], list[Any]]:
    """Return the rows whose classes are known, and the numbers of these."""
    rows: list[int] = []
    numbers: list[Any] = []
    for i in kept:
        found = [known[name] for name in map(str, _several(labels[i])) if name in known]
        if found:
            rows.append(i)
            numbers.append(found if isinstance(labels[i], list | tuple) else found[0])
    if not rows:
        raise DataError("not one row of the table has a file and a class that are known")
    return rows, numbers
