"""From what users pass as data to the source that a run goes over."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data import files, idx, iterables, lazily
from chainrule.data.batches import Batches, cut_at, split, with_class_weight
from chainrule.data.blocks import Part, Rows, source_of
from chainrule.data.buckets import Buckets
from chainrule.data.files import Files
from chainrule.data.folders import SampleFolder
from chainrule.data.iterables import Iterated, Sequenced
from chainrule.data.lazily import LazyRows, Windowed
from chainrule.data.mapped import WINDOW_MB
from chainrule.data.source import Endless, First, Source
from chainrule.errors import ArgumentError, FileError
from chainrule.models.batchwise import Batchwise
from chainrule.models.prepared import whole
from chainrule.optimizers import LBFGS

Sources = tuple[Source, Source | None]
# From x, y and weights to batches: those to train on, and those held out, which are weighted by
# their own weights alone.
Made = Callable[[Any, Any, Any], Batches]
Makers = tuple[Made, Made]


@dataclass(frozen=True)
class Call:
    """What a call says about its data, beside the data themselves.

    `anew` says that steps are the first batches each time, as in validation; else an epoch goes on
    where the one before ended. `words` are the names of the arguments, for errors.
    """

    name: str
    batch_size: int | None = None
    steps: int | None = None
    class_weight: Mapping[int, float] | None = None
    anew: bool = True
    targets: bool = True
    words: tuple[str, str] = ("batch_size", "steps")

    @classmethod
    def of_fit(cls, size: Any, steps: Any, class_weight: Mapping[int, float] | None) -> Call:
        """Return what `fit` says about what it trains on."""
        words = ("batch_size", "steps_per_epoch")
        return cls("fit", *_optional(words, size, steps), class_weight, anew=False, words=words)

    @classmethod
    def of_validation(cls, size: Any, steps: Any) -> Call:
        """Return what `fit` says about what it validates with."""
        words = ("validation_batch_size", "validation_steps")
        return cls("fit as validation_data", *_optional(words, size, steps), words=words)

    @classmethod
    def of(cls, name: str, size: Any, steps: Any) -> Call:
        """Return what `evaluate` or `predict` says."""
        words = ("batch_size", "steps")
        return cls(name, *_optional(words, size, steps), targets=name != "predict")

    def size(self, otherwise: int) -> int:
        """Return the samples of a batch; counted steps are of 32 unless told otherwise."""
        if self.batch_size is not None:
            return self.batch_size
        return otherwise if self.steps is None else 32


def _optional(words: tuple[str, str], size: Any, steps: Any) -> tuple[int | None, int | None]:
    """Return two arguments, each a whole number of at least 1 where it is given."""
    return (
        None if size is None else whole(words[0], size),
        None if steps is None else whole(words[1], steps),
    )


class Feeding(Batchwise):
    """Makes sources of arrays, memory maps, files, iterables and sequences."""

    def _source(self, call: Call, x: Any, y: Any, weights: Any, size: int) -> Source:
        """Return the source of what was passed to a call, cut to its steps."""
        return self._sources(call, x, y, weights, size, 0.0)[0]

    def _sources(
        self, call: Call, x: Any, y: Any, weights: Any, size: int, fraction: float
    ) -> Sources:
        """Return the source of what was passed to `fit`, and that of the share held out."""
        x, y, weights, window = _opened(x, y, weights)
        makers = self._maker(call), self._maker(replace(call, class_weight=None))
        found: Sources
        if isinstance(x, SampleFolder):
            _refuse(x, y, weights)
            found = _of_folder(x, makers, call.batch_size, fraction)
        elif isinstance(x, Buckets):
            _refuse(x, y, weights)
            found = _of_buckets(x, makers, call, fraction)
        elif isinstance(x, Files):
            _refuse(x, y, weights)
            found = _of_reader(x, makers, x.window_bytes, fraction)
        elif iterables.is_sequence(x) or iterables.is_iterable(x):
            return self._drawn(call, x, y, weights, fraction), None
        elif lazily.is_lazy((x, y, weights), window, self._on_host()):
            found = _of_reader(LazyRows((x, y, weights)), makers, window, fraction)
        else:
            training, validation = split(makers[1](x, y, weights), fraction)
            training = with_class_weight(training, call.class_weight)
            held = None if validation is None else lazily.arrays_source(validation, window)
            found = lazily.arrays_source(training, window), held
        return _cut(call, found[0], size), found[1]

    def _maker(self, call: Call) -> Made:
        """Return what makes batches of arrays: with targets and weights where the call has them."""

        def made(x: Any, y: Any, weights: Any) -> Batches:
            if not call.targets:
                return self._collect(call.name, x)
            return self._collect_targets(call.name, x, y, weights, call.class_weight)

        return made

    def _drawn(self, call: Call, x: Any, y: Any, weights: Any, fraction: float) -> Source:
        """Return the source of an object that yields or gives batches."""
        kind = type(x).__name__
        _refuse(x, y, weights)
        if fraction:
            raise ArgumentError(
                f"validation_split is for data whose rows are known, not for a {kind}: "
                "pass validation_data"
            )
        if call.batch_size is not None:
            raise ArgumentError(
                f"{call.words[0]} is given, but the batches of a {kind} are of the size that it "
                "makes them; leave it out"
            )
        _check_samples(x)
        if call.name == "fit" and self._trainer and isinstance(self._trainer.optimizer, LBFGS):
            raise ArgumentError(f"L-BFGS needs all samples at once: pass arrays, not a {kind}")
        if iterables.is_sequence(x):
            return _cut(call, Sequenced(x, self._maker(call)), 1)
        return Iterated(x, self._maker(call), call.steps, call.anew)

    def _on_host(self) -> bool:
        """Return whether layers work on the arrays before the step does."""
        return bool(getattr(self, "_host", list)())

    def _held_out(self, data: Any, call: Call, size: int, y: Any) -> Source:
        """Return the source of the argument `validation_data`."""
        if isinstance(data, tuple | list) and not files.is_path(data):
            if len(data) not in (2, 3):
                raise ArgumentError(
                    "validation_data must be (x, y) or (x, y, sample_weight), "
                    f"or something that yields or holds such batches; not {len(data)} parts"
                )
            x, y, weights = (*data, None)[:3]
            return self._source(call, x, y, weights, size)
        if files.is_path(data):
            return self._source(call, data, y if isinstance(y, str | list) else None, None, size)
        if isinstance(data, Files | Windowed) or not iterables.is_array_like(data):
            return self._source(call, data, None, None, size)
        raise ArgumentError(
            f"validation_data must be (x, y) or (x, y, sample_weight), not {type(data).__name__}"
        )


def _opened(x: Any, y: Any, weights: Any) -> tuple[Any, Any, Any, int]:
    """Return the arguments with what paths stand for, and the bytes of a window."""
    window = int(WINDOW_MB * (1 << 20))
    if isinstance(x, Windowed):
        _refuse(x, y, weights)
        (x, y, weights), window = x.given, x.window_bytes
    if _is_one_array(x):
        return _array_in(x), _array_in(y), _array_in(weights), window
    if files.is_path(x):
        return files.open(x, target=y, sample_weight=weights), None, None, window
    return x, y, weights, window


def _is_one_array(x: Any) -> bool:
    """Return whether something is the path of a ``.npy`` or an IDX file."""
    if not files.is_path(x) or isinstance(x, list | tuple):
        return False
    return Path(x).suffix == ".npy" or idx.is_idx(x)


def _array_in(path: Any) -> Any:
    """Return the array in a file, mapped if it is a ``.npy``; what is no path as it is."""
    if not _is_one_array(path):
        return path
    if idx.is_idx(path):
        return idx.read_idx(path)
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise FileError(f"cannot read {str(path)!r}: {error}") from error


def _refuse(x: Any, y: Any, weights: Any) -> None:
    for name, given in (("y", y), ("sample_weight", weights)):
        if given is not None:
            raise ArgumentError(
                f"{name} must not be given beside a {type(x).__name__}, which holds it already"
            )


def _check_samples(x: Any) -> None:
    """Tell who passes PyTorch's dataset of samples that its loader is what makes batches."""
    kinds = {kind.__name__ for kind in type(x).__mro__ if kind.__module__.startswith("torch.")}
    if "Dataset" in kinds and "DataLoader" not in kinds:
        raise ArgumentError(
            "a torch Dataset gives samples, not batches\n"
            "  fix: pass torch.utils.data.DataLoader(dataset, batch_size=32, shuffle=True)"
        )


