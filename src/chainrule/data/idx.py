"""IDX files: the arrays of MNIST and its kin, plain or compressed."""

from __future__ import annotations

import gzip
import math
import os
import struct
import zlib
from pathlib import Path
from typing import Protocol

import numpy as np

from chainrule.data.arrays import as_array
from chainrule.dtypes import Array
from chainrule.errors import DataError, FileError

# The third byte of a file; all numbers are big-endian.
_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_CODES = {np.dtype(name).newbyteorder("="): code for code, name in _TYPES.items()}
_GZIP = b"\x1f\x8b"
_MOST = 1040  # bytes that one compressed byte can stand for: 258 for every 2 bits, and some
_MOST_AXES = 32
_DAMAGED = (OSError, EOFError, zlib.error)

Pair = tuple[Array, Array]


class Readable(Protocol):
    """A file, plain or unpacked as it is read."""

    def read(self, size: int, /) -> bytes:
        """Return no more than so many bytes."""
        ...


def read_idx(path: str | os.PathLike[str]) -> Array:
    """Return the array in an IDX file, whether it is compressed by gzip or not.

    Every length is checked before memory is taken for it: a file that is cut, longer than it says
    or damaged is refused, and so is one that would unpack to more than it can hold.

    Parameters
    ----------
    path : path-like
        E.g. ``train-images-idx3-ubyte.gz``; the name does not matter.

    Returns
    -------
    numpy.ndarray
        uint8, int8, int16, int32, float32 or float64, in the machine's order of bytes.

    Raises
    ------
    FileError
        For a file that is missing, damaged or of another format.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.data import read_idx, write_idx
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "labels-idx1-ubyte.gz"
    >>> write_idx(path, np.array([7, 2, 1], "uint8"))
    >>> read_idx(path)
    array([7, 2, 1], dtype=uint8)

    Source
    ------
    Y. LeCun, C. Cortes and C. Burges, *The MNIST database of handwritten digits*, "The IDX file
    format".
    """
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            packed = file.read(2) == _GZIP
            file.seek(0)
            if not packed:
                return _read(file, size)
            with gzip.open(file, "rb") as content:
                return _read(content, size * _MOST)
    except FileError as error:
        raise FileError(f"cannot read {os.fspath(path)!r}: {error}") from None
    except _DAMAGED as error:
        why = getattr(error, "strerror", None) or error
        raise FileError(f"cannot read {os.fspath(path)!r}: {why}") from error


