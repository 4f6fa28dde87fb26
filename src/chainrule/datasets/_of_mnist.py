"""Data sets in the form of MNIST: four IDX files, or the arrays in Keras's archive."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from chainrule.data.idx import idx_files, read_idx_folder
from chainrule.datasets._found import Pairs, check
from chainrule.datasets._places import Remote
from chainrule.errors import FileError

_NAMES = {
    "train images": "train-images-idx3-ubyte.gz",
    "train labels": "train-labels-idx1-ubyte.gz",
    "test images": "t10k-images-idx3-ubyte.gz",
    "test labels": "t10k-labels-idx1-ubyte.gz",
}


@dataclass(frozen=True)
class Published:
    """Bytes and SHA-256 of a file as it is fetched, and the SHA-256 of what it unpacks to."""

    size: int
    sha256: str
    content: str


def remotes(published: dict[str, Published], mirrors: tuple[str, ...]) -> list[Remote]:
    """Return the four files, each to be had from folders with these addresses."""
    return [
        Remote(_NAMES[what], one.size, one.sha256, tuple(m + _NAMES[what] for m in mirrors))
        for what, one in published.items()
    ]


def read(place: Path, published: dict[str, Published]) -> Pairs | None:
    """Return the arrays in a folder of IDX files or an archive of Keras's; nothing if not there.

    Raises
    ------
    FileError, DataError
        For files that are damaged, or others than were published.
    """
    if place.suffix == ".npz":
        pairs = _archive(place) if place.is_file() else None
    else:
        pairs = read_idx_folder(place) if idx_files(place) else None
    if pairs is None:
        return None
    arrays = [array for pair in pairs for array in pair]
    for array, (what, one) in zip(arrays, published.items(), strict=True):
        check(array, one.content, f"the {what}")
    return pairs


def _archive(path: Path) -> Pairs:
    try:
        with open(path, "rb") as content, np.load(content, allow_pickle=False) as file:
            train = file["x_train"], file["y_train"]
            return train, (file["x_test"], file["y_test"])
    except (OSError, ValueError, KeyError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise FileError(f"it is not Keras's archive of this data set: {error}") from error
