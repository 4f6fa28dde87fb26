"""Parquet and Arrow files: columns of numbers, read by row groups and record batches."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.mapped import Pages
from chainrule.dtypes import Array
from chainrule.errors import ChainruleError, DataError, FileError, missing_package

_PART_BYTES = 1 << 22
_PARTS = 8  # after so many, the pages of an Arrow file that were read are let go of
_PAGES = 1 << 16  # bytes of each column that a Parquet file is read by


def pyarrow() -> Any:
    """Return the package; one line on how to install it where it is missing."""
    try:
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError:
        raise missing_package("pyarrow", "reading Parquet and Arrow files", "parquet") from None
    return pyarrow


class ColumnFile:
    """One Parquet or Arrow file; `groups` says which columns become which array."""

    def __init__(self, path: Path, groups: Mapping[str, Any]) -> None:
        self.path = path
        self._arrow = pyarrow()
        with self._reading():
            schema, self.sizes = self._shape()
        self._groups = _chosen(groups, list(schema.names), path)
        named = [name for names, _ in self._groups.values() for name in names]
        self._columns = list(dict.fromkeys(named))
        self._check(schema)

    def rows(self, block: int, begin: int) -> Iterator[dict[str, Array]]:
        """Yield the rows of a row group or record batch from number `begin` on."""
        at = 0
        with self._reading():
            for part in self._parts(block):
                skip = min(max(begin - at, 0), part.num_rows)
                if part.num_rows > skip:
                    yield self._arrays(part.slice(skip), at + skip, block)
                at += part.num_rows

    def _shape(self) -> tuple[Any, list[int]]:
        """Return the columns, and the rows of each block."""
        raise NotImplementedError

    def _parts(self, block: int) -> Iterator[Any]:
        """Yield the record batches of a block, each of a few megabytes."""
        raise NotImplementedError

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except ChainruleError:
            raise
        except (self._arrow.ArrowException, OSError, EOFError, ValueError) as error:
            raise FileError(f"cannot read {str(self.path)!r}: {error}") from error

    def _check(self, schema: Any) -> None:
        wrong = [n for n in self._columns if not _is_numeric(schema.field(n).type, self._arrow)]
        if wrong:
            name, kind = wrong[0], schema.field(wrong[0]).type
            more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
            raise DataError(
                f"column {name!r}{more} of {str(self.path)!r} is {kind}; expected numbers\n"
                "  fix: choose columns: chainrule.data.open(path, target=..., features=[...]), or\n"
                "       encode text as numbers before writing the file; `chainrule train` does so\n"
                "       by itself for tables that fit in memory"
            )

    def _arrays(self, part: Any, first: int, block: int) -> dict[str, Array]:
        columns = {}
        for name in self._columns:
            column = part.column(part.schema.get_field_index(name))
            columns[name] = self._numbers(column, name, first + sum(self.sizes[:block]))
        return {key: _joined(columns, *group) for key, group in self._groups.items()}

    def _numbers(self, column: Any, name: str, first: int) -> Array:
        """Return a column as [n], or [n, k] where it holds lists; what is missing is NaN."""
        arrow, kind = self._arrow, column.type
        shape: tuple[int, ...] = ()
        if isinstance(kind, arrow.BaseExtensionType):
            shape, column = tuple(getattr(kind, "shape", ())), column.storage
            kind = column.type
        if arrow.types.is_decimal(kind):
            column = column.cast(arrow.float64())
        nested = arrow.types.is_nested(kind)
        if column.null_count and (nested or not arrow.types.is_floating(column.type)):
            row = column.is_null().index(True).as_py()
            raise DataError(
                f"column {name!r} has no value in row {first + row} of {str(self.path)!r}\n"
                "  fix: remove such rows, or fill in what is missing, before training"
            )
        if nested:
            return self._lists(column, name, first, shape)
        return np.asarray(column.to_numpy(zero_copy_only=False))

    def _lists(self, column: Any, name: str, first: int, shape: tuple[int, ...]) -> Array:
        n = len(column)
        length = column.type.list_size if hasattr(column.type, "list_size") else -1
        if length < 0:
            lengths = np.asarray(column.value_lengths())
            length = int(lengths[0])
            if (lengths != length).any():
                row = int(np.flatnonzero(lengths != length)[0])
                raise DataError(
                    f"column {name!r} has lists of different lengths: {length} numbers in row "
                    f"{first} of {str(self.path)!r}, {lengths[row]} in row {first + row}"
                )
        values = column.flatten()
        if values.null_count:
            raise DataError(f"column {name!r} of {str(self.path)!r} has lists with gaps")
        return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(n, *(shape or (length,)))

    def _batch_rows(self, kinds: Sequence[Any]) -> int:
        row = sum(_bytes_of(kind) for kind in kinds)
        return int(np.clip(_PART_BYTES // max(row, 1), 64, 1 << 16))


class ParquetFile(ColumnFile):
    """A Parquet file; its blocks are the row groups."""

    def _shape(self) -> tuple[Any, list[int]]:
        with self._arrow.parquet.ParquetFile(self.path) as file:
            meta = file.metadata
            sizes = [meta.row_group(i).num_rows for i in range(meta.num_row_groups)]
            return file.schema_arrow, sizes

    def _parts(self, block: int) -> Iterator[Any]:
        with self._arrow.parquet.ParquetFile(
            self.path, buffer_size=_PAGES, pre_buffer=False
        ) as file:
            schema = file.schema_arrow
            size = self._batch_rows([schema.field(name).type for name in self._columns])
            yield from file.iter_batches(size, [block], self._columns)


class ArrowFile(ColumnFile):
    """An Arrow (IPC, Feather 2) file; its blocks are the record batches, read where they lie."""

    def _shape(self) -> tuple[Any, list[int]]:
        file = self._opened(np.memmap(self.path, np.uint8, "r"))
        blocks = range(file.num_record_batches)
        return file.schema, [file.get_batch(i).num_rows for i in blocks]

    def _opened(self, content: Array) -> Any:
        return self._arrow.ipc.open_file(self._arrow.BufferReader(self._arrow.py_buffer(content)))

    def _parts(self, block: int) -> Iterator[Any]:
        content = np.memmap(self.path, np.uint8, "r")
        pages = Pages(content)
        batch = self._opened(content).get_batch(block)
        size = self._batch_rows([batch.schema.field(name).type for name in self._columns])
        for number, first in enumerate(range(0, batch.num_rows, size)):
            yield batch.slice(first, size)
            if number % _PARTS == _PARTS - 1:
                pages.release()


def _chosen(
    groups: Mapping[str, Any], columns: Sequence[str], path: Path
) -> dict[str, tuple[list[str], bool]]:
    """Return the columns of each array, and whether they stand side by side in it."""
    taken: set[str] = set()
    for names in groups.values():
        taken.update([names] if isinstance(names, str) else names or ())
    if missing := sorted(taken - set(columns)):
        raise DataError(f"{str(path)!r} has no column {missing[0]!r}; it has {_told(columns)}")
    rest = [name for name in columns if name not in taken]
    if not rest and any(names is None for names in groups.values()):
        raise DataError(f"{str(path)!r} has no columns beside {_told(sorted(taken))}")
    return {
        key: ([names], False) if isinstance(names, str) else (list(names or rest), True)
        for key, names in groups.items()
    }


def _told(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:20])) + (", ..." if len(names) > 20 else "")


def _is_numeric(kind: Any, arrow: Any) -> bool:
    if isinstance(kind, arrow.BaseExtensionType):
        kind = kind.storage_type
    types = arrow.types
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind = kind.value_type
        return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind))
    return any(
        is_kind(kind)
        for is_kind in (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal)
    )


def _bytes_of(kind: Any) -> int:
    """Return the bytes of one value, about."""
    if hasattr(kind, "storage_type"):
        kind = kind.storage_type
    count = max(getattr(kind, "list_size", 64), 1) if hasattr(kind, "value_type") else 1
    inner = getattr(kind, "value_type", kind)
    try:
        return int(count * max(inner.bit_width // 8, 1))
    except ValueError:
        return int(count * 8)


def _joined(columns: Mapping[str, Array], names: Sequence[str], side_by_side: bool) -> Array:
    """Return one column as it is, or several side by side in the dtype that holds them all."""
    if not side_by_side:
        return columns[names[0]]
    parts = [columns[name] for name in names]
    flat = [part[:, None] if part.ndim == 1 else part.reshape(len(part), -1) for part in parts]
    if len(flat) == 1:
        return parts[0] if parts[0].ndim > 1 else flat[0]
    joined: Array = np.concatenate(flat, axis=1)
    return joined
