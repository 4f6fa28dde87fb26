"""What `fit` runs over for a folder of files: kept in memory where they fit, else decoded anew."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from chainrule.data.batches import Batches, Order, permutation
from chainrule.data.decoding import Form, attempts
from chainrule.data.source import Arrays, Window, Windows
from chainrule.dtypes import Array
from chainrule.errors import FileError

# From samples and targets to checked arrays.
Made = Callable[[Array, Array | None], Batches]

_WINDOW_BYTES = 8 << 20  # of samples that are handed over at a time, or a batch if that is more
_SLOTS = 3
# Samples from which a program is planned: those that a backup knows arrays by, so that a run can go
# on whether its samples are kept or not.
_SAMPLE = 64


class Content:
    """The files that can be decoded, their targets, and what batches are made of them.

    `samples` holds all of them decoded, or is ``None``. `batch_size`, `shuffle` and `seed` are
    those of the folder, which have precedence over what `fit` would do.
    """

    def __init__(
        self,
        paths: Sequence[Path],
        targets: Array | None,
        form: Form,
        samples: Array | None,
        about: dict[str, str],
        batch_size: int | None,
        shuffle: bool,
        seed: int | None,
    ) -> None:
        self.paths, self.targets, self.form, self.samples = paths, targets, form, samples
        self.about, self.batch_size, self.shuffle, self.seed = about, batch_size, shuffle, seed

    def __len__(self) -> int:
        return len(self.paths)

    def size(self, size: int) -> int:
        """Return the samples of a batch where so many are asked for."""
        return min(self.batch_size or size, len(self))

    def order(self, seed: int, epoch: int, shuffle: bool) -> Order | None:
        """Return the order of an epoch, which is that of arrays; ``None`` for that of the files."""
        if not (shuffle and self.shuffle):
            return None
        return permutation(seed if self.seed is None else self.seed, epoch, len(self))

    def batches(self, samples: Array, rows: Order, made: Made) -> Batches:
        """Return the batches of decoded samples, whose errors name files."""
        targets = None if self.targets is None else self.targets[rows]
        where = _Where(self.paths, rows)
        return replace(made(samples, targets), rows=len(self), where=where)

    def source(self, made: Made) -> Kept | Streamed:
        """Return the source of these samples."""
        return Streamed(self, made) if self.samples is None else Kept(self, made)


class _Where:
    """Says which file a row is."""

    def __init__(self, paths: Sequence[Path], rows: Order) -> None:
        self._paths, self._rows = paths, rows

    def __call__(self, row: int) -> str:
        return repr(str(self._paths[int(self._rows[row])]))


class Kept(Arrays):
    """Samples that are all in memory, fed as arrays are."""

    def __init__(self, content: Content, made: Made) -> None:
        samples, rows = np.asarray(content.samples), np.arange(len(content))
        super().__init__(content.batches(samples, rows, made))
        self._content = content

    @property
    def gathered(self) -> bool:
        """Whether they are visited in another order each epoch."""
        return self._content.shuffle

    def batch(self, size: int) -> int:
        """Return the samples of a batch: those of the folder, if it says so."""
        return self._content.size(size)

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield all samples from batch `skip` on."""
        content = self._content
        window = Window(self.sample, size, content.order(seed, epoch, shuffle))
        if skip < window.steps:
            yield window.part(skip, window.steps)

    def about(self) -> dict[str, str]:
        """Return what the folder says, whether the samples are kept or not."""
        return dict(self._content.about)


class Streamed:
    """Samples that are decoded in each epoch, by threads beside the training.

    They come in the order of arrays, in batches that do not depend on the threads, so that a run
    ends with the bits of one that keeps them.
    """

    slots = _SLOTS
    gathered = False

    def __init__(self, content: Content, made: Made) -> None:
        self._content, self._made = content, made
        self.samples: int | None = len(content)
        self.passes = 0
        some = np.arange(0, len(content), max(len(content) // _SAMPLE, 1))[:_SAMPLE]
        with contextlib.closing(self._decoded(some)) as decoded:
            self.sample = content.batches(np.stack(list(decoded)), some, made)

    def batch(self, size: int) -> int:
        """Return the samples of a batch: those of the folder, if it says so."""
        return self._content.size(size)

    def steps(self, size: int) -> int:
        """Return the number of batches."""
        return -(-len(self._content) // size)

    def spread(self, most: int) -> Batches | None:
        """Return the sample, which is of files from all over the folder."""
        return self.sample

    def about(self) -> dict[str, str]:
        """Return what the folder says."""
        return dict(self._content.about)

    def windows(self, seed: int, epoch: int, size: int, skip: int, shuffle: bool) -> Windows:
        """Yield the windows of an epoch from batch `skip` on."""
        content, at = self._content, skip * size
        order = content.order(seed, epoch, shuffle)
        rows = np.arange(len(content)) if order is None else order
        shape, dtype = content.form.shape, np.dtype(content.form.dtype)
        bytes_each = max(int(np.prod(shape)) * dtype.itemsize, 1)
        window = max(_WINDOW_BYTES // bytes_each // size, 1) * size
        with contextlib.closing(self._decoded(rows[at:])) as decoded:
            for begin in range(at, len(rows), window):
                part = rows[begin : begin + window]
                samples = np.empty((len(part), *shape), dtype)
                for i in range(len(part)):
                    samples[i] = next(decoded)
                yield Window(content.batches(samples, part, self._made), size)

    def _decoded(self, rows: Order) -> Generator[Array, None, None]:
        """Yield the samples of these rows."""
        paths = [self._content.paths[i] for i in rows.tolist()]
        with contextlib.closing(attempts(paths, self._content.form.read)) as made:
            for one in made:
                if isinstance(one, FileError):
                    raise one
                yield one
