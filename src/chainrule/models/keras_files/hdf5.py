"""Reads HDF5 as Keras writes it, from bytes, every address and length checked before its use.

The HDF5 library trusts what a file says of itself, and a damaged one can end the process. Weights
need little of the format: groups with a table of symbols or with compact links, datasets that lie
in one piece, attributes. The rest is refused by name. Nothing is copied: arrays are views.

Source: HDF5 File Format Specification 3.0, whose sections the functions name.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import FileError
from chainrule.models.keras_files import hdf5_parts as parts

SIGNATURE = b"\x89HDF\r\n\x1a\n"
_NOWHERE = 0xFFFFFFFFFFFFFFFF
_DEEPEST = 32  # levels of the tree of a group's symbols
# What following addresses that lie can raise.
_WRONG = (struct.error, IndexError, ValueError, OverflowError, RecursionError, KeyError)

_LINK_INFO, _DATATYPE, _DATASPACE, _LINK, _EXTERNAL = 0x02, 0x03, 0x01, 0x06, 0x07
_LAYOUT, _FILTERS, _ATTRIBUTE, _MORE, _SYMBOLS, _ATTRIBUTES = 0x08, 0x0B, 0x0C, 0x10, 0x11, 0x15


@dataclass
class Node:
    """A group or a dataset: the messages of its header, from which all else is read on demand."""

    file: File
    messages: list[tuple[int, int, memoryview]]
    _children: dict[str, int] | None = None

    def all_of(self, kind: int) -> list[memoryview]:
        """Return the messages of a kind."""
        found = []
        for number, flags, data in self.messages:
            if number == kind:
                if flags & 2:
                    raise FileError("shares parts between objects, which is not read")
                found.append(data)
        return found

    def attributes(self) -> dict[str, Any]:
        """Return the attributes: texts, and lists of texts; others are left out."""
        for data in self.all_of(_ATTRIBUTES):
            (heap,) = struct.unpack_from("<Q", data, 4 if data[1] & 1 else 2)
            if heap != _NOWHERE:
                raise FileError("keeps attributes in a dense heap, which is not read")
        return dict(self.file.attribute(data) for data in self.all_of(_ATTRIBUTE))

    def children(self) -> dict[str, int]:
        """Return the addresses of what is in a group, by name."""
        if self._children is None:
            self._children = self._listed()
        return self._children

    def _listed(self) -> dict[str, int]:
        found: dict[str, int] = {}
        for data in self.all_of(_SYMBOLS):
            tree, heap = struct.unpack_from("<QQ", data)
            self._add(found, self.file.symbols(tree, heap))
        for data in self.all_of(_LINK_INFO):
            (heap,) = struct.unpack_from("<Q", data, 10 if data[1] & 1 else 2)
            if heap != _NOWHERE:
                raise FileError(
                    "keeps groups in dense heaps, which are not read\n"
                    "  fix: write it again with h5py's libver='earliest', its default"
                )
        self._add(found, filter(None, map(parts.link, self.all_of(_LINK))))
        return found

    def _add(self, found: dict[str, int], links: Any) -> None:
        for name, address in links:
            self.file.spend(len(name))
            if name in found:
                raise FileError(f"is damaged: two objects are called {name!r}")
            found[name] = address

    def __contains__(self, name: str) -> bool:
        return name in self.children()

    def get(self, path: str) -> Node | None:
        """Return what is at a path below a group; ``None`` where there is nothing."""
        node = self
        for name in path.split("/"):
            address = node.children().get(name)
            if address is None:
                return None
            node = self.file.node(address)
        return node

    def array(self) -> Array:
        """Return the elements of a dataset, where they lie in the file."""
        if self.all_of(_FILTERS) or self.all_of(_EXTERNAL):
            raise FileError("holds compressed or external arrays, which are not read")
        (space,), (kind,), (layout,) = map(self.all_of, (_DATASPACE, _DATATYPE, _LAYOUT))
        shape, dtype = parts.shape(space), parts.dtype(kind)
        size = math.prod(shape) * dtype.itemsize
        where = parts.place(layout)
        if isinstance(where, memoryview):
            data = where[:size]
        elif size == 0:
            data = memoryview(b"")
        else:
            begin, stored = where
            if stored != size:
                raise FileError(f"is damaged: {stored} bytes are no array of shape {list(shape)}")
            data = self.file.bytes(begin, size)
        return np.frombuffer(data, dtype).reshape(shape)


class File:
    """The content of an HDF5 file.

    Examples
    --------
    >>> from chainrule.models.keras_files.hdf5 import File
    >>> File(b"something else")
    Traceback (most recent call last):
    ...
    chainrule.errors.FileError: is not an HDF5 file
    """

    def __init__(self, content: bytes | memoryview) -> None:
        self.content = memoryview(content)
        self.left = 4 * len(self.content) + 10_000
        self._nodes: dict[int, Node] = {}
        self._last = (0, 16)  # the heap in which a text was found last, and where
        if bytes(self.content[:8]) != SIGNATURE or len(self.content) < 96:
            raise FileError("is not an HDF5 file")
        self._begin()

    def _begin(self) -> None:
        """Read the superblock (II.A)."""
        version = self.content[8]
        if version < 2:
            widths, at = self.content[13:15], 24 + 4 * version
            base, _, end, _, _, root = struct.unpack_from("<6Q", self.content, at)
        elif version < 4:
            widths = self.content[9:11]
            base, _, end, root = struct.unpack_from("<4Q", self.content, 12)
        else:
            raise FileError(f"is HDF5 with a superblock of version {version}, which is not read")
        if bytes(widths) != b"\x08\x08" or base != 0:
            raise FileError("is HDF5 of a kind that is not read")
        if end > len(self.content):
            raise FileError(f"is cut off: it has {len(self.content)} of {end} bytes")
        self._root = root

    def root(self) -> Node:
        """Return the group that holds all others."""
        return self.node(self._root)

    def spend(self, size: int) -> None:
        """Count what is read: parts that point to each other in circles come to an end."""
        self.left -= size
        if self.left < 0:
            raise FileError("is damaged: its parts point to each other")

    def bytes(self, begin: int, size: int) -> memoryview:
        """Return a part of the file."""
        if begin + size > len(self.content):
            raise FileError("is cut off or damaged: a part lies behind its end")
        return self.content[begin : begin + size]

    def node(self, address: int) -> Node:
        """Return the group or dataset whose header is at this address."""
        if address not in self._nodes:
            self._nodes[address] = Node(self, list(self._messages(address)))
        return self._nodes[address]

    def _messages(self, address: int) -> Iterator[tuple[int, int, memoryview]]:
        """Yield kind, flags and content of the messages of an object's header (IV.A.1)."""
        new = bytes(self.bytes(address, 4)) == b"OHDR"
        if new:
            order, begin, size = parts.new_header(self.bytes(address, 6), self.content, address)
        else:
            order, begin = 0, address + 16
            version, _, _, size = struct.unpack_from("<BxHII", self.content, address)
            if version != 1:
                raise FileError("is damaged: there is no object where one should be")
        blocks = [self.bytes(begin, size)]
        for block in blocks:
            self.spend(len(block))
            for kind, flags, data in parts.messages(block, new, order):
                if kind != _MORE:
                    yield kind, flags, data
                    continue
                begin, size = struct.unpack_from("<QQ", data)
                more = self.bytes(begin, size)
                blocks.append(more[4 : size - 4] if new else more)

    def symbols(self, tree: int, heap: int) -> Iterator[tuple[str, int]]:
        """Yield the names and addresses in an old group (III.A.1, III.B, III.D)."""
        kind, size, data = struct.unpack_from("<4s4xQ8xQ", self.content, heap)
        if kind != b"HEAP":
            raise FileError("is damaged: the names of a group are not where they should be")
        names = self.bytes(data, size)
        for leaf in self._leaves(tree, _DEEPEST):
            kind, count = struct.unpack_from("<4s2xH", self.content, leaf)
            if kind != b"SNOD":
                raise FileError("is damaged: the table of a group is not where it should be")
            entries = self.bytes(leaf + 8, 40 * count)
            self.spend(len(entries))
            for name, address, cached in struct.iter_unpack("<QQI20x", entries):
                if cached != 2:  # soft links lead elsewhere
                    yield parts.text(names[name:], parts.LONGEST_NAME), address

    def _leaves(self, address: int, deepest: int) -> Iterator[int]:
        kind, of, level, count = struct.unpack_from("<4sBBH", self.content, address)
        if kind != b"TREE" or of != 0 or deepest == 0:
            raise FileError("is damaged: the tree of a group is not where it should be")
        children = self.bytes(address + 24, 16 * count)
        self.spend(len(children) + 24)
        for _, child in struct.iter_unpack("<QQ", children):
            if level:
                yield from self._leaves(child, deepest - 1)
            else:
                yield child

    def attribute(self, data: memoryview) -> tuple[str, Any]:
        """Return name and value of an attribute (IV.A.2.m): a text or a list of texts."""
        name, kind, space, values = parts.attribute(data)
        shape = parts.shape(space)
        count = math.prod(shape)
        (size,) = struct.unpack_from("<I", kind, 4)
        if kind[0] & 15 == 3:
            found = [parts.text(values[i * size :], size) for i in range(self._many(count, size))]
        elif kind[0] & 15 == 9 and kind[1] & 15 == 1:
            found = [self._long(values[16 * i :]) for i in range(self._many(count, 16))]
        else:
            return name, None
        return name, found if shape else found[0]

    def _many(self, count: int, size: int) -> int:
        self.spend(count * max(size, 1))
        return count

    def _long(self, reference: memoryview) -> str:
        """Return a text of variable length from its heap (III.E)."""
        length, heap, index = struct.unpack_from("<IQI", reference)
        if length == 0:
            return ""
        kind, size = struct.unpack_from("<4s4xQ", self.content, heap)
        if kind != b"GCOL":
            raise FileError("is damaged: a text is not where it should be")
        block = self.bytes(heap, size)
        # Texts of one list follow each other, so the search goes on where the last one ended.
        begin = self._last[1] if self._last[0] == heap else 16
        for at, number, held in chain(self._objects(block, begin), self._objects(block, 16)):
            if number == index:
                self.spend(length)
                if length > held or at + 16 + length > len(block):
                    break
                self._last = (heap, at)
                return str(block[at + 16 : at + 16 + length], "utf-8")
        raise FileError("is damaged: a text is not where it should be")

    def _objects(self, block: memoryview, at: int) -> Iterator[tuple[int, int, int]]:
        """Yield place, number and size of the objects in a heap, from a place on."""
        while at + 16 <= len(block):
            self.spend(16)
            number, held = struct.unpack_from("<H6xQ", block, at)
            yield at, number, held
            at += 16 + -(-held // 8) * 8


def reading(error: BaseException) -> FileError:
    """Return the error for a file whose parts do not hold together."""
    if isinstance(error, FileError):
        return error
    return FileError(f"is damaged: {error}" if str(error) else "is damaged")


WRONG = (*_WRONG, TypeError, MemoryError)
