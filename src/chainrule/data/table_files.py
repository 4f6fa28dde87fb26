"""Reading tables from files: CSV as people have it, and Parquet."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data.tables import Table, as_column, parse_number
from chainrule.errors import DataError, FileError, missing_package

_DELIMITERS = ",;\t|"
_SNIFFED_LINES, _SNIFFED_CHARACTERS = 50, 100_000
# GB 18030 reads nearly any bytes: tried only after UTF-8, which reads nearly no others' bytes.
_ENCODINGS = ("utf-8", "gb18030", "cp1252")
_MARKS = {b"\xef\xbb\xbf": "utf-8-sig", b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
TABLE_SUFFIXES = (".csv", ".tsv", ".txt", ".data", ".parquet", ".pq")


@dataclass(frozen=True)
class TableFile:
    """A table and a few words on how it was read."""

    table: Table
    how: str


def read_table(path: str | Path) -> TableFile:
    """Return the table in a file: Parquet by its name (``.parquet``, ``.pq``), all else CSV.

    Parameters
    ----------
    path : str or Path
        A CSV file may be separated by ``,``, ``;``, tab or ``|``, and be in UTF-8, UTF-16 (with
        mark) or GB 18030 (so GBK). Its first line holds the names of the columns, unless it is
        all numbers.

    Raises
    ------
    FileError
        There is no such file, or it cannot be read.
    DataError
        It is not a table: lines of different lengths, or no rows.
    MissingDependencyError
        A Parquet file without PyArrow.
    """
    path = Path(path)
    if path.suffix.lower() in (".parquet", ".pq"):
        return _read_parquet(path)
    return parse_csv(read_bytes(path), path.name)


def read_bytes(path: Path) -> bytes:
    """Return the content of a file; FileError in one line where there is none."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileError(f"there is no file {str(path)!r}") from None
    except OSError as error:
        raise FileError(f"cannot read {str(path)!r}: {error.strerror or error}") from None


def _read_parquet(path: Path) -> TableFile:
    """Return a Parquet file; columns that hold lists or records are left out."""
    try:
        import pyarrow.parquet
    except ImportError:
        raise missing_package("pyarrow", "reading Parquet", "parquet") from None
    content = io.BytesIO(read_bytes(path))
    try:
        data: Any = pyarrow.parquet.read_table(content)
    except (pyarrow.ArrowException, OSError) as error:
        raise FileError(f"{path.name!r} is not a Parquet file: {error}") from None
    return TableFile(_checked(path.name, _arrow_columns(data)), "Parquet")


def _arrow_columns(data: Any) -> Table:
    """Return the columns of an Arrow table; booleans with gaps as text, numbers with gaps NaN."""
    return {
        str(field.name): as_column(data.column(place).to_numpy())
        for place, field in enumerate(data.schema)
        if field.type.num_fields == 0
    }


def parse_csv(content: bytes, name: str) -> TableFile:
    """Return the table in the bytes of a CSV file; `name` is what errors call it."""
    text, encoding = _decoded(content, name)
    delimiter = _sniffed_delimiter(text)
    records = _records(text, delimiter, name)
    first = next(records, None)
    if first is None:
        raise DataError(f"{name!r} is empty")
    names = _header(first[1])
    if names is None:
        records = itertools.chain([first], records)
    header = names or [f"column_{place}" for place in range(1, len(first[1]) + 1)]
    columns = _columns(records, header, name)
    how = f"CSV separated by {_word(delimiter)}, {encoding}" + ("" if names else ", without header")
    return TableFile(_checked(name, columns), how)


def _word(delimiter: str) -> str:
    return "tabs" if delimiter == "\t" else f"'{delimiter}'"


def _decoded(content: bytes, name: str) -> tuple[str, str]:
    """Return the text of a file, and the encoding it was read in."""
    marked = [encoding for mark, encoding in _MARKS.items() if content.startswith(mark)]
    for encoding in marked or _ENCODINGS:
        try:
            return content.decode(encoding), encoding.removesuffix("-sig")
        except UnicodeDecodeError:
            continue
    raise DataError(f"{name!r} is not text: save it as CSV in UTF-8, or as .parquet or .npz")


def _sniffed_delimiter(text: str) -> str:
    """Return the character that cuts the first lines into most fields, equally many in each."""
    head = text[:_SNIFFED_CHARACTERS]
    return max(_DELIMITERS, key=lambda delimiter: _agreement(head, delimiter))


def _agreement(text: str, delimiter: str) -> tuple[float, int]:
    """Return how many of the first lines have the commonest number of fields, and that number."""
    records = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        widths = [len(record) for record in itertools.islice(records, _SNIFFED_LINES) if record]
    except csv.Error:
        return (0.0, 0)
    if not widths:
        return (0.0, 0)
    width, lines = Counter(widths).most_common(1)[0]
    return (lines / len(widths), width) if width > 1 else (0.0, 1)


def _records(text: str, delimiter: str, name: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line number and the fields of each record that is not blank."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        for record in reader:
            if any(field.strip() for field in record):
                yield reader.line_num, record
    except csv.Error as error:
        raise DataError(f"{name!r}, line {reader.line_num}: {error}") from None


def _header(fields: Sequence[str]) -> list[str] | None:
    """Return the names of the columns, all different, or None when the line is one of numbers."""
    stripped = [field.strip() for field in fields]
    counting = [str(place) for place in range(len(stripped))]
    if stripped != counting and all(parse_number(field) is not None for field in stripped):
        return None
    names: list[str] = []
    for place, field in enumerate(stripped, 1):
        names.append(_unused(field or f"column_{place}", names))
    return names


def _unused(name: str, taken: Sequence[str]) -> str:
    """Return the name, with a number behind it when it is taken."""
    candidates = itertools.chain([name], (f"{name}.{count}" for count in itertools.count(1)))
    return next(candidate for candidate in candidates if candidate not in taken)


def _columns(records: Iterator[tuple[int, list[str]]], header: Sequence[str], name: str) -> Table:
    """Return the columns of the records as objects; DataError names the first line that differs."""
    rows: list[list[str]] = []
    width = len(header)
    for line, record in records:
        if len(record) != width:
            raise DataError(
                f"{name!r}, line {line}: {len(record)} fields, but the header has {width}"
            )
        rows.append(record)
    columns = zip(*rows, strict=True)
    return {
        title: np.fromiter(column, object, len(rows))
        for title, column in zip(header, columns, strict=False)
    }


def _checked(name: str, table: Table) -> Table:
    """Return the table; DataError when it has no rows."""
    if not table or not len(next(iter(table.values()))):
        raise DataError(f"{name!r} has no rows")
    return table
