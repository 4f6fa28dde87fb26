"""What sound files become: samples or features, of one rate and one length."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from chainrule.data import audio, audio_features, audio_frames
from chainrule.data.audio import File, fitted, resample
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, unknown_name

KINDS = ("log_mel", "mfcc")
NORMALIZATIONS = ("mean_variance", "mean", None)


@dataclass(frozen=True)
class SoundFeatures:
    """What each frame of a sound becomes: log-mel energies or MFCCs, pitch, slopes, normalized.

    Parameters
    ----------
    kind : {"log_mel", "mfcc"}, default "log_mel"
        See `chainrule.preprocessing.audio.log_mel` and `mfcc`.
    num_mel_bins : int, default 40
        Of both kinds.
    num_coefficients : int, default 13
        Of MFCCs.
    frame_length, frame_step : float, default 0.025 and 0.01
        Seconds.
    min_freq, max_freq : float, default 20 and half of the rate
        Hertz.
    pitch : bool, default False
        Whether the four numbers of `chainrule.preprocessing.audio.pitch` follow: for tones.
    deltas : int >= 0, default 0
        How many times the slopes follow: see `chainrule.preprocessing.audio.deltas`.
    normalize : {"mean_variance", "mean", None}, default "mean_variance"
        What is taken off over the recording: see `chainrule.preprocessing.audio.cmvn`.
    mean, deviation : sequence of float, optional
        What is taken off each feature, and what it is divided by, of every recording alike: see
        `adapted`.

    Raises
    ------
    ArgumentError
        For arguments out of range.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.data import SoundFeatures
    >>> features = SoundFeatures("mfcc", deltas=1)
    >>> features(np.sin(np.arange(1600)), 16000).shape, features.width
    ((10, 26), 26)
    """

    kind: str = "log_mel"
    num_mel_bins: int = 40
    num_coefficients: int = 13
    frame_length: float = 0.025
    frame_step: float = 0.01
    min_freq: float = 20.0
    max_freq: float | None = None
    pitch: bool = False
    deltas: int = 0
    normalize: str | None = "mean_variance"
    mean: tuple[float, ...] | None = None
    deviation: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise unknown_name("features", self.kind, KINDS)
        if self.normalize not in NORMALIZATIONS:
            raise unknown_name("normalize", self.normalize, map(str, NORMALIZATIONS))
        if isinstance(self.deltas, bool) or not isinstance(self.deltas, int) or self.deltas < 0:
            raise ArgumentError(f"deltas is {self.deltas!r}; expected how often, 0 or more")
        for name in ("mean", "deviation"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name), self.width))

    @property
    def width(self) -> int:
        """The numbers that a frame has."""
        own = self.num_mel_bins if self.kind == "log_mel" else self.num_coefficients
        return (own + audio_features.PITCHES * self.pitch) * (self.deltas + 1)

    def frames(self, samples: int, sample_rate: int) -> int:
        """Return the number of frames of so many samples."""
        return audio_features.frame_count(samples, sample_rate, self.frame_step)

    def __call__(self, samples: Any, sample_rate: int) -> Array:
        """Return the features of a sound of one channel, [t, width] in float32."""
        cut = (self.frame_length, self.frame_step)
        bins = (self.num_mel_bins, *cut, self.min_freq, self.max_freq)
        if self.kind == "log_mel":
            found = audio_features.log_mel(samples, sample_rate, *bins)
        else:
            found = audio_features.mfcc(samples, sample_rate, self.num_coefficients, *bins)
        if self.pitch:
            pitches = audio_features.pitch(samples, sample_rate, *cut)
            found = np.concatenate([found, pitches], axis=1)
        if self.deltas:
            found = audio_frames.deltas(found, self.deltas)
        if self.normalize is not None:
            found = audio_frames.cmvn(found, self.normalize == "mean_variance")
        if self.mean is not None:
            found = found - np.array(self.mean, np.float32)
        return found if self.deviation is None else found / np.array(self.deviation, np.float32)

    def adapted(self, sequences: Sequence[Any]) -> SoundFeatures:
        """Return these features with each one's mean and deviation in all frames of sequences.

        Unlike `normalize` it leaves differences between recordings, and frames of zeros are then
        those of the mean. A feature that never changes is not divided.

        Examples
        --------
        >>> import numpy as np
        >>> from chainrule.data import SoundFeatures
        >>> features = SoundFeatures("mfcc", normalize=None)
        >>> sounds = [np.random.default_rng(i).normal(size=1600) for i in range(3)]
        >>> found = features.adapted([features(sound, 16000) for sound in sounds])
        >>> normal = np.concatenate([found(sound, 16000) for sound in sounds])
        >>> bool(np.allclose(normal.mean(axis=0), 0, atol=1e-4))
        True
        """
        frames = [np.asarray(x, np.float64).reshape(-1, self.width) for x in sequences]
        every = np.concatenate([np.zeros((0, self.width)), *frames])
        if not len(every):
            return replace(self, mean=(0.0,) * self.width, deviation=(1.0,) * self.width)
        deviation = every.std(axis=0)
        deviation[deviation < 1e-6] = 1.0
        mean = every.mean(axis=0)
        return replace(self, mean=tuple(mean.tolist()), deviation=tuple(deviation.tolist()))

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make these features again."""
        return asdict(self)


