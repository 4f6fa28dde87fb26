"""Batches that the user's own code makes: generators, data loaders, sequences."""

from __future__ import annotations

import contextlib
import itertools
import operator
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from chainrule.data.batches import Batches, permutation
from chainrule.data.source import Window, Windows
from chainrule.errors import DataError

# From x, y and sample weights of a batch to checked arrays.
Collect = Callable[[Any, Any, Any], Batches]

_AHEAD = 4  # batches drawn ahead, that in use among them
_NOTHING = object()
# What makes an object an array or a table rather than an iterable of batches.
_ARRAYS = ("__array__", "__array_interface__", "__dlpack__", "__dataframe__", "to_numpy",
           "__arrow_c_stream__", "__arrow_c_array__")  # fmt: skip


def is_array_like(x: Any) -> bool:
    """Return whether `x` is one array, table, or nest of numbers, not something to draw from."""
    if isinstance(x, list | tuple | Mapping | str | bytes | int | float | complex):
        return True
    return any(hasattr(x, name) for name in _ARRAYS) or _is_plain(x)


def _is_plain(x: Any) -> bool:
    """Return whether it is a container of the standard library that can be gone through anew."""
    return type(x).__module__ in ("builtins", "collections", "array") and hasattr(x, "__len__")


def is_sequence(x: Any) -> bool:
    """Return whether `x` gives batches by number, as Keras's ``PyDataset`` and ``Sequence``."""
    return not is_array_like(x) and hasattr(type(x), "__getitem__") and _count(x) is not None


def _count(x: Any) -> int | None:
    """Return the number of batches that something gives by number; ``None`` where it has no end."""
    if hasattr(type(x), "num_batches"):
        with contextlib.suppress(NotImplementedError, TypeError):  # or it is no number
            return operator.index(x.num_batches)
    return len(x) if hasattr(type(x), "__len__") else None


def _tell(x: Any, hook: str) -> None:
    """Call the method of this name of a dataset, if it has one."""
    call = getattr(x, hook, None)
    if call is not None and hasattr(type(x), "__getitem__"):
        call()


def is_iterable(x: Any) -> bool:
    """Return whether `x` yields batches: a generator, an iterable, a function that returns one."""
    if x is None or isinstance(x, type) or is_array_like(x):
        return False
    return hasattr(x, "__iter__") or hasattr(x, "__next__") or callable(x)


def is_once(x: Any) -> bool:
    """Return whether `x` can be gone through but once."""
    return hasattr(x, "__next__") and not is_sequence(x)


def unpacked(batch: Any) -> tuple[Any, Any, Any]:
    """Return x, y and sample weights of a batch, ``None`` for what it lacks.

    Raises
    ------
    DataError
        For tuples of another length.
    """
    parts = tuple(batch) if isinstance(batch, list | tuple) else (batch,)
    if not 1 <= len(parts) <= 3:
        raise DataError(
            f"a batch is x, (x, y) or (x, y, sample_weight), but one is of {len(parts)} parts"
        )
    x, y, weights = (*parts, None, None)[:3]
    return x, y, weights


def _own(batches: Batches) -> Batches:
    """Return the batch in memory of its own: the user's code may write the next over it."""
    arrays = {name: np.array(array) for name, array in batches.arrays().items()}
    x, y, weights = arrays.pop("x"), arrays.pop("y", None), arrays.pop("weights", None)
    return replace(batches, x=x, y=y, weights=weights, more=arrays)


def _is_loader(x: Any) -> bool:
    """Return whether its batches are new tensors each time: those of PyTorch's data loader."""
    return any(kind.__module__.startswith("torch.utils.data") for kind in type(x).__mro__)


class _Drawn:
    """What sources of batches share: names of their rows, batches of any size."""

    slots = _AHEAD
    gathered = False
    samples: int | None = None

    def __init__(self, collect: Collect, copies: bool) -> None:
        self._collect, self._copies = collect, copies
        self.passes = 0

    def spread(self, most: int) -> Batches | None:
        """Return nothing: batches are drawn when their turn comes, and by then only."""
        return None

    def _window(self, batch: Any, number: int) -> Window:
        x, y, weights = unpacked(batch)
        batches = self._collect(x, y, weights)
        batches = replace(
            _own(batches) if self._copies else batches,
            where=lambda row: f"row {row} of batch {number}",
        )
        return Window(batches, len(batches))


