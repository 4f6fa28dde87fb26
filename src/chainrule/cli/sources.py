"""DATA of the command line: a shipped data set, a table, or arrays."""

from __future__ import annotations

import importlib
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.cli.image_folders import FolderSource
from chainrule.cli.sound_folders import kind_of
from chainrule.data.idx import idx_files, read_idx_folder
from chainrule.data.table_files import TABLE_SUFFIXES, read_table
from chainrule.data.tables import Table
from chainrule.errors import DataError, FileError, closest

Array = NDArray[Any]
# The module of each data set that has a name, what its targets are, how its images may be varied.
NAMED = {
    "digits": ("digits", "digit", "shift"),
    "mnist": ("mnist", "digit", "shift"),
    "fashion-mnist": ("fashion_mnist", "class", "flip"),
    "cifar10": ("cifar10", "class", "both"),
    "movie-reviews": ("movie_reviews", "opinion", None),
}
_PAIRS = (("x_train", "y_train"), ("x", "y"), ("X", "y"), ("X_train", "y_train"))
_TEST_PAIRS = (("x_test", "y_test"), ("X_test", "y_test"))


@dataclass(frozen=True)
class TableSource:
    """A table from a file."""

    name: str
    table: Table
    how: str


@dataclass(frozen=True)
class ArraySource:
    """Arrays of samples and targets, with those to test on where the data have them.

    `labels` are the classes in their order, and `augment` how images may be varied, where that is
    known.
    """

    name: str
    x: Array
    y: Array | None
    x_test: Array | None = None
    y_test: Array | None = None
    task: str = "auto"
    target: str = "y"
    labels: tuple[str, ...] = ()
    augment: str | None = None


Source = TableSource | ArraySource | FolderSource


def is_named(data: str) -> bool:
    """Return whether DATA names a data set."""
    return data.replace("_", "-") in NAMED


def open_source(data: str) -> Source:
    """Return what DATA names; FileError when there is no such thing."""
    path = Path(data)
    if is_named(data):
        return _named(data.replace("_", "-"))
    if path.is_dir():
        return _folder(path)
    if not path.is_file():
        raise FileError(_no_such(data, path))
    if path.suffix.lower() == ".npz":
        return _arrays(path)
    if path.suffix.lower() not in TABLE_SUFFIXES:
        known = ", ".join((*TABLE_SUFFIXES, ".npz"))
        raise FileError(f"cannot tell what {data!r} is; a file's name must end in one of {known}")
    file = read_table(path)
    return TableSource(path.stem, file.table, file.how)


def _no_such(data: str, path: Path) -> str:
    """Return what to say of DATA that is not there, with what may have been meant."""
    nearby = [str(path.parent / other.name) for other in _files_beside(path)]
    return f"there is no file and no data set {data!r}{closest(data, [*NAMED, *nearby])}"


def _files_beside(path: Path) -> list[Path]:
    try:
        return list(path.parent.iterdir())
    except OSError:
        return []


def _named(name: str) -> ArraySource:
    """Return one of the data sets that come with chainrule, or that it knows where to find."""
    file, target, augment = NAMED[name]
    module = importlib.import_module(f"chainrule.datasets.{file}")
    (x, y), (x_test, y_test) = module.load_data()
    labels = tuple(getattr(module, "CLASS_NAMES", map(str, range(10))))
    names = np.array(labels, object)
    y, y_test = names[y.reshape(-1)], names[y_test.reshape(-1)]
    return ArraySource(name, x, y, x_test, y_test, "classification", target, labels, augment)


def _folder(path: Path) -> ArraySource | FolderSource:
    """Return a folder of images or sounds, or the arrays of one with IDX files as MNIST's."""
    name = path.resolve().name or "images"
    if not idx_files(path):
        return FolderSource(name, path, kind_of(path))
    (x, y), (x_test, y_test) = read_idx_folder(path)
    return ArraySource(name, x, y, x_test, y_test, "classification")


def _arrays(path: Path) -> ArraySource:
    """Return the arrays of an ``.npz`` file."""
    arrays = _read_npz(path)
    pair = next((pair for pair in _PAIRS if pair[0] in arrays), None)
    if pair is None:
        raise DataError(
            f"{path.name!r} has no array x or x_train (its arrays: {', '.join(arrays) or 'none'})"
        )
    test = next((pair for pair in _TEST_PAIRS if set(pair) <= set(arrays)), ("", ""))
    x, y, x_test, y_test = (arrays.get(name) for name in (*pair, *test))
    if x is None or x.ndim < 1 or not len(x):
        raise DataError(f"{path.name!r} has no samples: {pair[0]} is empty")
    source = ArraySource(path.stem, x, _target(y), x_test, _target(y_test))
    _check_lengths(path.name, source)
    return source


def _read_npz(path: Path) -> dict[str, Array]:
    """Return all arrays of a file; pickled objects in it are refused."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, AttributeError, EOFError, zipfile.BadZipFile) as error:
        raise FileError(f"{path.name!r} is not an .npz file of plain arrays: {error}") from None


def _target(y: Array | None) -> Array | None:
    """Return targets as one axis, one-hot ones as class numbers."""
    if y is None or y.ndim == 1:
        return y
    if y.ndim == 2 and y.shape[1] == 1:
        return y[:, 0]
    if _is_one_hot(y):
        labels: Array = np.argmax(y, axis=1)
        return labels
    raise DataError(f"y has shape {y.shape}; expected one target for each sample")


def _is_one_hot(y: Array) -> bool:
    """Return whether each row has a single 1 and zeros."""
    if y.ndim != 2 or y.dtype.kind not in "biuf":
        return False
    return bool(np.all(np.isin(y, (0, 1))) and np.all(y.sum(axis=1) == 1))


def _check_lengths(name: str, source: ArraySource) -> None:
    """Raise DataError when samples and targets differ in number or shape."""
    for x, y, what in ((source.x, source.y, "x"), (source.x_test, source.y_test, "x_test")):
        if x is not None and y is not None and len(x) != len(y):
            raise DataError(
                f"{name!r}: {what} has {len(x)} samples, but there are {len(y)} targets"
            )
    if source.x_test is not None and source.x_test.shape[1:] != source.x.shape[1:]:
        raise DataError(
            f"{name!r}: samples of x have shape {source.x.shape[1:]}, "
            f"those of x_test {source.x_test.shape[1:]}"
        )
