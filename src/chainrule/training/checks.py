"""Checks of values inside a step, and the errors that tell the user which sample failed one."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt

from chainrule import ops
from chainrule.data.batches import Batches, key
from chainrule.dtypes import Array, is_float
from chainrule.errors import ChainruleError, DataError
from chainrule.executors import Fault
from chainrule.graph import Value

X, Y, LABEL, WEIGHT = 1, 2, 3, 4
Rows = npt.NDArray[np.int64]


def numbered(code: int, number: int) -> int:
    """Return the code of a fault in input or output `number`."""
    return code + WEIGHT * number


def finite(value: Value, dtype: str, code: int) -> Value:
    """Return the value as `dtype`; where it came as floats, the step checks that it is finite."""
    given = value.dtype
    if is_float(given) and not is_float(dtype):
        return ops.cast(ops.require_finite(value, code), dtype)
    value = value if given == dtype else ops.cast(value, dtype)
    # After the cast: a float64 number too large for float32 is caught too.
    return ops.require_finite(value, code) if is_float(given) else value


def labels(value: Value, classes: int, code: int = LABEL) -> Value:
    """Return class numbers as int64; the step checks that each is a whole number of a class."""
    if not is_float(value.dtype):
        value = ops.cast(value, "int64")
    value = ops.require_range(value, 0, classes, code)
    return ops.cast(value, "int64") if value.dtype != "int64" else value


def explain(
    fault: Fault, batches: Batches, rows: Rows, classes: Mapping[int, int]
) -> ChainruleError:
    """Return the error for a fault among these rows of the batches; `classes` are each output's."""
    number, code = divmod(fault.code - 1, WEIGHT)
    code += 1
    name = key({X: "x", WEIGHT: "weights"}.get(code, "y"), number)
    if fault.code > 0 and code in (X, Y, WEIGHT):
        return _not_finite(name, batches, rows)
    if fault.code > 0 and batches.named(name) is not None:
        return _not_a_label(name, batches, rows, classes.get(number, 0))
    return _no_row(batches, rows)


def _no_row(batches: Batches, rows: Rows) -> DataError:
    """Return the error for a number that a layer looks up and that has no row."""
    lines = [
        f"an index that the model looks up is out of range, in one of the samples "
        f"{batches.first + rows.min()} to {batches.first + rows.max()} given to {batches.source}."
    ]
    for name, array in batches.arrays().items():
        values = np.asarray(array)[rows] if name.split(":")[0] == "x" else np.zeros(0)
        if values.size and np.isfinite(values).all() and (values == np.floor(values)).all():
            low, high = int(values.min()), int(values.max())
            lines.append(f"  {_label(name, batches):<3}: whole numbers from {low} to {high}")
            lines.append(f"  fix: an Embedding needs input_dim={max(high, 0) + 1} for these")
            if low < 0:
                lines[-1] = "  fix: an Embedding looks up numbers from 0"
    return DataError("\n".join(lines))


def _label(name: str, batches: Batches) -> str:
    return batches.labels.get(name, "sample_weight" if name == "weights" else name)


def _not_finite(key: str, batches: Batches, rows: Rows) -> DataError:
    name, array = _label(key, batches), batches.named(key)
    # The rows are looked through again here: a fault names the first row of its tile to fail.
    row, place = _first(array, rows, lambda a: ~np.isfinite(a.astype(np.float32)))
    if array is None or row is None:
        return DataError(f"{name} has a value that is not finite")
    value = array[row][place] if place else array[row]
    what = "nan" if np.isnan(value) else f"{value}"
    more = "" if np.isnan(value) or np.isinf(value) else ", which does not fit float32,"
    lines = [f"{name} is {what}{more} in {batches.place(row)}{_position(place)}."]
    lines.append(f"  {name:<3}: {batches.given(array)}   the data given to {batches.source}")
    lines.append("  fix: remove such rows, or fill in what is missing, before training")
    return DataError("\n".join(lines))


def _not_a_label(key: str, batches: Batches, rows: Rows, classes: int) -> DataError:
    name, y = _label(key, batches), batches.named(key)

    def wrong(a: Array) -> npt.NDArray[np.bool_]:
        right: npt.NDArray[np.bool_] = (a >= 0) & (a < classes) & (np.floor(a) == a)
        return ~right

    row, place = _first(y, rows, wrong)
    value = "out of range" if y is None or row is None else y[row][place] if place else y[row]
    where = batches.place(row or 0) + ("" if batches.where else f" of {name}")
    lines = [f"label {value} in {where} is not one of the classes."]
    lines.append(f"  expected: whole numbers from 0 to {classes - 1}")
    lines.append(f"  because : the model's last layer has {classes} outputs, one a class")
    needed = 0 if y is None else int(np.nanmax(y)) + 1
    if y is not None and np.nanmin(y) >= 0 and needed > classes:
        lines.append(f"  fix     : give the last layer {needed} units, or number the labels from 0")
    return DataError("\n".join(lines))


def _first(
    array: Array | None, rows: Rows, wrong: Callable[[Array], npt.NDArray[np.bool_]]
) -> tuple[int | None, tuple[int, ...]]:
    """Return the first of the rows that has a wrong element, and where in the row that is."""
    if array is None:
        return None, ()
    with np.errstate(over="ignore", invalid="ignore"):
        for row in rows.tolist():
            found = np.argwhere(wrong(np.asarray(array[row])))
            if len(found):
                return row, tuple(found[0].tolist())
    return None, ()


def _position(place: tuple[int, ...]) -> str:
    if not place:
        return ""
    if len(place) == 1:
        return f", column {place[0]}"
    return f", at {list(place)}"
