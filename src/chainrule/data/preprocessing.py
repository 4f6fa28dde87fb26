"""The layer that turns the rows of a table, as they lie in a file, into numbers for a network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from chainrule.data.columns import (
    CategoryColumn,
    FeatureColumn,
    Matrix,
    NumberColumn,
    column_config,
    column_from_config,
)
from chainrule.data.tables import Table, as_table, row_count
from chainrule.errors import DataError, closest
from chainrule.layers import Layer


class TablePreprocessing(Layer):
    """``y[n, m]``: numbers normalized, categories one-hot, what is missing marked as such.

    It stands first in a model and runs on the host, before the step, so that a saved model takes
    tables as they are. Columns it does not know are ignored.

    Shapes
    ------
    table : [n] rows
    returned : [n, m], float32; m is the sum of the columns' widths

    Parameters
    ----------
    columns : sequence of NumberColumn, CategoryColumn or their configurations
        What each column is; `chainrule.data.columns.choose_features` finds out.
    name : str, optional
        The layer's name.

    Raises
    ------
    DataError
        When called with a table that lacks a column.

    Examples
    --------
    >>> from chainrule.data.columns import choose_features
    >>> from chainrule.data.preprocessing import TablePreprocessing
    >>> from chainrule.data.tables import as_table
    >>> table = as_table({"age": [20, 40, 20, 40], "city": ["Bern", "Bern", "Oslo", "Oslo"]})
    >>> layer = TablePreprocessing(choose_features(table, table).columns)
    >>> layer({"age": [40], "city": ["Oslo"]}).tolist()
    [[1.0, 0.0, 1.0]]
    """

    on_host = True
    takes_tables = True

    def __init__(
        self, columns: Iterable[FeatureColumn | Mapping[str, Any]], name: str | None = None
    ) -> None:
        super().__init__(name=name, trainable=False)
        self.columns: tuple[FeatureColumn, ...] = tuple(
            column
            if isinstance(column, NumberColumn | CategoryColumn)
            else column_from_config(dict(column))
            for column in columns
        )

    @property
    def width(self) -> int:
        """Columns of the matrix that comes out."""
        return sum(column.width for column in self.columns)

    def __call__(  # type: ignore[override]
        self, inputs: Any, training: bool | None = None
    ) -> Matrix:
        """Return the matrix for a table of any kind that `as_table` takes."""
        return self.call(inputs)

    def call(self, inputs: Any, training: bool = False) -> Matrix:
        """Return ``[n, m]``."""
        table = as_table(inputs)
        self.check(table)
        matrix = np.empty((row_count(table), self.width), np.float32)
        first = 0
        for column in self.columns:
            matrix[:, first : first + column.width] = column.encode(table[column.name])
            first += column.width
        return matrix

    def check(self, table: Table) -> None:
        """Raise DataError when a column is not in the table."""
        lacking = [column.name for column in self.columns if column.name not in table]
        if lacking:
            more = f" and {len(lacking) - 1} more that the model needs" if lacking[1:] else ""
            raise DataError(
                f"the table lacks the column {lacking[0]!r}{more}"
                f"{closest(lacking[0], table)} (its columns: {', '.join(table)})"
            )

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """Return ``(None, m)``."""
        return (input_shape[0] if input_shape else None, self.width)

    def get_config(self) -> dict[str, Any]:
        """Return the columns with their means and vocabularies."""
        return {"name": self.name, "columns": [column_config(column) for column in self.columns]}


def as_records(table: Table) -> np.ndarray[Any, Any]:
    """Return the table as one structured array, a row an element: what a model's ``x`` can be."""
    kinds = [(name, column.dtype) for name, column in table.items()]
    records = np.empty(row_count(table), kinds)
    for name, column in table.items():
        records[name] = column
    return records
