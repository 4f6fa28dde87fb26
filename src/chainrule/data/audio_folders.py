"""A folder of sounds with one subfolder a class, as `fit` takes it."""

from __future__ import annotations

import os
import statistics
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from chainrule.data import audio
from chainrule.data.audio import checked_rate, soundfile
from chainrule.data.audio_features import library
from chainrule.data.audio_forms import SoundFeatures, SoundForm, as_features
from chainrule.data.batches import Order
from chainrule.data.decoding import attempts
from chainrule.data.directories import check_subset, chosen, labelled
from chainrule.data.folder_source import Kept, Made, Streamed
from chainrule.data.folders import Options, SampleFolder
from chainrule.data.listing import SOUNDS
from chainrule.data.showing import warn
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, FileError

_MUCH_LONGER = 10  # times the median, from which one recording makes all others mostly zeros


@dataclass(frozen=True)
class Asked:
    """What sounds shall become, as far as it was said: the files themselves decide the rest."""

    sample_rate: int | None = None
    length: int | None = None
    features: SoundFeatures | None = None

    def decided(self, paths: Sequence[Path]) -> SoundForm:
        """Return the form of these files: their own rate, and the longest length, unless said."""
        rate, length = self.sample_rate, self.length
        if rate is None or length is None:
            found = lengths(paths)
            rate = _one_rate(found) if rate is None else rate
            length = _longest(found, rate) if length is None else length
        return SoundForm(rate, length, self.features)


def lengths(paths: Sequence[Path]) -> list[tuple[int, int]]:
    """Return samples and rate of each file by its header; broken ones are passed over."""

    def header(path: Path) -> Array:
        return np.array(audio.header(path), np.int64)

    heads = [head for head in attempts(paths, header) if not isinstance(head, FileError)]
    return [(int(samples), int(rate)) for samples, rate in heads]


def _one_rate(found: list[tuple[int, int]]) -> int:
    rates = Counter(rate for _, rate in found)
    if len(rates) > 1:
        told = ", ".join(f"{rate} ({count} files)" for rate, count in rates.most_common(5))
        raise DataError(
            f"the sounds have different rates, in samples a second: {told}\n"
            f"  fix: pass sampling_rate={rates.most_common(1)[0][0]}, to which the others are "
            "resampled"
        )
    return next(iter(rates), 16000)  # without a single good file, which is told elsewhere


def _longest(found: list[tuple[int, int]], rate: int) -> int:
    """Return the length of the longest sound at this rate."""
    sizes = [max(round(samples * rate / own), 1) for samples, own in found] or [1]
    longest, median = max(sizes), statistics.median(sizes)
    if longest > _MUCH_LONGER * median:
        warn(
            f"the longest sound lasts {longest / rate:.3g} s, half of them {median / rate:.3g} s "
            "or less: all are filled up to the longest unless output_sequence_length cuts it"
        )
    return longest