def _of_reader(reader: Files | LazyRows, makers: Makers, window: int, fraction: float) -> Sources:
    """Return the source of a reader's rows, and that of the last `fraction` of them."""

    def formed(made: Made) -> Callable[[Rows], Batches]:
        return lambda rows: made(*reader.formed(rows))

    made, made_held = map(formed, makers)
    total = int(reader.sizes.sum())
    cut = cut_at(total, fraction)
    if not cut:
        return source_of(reader, made, window), None
    training, held = Part(reader, 0, cut), Part(reader, cut, total)
    return source_of(training, made, window), source_of(held, made_held, window)


def _of_folder(folder: SampleFolder, makers: Makers, size: int | None, fraction: float) -> Sources:
    """Return the source of a folder, and that of the `fraction` of each class held out."""

    def formed(made: Made) -> Callable[[Any, Any], Batches]:
        return lambda samples, targets: made(samples, targets, None)

    made, made_held = map(formed, makers)
    if not fraction:
        return folder.source(made, size), None
    training, held = folder.split(fraction)
    return training.source(made, size), held.source(made_held, size)


def _of_buckets(data: Buckets, makers: Makers, call: Call, fraction: float) -> Sources:
    """Return the source of sequences by length, and that of the last `fraction` of them."""
    if call.steps is not None and not call.targets:
        raise ArgumentError("predict goes through all sequences of buckets: leave out steps")
    if not fraction:
        return data.source(makers[0], call.batch_size), None
    training, held = data.split(fraction)
    return training.source(makers[0], call.batch_size), held.source(makers[1], call.batch_size)


def _cut(call: Call, source: Any, size: int) -> Source:
    """Return the source with epochs of so many steps, where the call asks for it."""
    if call.steps is None:
        return source  # type: ignore[no-any-return]
    size = source.batch(size)
    return First(source, call.steps, size) if call.anew else Endless(source, call.steps, size)
