"""The files of CIFAR-10: batches of 10,000 photos, plain or pickled, in a folder or an archive."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.datasets._found import Pairs
from chainrule.errors import DataError, FileError

Rows = NDArray[np.uint8]

ARCHIVE = "cifar-10-binary.tar.gz"
# Of the archives, and of the batches as they lie in the plain form.
SHA256 = {
    ARCHIVE: "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
    "cifar-10-python.tar.gz": "6d958be074577803d12ecdefd02955f39262c83c16fe9348329d7fe0b5c001ce",
    "data_batch_1": "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5",
    "data_batch_2": "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed",
    "data_batch_3": "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67",
    "data_batch_4": "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48",
    "data_batch_5": "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add",
    "test_batch": "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b",
}
_BATCHES = [name for name in SHA256 if name.endswith("batch") or "_batch_" in name]
_IN_BATCH, _ROW = 10000, 1 + 3 * 32 * 32
_LARGEST = 40_000_000  # bytes of a batch, names of photos and all
_DAMAGED = (OSError, EOFError, ValueError, zlib.error, tarfile.TarError)


def read(place: Path) -> Pairs | None:
    """Return the arrays in a folder of batches, or in an archive of them; nothing if not there.

    The archive is looked for in a folder too.

    Raises
    ------
    FileError, DataError
        For files that are damaged, or others than were published.
    """
    place = place / ARCHIVE if (place / ARCHIVE).is_file() else place
    if place.is_dir():
        contents = dict(_in_folder(place))
    elif place.is_file():
        _check(place.name, _digest(place))
        contents = dict(_in_archive(place))
    else:
        return None
    if missing := [name for name in _BATCHES if name not in contents]:
        if not contents:
            return None
        raise FileError(f"it has no {missing[0]}")
    rows = [_rows(name, contents.pop(name)) for name in _BATCHES]
    if place.is_dir():
        for name, batch in zip(_BATCHES, rows, strict=True):
            _check(name, hashlib.sha256(batch.data).hexdigest())
    return _pair(rows[:-1]), _pair(rows[-1:])


def _in_folder(folder: Path) -> Iterator[tuple[str, bytes]]:
    for name in _BATCHES:
        for path in (folder / f"{name}.bin", folder / name):
            if path.is_file() and path.stat().st_size <= _LARGEST:
                try:
                    yield name, path.read_bytes()
                except OSError as error:
                    raise FileError(f"cannot read {path.name!r}: {error.strerror}") from error
                break


def _in_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = Path(member.name).name.removesuffix(".bin")
                if name in _BATCHES and member.isfile() and member.size <= _LARGEST:
                    file = archive.extractfile(member)
                    yield name, file.read() if file else b""
    except _DAMAGED as error:
        raise FileError(f"cannot read {str(path)!r}: {error}") from error


def _digest(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check(name: str, digest: str) -> None:
    if SHA256.get(name) != digest:
        raise DataError(f"{name} is not the one that was published, by its SHA-256")


def _rows(name: str, content: bytes) -> Rows:
    """Return a batch as it lies in the plain form: for each photo its class, red, green, blue."""
    if len(content) == _IN_BATCH * _ROW:
        return np.frombuffer(content, np.uint8).reshape(_IN_BATCH, _ROW)
    found = _unpickled(name, content)
    labels, pixels = found.get(b"labels"), found.get(b"data")
    if not isinstance(pixels, _Array) or not isinstance(labels, list):
        raise FileError(f"{name} holds no labels and photos")
    try:
        data = np.frombuffer(pixels.content, np.uint8).reshape(_IN_BATCH, _ROW - 1)
        return np.hstack([np.array(labels, np.uint8).reshape(_IN_BATCH, 1), data])
    except (TypeError, ValueError, OverflowError) as error:
        raise FileError(f"{name} does not hold {_IN_BATCH} photos: {error}") from error


def _pair(batches: list[Rows]) -> tuple[Rows, Rows]:
    """Return photos, channels last, and their classes."""
    rows = np.concatenate(batches)
    photos = rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(photos), rows[:, :1].copy()


class _Array:
    """Stands in for an array in a pickled file: keeps its bytes."""

    content: bytes = b""

    def __init__(self, *given: Any) -> None:
        pass

    def __setstate__(self, state: Any) -> None:
        content = state[-1] if isinstance(state, tuple) and state else b""
        self.content = content if isinstance(content, bytes) else b""


class _Unpickler(pickle.Unpickler):
    """Reads plain data and arrays; nothing that a file names is ever loaded or called."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for the three names that arrays are made with, and nothing else."""
        if module.startswith("numpy") and name in ("_reconstruct", "ndarray", "dtype"):
            return _Array
        raise pickle.UnpicklingError(f"it names {module}.{name}")


def _unpickled(name: str, content: bytes) -> dict[Any, Any]:
    try:
        found = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:  # damaged files make it raise whatever there is
        raise FileError(f"cannot read {name}: {error}") from error
    return found if isinstance(found, dict) else {}