class Sequenced(_Drawn):
    """An object that gives batches by number, in another order each epoch if shuffled.

    It is told of the beginning of an epoch before the first of its batches is asked for, be it only
    to look at, and of the end after the last.
    """

    def __init__(self, given: Any, collect: Collect) -> None:
        super().__init__(collect, copies=True)
        self._given = given
        self._begun = self._ended = 0  # how often the object was told so
        if not _count(given):
            raise DataError(f"the {type(given).__name__} has no batches")
        self._begin()
        self.sample = self._window(given[0], 0).batches

    def batch(self, size: int) -> int:
        """Return the size of the first batch."""
        return len(self.sample)

    def steps(self, size: int) -> int:
        """Return the number of batches."""
        return _count(self._given) or 0

    def about(self) -> dict[str, str]:
        """Return the kind of object and the number of batches."""
        return {"kind of data": type(self._given).__name__, "batches": str(_count(self._given))}

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield the batches of an epoch from number `skip` on; then tell the object of its end."""
        while self._ended < self.passes:
            self._begin()
            self._end()
        self._begin()
        count = self.steps(size)
        order = permutation(seed, epoch, count) if shuffle else np.arange(count)
        for number in order[skip:].tolist():
            yield self._window(self._given[number], number)
        self._end()

    def _begin(self) -> None:
        if self._begun == self._ended:
            self._begun += 1
            _tell(self._given, "on_epoch_begin")

    def _end(self) -> None:
        self._ended += 1
        _tell(self._given, "on_epoch_end")


class Iterated(_Drawn):
    """An iterator, an iterable that begins anew each epoch, or a function that returns one.

    With `steps`, epochs are cut from what is drawn one after the other, however often it begins
    anew; unless `anew`, where each epoch is the first batches. What a resumed run has used before
    is drawn and dropped, so that whatever state the user's code has is as it was; where the
    iterable has ``set_epoch``, only those of the epoch under way.
    """

    def __init__(self, given: Any, collect: Collect, steps: int | None, anew: bool = False) -> None:
        super().__init__(collect, copies=not _is_loader(given))
        self._given, self._cut = given, steps
        self._once = is_once(given)
        self._flows = steps is not None and (self._once or not anew)
        self._count: int | None = None
        self._pass = 0  # that is drawn next
        _tell(given, "on_epoch_begin")
        self._stream = self._begin(0)
        first = next(self._stream, _NOTHING)
        if first is _NOTHING:
            raise DataError(f"the {self._kind} yields no batches")
        self.sample = self._window(first, 0).batches
        # The first epoch takes what was begun here: iterables may count how often they are.
        self._stream = itertools.chain([first], self._stream)
        self._begun = True

    @property
    def _kind(self) -> str:
        return str(getattr(self._given, "__name__", type(self._given).__name__))

    def batch(self, size: int) -> int:
        """Return the size of the first batch."""
        return len(self.sample)

    def steps(self, size: int) -> int | None:
        """Return the number of batches of an epoch, where it is known."""
        if self._cut is None and self._count is None and hasattr(self._given, "__len__"):
            with contextlib.suppress(TypeError):  # loaders of streams have a length that fails
                self._count = len(self._given)
        return self._count if self._cut is None else self._cut

    def about(self) -> dict[str, str]:
        """Return the kind of object and the number of batches that an epoch is cut to."""
        return {"kind of data": type(self._given).__name__, "batches an epoch": str(self._cut)}

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield the batches of an epoch from number `skip` on."""
        if hasattr(self._given, "set_epoch") and not self._flows and self.passes > self._pass:
            self._pass, self._begun = self.passes, False
        while self._pass < self.passes:
            deque(self._drawn(), maxlen=0)
        number = -1
        for number, batch in enumerate(self._drawn()):
            if number >= skip:
                yield self._window(batch, number)
        if self._cut is None:
            self._count = number + 1

    def _drawn(self) -> Iterator[Any]:
        """Yield what one epoch draws."""
        if self._pass:
            _tell(self._given, "on_epoch_begin")
        if not self._flows and not self._begun:
            self._stream = self._begin(self._pass)
        self._begun = False
        for number in itertools.count():
            if number == self._cut:
                break
            batch = self._one(number)
            if batch is _NOTHING:
                break
            yield batch
        self._pass += 1
        _tell(self._given, "on_epoch_end")

    def _one(self, number: int) -> Any:
        """Return the next batch; nothing where an epoch without a number of batches is over."""
        batch = self._next(number)
        if batch is _NOTHING and self._flows and not self._once:
            self._stream = self._begin(self._pass)
            batch = self._next(number)
        if batch is _NOTHING and (self._cut is not None or (self._once and not number)):
            raise DataError(self._ran_out(number))
        return batch

    def _next(self, number: int) -> Any:
        try:
            return next(self._stream, _NOTHING)
        except Exception as error:
            error.add_note(f"raised by the {self._kind} for batch {number} of pass {self._pass}")
            raise

    def _begin(self, number: int) -> Iterator[Any]:
        """Return the batches from the first on."""
        if hasattr(self._given, "set_epoch"):
            self._given.set_epoch(number)
        given = self._given
        if not hasattr(given, "__iter__") and not self._once:
            given = given()
        try:
            return iter(given)
        except TypeError:
            raise DataError(
                f"{self._kind} returned {type(given).__name__}, which yields no batches"
            ) from None

    def _ran_out(self, number: int) -> str:
        asked = "more" if self._cut is None else f"{self._cut} for each epoch"
        lines = [
            f"the {self._kind} ran out of batches: {asked} were asked for, but in epoch "
            f"{self._pass + 1} (of this call) only {number} came"
        ]
        if self._once:
            lines.append("  fix: let it yield without end, ask for fewer, or pass a function that")
            lines.append("       returns a new generator, which is called for each epoch")
        return "\n".join(lines)