class AudioFolder(SampleFolder):
    """Sounds in files, of which each epoch visits all; given to `fit` as ``x``.

    Made by `chainrule.utils.audio_dataset_from_directory`. The files are looked at when they are
    first needed: all are decoded once, in threads. Those that cannot be are named in one warning
    and left out (or refused). Where the sounds fit `memory_mb` as float32, or as features, they
    are kept; else each epoch decodes them anew beside the training. Order and results are the same
    either way, and for any number of threads.

    Iterating gives batches ``(sounds, labels)`` in another order each time.

    Attributes
    ----------
    file_paths : list of str
        All files, broken ones among them.
    class_names : list of str
        The names of the classes, by number.
    labels : numpy.ndarray or None
        The class number of each file.
    form : SoundForm
        The rate, length and features of all.
    batch_size : int or None
        Of the batches of `fit`, `evaluate` and `predict`, unless they say otherwise.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.utils import audio_dataset_from_directory, save_audio
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name, step in {"low": 0.1, "high": 0.9}.items():
    ...     (folder / name).mkdir()
    ...     for i in range(4):
    ...         tone = np.sin(step * np.arange(700 + 100 * i))
    ...         save_audio(folder / name / f"{i}.wav", tone, 8000)
    >>> sounds = audio_dataset_from_directory(folder, features="log_mel", verbose=False)
    >>> sounds.class_names, sounds.form.sample_rate, sounds.arrays()[0].shape
    (['high', 'low'], 8000, (8, 13, 40))
    """

    def __init__(
        self,
        files: Sequence[str | os.PathLike[str]],
        labels: Order | None,
        class_names: Sequence[str],
        form: SoundForm | Asked,
        options: Options | None = None,
        ragged: bool = False,
    ) -> None:
        soundfile()  # its absence is told before anything else
        if form.features is not None:
            library()
        super().__init__(files, labels, class_names, form, options)
        self.ragged = ragged

    @property
    def form(self) -> SoundForm:
        """The rate, length and features of all; for what was not said the files are looked at."""
        if isinstance(self._form, Asked):
            self._form = self._form.decided(self._files)
        form: SoundForm = self._form
        return form

    def sequences(self) -> tuple[list[Array], Array | None]:
        """All sounds that can be decoded, each of its own length, and their targets.

        Shapes
        ------
        returned : list of [t, 1] or [t, d], float32; [n], [n, 1] or [n, k] as `label_mode` says

        Examples
        --------
        >>> from chainrule.utils import audio_dataset_from_directory, bucket_by_length
        >>> data = bucket_by_length(*audio_dataset_from_directory("words/").sequences())
        ... # doctest: +SKIP
        """
        content = self._content()
        return self._sequences(content.paths), content.targets

    def source(self, made: Made, batch_size: int | None = None) -> Kept | Streamed:
        """Return what `fit` runs over; `made` turns sounds and targets into checked batches."""
        if self.ragged:
            raise ArgumentError(
                "sounds of different lengths (ragged=True) come in batches that are lists; pass "
                "utils.bucket_by_length(*sounds.sequences()), or leave out ragged=True"
            )
        return super().source(made, batch_size)

    def __iter__(self) -> Iterator[Any]:
        if not self.ragged:
            yield from super().__iter__()
            return
        content, size = self._content(), self.batch_size or 1
        order = content.order(0, self._times, shuffle=True)
        self._times += 1
        rows = np.arange(len(content)) if order is None else order
        for begin in range(0, len(rows), size):
            part = rows[begin : begin + size]
            sounds: Any = self._sequences([content.paths[i] for i in part.tolist()])
            labels = None if content.targets is None else content.targets[part]
            if self.batch_size is None:
                sounds, labels = sounds[0], None if labels is None else labels[0]
            yield sounds if labels is None else (sounds, labels)

    def _part(self, rows: Order) -> AudioFolder:
        part = super()._part(rows)
        part.ragged = self.ragged
        return part

    def _sequences(self, paths: Sequence[Path]) -> list[Array]:
        found = []
        for one in attempts(paths, self.form.sequence):
            if isinstance(one, FileError):
                raise one
            found.append(one)
        return found


