"""Files of arrays: the safetensors layout, written whole or not at all, checked before use.

A file is 8 bytes with the length of the header, the header (JSON: for each array its dtype, shape
and place), and the arrays' bytes. The header begins with ``sha256``, which covers every byte of the
file, itself taken as zeros, and is checked before the header is parsed: what a damaged file says is
never heeded. Nothing of a file is executed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import FileError

_DTYPES = {
    "F32": "float32",
    "F64": "float64",
    "I32": "int32",
    "I64": "int64",
    "U8": "uint8",
    "BOOL": "bool",
    # What callbacks keep, and files of others hold.
    "F16": "float16",
    "I8": "int8",
    "I16": "int16",
    "U16": "uint16",
    "U32": "uint32",
    "U64": "uint64",
}
# What files of others hold besides; it is read as float32.
_FOREIGN = {**_DTYPES, "BF16": "uint16"}
_NAMES = {name: code for code, name in _DTYPES.items()}
_BLANK = "0" * 64
_BEGIN = b'{"__metadata__":{"sha256":"'
_LONGEST = 100_000_000  # bytes of header, the limit of safetensors itself
_MOST_AXES = 32


def write(
    path: str | os.PathLike[str],
    arrays: Mapping[str, Array],
    about: Mapping[str, str],
    keep: str | os.PathLike[str] | None = None,
) -> None:
    """Write arrays and words about them into one file, which appears complete or not at all.

    A file that was there before is kept under the name `keep`, where one is given.

    Raises
    ------
    FileError
        Where the folder is missing or not writable, or the disk is full; for arrays of what is no
        real number.
    """
    stored = {name: np.ascontiguousarray(a).reshape(a.shape) for name, a in arrays.items()}
    head = _header(stored, {**about, "sha256": _BLANK})
    digest = hashlib.sha256(head)
    for array in stored.values():
        digest.update(_bytes(array))
    head = head.replace(_BLANK.encode(), digest.hexdigest().encode(), 1)
    with replacing(path, keep) as file:
        file.write(head)
        for array in stored.values():
            file.write(_bytes(array))


def _bytes(array: Array) -> memoryview:
    """Return the elements as bytes, little-endian as the format demands."""
    little = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return little.reshape(-1).view(np.uint8).data


def _header(arrays: Mapping[str, Array], about: Mapping[str, str]) -> bytes:
    # The digest comes first, so that no text of the user's can stand before the zeros it replaces.
    words = {"sha256": about["sha256"], **about}
    entries: dict[str, Any] = {"__metadata__": words}
    offset = 0
    for name, array in arrays.items():
        if array.dtype.name not in _NAMES:
            raise FileError(f"the array {name!r} is of {array.dtype}, which no file can hold")
        entries[name] = {
            "dtype": _NAMES[array.dtype.name],
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text


@contextlib.contextmanager
def replacing(
    path: str | os.PathLike[str], keep: str | os.PathLike[str] | None = None
) -> Iterator[Any]:
    """Open a file that takes the place of `path` when the block ends without an error.

    It is on the disk before it is renamed, and the folder's entry after, so that neither a crash
    nor a power cut leaves half a file under this name. With `keep`, the file that is replaced takes
    that name instead; between the two renamings it is the only one.
    """
    target = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, _mode(target))
        if keep is not None and target.exists():
            os.replace(target, keep)
        os.replace(temporary, target)
        temporary = None
        _flush_folder(target.parent)
    except OSError as error:
        raise FileError(f"cannot write {os.fspath(path)!r}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def _mode(target: Path) -> int:
    """Return the permissions of the file that is replaced, else those of a new file."""
    with contextlib.suppress(OSError):
        return target.stat().st_mode & 0o777
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


def _flush_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some systems cannot open folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def read(path: str | os.PathLike[str]) -> tuple[dict[str, Array], dict[str, str]]:
    """Return the arrays of a file and the words about them, once everything has been checked.

    Raises
    ------
    FileError
        For a file that is missing, cut off, changed, or of another kind.
    """
    content = _content(path)
    try:
        return _parsed(content)
    except FileError as error:
        raise FileError(f"{os.fspath(path)!r} {error}") from None


def _content(path: str | os.PathLike[str]) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {os.fspath(path)!r}: {error.strerror or error}") from error


def read_foreign(path: str | os.PathLike[str]) -> dict[str, Array]:
    """Return the arrays of a safetensors file of another program, which has no checksum.

    Raises
    ------
    FileError
        For a file that is missing, cut off, damaged, or of another kind.
    """
    content = _content(path)
    size = int.from_bytes(content[:8], "little")
    try:
        if len(content) < 10 or not 2 <= size <= len(content) - 8 or content[8:9] != b"{":
            raise FileError("is not a safetensors file, or cut off")
        entries = _entries(content[8 : 8 + size])
        entries.pop("__metadata__", None)
        entries = dict(sorted(entries.items(), key=_begin))
        end = _check_places(entries, _FOREIGN)
        if 8 + size + end != len(content):
            raise FileError(f"is damaged: it has {len(content)} bytes, not {8 + size + end}")
    except FileError as error:
        raise FileError(f"{os.fspath(path)!r} {error}") from None
    return {n: _array(content, 8 + size, e, _FOREIGN) for n, e in entries.items()}


def _begin(item: tuple[str, Any]) -> tuple[int, int]:
    """Return where an array lies, for sorting; the checks come after."""
    try:
        begin, end = item[1]["data_offsets"]
        return int(begin), int(end)
    except (KeyError, TypeError, ValueError, OverflowError):
        return -1, -1


def _parsed(content: bytes) -> tuple[dict[str, Array], dict[str, str]]:
    size = int.from_bytes(content[:8], "little")
    if len(content) < 10 or not 2 <= size <= _LONGEST or content[8:9] != b"{":
        raise FileError("is not a chainrule file")
    if 8 + size > len(content):
        raise FileError("is cut off: it ends within its header")
    _check_digest(content)
    entries = _entries(content[8 : 8 + size])
    about = entries.pop("__metadata__", None)
    if not isinstance(about, dict) or not all(isinstance(w, str) for w in about.values()):
        raise FileError("is not a chainrule file: it does not say what it holds")
    end = _check_places(entries)
    if 8 + size + end != len(content):
        raise FileError(f"is damaged: it has {len(content)} bytes, not {8 + size + end}")
    return {n: _array(content, 8 + size, e) for n, e in entries.items()}, about


def _check_digest(content: bytes) -> None:
    begin = 8 + len(_BEGIN)
    if content[8:begin] != _BEGIN:
        raise FileError("is not a chainrule file: it has no checksum")
    found = hashlib.sha256(content[:begin])
    found.update(_BLANK.encode())
    found.update(memoryview(content)[begin + len(_BLANK) :])
    if found.hexdigest().encode() != content[begin : begin + len(_BLANK)]:
        raise FileError("is cut off, too long or damaged: its checksum does not match its content")


def _entries(head: bytes) -> dict[str, Any]:
    try:
        entries = json.loads(str(head, "utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError):
        raise FileError("is damaged or not a chainrule file: its header is not JSON") from None
    if not isinstance(entries, dict):
        raise FileError("is not a chainrule file")
    return entries


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _check_places(entries: Mapping[str, Any], kinds: Mapping[str, str] = _DTYPES) -> int:
    """Return the bytes of all arrays, which must follow each other without gap or overlap."""
    end = 0
    for name, entry in entries.items():
        try:
            width = np.dtype(kinds[entry["dtype"]]).itemsize
            shape, (begin, stop) = entry["shape"], entry["data_offsets"]
            fits = all(type(n) is int and n >= 0 for n in (*shape, begin, stop))
            fits = fits and type(shape) is list and len(shape) <= _MOST_AXES
            fits = fits and math.prod(n for n in shape if n) < 1 << 60
            fits = fits and begin == end and stop - begin == width * math.prod(shape)
        except (KeyError, TypeError, ValueError):
            fits = False
        if not fits:
            raise FileError(f"is damaged: the place of the array {name!r} is wrong")
        end = stop
    return end


def _array(
    content: bytes, base: int, entry: Mapping[str, Any], kinds: Mapping[str, str] = _DTYPES
) -> Array:
    """Return the array where it lies in the content, so that reading takes no second copy."""
    begin = entry["data_offsets"][0]
    name = kinds[entry["dtype"]]
    kind = np.dtype(name).newbyteorder("<")
    flat = np.frombuffer(content, kind, math.prod(entry["shape"]), base + begin)
    array = flat.reshape(entry["shape"]).astype(name, copy=False)
    if entry["dtype"] == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array
