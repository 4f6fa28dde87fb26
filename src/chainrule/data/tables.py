"""Tables: columns by name, as they lie in the file, and what one value of a column means.

A table is a dictionary of columns of one length. A column holds numbers, or it holds objects: text
as it stood in the file, and ``None`` where nothing stood. What a text means (a number, a category,
nothing) is decided where it is used, once for each distinct text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.errors import DataError

Column = NDArray[Any]
Table = dict[str, Column]

MISSING = frozenset({"", "na", "n/a", "#n/a", "nan", "null", "<na>", "?"})

_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?")
_DECIMAL_COMMA = re.compile(r"[+-]?(\d{1,3}(\.\d{3})+|\d*),\d*(e[+-]?\d+)?", re.IGNORECASE)


def as_table(data: Any) -> Table:
    """Return data of any tabular kind as a `Table`, without copying columns that are arrays.

    Parameters
    ----------
    data : mapping, data frame, structured array or sequence of mappings
        A mapping of names to columns; anything with ``columns`` or ``column_names`` that gives a
        column for a name (pandas, Polars, PyArrow); a structured NumPy array; or rows, each a
        mapping of names to values.

    Raises
    ------
    DataError
        It is none of these, or the columns differ in length.

    Examples
    --------
    >>> from chainrule.data.tables import as_table
    >>> sorted(as_table([{"height": 1.8, "city": "Bern"}, {"height": 1.6, "city": None}]))
    ['city', 'height']
    """
    table = {name: as_column(column) for name, column in _columns(data)}
    lengths = {name: len(column) for name, column in table.items()}
    if len(set(lengths.values())) > 1:
        raise DataError(f"the columns of a table differ in length: {lengths}")
    return table


def _columns(data: Any) -> Iterable[tuple[str, Any]]:
    """Yield name and column of whatever is tabular."""
    if isinstance(data, Mapping):
        return [(str(name), column) for name, column in data.items()]
    if isinstance(data, np.ndarray) and data.dtype.names:
        return [(name, data[name]) for name in data.dtype.names]
    names = getattr(data, "column_names", None) or getattr(data, "columns", None)
    if names is not None and hasattr(data, "__getitem__"):
        return [(str(name), data[name]) for name in names]
    if isinstance(data, Sequence) and data and isinstance(data[0], Mapping):
        return [(str(name), [row.get(name) for row in data]) for name in data[0]]
    raise DataError(
        f"expected a table (a dictionary of columns, a data frame or a list of rows with names), "
        f"got {type(data).__name__}"
    )


def as_column(values: Any) -> Column:
    """Return one column as an array: numbers stay numbers, all else becomes objects."""
    array = values if isinstance(values, np.ndarray) else _array(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise DataError(f"a column of a table has one axis, this one has shape {array.shape}")
    if array.dtype.kind == "M":
        return _seconds(array)
    return array if array.dtype.kind in "biuf" else array.astype(object)


def _array(values: Any) -> NDArray[Any]:
    """Return a sequence or a series as an array, texts as objects and not cut to a length."""
    if hasattr(values, "to_numpy"):
        return np.asarray(values.to_numpy())
    values = list(values)
    if any(value is None or isinstance(value, str) for value in values):
        return np.fromiter(values, object, len(values))
    return np.asarray(values)


def _seconds(times: NDArray[np.datetime64]) -> Column:
    """Return points in time as seconds since 1970, NaN where there is none."""
    seconds = times.astype("datetime64[us]").astype(np.int64) / 1e6
    return np.where(np.isnat(times), np.nan, seconds)


def row_count(table: Table) -> int:
    """Return the number of rows."""
    return next((len(column) for column in table.values()), 0)


def take_rows(table: Table, rows: NDArray[Any]) -> Table:
    """Return the table of these rows (numbers of rows, or a mask)."""
    return {name: column[rows] for name, column in table.items()}


def factorize(column: Column) -> tuple[list[Any], NDArray[np.int64]]:
    """Return the distinct values in order of appearance, and for each row which one it has."""
    places: dict[Any, int] = {}
    add = places.setdefault
    try:
        codes = np.fromiter((add(v, len(places)) for v in column.tolist()), np.int64, len(column))
    except TypeError:
        raise DataError("a column of a table holds lists or other containers, not values") from None
    return list(places), codes


def is_missing(value: Any) -> bool:
    """Return whether a value stands for nothing."""
    if isinstance(value, str):
        return value.strip().lower() in MISSING
    # NaN, and the NA values of data frames, are the values that do not equal themselves.
    return value is None or value is np.ma.masked or not _equals_itself(value)


def _equals_itself(value: Any) -> bool:
    try:
        return bool(value == value)
    except (TypeError, ValueError):
        return False


def parse_number(value: Any, decimal: str = ".") -> float | None:
    """Return the number that a value stands for, NaN for a missing one, ``None`` for no number."""
    try:
        # First, since nearly all values of a column of numbers are such.
        number = float(value)
    except (TypeError, ValueError):
        if is_missing(value):
            return math.nan
        return _parse_form(value.strip(), decimal) if isinstance(value, str) else None
    if isinstance(value, str) and "_" in value:
        return None  # Python reads 1_000 as a number; in a table it is a code
    return number if math.isfinite(number) else math.nan


def _parse_form(text: str, decimal: str) -> float | None:
    """Return the number written like ``1,234.5`` or, where the comma is decimal, ``1.234,5``."""
    if decimal == "," and _DECIMAL_COMMA.fullmatch(text):
        text = text.replace(".", "").replace(",", ".")
    elif _THOUSANDS.fullmatch(text):
        text = text.replace(",", "")
    else:
        return None
    try:
        return float(text)
    except ValueError:
        return None


def decimal_mark(distinct: Iterable[Any]) -> str:
    """Return ``","`` when the texts can only be numbers with a decimal comma, else ``"."``."""
    commas = [text for text in distinct if isinstance(text, str) and "," in text]
    only_decimal = [text for text in commas if not _THOUSANDS.fullmatch(text.strip())]
    matching = all(_DECIMAL_COMMA.fullmatch(text.strip()) for text in only_decimal)
    return "," if only_decimal and matching else "."


def to_numbers(column: Column, decimal: str = ".") -> NDArray[np.float64]:
    """Return the column as float64; what is missing, infinite or no number is NaN."""
    numbers = plain_numbers(column)
    if numbers is not None:
        return numbers
    distinct, codes = factorize(column)
    parsed = (parse_number(value, decimal) for value in distinct)
    return _spread([math.nan if x is None else x for x in parsed], codes, np.float64)


def plain_numbers(column: Column) -> NDArray[np.float64] | None:
    """Return the column as float64 when each value is plainly a number, else None.

    It gives what `parse_number` gives, without a call for each value.
    """
    try:
        if column.dtype == object and "_" in "".join(column.tolist()):
            return None
        numbers = column.astype(np.float64)
    except (TypeError, ValueError):
        return None
    return np.where(np.isfinite(numbers), numbers, np.nan)


def to_text(value: Any) -> str | None:
    """Return the name of a category, ``None`` for a missing one; 3.0 and 3 are both ``"3"``."""
    if is_missing(value):
        return None
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip()


def to_codes(column: Column, vocabulary: Sequence[str], other: int) -> NDArray[np.int64]:
    """Return for each row the place of its category in the vocabulary, ``other`` if it has none."""
    places = {text: place for place, text in enumerate(vocabulary)}
    distinct, codes = factorize(column)
    found = [places.get(to_text(value) or "", other) for value in distinct]
    return _spread(found, codes, np.int64)


def _spread(of_distinct: Sequence[Any], codes: NDArray[np.int64], dtype: Any) -> NDArray[Any]:
    """Return for each row what was found for its distinct value."""
    return np.asarray(of_distinct, dtype)[codes] if len(codes) else np.zeros(0, dtype)
