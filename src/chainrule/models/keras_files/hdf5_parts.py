"""The parts of HDF5 files that point nowhere: messages, shapes, dtypes, names."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import numpy as np

from chainrule.errors import FileError

LONGEST_NAME = 1000
_MOST_AXES = 32


def text(data: memoryview, longest: int) -> str:
    """Return the text up to its final zero."""
    begin = bytes(data[:longest])
    return begin.split(b"\0", 1)[0].decode("utf-8")


def new_header(begin: memoryview, content: memoryview, address: int) -> tuple[int, int, int]:
    """Return flags, beginning and size of the messages of a header of version 2 (IV.A.1.b)."""
    if begin[4] != 2:
        raise FileError("is damaged: there is no object where one should be")
    flags, at = begin[5], address + 6
    at += 16 * bool(flags & 0x20) + 4 * bool(flags & 0x10)
    width = 1 << (flags & 3)
    size = int.from_bytes(content[at : at + width], "little")
    return flags, at + width, size


def messages(block: memoryview, new: bool, order: int) -> Iterator[tuple[int, int, memoryview]]:
    """Yield kind, flags and content of the messages in a block of a header."""
    head, form = ((6 if order & 4 else 4), "<BHB") if new else (8, "<HHB")
    at = 0
    while at + head <= len(block):
        kind, size, flags = struct.unpack_from(form, block, at)
        if at + head + size > len(block):
            raise FileError("is damaged: a message is longer than its header")
        yield kind, flags, block[at + head : at + head + size]
        at += head + size


def link(data: memoryview) -> tuple[str, int] | None:
    """Return name and address of a link (IV.A.2.g); ``None`` for one to somewhere else."""
    flags, at = data[1], 2
    kind = data[at] if flags & 8 else 0
    at += bool(flags & 8) + 8 * bool(flags & 4) + bool(flags & 16)
    width = 1 << (flags & 3)
    length = int.from_bytes(data[at : at + width], "little")
    at += width
    if kind != 0:
        return None
    if length > LONGEST_NAME or at + length + 8 > len(data):
        raise FileError("is damaged: a name is too long")
    return str(data[at : at + length], "utf-8"), struct.unpack_from("<Q", data, at + length)[0]


def shape(data: memoryview) -> tuple[int, ...]:
    """Return the sizes of a dataspace (IV.A.2.b)."""
    version, rank = data[0], data[1]
    if version not in (1, 2) or rank > _MOST_AXES or (version == 2 and data[3] == 2):
        raise FileError("is damaged: an array has no shape")
    sizes: tuple[int, ...] = struct.unpack_from(f"<{rank}Q", data, 8 if version == 1 else 4)
    if any(n >= 1 << 48 for n in sizes):
        raise FileError(f"is damaged: no array has the shape {list(sizes)}")
    return sizes


def dtype(data: memoryview) -> np.dtype[Any]:
    """Return the dtype of numbers (IV.A.2.d)."""
    kind, bits = data[0] & 15, data[1]
    (size,) = struct.unpack_from("<I", data, 4)
    order = ">" if bits & 1 else "<"
    if kind == 0 and size in (1, 2, 4, 8):
        return np.dtype(f"{order}{'i' if bits & 8 else 'u'}{size}")
    exponent = {2: 5, 4: 8, 8: 11}.get(size)
    if kind == 1 and exponent is not None and data[13] == exponent:
        return np.dtype(f"{order}f{size}")
    raise FileError("holds an array of a dtype that is not read")


def place(data: memoryview) -> memoryview | tuple[int, int]:
    """Return where the elements lie (IV.A.2.i): beginning and size, or the elements themselves."""
    version, kind = data[0], data[1]
    if version in (3, 4) and kind == 0:
        (size,) = struct.unpack_from("<H", data, 2)
        return data[4 : 4 + size]
    if version in (3, 4) and kind == 1:
        begin, size = struct.unpack_from("<QQ", data, 2)
        return begin, size
    raise FileError(
        "holds arrays in chunks, which are not read\n"
        "  fix: write it again without compression, as Keras does"
    )


def attribute(data: memoryview) -> tuple[str, memoryview, memoryview, memoryview]:
    """Return name, dtype, dataspace and value of an attribute (IV.A.2.m)."""
    version, flags, *sizes = struct.unpack_from("<BBHHH", data)
    if version not in (1, 2, 3) or (version > 1 and flags & 3):
        raise FileError("has an attribute of a kind that is not read")
    at, found = 9 if version == 3 else 8, []
    for size in sizes:
        found.append(data[at : at + size])
        at += -(-size // 8) * 8 if version == 1 else size
    return text(found[0], LONGEST_NAME), found[1], found[2], data[at:]