def _numbers(name: str, given: Any, width: int) -> tuple[float, ...] | None:
    if given is None:
        return None
    numbers = np.asarray(given, np.float64)
    if numbers.shape != (width,) or not np.isfinite(numbers).all():
        raise ArgumentError(f"{name} has shape {list(numbers.shape)}; expected {width} numbers")
    return tuple(numbers.tolist())


def as_features(given: Any) -> SoundFeatures | None:
    """Return features for a kind, a dict of arguments, or features themselves.

    Raises
    ------
    ArgumentError
        For anything else.
    """
    if given is None or isinstance(given, SoundFeatures):
        return given
    if isinstance(given, str):
        return SoundFeatures(given)
    if not isinstance(given, Mapping):
        raise ArgumentError(
            f"features are {', '.join(KINDS)}, a dict of arguments or SoundFeatures, not {given!r}"
        )
    known = [field.name for field in fields(SoundFeatures)]
    for name in given:
        if name not in known:
            raise unknown_name("argument of features", name, known)
    return SoundFeatures(**given)


@dataclass(frozen=True)
class SoundForm:
    """Sounds of one channel, one rate and one length; longer ones are cut, others followed by 0.

    SoundFeatures are those of the sound alone; what follows it are frames of zeros.
    """

    sample_rate: int
    length: int
    features: SoundFeatures | None = None

    noun: ClassVar[str] = "sound"
    dtype: ClassVar[str] = "float32"

    @property
    def shape(self) -> tuple[int, int]:
        """Samples and one channel, or frames and features."""
        if self.features is None:
            return self.length, 1
        return max(self.features.frames(self.length, self.sample_rate), 1), self.features.width

    def sequence(self, path: File) -> Array:
        """Return one file as an array of its own length; raises AudioError where it is broken."""
        samples, rate = audio.read(path)
        return self.made(samples.mean(axis=1), rate)

    def made(self, samples: Array, rate: int) -> Array:
        """Return samples [t] of a rate as an array of their own length, cut where it is longer."""
        x = resample(samples, rate, self.sample_rate)[: self.length]
        return x[:, None] if self.features is None else self.features(x, self.sample_rate)

    def read(self, path: File) -> Array:
        """Return one file as an array of the form's shape; raises AudioError where it is broken."""
        return fitted(self.sequence(path), self.shape[0])

    def get_config(self) -> dict[str, Any]:
        """Return the arguments that make this form again."""
        return asdict(self)

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> SoundForm:
        """Return the form with these arguments."""
        return cls(config["sample_rate"], config["length"], as_features(config["features"]))
