"""How far transcripts are from what was said or written, in edits."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from typing import Any

import numpy as np

from chainrule import dtypes, ops
from chainrule.dtypes import Array
from chainrule.errors import DataError, ShapeError
from chainrule.graph import Value
from chainrule.losses.shapes import spread_weight
from chainrule.metrics.base import Metric
from chainrule.ops import edits
from chainrule.ops.transcripts import front


def edit_distance(y_true: Any, y_pred: Any) -> Any:
    """The least number of elements put in, taken out or replaced that makes one string the other.

    Shapes
    ------
    y_true, y_pred : two strings, returned an int; or n strings or sequences each, returned [n],
    int64

    Parameters
    ----------
    y_true, y_pred : str, or sequence of str or of sequences
        Of strings the characters are compared, of other sequences (words in a list, numbers in an
        array) the elements.

    Raises
    ------
    DataError
        Where there are not as many strings as others.

    Examples
    --------
    >>> from chainrule.metrics import edit_distance
    >>> edit_distance("kitten", "sitting")
    3
    >>> edit_distance([["one", "two"], []], [["two"], ["nine"]]).tolist()
    [1, 1]

    Source
    ------
    Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", Soviet
    Physics Doklady 10, 1966.
    """
    if isinstance(y_true, str) and isinstance(y_pred, str):
        return int(edit_distance([y_true], [y_pred])[0])
    return _distances(*_encoded(y_true, y_pred)).numpy()


Encoded = tuple[Value, Value, Value, Value]  # numbers and lengths of both


def _distances(true: Value, true_length: Value, pred: Value, pred_length: Value) -> Value:
    found: Value = edits.edit_distance(true, true_length, pred, pred_length)
    return found


def _encoded(y_true: Sequence[Any], y_pred: Sequence[Any]) -> Encoded:
    """Return sequences as rows of numbers with their lengths: equal elements, equal numbers."""
    if isinstance(y_true, str) or isinstance(y_pred, str) or len(y_true) != len(y_pred):
        sizes = ["one string" if isinstance(y, str) else str(len(y)) for y in (y_true, y_pred)]
        raise DataError(f"y_true has {sizes[0]} and y_pred {sizes[1]}; expected as many of both")
    known: dict[Hashable, int] = {}
    return *_rows(y_true, known), *_rows(y_pred, known)


def _rows(strings: Sequence[Any], known: dict[Hashable, int]) -> tuple[Value, Value]:
    numbers = [_numbers(s, known) for s in strings]
    lengths = np.array([len(s) for s in numbers], np.int64)
    rows = np.zeros((len(numbers), max(lengths, default=0)), np.int64)
    for row, numbered in zip(rows, numbers, strict=True):
        row[: len(numbered)] = numbered
    return ops.as_value(rows), ops.as_value(lengths)


def _numbers(string: Any, known: dict[Hashable, int]) -> Array:
    if isinstance(string, str):
        return np.frombuffer(string.encode("utf-32-le", "surrogatepass"), np.uint32)
    listed = string.tolist() if isinstance(string, np.ndarray) else list(string)
    # Below 0, so that no word is taken for a character.
    return np.array([-1 - known.setdefault(x, len(known)) for x in listed], np.int64)


def _is_text(y: Any) -> bool:
    if isinstance(y, str) or not isinstance(y, Iterable) or isinstance(y, Value):
        return isinstance(y, str)
    return any(isinstance(s, str) for s in y)


class _ErrorRate(Metric):
    """Edits by the length of what is right."""

    direction = "min"

    def __init__(self, mask_index: int, name: str | None, dtype: str | None) -> None:
        super().__init__(name, dtype)
        self.mask_index = int(mask_index)
        self.edits = self.add_variable((), name="edits")
        self.length = self.add_variable((), name="length")

    def _parts(self, text: str) -> Sequence[str]:
        """Return what of a text is compared."""
        raise NotImplementedError

    def update(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> list[Value]:
        """Return the new sums of edits and lengths."""
        if _is_text(y_true) or _is_text(y_pred):
            both = [[y] if isinstance(y, str) else list(y) for y in (y_true, y_pred)]
            if not all(isinstance(s, str) for s in (*both[0], *both[1])):
                raise DataError(f"{self.name}: expected texts on both sides, or labels on both")
            encoded = _encoded(*[[self._parts(s) for s in y] for y in both])
        else:
            encoded = *self._labels(y_true), *self._labels(y_pred)
            if encoded[0].shape[0] != encoded[2].shape[0]:
                raise ShapeError(
                    f"{self.name}: y_true has {encoded[0].shape[0]} strings, "
                    f"y_pred {encoded[2].shape[0]}"
                )
        sums = [ops.cast(_distances(*encoded), "float64"), ops.cast(encoded[1], "float64")]
        if sample_weight is not None:
            weight = ops.cast(sample_weight, "float64")
            sums = [ops.multiply(s, spread_weight(weight, s)) for s in sums]
        return [ops.add(v.leaf, ops.sum(s)) for v, s in zip(self._state, sums, strict=True)]

    def _labels(self, y: Any) -> tuple[Value, Value]:
        """Return labels without padding, and how many there are of each string."""
        y = ops.as_value(y)
        if y.ndim == 3 and dtypes.is_float(y.dtype):
            n, t, _ = y.shape
            frames = ops.full((n,), t, dtype="int64") if y.mask is None else y.mask
            y = ops.squeeze(ops.ctc_decode(y, frames, mask_index=self.mask_index)[0], 0)
        if y.ndim != 2:
            raise ShapeError(
                f"{self.name} takes strings of labels [n, l] or logits [n, t, m], "
                f"not the shape {list(y.shape)}"
            )
        y = ops.cast(y, "int64")
        given = ops.logical_and(ops.not_equal(y, self.mask_index), ops.greater_equal(y, 0))
        return front(y, given), ops.sum(ops.cast(given, "int64"), axis=1)

    def result(self) -> float:
        """Return the rate; 0 before anything was seen, infinity for edits where nothing is right
        but an empty string."""
        found, length = float(self.edits.value), float(self.length.value)
        return found / length if length else float("inf") if found else 0.0

    def get_config(self) -> dict[str, Any]:
        """Return the arguments as plain data."""
        return {**super().get_config(), "mask_index": self.mask_index}


class CharacterErrorRate(_ErrorRate):
    """``sum_n edits(y_true[n], y_pred[n]) / sum_n length(y_true[n])``, of characters or labels.

    Logits are decoded greedily, as `ops.ctc_decode` does; of predictions with a mask the frames
    that it leaves in count.

    Shapes
    ------
    y_true : [n, l] labels, or n texts; y_pred : [n, t, m] logits, [n, k] labels, or n texts;
    sample_weight : [n]

    Parameters
    ----------
    mask_index : int, default 0
        The class of the blank; it and numbers below 0 are padding in strings of labels.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError, DataError
        When updated, for shapes or numbers of texts that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import CharacterErrorRate
    >>> rate = CharacterErrorRate()
    >>> rate.update_state(["recognize speech"], ["wreck a nice beach"])
    >>> rate.result()
    0.5625
    >>> CharacterErrorRate()([[3, 1, 0], [2, 2, 2]], [[3, 1, -1], [2, 2, -1]])
    0.2
    """

    def __init__(
        self,
        mask_index: int = 0,
        name: str | None = "character_error_rate",
        dtype: str | None = None,
    ) -> None:
        super().__init__(mask_index, name, dtype)

    def _parts(self, text: str) -> Sequence[str]:
        return text


class WordErrorRate(_ErrorRate):
    """``sum_n edits(y_true[n], y_pred[n]) / sum_n length(y_true[n])``, of words.

    A text is split where it has white space; in strings of labels each label is a word.

    Shapes
    ------
    y_true : [n, l] labels, or n texts; y_pred : [n, t, m] logits, [n, k] labels, or n texts;
    sample_weight : [n]

    Parameters
    ----------
    mask_index : int, default 0
        The class of the blank; it and numbers below 0 are padding in strings of labels.
    name, dtype
        As in `Metric`.

    Raises
    ------
    ShapeError, DataError
        When updated, for shapes or numbers of texts that do not fit.

    Examples
    --------
    >>> from chainrule.metrics import WordErrorRate
    >>> WordErrorRate()(["how to recognize speech"], ["how to wreck a nice beach"])
    1.0
    """

    def __init__(
        self, mask_index: int = 0, name: str | None = "word_error_rate", dtype: str | None = None
    ) -> None:
        super().__init__(mask_index, name, dtype)

    def _parts(self, text: str) -> Sequence[str]:
        return text.split()
