"""Folders of images on the command line: what is in them, and what the images are made."""

from __future__ import annotations

import statistics
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.audio_folders import AudioFolder
from chainrule.data.audio_forms import SoundForm
from chainrule.data.folders import ImageFolder, Options, SampleFolder
from chainrule.data.images import Form, pillow
from chainrule.data.listing import IMAGES, Kind, Listing, listed, shown
from chainrule.errors import DataError, DataWarning

MOST_PIXELS = 128  # a side, unless more are asked for
_LEAST_PIXELS = 8
_LOOKED_AT = 2000  # files whose sizes say what to make of all
_TINY = 4
_GRAY = ("1", "L", "I", "I;16", "I;16B", "F")
_TRAINING, _HELD = ("train", "training"), ("test", "testing", "val", "valid", "validation")


@dataclass(frozen=True)
class FolderSource:
    """A folder with one subfolder a class, or with such folders for training and for testing."""

    name: str
    path: Path
    kind: Kind = IMAGES

    def parts(self) -> tuple[Path, Path | None]:
        """Return the folder to train on, and the one to test on where there are two."""
        names = {path.name.lower(): path for path in self.path.iterdir() if path.is_dir()}
        names = {name: path for name, path in names.items() if not name.startswith(".")}
        training = [names[name] for name in _TRAINING if name in names]
        held = [names[name] for name in _HELD if name in names]
        if len(training) == 1 and held and set(names) <= {*_TRAINING, *_HELD}:
            return training[0], held[0]
        return self.path, None

    def measured(self) -> Path:
        """Return the folder that a trained model is measured on."""
        training, test = self.parts()
        return test or training


@contextmanager
def noted(notes: list[str]) -> Iterator[None]:
    """Take warnings about data down as notes; all others are shown as ever."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DataWarning)
        yield
    for one in caught:
        if issubclass(one.category, DataWarning):
            notes.append(str(one.message))
        else:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def opened(
    files: Sequence[Path],
    labels: NDArray[np.int64] | None,
    names: Sequence[str],
    form: Form | SoundForm,
) -> SampleFolder:
    """Return these files as samples of one form, all looked at; broken ones are warned of."""
    options = Options(None if labels is None else "int", shuffle=labels is not None)
    folder: SampleFolder
    if isinstance(form, SoundForm):
        folder = AudioFolder(files, labels, names, form, options)
    else:
        folder = ImageFolder(files, labels, names, form, options)
    if not folder.samples:
        raise DataError(f"there are no {form.noun}s")
    return folder


def rows_of(folder: SampleFolder) -> tuple[list[str], NDArray[np.int64]]:
    """Return the path and the class number of each sample that can be decoded."""
    paths = folder.file_paths
    labels = np.zeros(len(paths), np.int64) if folder.labels is None else folder.labels
    return [paths[i] for i in folder.good.tolist()], labels[folder.good]


def labelled_as(directory: Path, class_names: Sequence[str], kind: Kind = IMAGES) -> Listing:
    """Return the files of a folder with the class numbers of these names; others have -1, and are
    warned of.

    Raises
    ------
    DataError
        Where no folder has the name of a class.
    """
    found = listed(directory, kind=kind)
    numbers = {name: number for number, name in enumerate(class_names)}
    places = np.array([numbers.get(name, -1) for name in found.class_names])
    if (places < 0).all():
        raise DataError(
            f"no folder in {str(directory)!r} is called as one of the model's classes: "
            f"{', '.join(class_names[:10])}"
        )
    labels = places[found.labels]
    if (count := int(np.sum(labels < 0))) > 0:
        others = [repr(name) for name in found.class_names if name not in numbers]
        warnings.warn(
            f"{', '.join(others)} in {str(directory)!r} are no classes of the model: {count} "
            f"{kind.noun}s are counted as wrong",
            DataWarning,
            stacklevel=2,
        )
    names = list(class_names)
    return Listing(directory, found.files, labels, names, found.others, found.strays, kind)


def choose_form(files: Sequence[Path], size: int | None, notes: list[str]) -> Form:
    """Return what images are made: gray where all are, of one size that suits most of them.

    Images that all have one size keep it, up to 128 pixels a side. Others become squares: the
    median of their shorter sides, from 8 to 128 pixels, or as large as is asked for.
    """
    step = -(-len(files) // _LOOKED_AT)
    heads = _heads(files[::step])
    sides = [(height, width) for height, width, _ in heads.values()]
    tiny = [path for path, head in heads.items() if min(head[:2]) < _TINY]
    if tiny:
        one = f"{len(tiny)} images are" if len(tiny) > 1 else "1 image is"
        notes.append(
            f"{one} smaller than {_TINY} x {_TINY} pixels, which says little: {shown(tiny)}"
        )
    gray = bool(heads) and all(gray for _, _, gray in heads.values())
    return Form(_size(sides, size), "grayscale" if gray else "rgb")


def _size(sides: list[tuple[int, int]], asked: int | None) -> tuple[int, int]:
    if asked is not None:
        return asked, asked
    if len(set(sides)) == 1 and max(sides[0]) <= MOST_PIXELS:
        return sides[0]
    shorter = int(statistics.median(map(min, sides))) if sides else MOST_PIXELS
    side = min(max(shorter, _LEAST_PIXELS), MOST_PIXELS)
    return side, side


def _heads(files: Sequence[Path]) -> dict[Path, tuple[int, int, bool]]:
    """Return height, width and whether it is gray of each file that begins as an image."""
    library = pillow()
    found = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is wrong with a file is told when it is decoded
        for path in files:
            head = _head(path, library)
            if head is not None:
                found[path] = head
    return found


def _head(path: Path, library: Any) -> tuple[int, int, bool] | None:
    try:
        with library.open(path) as image:
            width, height = image.size
            return height, width, image.mode in _GRAY
    except Exception:  # Pillow raises whatever there is
        return None


def form_text(form: Form) -> str:
    """Return size and colours of images in words."""
    height, width = form.size or (0, 0)
    colours = {"grayscale": "gray", "rgb": "in colour", "rgba": "in colour, transparent"}
    return f"{height} x {width} pixels, {colours[form.color_mode]}"
