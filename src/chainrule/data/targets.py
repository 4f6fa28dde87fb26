"""What is to be learnt from a table: one of several classes, or a number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chainrule.data.tables import (
    Column,
    decimal_mark,
    factorize,
    is_missing,
    parse_number,
    to_codes,
    to_numbers,
    to_text,
)
from chainrule.errors import ArgumentError, DataError

TASKS = ("auto", "classification", "regression")
MOST_CLASSES = 100
_FEW = 20
# Rows that each of a few whole numbers must have to be a class: fewer if they count from 0 or 1.
_ROWS_PER_CODE, _ROWS_PER_VALUE = 5, 20


@dataclass(frozen=True)
class Target:
    """The column to predict, and what its values become for the network."""

    name: str
    task: str
    labels: tuple[str, ...] = ()
    mean: float = 0.0
    scale: float = 1.0
    decimal: str = "."
    why: str = field(default="", compare=False)

    def encode(self, column: Column) -> NDArray[Any]:
        """Return class numbers (-1: a label not seen in training), or the numbers themselves."""
        if self.task == "classification":
            return to_codes(column, self.labels, -1)
        return to_numbers(column, self.decimal)

    def fitted(self, values: NDArray[Any]) -> Target:
        """Return the target with mean and scale of these values; classes stay as they are."""
        if self.task == "classification":
            return self
        return replace(self, mean=float(values.mean()), scale=float(values.std()) or 1.0)

    def get_config(self) -> dict[str, Any]:
        """Return the target as plain data."""
        config = asdict(self)
        del config["why"]
        return {**config, "labels": list(self.labels)}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Target:
        """Return the target that `get_config` described."""
        try:
            return cls(**{**config, "labels": tuple(config["labels"])})
        except (TypeError, KeyError):
            raise DataError("the description of the target in the model file is damaged") from None


def choose_target(name: str, column: Column, task: str = "auto") -> Target:
    """Return the target for a column without missing values.

    Text and booleans are classes, and so are whole numbers of which there are few: at most 20
    different ones and 20 rows for each, or 5 where they count from 0 or 1. Other numbers are
    predicted as numbers.

    Raises
    ------
    DataError
        All values are equal, too many classes, or text where numbers were asked for.
    """
    if task not in TASKS:
        raise ArgumentError(f"the task is {task!r}; expected one of {', '.join(TASKS)}")
    distinct, codes = factorize(column)
    counts = np.bincount(codes, minlength=len(distinct)).tolist()
    if len({to_text(value) for value in distinct}) < 2:
        value = to_text(distinct[0]) if distinct else None
        raise DataError(f"the target {name!r} is {value!r} in every row: nothing to learn")
    if task == "auto":
        task, why = _guess(distinct, len(column))
    else:
        why = ""
    if task == "classification":
        return _classes(name, distinct, counts, why)
    return _numbers(name, column, distinct, why)


def _guess(distinct: Sequence[Any], rows: int) -> tuple[str, str]:
    """Return the task that the values suggest, and why."""
    decimal = decimal_mark(distinct)
    numbers = [parse_number(value, decimal) for value in distinct]
    if all(isinstance(value, bool) for value in distinct):
        return "classification", "its values are true and false"
    if None in numbers:
        return "classification", "its values are text"
    values = sorted({number for number in numbers if number is not None})
    if any(not value.is_integer() for value in values):
        return "regression", "its values are numbers with fractions"
    if _are_classes(values, rows):
        return "classification", f"it has only {len(values)} different whole numbers"
    return "regression", f"its values are {len(values)} different numbers in {rows} rows"


def _are_classes(values: Sequence[float], rows: int) -> bool:
    """Return whether sorted whole numbers are few enough to be names of classes."""
    if len(values) == 2:
        return True
    counting = values[0] in (0, 1) and values[-1] - values[0] == len(values) - 1
    needed = _ROWS_PER_CODE if counting else _ROWS_PER_VALUE
    return len(values) <= _FEW and rows >= needed * len(values)


def _classes(name: str, distinct: Sequence[Any], counts: Sequence[int], why: str) -> Target:
    """Return a target of classes, in the order of their numbers or their names."""
    rows: Counter[str] = Counter()
    for value, count in zip(distinct, counts, strict=True):
        rows[to_text(value) or ""] += count
    total = sum(rows.values())
    if (why and len(rows) > MOST_CLASSES) or len(rows) > max(_FEW, total // 2):
        raise DataError(
            f"the target {name!r} has {len(rows)} classes in {total} rows, too many to learn: "
            f"choose another --target or merge rare classes (--task classification allows "
            f"more than {MOST_CLASSES})"
        )
    return Target(name, "classification", tuple(sorted(rows, key=_class_order)), why=why)


def _class_order(text: str) -> tuple[bool, float, str]:
    """Return the key that puts numbers in their order, and before names."""
    number = parse_number(text)
    return (number is None or number != number, number or 0.0, text)


def _numbers(name: str, column: Column, distinct: Sequence[Any], why: str) -> Target:
    """Return a target of numbers."""
    decimal = decimal_mark(distinct)
    for value in distinct:
        if parse_number(value, decimal) is None:
            raise DataError(
                f"the target {name!r} holds the text {to_text(value)!r}, which is no number: "
                "use --task classification, or another --target"
            )
    target = Target(name, "regression", decimal=decimal, why=why)
    return target.fitted(to_numbers(column, decimal))


def has_target(column: Column) -> NDArray[np.bool_]:
    """Return which rows have a value in the target column."""
    if column.dtype.kind in "biuf":
        return np.isfinite(column)
    distinct, codes = factorize(column)
    present = [not is_missing(value) and not _is_infinite(value) for value in distinct]
    return np.asarray(present, bool)[codes] if len(codes) else np.zeros(0, bool)


def _is_infinite(value: Any) -> bool:
    """Return whether a value is a number without bounds, which `parse_number` takes for none."""
    number = parse_number(value)
    return number is not None and number != number


def split_rows(
    labels: NDArray[Any] | None, rows: int, share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the rows to train on and those held out, in random order that the seed decides.

    With class numbers as `labels` every class gives its share; a class of one row stays in the
    training part.
    """
    random = np.random.default_rng(seed)
    order = random.permutation(rows)
    if share == 0:
        return order, order[:0]
    if labels is None:
        count = min(max(round(share * rows), 1), rows - 1)
        return order[count:], order[:count]
    held_out = np.zeros(rows, bool)
    for label in np.unique(labels):
        members = order[labels[order] == label]
        held_out[members[: min(round(share * members.size), members.size - 1)]] = True
    return order[~held_out[order]], order[held_out[order]]
