"""A folder of files with one subfolder a class, as `fit` takes it: images, and what all share."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from chainrule.data.batches import Order
from chainrule.data.decoding import Form as FileForm
from chainrule.data.decoding import gathered
from chainrule.data.folder_source import Content, Kept, Made, Streamed
from chainrule.data.images import Form, Size, pillow
from chainrule.data.looking import Seen, look
from chainrule.data.showing import warn
from chainrule.data.targets import split_rows
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, unknown_name

LABEL_MODES = ("int", "categorical", "binary", None)


@dataclass(frozen=True)
class Options:
    """How the samples of a folder are given: see `image_dataset_from_directory`."""

    label_mode: str | None = "int"
    batch_size: int | None = 32
    shuffle: bool = True
    seed: int | None = None
    on_error: str = "skip"
    memory_mb: float = 1024
    verbose: bool = True

    def __post_init__(self) -> None:
        if self.label_mode not in LABEL_MODES:
            raise unknown_name("label_mode", self.label_mode, map(str, LABEL_MODES))
        if self.on_error not in ("skip", "raise"):
            raise unknown_name("on_error", self.on_error, ("skip", "raise"))
        size = self.batch_size
        whole = isinstance(size, int | np.integer) and not isinstance(size, bool)
        if size is not None and (not whole or size < 1):
            raise ArgumentError(f"batch_size is {size!r}; expected an integer of at least 1")
        if not isinstance(self.memory_mb, int | float) or not self.memory_mb >= 0:
            raise ArgumentError(f"memory_mb is {self.memory_mb!r}; expected megabytes")


class SampleFolder:
    """Samples in files, of which each epoch visits all; given to `fit` as ``x``.

    A subclass says what its `form` is, which files become.
    """

    def __init__(
        self,
        files: Sequence[str | os.PathLike[str]],
        labels: Order | None,
        class_names: Sequence[str],
        form: Any,
        options: Options | None = None,
    ) -> None:
        self._files, self.labels = [Path(file) for file in files], labels
        self.class_names, self._form = list(class_names), form
        self.options = options or Options()
        self._seen: Seen | None = None
        self._times = 0  # that it was iterated over
        self._splits: dict[tuple[float, int], tuple[Self, Self]] = {}

    @property
    def form(self) -> FileForm:
        """What files become."""
        form: FileForm = self._form
        return form

    @property
    def file_paths(self) -> list[str]:
        """All files, broken ones among them."""
        return [str(path) for path in self._files]

    @property
    def batch_size(self) -> int | None:
        """The size of batches, unless `fit`, `evaluate` or `predict` say otherwise."""
        return self.options.batch_size

    @property
    def broken(self) -> dict[str, str]:
        """What is wrong with each file that cannot be decoded, by its path."""
        return {str(self._files[i]): why for i, why in self._looked().broken.items()}

    @property
    def good(self) -> Order:
        """Which of the files can be decoded, by their numbers: each is a row."""
        return self._looked().good

    @property
    def samples(self) -> int:
        """The number of samples that can be decoded."""
        return len(self._looked().good)

    def __len__(self) -> int:
        return -(-self.samples // (self.batch_size or 1))

    def __iter__(self) -> Iterator[Any]:
        content, epoch = self._content(), self._times
        self._times += 1
        order = content.order(0, epoch, shuffle=True)
        rows = np.arange(len(content)) if order is None else order
        size = self.batch_size or 1
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size]
            samples = self._decoded(content, part).astype(np.float32)
            labels = None if content.targets is None else content.targets[part]
            if self.batch_size is None:
                samples, labels = samples[0], None if labels is None else labels[0]
            yield samples if labels is None else (samples, labels)

    def take(self, count: int) -> Iterator[Any]:
        """The first batches of an epoch, to look at them.

        Parameters
        ----------
        count : int
            How many; fewer where there are no more.

        Raises
        ------
        ArgumentError
            For a count below 0.
        """
        if not isinstance(count, int | np.integer) or count < 0:
            raise ArgumentError(f"count is {count!r}; expected an integer of at least 0")
        return itertools.islice(self, int(count))

    def arrays(self) -> tuple[Array, Array | None]:
        """All samples that can be decoded and their targets, in the order of the files.

        Shapes
        ------
        returned : [n, *form.shape] of its dtype: images [n, h, w, c], uint8, sounds [n, t, c] or
            [n, t, d], float32; and [n], [n, 1] or [n, k] as `label_mode` says
        """
        content = self._content()
        return self._decoded(content, np.arange(len(content))), content.targets

    def split(self, fraction: float, seed: int | None = None) -> tuple[Self, Self]:
        """Return two folders: one to train on, and one that holds this share of each class.

        Which files are held out is a function of the seed (by default that of the folder, or 0) and
        of the number of files in each class alone.

        Parameters
        ----------
        fraction : float
            More than 0 and less than 1.
        seed : int, optional
            Another one chooses other files.

        Raises
        ------
        ArgumentError
            For another fraction, or one that leaves a part empty.
        """
        if isinstance(fraction, bool) or not 0 < fraction < 1:
            raise ArgumentError(f"validation_split is {fraction!r}; expected 0 < split < 1")
        seed, n = (self.options.seed if seed is None else seed) or 0, len(self._files)
        if (fraction, seed) in self._splits:  # another look at the files would find the same
            return self._splits[fraction, seed]
        parts = split_rows(self.labels, n, fraction, seed)
        if not all(len(part) for part in parts):
            raise ArgumentError(
                f"validation_split={fraction} of {n} {self.form.noun}s leaves {len(parts[0])} to "
                f"train on and {len(parts[1])} to validate with"
            )
        training, held = (self._part(np.sort(part)) for part in parts)
        held.options = replace(held.options, shuffle=False)
        self._splits[fraction, seed] = training, held
        return training, held

    def source(self, made: Made, batch_size: int | None = None) -> Kept | Streamed:
        """Return what `fit` runs over; `made` turns samples and targets into checked batches."""
        content = self._content()
        content.batch_size = batch_size or self.batch_size
        return content.source(made)

    def _part(self, rows: Order) -> Self:
        """Return the folder of some of the files; what was seen of them is not looked at again."""
        files = [self._files[i] for i in rows.tolist()]
        labels = None if self.labels is None else self.labels[rows]
        part = type(self)(files, labels, self.class_names, self.form, self.options)
        part._seen = None if self._seen is None else self._seen.part(rows)
        return part

    def _looked(self) -> Seen:
        """Return what is known of the files, which are looked at when it is first asked for."""
        if self._seen is None:
            options = self.options
            memory = int(options.memory_mb * (1 << 20))
            self._seen = look(self._files, self.form, options.on_error, memory, options.verbose)
            self._tell_empty(self._seen)
        return self._seen

    def _tell_empty(self, seen: Seen) -> None:
        """Warn of classes of which nothing is left."""
        if self.labels is None or not seen.broken:
            return
        lost = np.setdiff1d(self.labels, self.labels[seen.good]).tolist()
        for label in lost:
            name = self.class_names[label]
            warn(
                f"not one {self.form.noun} of the class {name!r} can be decoded: it will not be "
                "learnt"
            )

    def _content(self) -> Content:
        seen, options = self._looked(), self.options
        return Content(
            [self._files[i] for i in seen.good.tolist()],
            None if self.labels is None else self._targets(self.labels[seen.good]),
            self.form,
            seen.arrays,
            self._about(),
            options.batch_size,
            options.shuffle,
            options.seed,
        )

    def _about(self) -> dict[str, str]:
        """Return what a resumed run must share: files by name and size, what becomes of them."""
        digest = hashlib.sha256()
        for path in self._files:
            digest.update(os.fsencode(f"{path.parent.name}/{path.name} {_bytes(path)}\n"))
        return {
            "number of samples": str(self.samples),
            "files": f"{len(self._files)}, {digest.hexdigest()[:16]}",
            f"{self.form.noun}s": f"{self.form}, {self.options.label_mode}",
            "order": f"{self.options.shuffle}, {self.options.seed}",
        }

    def _targets(self, labels: Order) -> Array | None:
        if self.options.label_mode == "categorical":
            return np.eye(len(self.class_names), dtype=np.float32)[labels]
        if self.options.label_mode == "binary":
            return labels[:, None].astype(np.float32)
        return labels.astype(np.int32) if self.options.label_mode == "int" else None

    def _decoded(self, content: Content, rows: Order) -> Array:
        if content.samples is not None:
            return content.samples[rows]
        return gathered([content.paths[i] for i in rows.tolist()], self.form)


class ImageFolder(SampleFolder):
    """Images in files, of which each epoch visits all; given to `fit` as ``x``.

    Made by `chainrule.utils.image_dataset_from_directory`. The files are looked at when they are
    first needed: all are decoded once, in threads. Those that cannot be are named in one warning
    and left out (or refused). Where the images fit `memory_mb`, they are kept as they are
    then, of one byte a value; else each epoch decodes them anew beside the training. Order and
    results are the same either way, and for any number of threads.

    Iterating gives batches ``(images, labels)``, float32 from 0 to 255, in another order each time.

    Attributes
    ----------
    file_paths : list of str
        All files, broken ones among them.
    class_names : list of str
        The names of the classes, by number.
    labels : numpy.ndarray or None
        The class number of each file.
    image_size : (int, int)
        Height and width.
    batch_size : int or None
        Of the batches of `fit`, `evaluate` and `predict`, unless they say otherwise.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.utils import image_dataset_from_directory, save_img
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name in ("dark", "light"):
    ...     (folder / name).mkdir()
    ...     for i in range(4):
    ...         pixels = np.full((5, 5, 3), 200 * (name == "light") + i)
    ...         save_img(folder / name / f"{i}.png", pixels, scale=False)
    >>> images = image_dataset_from_directory(folder, image_size=(4, 4), verbose=False)
    >>> images.class_names, len(images.broken), images.arrays()[0].shape
    (['dark', 'light'], 0, (8, 4, 4, 3))
    """

    def __init__(
        self,
        files: Sequence[str | os.PathLike[str]],
        labels: Order | None,
        class_names: Sequence[str],
        form: Form,
        options: Options | None = None,
    ) -> None:
        pillow()  # its absence is told before anything else
        super().__init__(files, labels, class_names, form, options)

    @property
    def form(self) -> Form:
        """Size and colours of the images."""
        form: Form = self._form
        return form

    @property
    def image_size(self) -> Size:
        """Height and width."""
        return self.form.size or (0, 0)


def _bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1  # it is told by name when it is decoded
