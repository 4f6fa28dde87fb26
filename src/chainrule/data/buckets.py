"""Sequences of different lengths in batches of similar ones, so that little of them is padding."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from chainrule.data.arrays import as_numbers
from chainrule.data.batches import Batches, Order, cut_at, permutation
from chainrule.data.order import rows_from
from chainrule.data.ragged import Ragged, best_boundaries, is_sequence
from chainrule.data.source import Window, Windows
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError

# From x, y and sample weights to checked arrays.
Made = Callable[[Any, Any, Any], Batches]

_SAMPLE = 64  # sequences that programs are planned from and a backup knows the data by
_SLOTS = 3
_WINDOW_BYTES = 8 << 20  # of padded sequences that are handed over at a time
_BATCHES = 1  # the stream of random numbers that the order of the batches is of


def bucket_by_length(
    sequences: Sequence[Any],
    targets: Any = None,
    batch_size: int | None = None,
    boundaries: Sequence[int] | int | None = None,
    sample_weight: Any = None,
    shuffle: bool = True,
    seed: int | None = None,
    maxlen: int | None = None,
    padding: str = "post",
    truncating: str = "post",
    value: float = 0,
) -> Buckets:
    """Return sequences for `fit`, `evaluate` and `predict`, which run over batches of similar ones.

    Each batch is padded to the boundary behind the lengths in it. There are as many batches as
    without: what is left of a bucket after its whole batches goes to the next longer one, so that
    only the last batch of an epoch may be smaller.

    Parameters
    ----------
    sequences : n of [t_n, *s]
        Indices, as `TextVectorization(ragged=True)` gives, or steps of numbers.
    targets : array_like, optional
        A row for each sequence; or sequences as long as those, which are padded alike (with 0).
        For `predict` they need not be given.
    batch_size : int, optional
        By default that of the call.
    boundaries : sequence of int, or int, optional
        The longest length in each bucket; what is longer makes one more. A number means so many
        buckets. By default as many as it takes for 5 % of padding, at most 6: each takes a program
        of its own to run.
    sample_weight : array_like, optional
        A number for each sequence.
    shuffle : bool, default True
        Whether training mixes the sequences within buckets, and the batches, anew in each epoch.
    seed : int, optional
        By default `set_random_seed` decides.
    maxlen : int, optional
        What is longer is cut to it.
    padding, truncating : {"pre", "post"}, default "post"
        At which end sequences are filled up, and cut.
    value : float, default 0
        What they are filled up with.

    Returns
    -------
    Buckets
        Predictions come in the order of the sequences. Those of single steps are filled up with
        zeros, or what the model answers to padding.

    Raises
    ------
    ArgumentError
        For an argument outside its range.
    DataError
        For what are no sequences of numbers, or not as many targets.

    Examples
    --------
    >>> from chainrule.utils import bucket_by_length
    >>> data = bucket_by_length([[1], [2, 3], [4, 5, 6, 7], [8]], [0, 1, 0, 1], batch_size=2,
    ...                         boundaries=[1, 4], shuffle=False)
    >>> for x, y in data:
    ...     print(x.tolist(), y.tolist())
    [[1], [8]] [0, 1]
    [[2, 3, 0, 0], [4, 5, 6, 7]] [1, 0]
    """
    for name, number in (("batch_size", batch_size), ("maxlen", maxlen)):
        if number is not None and (not isinstance(number, int | np.integer) or number < 1):
            raise ArgumentError(f"{name} is {number!r}; expected a whole number of at least 1")
    for name, side in (("padding", padding), ("truncating", truncating)):
        if side not in ("pre", "post"):
            raise ArgumentError(f"{name} is 'pre' or 'post', not {side!r}")
    x = Ragged.of(sequences, "sequences").cut(maxlen, truncating == "pre")
    y, weights = _targets(x, targets, maxlen, truncating), _row_each(sample_weight, len(x))
    bounds = best_boundaries(x.lengths, boundaries)
    form = _Form(padding == "pre", value, shuffle, seed, batch_size)
    return Buckets(x, y, weights, bounds, form)


@dataclass(frozen=True)
class _Form:
    """How sequences are padded, and how batches are made of them."""

    front: bool
    value: float
    shuffle: bool
    seed: int | None
    batch_size: int | None


@dataclass(frozen=True)
class _Batch:
    """The numbers of the sequences in one batch, and the length that they are padded to."""

    rows: Order
    width: int


def _targets(x: Ragged, given: Any, maxlen: int | None, truncating: str) -> Ragged | Array | None:
    """Return targets for each sequence, or for each of its steps."""
    if given is None:
        return None
    nested = isinstance(given, list | tuple) and any(is_sequence(part) for part in given)
    if nested or (isinstance(given, np.ndarray) and given.dtype == object):
        steps = Ragged.of(given, "targets").cut(maxlen, truncating == "pre")
        if len(steps) == len(x) and np.array_equal(steps.lengths, x.lengths):
            return steps
        if len(np.unique(steps.lengths)) > 1:
            raise DataError(
                "targets are sequences of other lengths than those they belong to\n"
                "  fix: make them one array with utils.pad_sequences"
            )
    y = as_numbers(given, "targets")
    if len(y) != len(x):
        raise DataError(f"there are {len(x)} sequences, but {len(y)} targets")
    return y


def _row_each(given: Any, count: int) -> Array | None:
    if given is None:
        return None
    weights = as_numbers(given, "sample_weight")
    if weights.shape != (count,):
        raise DataError(
            f"sample_weight has shape {list(weights.shape)}; expected a number for each of "
            f"the {count} sequences"
        )
    return weights


class Buckets:
    """Sequences and targets with the boundaries of their buckets: see `bucket_by_length`.

    Going through it gives the batches in the order of their lengths, as ``(x, y)``, ``(x, y,
    sample_weight)`` or ``x`` alone.
    """

    def __init__(
        self,
        x: Ragged,
        y: Ragged | Array | None,
        weights: Array | None,
        boundaries: Sequence[int],
        form: _Form,
    ) -> None:
        self.x, self.y, self.weights = x, y, weights
        self.boundaries, self._form = list(boundaries), form

    def __len__(self) -> int:
        return len(self.x)

    @property
    def batch_size(self) -> int | None:
        """The sequences of a batch, where they were given."""
        return self._form.batch_size

    @property
    def padding_share(self) -> float:
        """The share of steps that are padding, for batches without what moves between buckets."""
        widths = np.asarray(self.boundaries)[self._bucket]
        return 1.0 - float(self.x.lengths.sum()) / max(float(widths.sum()), 1.0)

    @cached_property
    def _bucket(self) -> Order:
        """The number of the bucket of each sequence."""
        found = np.searchsorted(self.boundaries, self.x.lengths)
        return found.astype(np.int64)

    def batches(self, size: int, key: tuple[int, int] | None = None) -> list[_Batch]:
        """Return the batches of an epoch: shuffled by a key of seed and epoch, or by length."""
        order = np.arange(len(self)) if key is None else permutation(*key, len(self))
        left = order[:0]
        found: list[_Batch] = []
        for number, width in enumerate(self.boundaries):
            mine = np.concatenate([left, order[self._bucket[order] == number]])
            whole = len(mine) // size * size
            found += [_Batch(mine[i : i + size], width) for i in range(0, whole, size)]
            left = mine[whole:]
        if key is not None:
            found = [found[i] for i in permutation(*key, len(found), _BATCHES)]
        return [*found, _Batch(left, self.boundaries[-1])] if len(left) else found

    def padded(self, batch: _Batch) -> tuple[Array, Array | None, Array | None]:
        """Return sequences, targets and weights of a batch."""
        x = self.x.padded(batch.rows, batch.width, self._form.value, self._form.front)
        y = self.y
        if isinstance(y, Ragged):
            y = y.padded(batch.rows, batch.width, 0, self._form.front)
        elif y is not None:
            y = y[batch.rows]
        return x, y, None if self.weights is None else self.weights[batch.rows]

    def __iter__(self) -> Iterator[Any]:
        for batch in self.batches(self._form.batch_size or 32):
            parts = self.padded(batch)
            given = parts[: 1 + max(i for i, part in enumerate(parts) if part is not None)]
            yield given[0] if len(given) == 1 else given

    def split(self, fraction: float) -> tuple[Buckets, Buckets]:
        """Return the first sequences, and the last `fraction` of them."""
        cut = cut_at(len(self), fraction)
        return self._part(np.arange(cut)), self._part(np.arange(cut, len(self)))

    def _part(self, rows: Order) -> Buckets:
        y = self.y
        if isinstance(y, Ragged):
            y = y.take(rows)
        elif y is not None:
            y = y[rows]
        weights = None if self.weights is None else self.weights[rows]
        return Buckets(self.x.take(rows), y, weights, self.boundaries, self._form)

    def source(self, made: Made, size: int | None) -> BucketSource:
        """Return what `fit` runs over."""
        if size is not None and self.batch_size not in (None, size):
            raise ArgumentError(
                f"batch_size is {size} here, but {self.batch_size} in bucket_by_length: give one"
            )
        return BucketSource(self, made)

    def key(self, seed: int, epoch: int, shuffle: bool) -> tuple[int, int] | None:
        """Return what an epoch is shuffled by, or None where it is not."""
        if not (shuffle and self._form.shuffle):
            return None
        return (seed if self._form.seed is None else self._form.seed, epoch)

    def about(self) -> dict[str, str]:
        """Return what a resumed run must share."""
        bounds = ", ".join(map(str, self.boundaries))
        content = zlib.crc32(np.ascontiguousarray(self.x.flat).data.cast("B"))
        return {"number of samples": str(len(self)), "boundaries": bounds, "steps": f"{content:x}"}


class BucketSource:
    """What `fit`, `evaluate` and `predict` run over: batches of one width at a time."""

    slots = _SLOTS
    gathered = False

    def __init__(self, buckets: Buckets, made: Made) -> None:
        self._buckets, self._made = buckets, made
        self.samples: int | None = len(buckets)
        self.passes = 0
        rows = np.flatnonzero(buckets._bucket == buckets._bucket.max())[:_SAMPLE]
        self.sample = self._batches(_Batch(rows, buckets.boundaries[-1]))

    def batch(self, size: int) -> int:
        """Return the sequences of a batch."""
        return min(self._buckets.batch_size or size, len(self._buckets))

    def steps(self, size: int) -> int:
        """Return the number of batches."""
        return -(-len(self._buckets) // size)

    def about(self) -> dict[str, str]:
        """Return what a resumed run must share."""
        return self._buckets.about()

    def spread(self, most: int) -> Batches | None:
        """Return sequences of all lengths, padded to one."""
        buckets = self._buckets
        rows = rows_from(len(buckets), most)
        return self._batches(_Batch(rows, buckets.boundaries[buckets._bucket[rows].max()]))

    def order(self, size: int) -> Order:
        """Return the number of the sequence that each row of an unshuffled pass is."""
        return np.concatenate([batch.rows for batch in self._buckets.batches(size)])

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield the windows of an epoch from batch `skip` on."""
        batches = self._buckets.batches(size, self._buckets.key(seed, epoch, shuffle))
        for some in _joined(batches[skip:], self._most):
            yield Window(self._batches(some), size)

    def _most(self, width: int) -> int:
        """Return how many sequences of a width are padded at a time."""
        step = max(self._buckets.x.step_bytes, 1)
        return max(_WINDOW_BYTES // (step * width), 1)

    def _batches(self, batch: _Batch) -> Batches:
        made = self._made(*self._buckets.padded(batch))
        return replace(made, rows=len(self._buckets), where=_Where(batch.rows))


class _Where:
    """Says which sequence a row is."""

    def __init__(self, rows: Order) -> None:
        self._rows = rows

    def __call__(self, row: int) -> str:
        return f"sequence {int(self._rows[row])}"


def _joined(batches: list[_Batch], most: Callable[[int], int]) -> Iterator[_Batch]:
    """Yield batches with those joined that follow each other and are of one width."""
    held: list[_Batch] = []
    for batch in batches:
        rows = sum(len(b.rows) for b in held) + len(batch.rows)
        if held and (held[0].width != batch.width or rows > most(batch.width)):
            yield _Batch(np.concatenate([b.rows for b in held]), held[0].width)
            held = []
        held.append(batch)
    if held:
        yield _Batch(np.concatenate([b.rows for b in held]), held[0].width)
