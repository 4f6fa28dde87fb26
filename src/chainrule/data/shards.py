"""Shards: files of arrays as `numpy.savez` and `numpy.savez_compressed` write them."""

from __future__ import annotations

import contextlib
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np

from chainrule.dtypes import Array
from chainrule.errors import DataError, FileError

_PART_BYTES = 1 << 22
_DAMAGED = (OSError, zipfile.BadZipFile, zlib.error, ValueError, EOFError, NotImplementedError)


class Shard:
    """One ``.npz`` file, read from its beginning in parts, compressed or not."""

    def __init__(self, path: Path, groups: Mapping[str, Any]) -> None:
        self.path = path
        self._names = {key: _single(name) for key, name in groups.items()}
        with self._opened() as file:
            self._check(file)
            heads = {key: self._head(file, name)[1:] for key, name in self._names.items()}
        lengths = {key: shape[0] if shape else -1 for key, (shape, _) in heads.items()}
        if len(set(lengths.values())) > 1 or -1 in lengths.values():
            told = ", ".join(f"{self._names[k]} {list(s)}" for k, (s, _) in heads.items())
            raise DataError(f"{str(path)!r} needs a row for each sample in each array: {told}")
        self.sizes = [next(iter(lengths.values()))]
        row = sum(int(np.prod(s[1:])) * d.itemsize for s, d in heads.values())
        self._step = max(_PART_BYTES // max(row, 1), 1)

    def rows(self, block: int, begin: int) -> Iterator[dict[str, Array]]:
        """Yield the rows from number `begin` on."""
        with contextlib.ExitStack() as stack:
            file = stack.enter_context(self._opened())
            members = {}
            for key, name in self._names.items():
                member, shape, dtype = self._head(file, name)
                stack.callback(member.close)
                nbytes = int(np.prod(shape[1:])) * dtype.itemsize
                self._skip(member, begin * nbytes)
                members[key] = (member, shape[1:], dtype, nbytes)
            for first in range(begin, self.sizes[0], self._step):
                n = min(self._step, self.sizes[0] - first)
                yield {key: self._part(*member, n) for key, member in members.items()}

    @contextlib.contextmanager
    def _opened(self) -> Iterator[zipfile.ZipFile]:
        try:
            file = zipfile.ZipFile(self.path)
        except _DAMAGED as error:
            raise FileError(f"cannot read {str(self.path)!r}: {error}") from error
        with file:
            yield file

    def _check(self, file: zipfile.ZipFile) -> None:
        known = [name.removesuffix(".npy") for name in file.namelist()]
        missing = [name for name in self._names.values() if name not in known]
        if missing:
            raise DataError(
                f"{str(self.path)!r} has no array {missing[0]!r}; it has {', '.join(known)}\n"
                "  fix: numpy.savez(path, x=..., y=...), or say which arrays are meant: "
                "chainrule.data.open(path, features=..., target=...)"
            )

    def _head(self, file: zipfile.ZipFile, name: str) -> tuple[IO[bytes], tuple[int, ...], Any]:
        """Return an array's file, at its first element, with shape and dtype."""
        try:
            member = file.open(f"{name}.npy")
            version = np.lib.format.read_magic(member)
            read = np.lib.format.read_array_header_1_0
            read = np.lib.format.read_array_header_2_0 if version != (1, 0) else read
            shape, columns_first, dtype = read(member)
        except _DAMAGED as error:
            raise FileError(f"cannot read {name!r} in {str(self.path)!r}: {error}") from error
        if dtype.kind not in "biuf":
            raise DataError(f"{name} in {str(self.path)!r} has dtype {dtype}; expected numbers")
        if columns_first and len(shape) > 1:
            raise DataError(
                f"{name} in {str(self.path)!r} lies in columns (Fortran order), not in rows\n"
                "  fix: numpy.savez(path, x=numpy.ascontiguousarray(x), ...)"
            )
        return member, shape, dtype

    def _skip(self, member: IO[bytes], nbytes: int) -> None:
        while nbytes > 0:
            nbytes -= len(self._read(member, min(nbytes, _PART_BYTES)))

    def _part(
        self, member: IO[bytes], shape: tuple[int, ...], dtype: Any, nbytes: int, n: int
    ) -> Array:
        return np.frombuffer(self._read(member, n * nbytes), dtype).reshape(n, *shape)

    def _read(self, member: IO[bytes], nbytes: int) -> bytes:
        try:
            content = member.read(nbytes)
        except _DAMAGED as error:
            raise FileError(f"{str(self.path)!r} is damaged: {error}") from error
        if len(content) != nbytes:
            raise FileError(f"{str(self.path)!r} is cut short")
        return content


def _single(name: Any) -> str:
    if isinstance(name, list | tuple) and len(name) == 1:
        name = name[0]
    if not isinstance(name, str):
        raise DataError(f"in .npz shards an array is named by one text, not by {name!r}")
    return name
