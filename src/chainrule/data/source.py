"""Where samples come from: sources, which give an epoch as windows of whole batches."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from chainrule.data.batches import Batches, Order, permutation
from chainrule.errors import ArgumentError


@dataclass(frozen=True)
class Window:
    """Samples that the engine runs over at a stretch, in batches of `size`.

    The batches are the rows of `order`, or the rows as they lie. Only the last window of an epoch
    may end with a batch that is smaller.
    """

    batches: Batches
    size: int
    order: Order | None = None

    def __len__(self) -> int:
        return len(self.batches) if self.order is None else len(self.order)

    @property
    def steps(self) -> int:
        """The number of batches, the last of which may be smaller."""
        return -(-len(self) // self.size)

    def part(self, begin: int, end: int) -> Window:
        """Return the batches from number `begin` to `end`."""
        a, z = min(begin * self.size, len(self)), min(end * self.size, len(self))
        if self.order is not None:
            return Window(self.batches, self.size, self.order[a:z])
        return self if (a, z) == (0, len(self)) else Window(self.batches.part(a, z), self.size)


class Source(Protocol):
    """What `fit`, `evaluate` and `predict` run over.

    `sample` holds some of the rows, from which the programs are planned. Windows are made by a
    thread `slots` at a time, the one in use among them; one slot means that they cost nothing. They
    are a function of seed, number of the epoch and, for sources that can only be read on, of the
    `passes` before.
    """

    sample: Batches
    samples: int | None
    slots: int
    passes: int

    @property
    def gathered(self) -> bool:
        """Whether batches are gathered from the rows of `sample` when they are shuffled."""
        ...

    def batch(self, size: int) -> int:
        """Return the size of a batch where `size` was asked for."""
        ...

    def steps(self, size: int) -> int | None:
        """Return the number of batches of an epoch, where it is known."""
        ...

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield the windows of an epoch from batch `skip` on."""
        ...

    def spread(self, most: int) -> Batches | None:
        """Return samples from all over the data: all at hand, or about `most` that are read for it;
        ``None`` where only the first are to be had."""
        ...

    def about(self) -> dict[str, str]:
        """Return what a resumed run must share, beside specs and content of the sample."""
        ...


Windows = Iterator[Window]


class Arrays:
    """Arrays in memory: one window, nothing to be read ahead."""

    slots = 1

    def __init__(self, batches: Batches) -> None:
        self.sample = batches
        self.samples: int | None = len(batches)
        self.passes = 0

    @property
    def gathered(self) -> bool:
        """Batches are gathered from the arrays where they lie."""
        return True

    def batch(self, size: int) -> int:
        """Return the size of a batch, which is no more than all samples."""
        return min(size, len(self.sample))

    def steps(self, size: int) -> int:
        """Return the number of batches."""
        return -(-len(self.sample) // size)

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield all samples from batch `skip` on."""
        order = permutation(seed, epoch, len(self.sample)) if shuffle else None
        window = Window(self.sample, size, order)
        if skip < window.steps:
            yield window.part(skip, window.steps)

    def spread(self, most: int) -> Batches | None:
        """Return all samples."""
        return self.sample

    def about(self) -> dict[str, str]:
        """Return the number of samples."""
        return {"number of samples": str(self.samples)}


class Endless:
    """Epochs of so many batches, cut from passes over the samples that follow each other.

    An epoch goes on where the one before ended; when all samples were visited, they are visited
    anew, in the order of another pass.
    """

    def __init__(self, source: Source, steps: int, size: int) -> None:
        self.source = source
        self.sample, self.slots, self.passes = source.sample, source.slots, 0
        self._steps = steps
        whole = source.steps(size)
        self._whole = 0 if whole is None else whole
        self.samples = None if source.samples is None else steps * size

    @property
    def gathered(self) -> bool:
        """As the source itself."""
        return self.source.gathered

    def batch(self, size: int) -> int:
        """Return the size of a batch."""
        return self.source.batch(size)

    def steps(self, size: int) -> int:
        """Return the number of batches that was asked for."""
        return self._steps

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield the batches of an epoch, from as many passes as it takes."""
        number, first = divmod(self.passes * self._steps + skip, self._whole)
        left = self._steps - skip
        for one in itertools.count(number):
            self.source.passes = one
            key = epoch - self.passes + one
            for window in self.source.windows(seed, key, size, first, shuffle):
                yield window.part(0, left)
                left -= min(window.steps, left)
                if not left:
                    return
            first = 0

    def spread(self, most: int) -> Batches | None:
        """Return samples of the source."""
        return self.source.spread(most)

    def about(self) -> dict[str, str]:
        """Return what the source says and the number of batches."""
        return {**self.source.about(), "batches an epoch": str(self._steps)}


class First:
    """The first batches of the samples, each time anew."""

    def __init__(self, source: Source, steps: int, size: int) -> None:
        whole = source.steps(size)
        if whole is not None and steps > whole:
            raise ArgumentError(f"{steps} steps are asked for, but the data has {whole} batches")
        self.source = source
        self.sample, self.slots, self.passes = source.sample, source.slots, 0
        self._steps = steps
        whole = source.samples
        self.samples = None if whole is None else min(steps * size, whole)

    @property
    def gathered(self) -> bool:
        """As the source itself."""
        return self.source.gathered

    def batch(self, size: int) -> int:
        """Return the size of a batch."""
        return self.source.batch(size)

    def steps(self, size: int) -> int:
        """Return the number of batches that was asked for."""
        return self._steps

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield the first batches."""
        self.source.passes = self.passes
        left = self._steps - skip
        for window in self.source.windows(seed, epoch, size, skip, shuffle):
            yield window.part(0, left)
            left -= min(window.steps, left)
            if not left:
                return

    def spread(self, most: int) -> Batches | None:
        """Return samples of the source."""
        return self.source.spread(most)

    def about(self) -> dict[str, str]:
        """Return what the source says and the number of batches."""
        return {**self.source.about(), "batches": str(self._steps)}
