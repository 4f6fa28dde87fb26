"""Batches of images that are changed as they are drawn: by number, or one after the other."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from chainrule import seeding
from chainrule.data.batches import permutation
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, MissingMethodError, ShapeError, unknown_name

if TYPE_CHECKING:
    from chainrule.preprocessing.image import ImageDataGenerator

SUBSETS = ("training", "validation")


class Saving:
    """Where batches are saved as pictures, for a look at them."""

    def __init__(self, folder: Any, prefix: str, file_format: str) -> None:
        self.folder, self.prefix, self.file_format = folder, prefix, file_format

    def save(self, images: Array, samples: Array, epoch: int, data_format: str) -> None:
        """Write images, scaled to their full range, under the numbers of sample and epoch."""
        from chainrule.data.image_files import save_img

        for image, sample in zip(images, samples.tolist(), strict=True):
            name = f"{self.prefix}_{sample}_{epoch}.{self.file_format}"
            save_img(os.path.join(self.folder, name), image, data_format)


class Iterator:
    """Batches of samples, by number within an epoch or by ``next`` without end.

    `fit`, `evaluate` and `predict` take it. What is drawn for a sample is a function of seed,
    epoch and sample, whatever the number of threads; the batches are made beside the training.

    Attributes
    ----------
    n, samples : int
        The number of images.
    batch_size : int
    shuffle : bool
        Whether each epoch has an order of its own.
    seed : int
    batch_index : int
        The batch that ``next`` gives, in its epoch.
    """

    classes: Any = None

    def __init__(self, n: int, batch_size: int, shuffle: bool, seed: int | None) -> None:
        whole = isinstance(batch_size, int | np.integer) and not isinstance(batch_size, bool)
        if not whole or batch_size < 1:
            raise ArgumentError(f"batch_size is {batch_size!r}; expected an integer of at least 1")
        self.n = self.samples = n
        if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int | np.integer)):
            raise ArgumentError(f"seed is {seed!r}; expected a whole number or None")
        self.batch_size, self.shuffle = int(batch_size), bool(shuffle)
        self.seed = seeding.next_seed() if seed is None else int(seed)
        self.batch_index = self.epoch = 0
        self._order: tuple[int, Array] | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return -(-self.n // self.batch_size)

    def __getitem__(self, number: int) -> Any:
        if not -len(self) <= number < len(self):
            raise IndexError(f"there is no batch {number}: an epoch has {len(self)}")
        begin = number % len(self) * self.batch_size
        return self.batch(self.order(self.epoch)[begin : begin + self.batch_size], self.epoch)

    def __iter__(self) -> Iterator:
        return self

    def __next__(self) -> Any:
        if not self.n:
            raise StopIteration
        with self._lock:
            number, epoch = self.batch_index, self.epoch
            self.batch_index = (number + 1) % len(self)
            self.epoch += self.batch_index == 0
        begin = number * self.batch_size
        return self.batch(self.order(epoch)[begin : begin + self.batch_size], epoch)

    def order(self, epoch: int) -> Array:
        """Return the samples in the order of an epoch."""
        if not self.shuffle:
            return np.arange(self.n)
        known = self._order
        if known is None or known[0] != epoch:
            known = self._order = epoch, permutation(self.seed & (1 << 64) - 1, epoch, self.n)
        return known[1]

    def on_epoch_end(self) -> None:
        """Go on to the next epoch: `fit` calls it."""
        self.epoch, self.batch_index = self.epoch + 1, 0

    def reset(self) -> None:
        """Begin the epoch again."""
        self.batch_index = 0

    def batch(self, samples: Array, epoch: int) -> Any:
        """Return the batch of these samples in an epoch."""
        raise MissingMethodError(f"{type(self).__name__} has no batch")


def cut(n: int, fraction: float, subset: str | None) -> slice:
    """Return which of n samples a subset is: those for validation come first.

    Raises
    ------
    ArgumentError
        For an unknown subset, or one without a share.
    """
    if subset is None:
        return slice(0, n)
    if subset not in SUBSETS:
        raise unknown_name("subset", subset, SUBSETS)
    if not fraction:
        raise ArgumentError(f"subset={subset!r} needs ImageDataGenerator(validation_split=...)")
    held = int(n * fraction)
    return slice(0, held) if subset == "validation" else slice(held, n)


class NumpyArrayIterator(Iterator):
    """Batches of images in an array, with targets and sample weights: see `Iterator`.

    Made by `ImageDataGenerator.flow`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.preprocessing.image import ImageDataGenerator
    >>> flow = ImageDataGenerator().flow(np.ones((5, 4, 4, 1)), np.arange(5), batch_size=2)
    >>> len(flow), next(flow)[0].shape
    (3, (2, 4, 4, 1))
    """

    def __init__(
        self,
        x: Any,
        y: Any,
        image_data_generator: ImageDataGenerator,
        batch_size: int = 32,
        shuffle: bool = False,
        sample_weight: Any = None,
        seed: int | None = None,
        saving: Saving | None = None,
        subset: str | None = None,
        ignore_class_split: bool = False,
    ) -> None:
        more: list[Array] = []
        if isinstance(x, list | tuple) and len(x) == 2 and np.ndim(x[0]) == 4:
            more = [np.asarray(a) for a in (x[1] if isinstance(x[1], list) else [x[1]])]
            x = x[0]
        self.x, self.image_data_generator, self._saving = (
            np.asarray(x),
            image_data_generator,
            saving,
        )
        if self.x.ndim != 4:
            raise ShapeError(f"x has shape {list(self.x.shape)}; expected images of 4 axes")
        y = None if y is None else np.asarray(y)
        weight = None if sample_weight is None else np.asarray(sample_weight)
        parts = [("y", y), ("sample_weight", weight), *(("x", a) for a in more)]
        for name, part in parts:
            if part is not None and len(part) != len(self.x):
                raise DataError(f"x has {len(self.x)} images, but {name} {len(part)} rows")
        kept = cut(len(self.x), image_data_generator.validation_split, subset)
        if subset is not None and y is not None and not ignore_class_split:
            _same_classes(y, int(len(y) * image_data_generator.validation_split))
        self.x, self.x_misc = self.x[kept], [a[kept] for a in more]
        self.y = None if y is None else y[kept]
        self.sample_weight = None if weight is None else weight[kept]
        super().__init__(len(self.x), batch_size, shuffle, seed)

    def batch(self, samples: Array, epoch: int) -> Any:
        """Return the images of these samples, changed, with targets and sample weights if any."""
        generator = self.image_data_generator
        images = generator.changed(self.x[samples], self.seed, epoch, samples)
        if self._saving is not None:
            self._saving.save(images, samples, epoch, generator.data_format)
        found: Any = [images, *(a[samples] for a in self.x_misc)] if self.x_misc else images
        if self.y is None:
            return found
        if self.sample_weight is None:
            return found, self.y[samples]
        return found, self.y[samples], self.sample_weight[samples]


def _same_classes(y: Array, held: int) -> None:
    if y.ndim == 1 and not np.array_equal(np.unique(y[:held]), np.unique(y[held:])):
        raise DataError(
            "the samples for validation, which are the first ones, have other classes than the "
            "rest.\n  fix: shuffle x and y, or pass ignore_class_split=True"
        )


def targets(mode: str | None, classes: Sequence[Any], count: int, dtype: str) -> Array | None:
    """Return the targets of all samples, of class numbers: one-hot vectors, numbers, or none."""
    if mode == "categorical":
        hot = np.zeros((len(classes), count), dtype)
        for row, numbers in zip(hot, classes, strict=True):
            row[numbers] = 1
        return hot
    return np.asarray(classes, dtype) if mode in ("binary", "sparse") else None
