"""Sounds and their features, one recording at a time: resampling, log-mel, MFCCs, noise, speed."""

from __future__ import annotations

from typing import Any

import numpy as np

from chainrule.data.audio import resample
from chainrule.data.audio_features import log_mel, mfcc, one_channel, pitch
from chainrule.data.audio_frames import cmvn, cmvn_by_speaker, deltas, frame
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError

__all__ = [
    "add_noise",
    "change_speed",
    "cmvn",
    "cmvn_by_speaker",
    "deltas",
    "frame",
    "log_mel",
    "mfcc",
    "pitch",
    "resample",
]


def add_noise(samples: Any, noise: Any, snr: float, seed: int | None = None) -> Array:
    """``y = x + g * noise`` with g such that x is `snr` decibels louder than what is added.

    Shapes
    ------
    samples : [t]; noise : [any]; returned : [t], float32

    Parameters
    ----------
    samples : array_like
        The sound.
    noise : array_like
        A recording of what shall disturb it, of the same rate: repeated where it is shorter, and
        begun at a random place where it is longer.
    snr : float
        Decibels: 20 is a quiet room, 0 as loud as the sound.
    seed : int, optional
        Decides where a longer noise begins, by default at its first sample.

    Raises
    ------
    DataError
        For noise that is empty or silent.

    Notes
    -----
    Silence stays silence: it has no loudness that the noise could be measured by. For white noise,
    drawn anew in each step of the training, there is the layer `RandomNoise`.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.preprocessing.audio import add_noise
    >>> x = np.sin(np.arange(1000.0))
    >>> noisy = add_noise(x, np.random.default_rng(0).normal(size=300), snr=20)
    >>> float(round(10 * np.log10(np.mean(x**2) / np.mean((noisy - x) ** 2)), 3))
    20.0

    """
    x, other = one_channel(samples), one_channel(noise)
    if not np.any(other):
        raise DataError("the noise is empty or silent")
    if not np.isfinite(snr):
        raise ArgumentError(f"snr is {snr!r}; expected decibels")
    room = max(len(other) - len(x), 0)
    begin = 0 if seed is None else int(np.random.default_rng(seed).integers(room + 1))
    part = np.resize(other[begin:], len(x)).astype(np.float64)
    loudness, disturbance = np.sum(x.astype(np.float64) ** 2), np.sum(part**2)
    gain = np.sqrt(loudness / disturbance / 10 ** (snr / 10)) if disturbance else 0.0
    noisy: Array = (x + gain * part).astype(np.float32)
    return noisy


def change_speed(samples: Any, factor: float) -> Array:
    """``y[t] = x[factor * t]``, band-limited: faster and higher for a factor above 1.

    Shapes
    ------
    samples : [t] or [t, c]; returned : [round(t / factor)] or with c, float32

    Parameters
    ----------
    samples : array_like
        The sound.
    factor : float > 0
        Mostly 0.9 to 1.1.

    Raises
    ------
    ArgumentError
        For a factor that is not above 0.
    MissingDependencyError
        Without soxr.

    Examples
    --------
    >>> import numpy as np
    >>> from chainrule.preprocessing.audio import change_speed
    >>> change_speed(np.zeros(1100), 1.1).shape
    (1000,)

    Source
    ------
    T. Ko et al., "Audio augmentation for speech recognition", Interspeech 2015, section 2.3.
    """
    number = isinstance(factor, int | float | np.number) and not isinstance(factor, bool)
    if not number or not factor > 0:
        raise ArgumentError(f"factor is {factor!r}; expected a number above 0")
    return resample(samples, float(factor), 1.0)
