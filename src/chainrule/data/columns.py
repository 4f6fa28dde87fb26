"""What a column is to a network: numbers, categories, or nothing it can learn from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from chainrule.data.tables import (
    Column,
    Table,
    decimal_mark,
    factorize,
    is_missing,
    parse_number,
    plain_numbers,
    to_codes,
    to_numbers,
    to_text,
)
from chainrule.errors import DataError

Matrix = NDArray[np.float32]
Numbers = NDArray[np.float64]

LARGEST_VOCABULARY = 100
# A text column is taken for names or ids when its rows are nearly all different.
_ID_SHARE = 0.5
_FEW = 20
# A column with this share of numbers is a column of numbers with a few slips in it.
_NUMBER_SHARE = 0.95
# Names under which tables number their rows or their subjects: id, PassengerId, row_no, 编号, ...
_NUMBERING = re.compile(
    r"(|unnamed: 0|column_1|rownames|(.*[\s_.-])?(id|index|row|no\.?|nr\.?)|.*(序号|编号|行号))",
    re.IGNORECASE,
)
_CAMEL_ID = re.compile(r".*[a-z](Id|ID)")


@dataclass(frozen=True)
class NumberColumn:
    """``(x - mean) / scale``, 0 where ``x`` is missing, and whether it is missing as a second."""

    kind: ClassVar[str] = "number"
    name: str
    mean: float
    scale: float
    indicator: bool = False
    decimal: str = "."

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return 2 if self.indicator else 1

    def describe(self) -> str:
        """Return a few words for people."""
        gaps = ", may be missing" if self.indicator else ""
        return f"a number, {self.mean:.4g} ± {self.scale:.4g}{gaps}"

    def encode(self, column: Column) -> Matrix:
        """Return ``[n, width]``."""
        # In float64 up to here: the difference of large numbers (years, times) is what counts.
        values = (to_numbers(column, self.decimal) - self.mean) / self.scale
        missing = np.isnan(values)
        parts = [np.where(missing, 0, values), missing][: self.width]
        return np.stack(parts, axis=1).astype(np.float32)


@dataclass(frozen=True)
class CategoryColumn:
    """One column for each known category, and one for all others, missing ones included.

    Where every row of the training data had a known category there is no column for the others:
    its weights would never have been trained. They are then all zeros.
    """

    kind: ClassVar[str] = "category"
    name: str
    vocabulary: tuple[str, ...]
    other: bool = True

    @property
    def width(self) -> int:
        """Columns of the matrix."""
        return len(self.vocabulary) + self.other

    def describe(self) -> str:
        """Return a few words for people."""
        known = ", ".join(self.vocabulary[:8]) + (", ..." if len(self.vocabulary) > 8 else "")
        return f"one of {known}{' or another' if self.other else ''}"

    def encode(self, column: Column) -> Matrix:
        """Return ``[n, width]``."""
        count = len(self.vocabulary)
        codes = to_codes(column, self.vocabulary, count)
        return np.eye(count + 1, dtype=np.float32)[codes][:, : self.width]


FeatureColumn = NumberColumn | CategoryColumn
_KINDS: dict[str, type[NumberColumn] | type[CategoryColumn]] = {
    kind.kind: kind for kind in (NumberColumn, CategoryColumn)
}


def column_config(column: FeatureColumn) -> dict[str, Any]:
    """Return the column as plain data."""
    config = asdict(column)
    if isinstance(column, CategoryColumn):
        config["vocabulary"] = list(column.vocabulary)
    return {"kind": column.kind, **config}


def column_from_config(config: dict[str, Any]) -> FeatureColumn:
    """Return the column that `column_config` described; DataError if it describes none."""
    fields = dict(config)
    kind = _KINDS.get(str(fields.pop("kind", None)))
    if kind is None:
        raise DataError(f"unknown kind of column {config.get('kind')!r}")
    if "vocabulary" in fields:
        fields["vocabulary"] = tuple(fields["vocabulary"])
    try:
        return kind(**fields)
    except TypeError:
        raise DataError(f"a column description has unexpected fields: {sorted(config)}") from None


@dataclass(frozen=True)
class Features:
    """The columns to learn from, and for each column left out why."""

    columns: tuple[FeatureColumn, ...]
    left_out: dict[str, str]


def choose_features(table: Table, names: Iterable[str]) -> Features:
    """Return what the named columns are to a network, with means and vocabularies of the table.

    A column is left out when all its values are equal, when it numbers the rows, or when it is text
    of which nearly every row has another.

    Raises
    ------
    DataError
        No column is left.
    """
    chosen: list[FeatureColumn] = []
    left_out: dict[str, str] = {}
    for name in names:
        found = _choose(name, table[name])
        if isinstance(found, str):
            left_out[name] = found
        else:
            chosen.append(found)
    if not chosen:
        reasons = "; ".join(f"{name!r}: {reason}" for name, reason in left_out.items())
        raise DataError(f"no column to learn from ({reasons or 'the target is the only one'})")
    return Features(tuple(chosen), left_out)


def _choose(name: str, column: Column) -> FeatureColumn | str:
    """Return what one column is, or why it is left out."""
    plain = plain_numbers(column)
    if plain is not None:
        return _number_column(name, plain, ".")
    distinct, codes = factorize(column)
    counts = np.bincount(codes, minlength=len(distinct))
    decimal = decimal_mark(distinct)
    parsed = [parse_number(value, decimal) for value in distinct]
    values = np.array([np.nan if number is None else number for number in parsed])
    is_text = np.array([number is None for number in parsed], bool)
    if not _is_numeric(values, is_text, counts):
        known = [
            (v, n) for v, n in zip(distinct, counts.tolist(), strict=True) if not is_missing(v)
        ]
        return _category_column(name, known, len(column))
    return _number_column(name, values[codes], decimal)


def _is_numeric(values: Numbers, is_text: NDArray[np.bool_], counts: NDArray[np.int64]) -> bool:
    """Return whether the distinct values are numbers, but for a few slips in a column of many."""
    is_number = ~np.isnan(values)
    numbers, texts = counts[is_number].sum(), counts[is_text].sum()
    few = is_number.sum() + is_text.sum() <= _FEW
    return bool(texts == 0 or (not few and numbers >= _NUMBER_SHARE * (numbers + texts)))


def _number_column(name: str, values: Numbers, decimal: str) -> FeatureColumn | str:
    """Return the description of numbers, with NaN where they are missing."""
    known = values[~np.isnan(values)]
    if known.size == 0:
        return "it is empty"
    if _numbers_rows(name.strip(), known):
        return "it numbers the rows"
    indicator = known.size < values.size
    scale = float(known.std())
    if known.min() == known.max():
        if not indicator:
            return f"it is {known[0]:g} in every row"
        scale = 1.0
    return NumberColumn(name, float(known.mean()), scale, indicator, decimal)


def _numbers_rows(name: str, values: Numbers) -> bool:
    """Return whether the name is one of numberings, and the values different whole numbers.

    ``column_1`` is a first column without a name; there the numbers must follow each other.
    """
    if not (_NUMBERING.fullmatch(name) or _CAMEL_ID.fullmatch(name)):
        return False
    different = np.unique(values)
    if len(different) < len(values) or not np.array_equal(different, np.floor(different)):
        return False
    # Of the rows that are numbered, some are held out or lack a target.
    return name != "column_1" or different[-1] - different[0] < 2 * len(different)


def _category_column(
    name: str, present: Sequence[tuple[Any, int]], rows: int
) -> FeatureColumn | str:
    """Return the description of categories, the most frequent ones known by name."""
    counts: Counter[str] = Counter()
    for value, count in present:
        counts[to_text(value) or ""] += count
    known_rows = sum(counts.values())
    if len(counts) > _FEW and len(counts) > _ID_SHARE * known_rows:
        return f"it is text with {len(counts)} different values in {known_rows} rows"
    if len(counts) == 1 and known_rows == rows:
        return f"it is {next(iter(counts))!r} in every row"
    return _with_vocabulary(name, counts, rows)


def _with_vocabulary(name: str, counts: Counter[str], rows: int) -> CategoryColumn:
    """Return the column with the categories that occur often enough to learn something of."""
    frequent = [text for text, count in counts.most_common(LARGEST_VOCABULARY) if count > 1]
    vocabulary = tuple(sorted(frequent or counts))
    return CategoryColumn(name, vocabulary, sum(counts[text] for text in vocabulary) < rows)
