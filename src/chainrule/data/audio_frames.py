"""Sounds cut into frames; frames beside their slopes, normalized over recordings or speakers."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from chainrule.data.audio_features import whole
from chainrule.dtypes import Array
from chainrule.errors import ArgumentError, DataError, ShapeError


def frame(samples: Any, frame_length: int, frame_step: int, pad_end: bool = False) -> Array:
    """``y[i] = x[i * frame_step : i * frame_step + frame_length]``: pieces that may overlap.

    Shapes
    ------
    samples : [t] or [t, c]; returned : [n, frame_length] or with c, of the same dtype

    Parameters
    ----------
    samples : array_like
        A sound, or anything else with time along its first axis.
    frame_length, frame_step : int >= 1
        Samples of a piece, and from one to the next.
    pad_end : bool, default False
        Whether pieces that begin within the sound and end beyond it count, filled up with zeros.

    Raises
    ------
    ArgumentError
        For a length or step below 1.
    ShapeError
        For a single number.

    Examples
    --------
    >>> from chainrule.preprocessing.audio import frame
    >>> frame([1, 2, 3, 4, 5], 3, 2).tolist()
    [[1, 2, 3], [3, 4, 5]]
    """
    x, length, step = np.asarray(samples), whole("frame_length", frame_length), frame_step
    if length < 1 or whole("frame_step", step) < 1:
        raise ArgumentError(f"frame_length is {length} and frame_step {step}; expected 1 or more")
    if not x.ndim:
        raise ShapeError("samples are a single number; expected [t] or [t, c]")
    if pad_end:
        rest = max(-(-len(x) // step) * step - step + length - len(x), 0)
        x = np.concatenate([x, np.zeros((rest, *x.shape[1:]), x.dtype)])
    if len(x) < length:
        return np.zeros((0, length, *x.shape[1:]), x.dtype)
    pieces = np.lib.stride_tricks.sliding_window_view(x, length, axis=0)[::step]
    return np.ascontiguousarray(np.moveaxis(pieces, -1, 1))


def deltas(x: Any, order: int = 2, window: int = 2) -> Array:
    """``d[t] = sum_j j x[t + j] / sum_j j^2``, j from -window to window, beside x, ``order`` times.

    Shapes
    ------
    x : [t, d]; returned : [t, (order + 1) d], float32: x, its slopes, the slopes of these

    Parameters
    ----------
    x : array_like
        Frames, as of `mfcc`.
    order : int >= 0, default 2
        How many times.
    window : int >= 1, default 2
        Frames on either side; beyond the ends the last frames are repeated.

    Raises
    ------
    ArgumentError
        For arguments out of range.
    ShapeError
        For x of another number of axes.

    Examples
    --------
    >>> from chainrule.preprocessing.audio import deltas
    >>> deltas([[1.0], [2.0], [4.0]], order=1, window=1).tolist()
    [[1.0, 0.5], [2.0, 1.5], [4.0, 1.0]]

    Source
    ------
    S. Young et al., *The HTK Book*, equation 5.16; orders above the first as in Kaldi, by the
    slopes' weights convolved with each other.
    """
    frames = _frames(x)
    if whole("order", order) < 0 or whole("window", window) < 1:
        raise ArgumentError(f"order is {order} and window {window}; expected >= 0 and >= 1")
    slope = np.arange(-window, window + 1) / (2 * np.sum(np.arange(1, window + 1) ** 2))
    parts, weights = [frames], np.ones(1)
    for _ in range(order if len(frames) else 0):
        weights = np.convolve(weights, slope)
        half = len(weights) // 2
        wide = np.pad(frames, ((half, half), (0, 0)), mode="edge").astype(np.float64)
        moved = (w * wide[i : i + len(frames)] for i, w in enumerate(weights))
        parts.append(sum(moved, np.zeros(frames.shape)).astype(np.float32))
    if not len(frames):
        return np.zeros((0, frames.shape[1] * (order + 1)), np.float32)
    return np.concatenate(parts, axis=1)


def cmvn(x: Any, variance: bool = True) -> Array:
    """``y[t] = (x[t] - mean) / deviation`` of each feature over the recording.

    Cepstral mean and variance normalization: takes off what a microphone, a room and the loudness
    do to a whole recording. A feature that never changes, as in silence, becomes 0.

    Shapes
    ------
    x : [t, d]; returned : [t, d], float32

    Parameters
    ----------
    x : array_like
        Frames.
    variance : bool, default True
        Whether to divide by the deviation.

    Raises
    ------
    ShapeError
        For x of another number of axes.

    Examples
    --------
    >>> from chainrule.preprocessing.audio import cmvn
    >>> cmvn([[1.0, 5.0], [3.0, 5.0]]).tolist()
    [[-1.0, 0.0], [1.0, 0.0]]
    """
    return cmvn_by_speaker([x], [0], variance)[0]


def cmvn_by_speaker(
    sequences: Sequence[Any], speakers: Sequence[Hashable], variance: bool = True
) -> list[Array]:
    """`cmvn` with the mean and deviation of all recordings of the same speaker.

    Shapes
    ------
    sequences : list of [t, d]; returned : list of the same shapes, float32

    Parameters
    ----------
    sequences : sequence of array_like
        The frames of each recording.
    speakers : sequence
        Who speaks in each: names or numbers.
    variance : bool, default True
        Whether to divide by the deviation.

    Raises
    ------
    DataError
        Where there are not as many speakers as sequences.
    ShapeError
        For recordings of another number of axes or features.

    Examples
    --------
    >>> from chainrule.preprocessing.audio import cmvn_by_speaker
    >>> [y.tolist() for y in cmvn_by_speaker([[[1.0]], [[3.0]], [[9.0]]], ["a", "a", "b"])]
    [[[-1.0]], [[1.0]], [[0.0]]]
    """
    frames, names = [_frames(x) for x in sequences], list(speakers)
    if len(frames) != len(names):
        raise DataError(f"there are {len(frames)} sequences, but {len(names)} speakers")
    if len({x.shape[1] for x in frames}) > 1:
        raise ShapeError("the sequences differ in the number of features")
    found = list(frames)
    for name in dict.fromkeys(names):
        mine = [i for i, other in enumerate(names) if other == name]
        shift, scale = _moments([frames[i] for i in mine], variance)
        for i in mine:
            found[i] = ((frames[i] - shift) * scale).astype(np.float32)
    return found


def _moments(frames: list[Array], variance: bool) -> tuple[Array, Array]:
    """Return the mean and one over the deviation of each feature, 1 for one that is constant."""
    every = np.concatenate(frames).astype(np.float64)
    if not len(every):
        return np.zeros(every.shape[1]), np.ones(every.shape[1])
    mean, deviation = every.mean(axis=0), every.std(axis=0)
    varies = deviation > 1e-6 * np.maximum(np.abs(mean), 1e-3)
    return mean, 1 / np.where(varies, deviation, 1.0) if variance else np.ones(len(mean))


def _frames(x: Any) -> Array:
    frames = np.asarray(x, np.float32)
    if frames.ndim != 2:
        raise ShapeError(f"x has shape {list(frames.shape)}; expected frames [t, d]")
    return frames
