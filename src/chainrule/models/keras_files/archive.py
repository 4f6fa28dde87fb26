"""The bytes of Keras's files: zip archives and HDF5, written whole, checked before use."""

from __future__ import annotations

import hashlib
import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule.errors import FileError, missing_package
from chainrule.models.keras_files.hdf5 import WRONG, File, Node, reading
from chainrule.models.keras_files.layout import ATTRIBUTES, Tree

if TYPE_CHECKING:
    import h5py

# The checksum of the file, itself taken as zeros. It stands in an attribute near the beginning, and
# behind the end, where neither Keras nor HDF5 looks: no damage to one part takes both away.
_MARK = b"chainrule sha256 "
_BLANK = b"0" * 64
_SLACK = 1 << 18  # bytes that a small archive may unpack to beyond twice its size


def hdf5(tree: Tree) -> bytearray:
    """Return an HDF5 file of these groups, arrays and attributes.

    Raises
    ------
    MissingDependencyError
        Without h5py.
    FileError
        For a name that HDF5 cannot hold.
    """
    try:
        import h5py
    except ImportError:
        raise missing_package("h5py", "writing Keras's files", "keras-files") from None
    target = io.BytesIO()
    try:
        with h5py.File(target, "w", libver="earliest") as file:
            mark = np.array(_MARK + _BLANK)
            file.attrs.create("chainrule", mark, dtype=mark.dtype)
            _fill(h5py, file, tree)
    except (ValueError, TypeError, RuntimeError, OSError, KeyError) as error:
        raise FileError(f"the model cannot be written as HDF5: {error}") from error
    return _marked(bytearray(target.getbuffer()))


def _fill(h5py: Any, group: h5py.Group, tree: Tree) -> None:
    for name, held in tree.items():
        if name == ATTRIBUTES:
            for key, value in held.items():
                _attribute(h5py, group, key, value)
        elif isinstance(held, dict):
            _fill(h5py, group.create_group(name), held)
        else:
            group.create_dataset(name, data=held)


def _attribute(h5py: Any, group: h5py.Group, key: str, value: str | list[str]) -> None:
    kind = h5py.string_dtype()
    given = np.array(value, dtype=kind) if isinstance(value, list) else value
    group.attrs.create(key, given, dtype=kind)


def _marked(content: bytearray) -> bytearray:
    """Put its checksum into the file."""
    if content.count(_MARK) != 1:
        raise FileError("the model cannot be written as HDF5: a name is that of the checksum")
    content += _MARK + _BLANK
    digest = _digest(content).encode()
    for at in (content.find(_MARK), content.rfind(_MARK)):
        content[at + len(_MARK) : at + len(_MARK) + len(_BLANK)] = digest
    return content


def _digest(content: bytes | bytearray) -> str:
    """Return the checksum of all bytes but the checksums themselves."""
    digest, view, at = hashlib.sha256(), memoryview(content), 0
    while (found := content.find(_MARK, at)) >= 0:
        end = found + len(_MARK)
        digest.update(view[at:end])
        digest.update(_BLANK)
        at = end + len(_BLANK)
    digest.update(view[at:])
    return digest.hexdigest()


def checked(content: bytes) -> bytes:
    """Return the content of an HDF5 file; one of ours as it was written, Keras's have no checksum.

    Raises
    ------
    FileError
        For a file of ours that has changed since.
    """
    if _MARK in content and content.count(_MARK + _digest(content).encode()) != 2:
        raise FileError("is cut off or damaged: its checksum does not match its content")
    return content


def root_of(content: bytes | memoryview) -> Node:
    """Return the outermost group of an HDF5 file.

    Raises
    ------
    FileError
        For a file that is damaged.
    """
    try:
        return File(content).root()
    except WRONG as error:
        raise reading(error) from error


def archive(parts: Mapping[str, bytes | bytearray]) -> memoryview:
    """Return a zip archive, uncompressed as Keras's are, that is the same for the same parts."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in parts.items():
            file.writestr(zipfile.ZipInfo(name), content)
    return target.getbuffer()


def members(content: bytes, wanted: tuple[str, ...]) -> dict[str, memoryview]:
    """Return parts of a zip archive by name, as far as they are there, their checksums checked.

    Raises
    ------
    FileError
        For an archive that is damaged, or that would unpack to far more than its size.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as file:
            found = [info for info in file.infolist() if info.filename in wanted]
        if len({info.filename for info in found}) < len(found):
            raise FileError("is damaged: two of its parts have one name")
        return {info.filename: _member(memoryview(content), info) for info in found}
    except (
        *WRONG,
        zipfile.BadZipFile,
        zlib.error,
        OSError,
        EOFError,
        NotImplementedError,
    ) as error:
        raise reading(error) from error


def _member(content: memoryview, info: zipfile.ZipInfo) -> memoryview:
    """Return a part where it lies, or unpacked where it was packed."""
    begin = info.header_offset
    head, names, more = struct.unpack_from("<4s22xHH", content, begin)
    if head != b"PK\3\4" or info.flag_bits & 1:
        raise FileError("is damaged or encrypted: a part is not where it should be")
    begin += 30 + names + more
    data = content[begin : begin + info.compress_size]
    if len(data) != info.compress_size:
        raise FileError("is cut off: a part lies behind its end")
    if info.compress_type == zipfile.ZIP_DEFLATED:
        data = _unpacked(data, info.file_size, len(content))
    elif info.compress_type != zipfile.ZIP_STORED:
        raise FileError("is packed in a way that is not read")
    if len(data) != info.file_size or zlib.crc32(data) != info.CRC:
        raise FileError(f"is damaged: the checksum of {info.filename} does not match")
    return data


def _unpacked(data: memoryview, size: int, whole: int) -> memoryview:
    if size > 2 * whole + _SLACK:
        raise FileError(
            f"would unpack to {size} bytes, far more than its own {whole}; Keras does not pack\n"
            "  fix: if you trust it, pack it again without compression"
        )
    engine = zlib.decompressobj(-15)
    return memoryview(engine.decompress(data, size + 1))


def parsed(text: bytes | memoryview | str) -> Any:
    """Return JSON, in which no key may stand twice.

    Raises
    ------
    FileError
        For what is no JSON.
    """
    try:
        text = text if isinstance(text, str) else str(text, "utf-8")
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError, MemoryError) as error:
        raise FileError(f"is damaged: its description is not JSON: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found