def write_idx(path: str | os.PathLike[str], array: Array) -> None:
    """Write an array as an IDX file, compressed where the name ends in ``.gz``.

    Parameters
    ----------
    path : path-like
        What is there is replaced.
    array : array_like
        Of uint8, int8, int16, int32, float32 or float64, with at least one axis.

    Raises
    ------
    DataError
        For another dtype, or a single number.
    FileError
        Where it cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.data import read_idx, write_idx
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "x"
    >>> write_idx(path, np.eye(2, dtype="float32"))
    >>> read_idx(path).tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    array = as_array(array, "array")
    code = _CODES.get(array.dtype.newbyteorder("="))
    if code is None or not 1 <= array.ndim <= _MOST_AXES or max(array.shape) >= 1 << 32:
        raise DataError(
            f"IDX files hold {', '.join(str(dtype) for dtype in _CODES)} with 1 to {_MOST_AXES} "
            f"axes, not {array.dtype} of shape {list(array.shape)}"
        )
    head = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    content = head + array.astype(_TYPES[code]).tobytes()
    if Path(path).suffix == ".gz":
        content = gzip.compress(content, mtime=0)
    from chainrule.models.container import replacing

    with replacing(path) as file:
        file.write(content)


def read_idx_folder(folder: str | os.PathLike[str]) -> tuple[Pair, Pair]:
    """Return the four arrays of a folder in the form of MNIST.

    That is files called ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, and ``t10k`` or
    ``test`` for ``train``, each of them plain or with ``.gz``.

    Returns
    -------
    tuple
        ``(x_train, y_train), (x_test, y_test)``

    Raises
    ------
    FileError
        Where a file is missing or damaged.
    DataError
        Where there is not one label for each image.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.data.idx import read_idx_folder, write_idx
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for part in ("train", "t10k"):
    ...     write_idx(folder / f"{part}-images-idx3-ubyte.gz", np.zeros((3, 2, 2), "uint8"))
    ...     write_idx(folder / f"{part}-labels-idx1-ubyte.gz", np.arange(3, dtype="uint8"))
    >>> (x_train, y_train), (x_test, y_test) = read_idx_folder(folder)
    >>> x_train.shape, y_test.tolist()
    ((3, 2, 2), [0, 1, 2])
    """
    return _pair(Path(folder), ("train",)), _pair(Path(folder), ("t10k", "test"))


def is_idx(path: str | os.PathLike[str]) -> bool:
    """Return whether a name is that of an IDX file: ``...-ubyte`` or ``.idx``, perhaps ``.gz``.

    Examples
    --------
    >>> from chainrule.data.idx import is_idx
    >>> is_idx("t10k-labels-idx1-ubyte.gz"), is_idx("labels.npy")
    (True, False)
    """
    name = os.fspath(path).lower().removesuffix(".gz")
    return name.endswith(("-ubyte", ".idx"))


def idx_files(folder: str | os.PathLike[str]) -> dict[str, Path]:
    """Return the files that `read_idx_folder` would read, by what they hold: none where one lacks.

    Examples
    --------
    >>> import tempfile
    >>> from chainrule.data.idx import idx_files
    >>> idx_files(tempfile.mkdtemp())
    {}
    """
    found = {}
    for part, names in (("train", ("train",)), ("test", ("t10k", "test"))):
        for kind in ("images", "labels"):
            path = _file(Path(folder), names, kind)
            if path is None:
                return {}
            found[f"{part} {kind}"] = path
    return found


def _pair(folder: Path, names: tuple[str, ...]) -> Pair:
    arrays = []
    for kind in ("images", "labels"):
        path = _file(folder, names, kind)
        if path is None:
            raise FileError(f"there is no file {_name(names[0], kind)!r}[.gz] in {str(folder)!r}")
        arrays.append(read_idx(path))
    x, y = arrays
    if y.ndim != 1 or len(x) != len(y):
        raise DataError(
            f"{str(folder)!r}: {names[0]} images have shape {list(x.shape)}, labels "
            f"{list(y.shape)}; expected one label for each image"
        )
    return x, y


def _name(part: str, kind: str) -> str:
    return f"{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"


def _file(folder: Path, parts: tuple[str, ...], kind: str) -> Path | None:
    """Return the file that is there, plain or compressed, under the names in use."""
    for part in parts:
        name = _name(part, kind)
        for form in (name, name.replace("-idx", ".idx")):
            for suffix in ("", ".gz"):
                if (folder / f"{form}{suffix}").is_file():
                    return folder / f"{form}{suffix}"
    return None


def _read(file: Readable, most: int) -> Array:
    """Return the array that follows, of no more than `most` bytes in all."""
    zero, code, axes = struct.unpack(">HBB", _exactly(file, 4, "its first 4 bytes"))
    if zero or code not in _TYPES:
        begin = struct.pack(">HBB", zero, code, axes)
        raise FileError(f"it is no IDX file: it begins with {begin!r}")
    if not 1 <= axes <= _MOST_AXES:
        raise FileError(f"it says that it has {axes} axes; expected 1 to {_MOST_AXES}")
    shape = struct.unpack(f">{axes}I", _exactly(file, 4 * axes, "its shape"))
    dtype = np.dtype(_TYPES[code])
    size = math.prod(shape) * dtype.itemsize
    words = f"the {dtype.newbyteorder('=')} array of shape {list(shape)} that it says it holds"
    if size + 4 + 4 * axes > most:
        raise FileError(f"it is too short for {words}")
    array = np.empty(shape, dtype)
    _fill(file, array.reshape(-1).view(np.uint8).data, words)
    if file.read(1):
        raise FileError(f"it goes on after {words}")
    return array if dtype.isnative else array.byteswap(inplace=True).view(dtype.newbyteorder("="))


def _exactly(file: Readable, size: int, words: str) -> bytearray:
    content = bytearray(size)
    _fill(file, memoryview(content), words)
    return content


def _fill(file: Readable, place: memoryview, words: str) -> None:
    """Fill the memory from the file, in parts: what a file only says to hold is never touched."""
    at = 0
    while at < len(place):
        part = file.read(min(len(place) - at, 1 << 20))
        if not part:
            raise FileError(f"it ends within {words}")
        place[at : at + len(part)] = part
        at += len(part)