def audio_dataset_from_directory(
    directory: str | os.PathLike[str],
    labels: str | Sequence[int] | None = "inferred",
    label_mode: str | None = "int",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = 32,
    sampling_rate: int | None = None,
    output_sequence_length: int | None = None,
    ragged: bool = False,
    shuffle: bool = True,
    seed: int | None = None,
    validation_split: float | None = None,
    subset: str | None = None,
    follow_links: bool = False,
    verbose: bool = True,
    *,
    features: Any = None,
    on_error: str = "skip",
    memory_mb: float = 1024,
) -> AudioFolder | tuple[AudioFolder, AudioFolder]:
    """The sounds of a folder that has one subfolder a class, to be given to `fit` as ``x``.

    Shapes
    ------
    a batch : [n, t, 1], values -1 to 1, or with `features` [n, t, d]; labels [n], [n, 1] or [n, k]
        by `label_mode`

    Parameters
    ----------
    directory : path-like
        ``directory/yes/1.wav``, ``directory/no/a/2.flac``, ...: WAV, FLAC, OGG (Vorbis, Opus), MP3.
        Hidden files and those of other kinds are passed over.
    labels : "inferred", sequence of int, or None
        The class is that of the subfolder; or a number for each file, in the order of their paths;
        or there are none (to predict).
    label_mode : {"int", "categorical", "binary", None}, default "int"
        Class numbers; vectors of 0 and 1; one column of 0 and 1, for two classes; or no labels.
    class_names : sequence of str, optional
        The subfolders to take, in the order of the class numbers; by default all, by name.
    batch_size : int, optional
        By default 32.
    sampling_rate : int, optional
        Samples a second that all are resampled to; by default that of the files, if they have one.
    output_sequence_length : int, optional
        Samples of each: longer sounds are cut, shorter ones followed by zeros. By default those of
        the longest file.
    ragged : bool, default False
        Whether sounds keep their own lengths: iterating then gives lists of arrays. For `fit` see
        `AudioFolder.sequences`.
    shuffle : bool, default True
        Whether each epoch visits them in another order, all of them and exactly shuffled.
    seed : int, optional
        The order is a function of it and the epoch, by default of the model's seed; and it chooses
        what is held out.
    validation_split : float, optional
        The share of each class that is held out.
    subset : {"training", "validation", "both"}, optional
        Which part to return where there is a `validation_split`; ``"both"`` returns two.
    follow_links : bool, default False
        Whether to look into folders that are links.
    verbose : bool, default True
        Whether to print what was found, and progress in a terminal.
    features : {"log_mel", "mfcc"}, dict or SoundFeatures, optional
        What sounds become instead of samples; a dict has arguments of `SoundFeatures`. What
        follows a sound are frames of zeros, which a layer `Masking` leaves out.
    on_error : {"skip", "raise"}, default "skip"
        Broken files are named in a warning and left out, or refused.
    memory_mb : float, default 1024
        Sounds that fit are decoded once and kept; else each epoch decodes them, in threads beside
        the training. Nothing else depends on it.

    Returns
    -------
    AudioFolder, or a tuple of two for ``subset="both"``

    Raises
    ------
    FileError
        Where there is no such folder.
    DataError
        Where it holds no classes or no sounds, or sounds of different rates and no `sampling_rate`.
    ArgumentError
        For arguments out of range.
    MissingDependencyError
        Without soundfile, soxr (to resample) or kaldi-native-fbank (for features).

    Notes
    -----
    Keras reads WAV alone and keeps channels, which are averaged here; it fills up to the longest
    of each batch, and takes files of different rates as they are.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from chainrule.utils import audio_dataset_from_directory, save_audio
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> for name, step in {"low": 0.1, "high": 0.9}.items():
    ...     (folder / name).mkdir()
    ...     for i in range(4):
    ...         tone = np.sin(step * np.arange(700 + 100 * i))
    ...         save_audio(folder / name / f"{i}.wav", tone, 8000)
    >>> training, validation = audio_dataset_from_directory(
    ...     folder, validation_split=0.25, subset="both")
    Found 8 files belonging to 2 classes.
    Using 6 files for training and 2 for validation.
    >>> sounds, labels = next(iter(validation))
    >>> sounds.shape, labels.tolist()
    ((2, 1000, 1), [0, 1])
    """
    options = Options(label_mode, batch_size, shuffle, seed, on_error, memory_mb, verbose)
    check_subset(validation_split, subset)
    asked = Asked(
        None if sampling_rate is None else checked_rate(sampling_rate, "sampling_rate"),
        _checked_length(output_sequence_length),
        as_features(features),
    )
    found, numbers, names = labelled(
        directory, labels, label_mode, class_names, follow_links, SOUNDS
    )
    if verbose:
        print(found.told())
    folder = AudioFolder(found.files, numbers, names, asked, options, bool(ragged))
    return folder if subset is None else chosen(folder, validation_split or 0.0, subset)


def _checked_length(length: Any) -> int | None:
    if length is None:
        return None
    if isinstance(length, bool) or not isinstance(length, int | np.integer) or length < 1:
        raise ArgumentError(f"output_sequence_length is {length!r}; expected samples, at least 1")
    return int(length)
